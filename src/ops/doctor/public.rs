//! Checks APP_URL: whether the world can reach this server there, as far as this machine can tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use super::server::ask;
use super::{Check, Doctor, Finding};
use crate::config::{is_loopback_url, url_of_listener};
use crate::integrations::http;

const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// The answer of `/health`.
#[derive(Deserialize)]
struct Health {
    instance: String,
}

impl Doctor<'_> {
    /// Checks APP_URL. Tells also whether the world can reach its host.
    pub(super) async fn app_url(&self) -> (Vec<Finding>, bool) {
        let app_url = self.config.app_url.as_str();
        if self.built_in_carrier && is_loopback_url(app_url) {
            let says = "only this machine reaches it, which will do for trying out";
            return (vec![Finding::note(Check::AppUrl, app_url, says)], false);
        }
        let Some(url) = Url::parse(app_url).ok() else {
            return (vec![Finding::error(Check::AppUrl, app_url, "it is no URL")], false);
        };
        let mut findings = judge_text(app_url, &url);
        let public = match addresses(&url).await {
            Ok(addresses) => {
                let public = addresses.iter().any(|ip| is_public(*ip));
                if !public {
                    findings.push(private(app_url, &addresses));
                }
                public
            }
            Err(why) => {
                let finding = Finding::error(Check::AppUrl, app_url, format!("its host has no address: {why}"));
                findings.push(finding.remedy("correct the name, or give it an address (a DNS record)"));
                false
            }
        };
        findings.push(self.answers(app_url).await);
        (findings, public)
    }

    /// Checks that this very server answers at its public URL.
    async fn answers(&self, app_url: &str) -> Finding {
        let local = url_of_listener(self.config.listen);
        let here = self.own::<Health>(&format!("{local}/health"), None).await;
        if local == app_url {
            return match here {
                Ok(_) => Finding::ok(Check::AppUrl, app_url, "this server answers there"),
                Err(_) => Finding::warning(Check::AppUrl, app_url, "no server answers there").remedy("recado serve"),
            };
        }
        let there = match http::client_through_proxies() {
            Ok(http) => ask::<Health>(&http, &format!("{app_url}/health"), None).await,
            Err(error) => Err(error.to_string()),
        };
        match (here, there) {
            (Ok(here), Ok(there)) if here.instance == there.instance => {
                let says = "this server answers there; how it looks from outside cannot be told from here";
                Finding::ok(Check::AppUrl, app_url, says)
            }
            (Ok(_), Ok(_)) => {
                let says = format!("another server of Recado's answers there than the one at {local}");
                Finding::error(Check::AppUrl, app_url, says)
                    .remedy("point the proxy to this server, or correct LISTEN or APP_URL")
            }
            (Err(_), Ok(_)) => {
                let says = format!("a server of Recado's answers there, but none at {local} to compare it with");
                Finding::warning(Check::AppUrl, app_url, says).remedy("run 'recado doctor' where the server runs")
            }
            (_, Err(why)) => {
                let says = format!("this server does not answer there, as seen from here: {why}");
                Finding::error(Check::AppUrl, app_url, says).remedy(format!(
                    "start the server, and look at the proxy, its certificate, the firewall and DNS; from another machine: \
                     curl {app_url}/health"
                ))
            }
        }
    }
}

/// Checks the form of the URL.
fn judge_text(app_url: &str, url: &Url) -> Vec<Finding> {
    let mut findings = Vec::new();
    if url.scheme() != "https" {
        let says = "with http what customers write crosses the network for all to read";
        let remedy = "put a TLS proxy in front, and set APP_URL to its https:// address";
        findings.push(Finding::warning(Check::AppUrl, app_url, says).remedy(remedy));
    }
    if url.host_str().is_some_and(|host| host.contains('_')) {
        let says = "Twilio takes no host with an underscore (error 21609): nothing could be sent";
        findings.push(Finding::error(Check::AppUrl, app_url, says).remedy("use a name without one"));
    }
    findings
}

fn private(app_url: &str, addresses: &[IpAddr]) -> Finding {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let says = format!("the world cannot reach it: {} is an address of this machine or network", addresses.join(", "));
    Finding::error(Check::AppUrl, app_url, says)
        .remedy("set APP_URL to a public name of this server, such as https://messages.example.com, behind a TLS proxy")
}

async fn addresses(url: &Url) -> Result<Vec<IpAddr>, String> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![ip]);
    }
    let port = url.port_or_known_default().unwrap_or(443);
    match tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer of the name service within {} s", RESOLVE_WITHIN.as_secs())),
    }
}

/// Whether the world can reach an address: it is none of the special-purpose addresses of RFC 6890.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| is_public_v6(ip), is_public_v4),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // 100.64.0.0/10 is shared address space behind a provider's address translation (RFC 6598).
    let shared = a == 100 && b & 0b1100_0000 == 64;
    !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast())
        && !(shared || ip.is_broadcast() || a == 0)
}

const fn is_public_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_world_are_public() {
        for yes in ["8.8.8.8", "198.51.100.7", "172.32.0.1", "100.128.0.1", "2a00::1", "::ffff:8.8.8.8"] {
            assert!(is_public(yes.parse().unwrap()), "{yes}");
        }
        for no in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(no.parse().unwrap()), "{no}");
        }
    }

    #[test]
    fn what_twilio_would_refuse_is_said() {
        let says = |app_url: &str| {
            let found = judge_text(app_url, &Url::parse(app_url).unwrap());
            found.into_iter().map(|finding| finding.says).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(says("https://messages.example.com"), "");
        assert!(says("http://messages.example.com").contains("http"));
        assert!(says("https://my_shop.example.com").contains("underscore"));
    }
}
