//! Parsers of values, with the error texts for wrong ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::Url;
use secrecy::SecretString;

use crate::domain::Phone;

/// How SQLite commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// Each commit is on disk before it is acknowledged.
    Full,
    /// A power cut may lose the last commits; a crash of the process does not.
    Normal,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Readable,
    Json,
}

/// A host or network that may be called although it is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    Block(IpNet),
    /// A host name in lower case without a dot at its end. Its addresses are not checked.
    Host(String),
}

impl Allowed {
    /// Parses `10.0.0.0/8`, `127.0.0.1`, `fd00::/8`, `gateway.internal`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(block) = text.parse::<IpNet>() {
            return Some(Self::Block(block.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Block(address.into()));
        }
        // A host whose last label is digits is a mistyped address.
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let is_number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        (host.len() <= 253 && !is_number && host.split('.').all(label)).then_some(Self::Host(host))
    }

    /// True if this entry covers the address.
    pub fn holds_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Block(block) if block.contains(&address))
    }

    /// True if this entry names the host.
    pub fn is_host(&self, name: &str) -> bool {
        matches!(self, Self::Host(host) if name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(host))
    }
}

pub const ALLOWED: &str =
    "CIDR blocks, addresses or host names, comma-separated, such as 10.20.0.0/16, sms.internal; 100 at most";
pub const ADDRESS: &str = "an address and a port, such as 127.0.0.1:8000";
pub const LOOPBACK_ADDRESS: &str = "a loopback address and a port, such as 127.0.0.1:8010";
pub const ADDRESS_OR_OFF: &str = "an address and a port, such as 127.0.0.1:9464, or off";
pub const BASE_URL: &str =
    "a URL such as https://messages.example.com: http or https, no trailing slash, user, query or fragment";
pub const TRUE_OR_FALSE: &str = "true or false";
pub const DATABASE: &str =
    "sqlite:// and a path, such as sqlite://data/recado.db, or postgres://user:password@host/database";
pub const SYNCHRONOUS: &str = "full or normal";
pub const AUTH_TOKEN: &str = "32 letters and digits, from the account's page at the provider";
pub const PHONE: &str = "a number in E.164: + and the country code, then the number, such as +34600111222";
pub const WHATSAPP: &str = "a number in E.164, such as +34600111222 or whatsapp:+34600111222";
pub const PRICES: &str = "a currency and prices of a segment by prefix, such as EUR +34=0.08, +1=0.0083, whatsapp=0.05";
pub const QUIET_HOURS: &str = "prefixes with their quiet hours, such as +1=21:00-08:00, all=21:00-09:00; or off";
pub const LOG_FORMAT: &str = "readable or json";
pub const LOG_LEVEL: &str =
    "error, warn, info, debug, trace or off, and parts by target, such as info,recado::rules=debug";

const SID_DIGITS: usize = 32;
const AUTH_TOKEN_CHARS: usize = 32;

pub fn address(text: &str) -> Option<SocketAddr> {
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().ok()
}

pub fn loopback_address(text: &str) -> Option<SocketAddr> {
    address(text).filter(|address| address.ip().is_loopback())
}

pub fn address_or_off(text: &str) -> Option<Option<SocketAddr>> {
    if text.eq_ignore_ascii_case("off") { Some(None) } else { address(text).map(Some) }
}

const ALLOWED_MAX: usize = 100;

pub fn allowed(text: &str) -> Option<Vec<Allowed>> {
    let allowed: Vec<Allowed> = text.split(',').map(Allowed::parse).collect::<Option<_>>()?;
    (allowed.len() <= ALLOWED_MAX).then_some(allowed)
}

pub fn true_or_false(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub fn base_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let good = matches!(url.scheme(), "http" | "https") && url.has_host() && bare && !text.ends_with('/');
    good.then(|| text.to_owned())
}

pub fn database(text: &str) -> Option<SecretString> {
    let good = match text.split_once(':')? {
        // A database in memory would differ for each connection and end with the process.
        ("sqlite", rest) => !matches!(rest, "" | "//") && !rest.contains(":memory:"),
        ("postgres" | "postgresql", _) => Url::parse(text).is_ok_and(|url| url.has_host()),
        _ => false,
    };
    good.then(|| text.into())
}

pub fn synchronous(text: &str) -> Option<Synchronous> {
    match text.to_ascii_lowercase().as_str() {
        "full" => Some(Synchronous::Full),
        "normal" => Some(Synchronous::Normal),
        _ => None,
    }
}

/// A parser of whole numbers from `least` to `most`.
pub fn within(least: u32, most: u32) -> impl Fn(&str) -> Option<u32> {
    move |text| text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// A parser of Twilio SIDs: the prefix and 32 hex digits.
pub fn sid(prefix: &'static str) -> impl Fn(&str) -> Option<String> {
    move |text| {
        let digits = text.strip_prefix(prefix)?;
        (digits.len() == SID_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
    }
}

pub fn auth_token(text: &str) -> Option<SecretString> {
    (text.len() == AUTH_TOKEN_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| text.into())
}

pub fn phone(text: &str) -> Option<Phone> {
    Phone::parse_human(text, None).ok()
}

pub fn whatsapp(text: &str) -> Option<Phone> {
    phone(text.strip_prefix("whatsapp:").unwrap_or(text))
}

pub fn log_format(text: &str) -> Option<LogFormat> {
    match text.to_ascii_lowercase().as_str() {
        "readable" => Some(LogFormat::Readable),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// Parses levels, bare or by target. The filter's own parser is less strict: it takes a misspelt level for a target.
pub fn log_level(text: &str) -> Option<String> {
    let level = |level: &str| {
        ["error", "warn", "info", "debug", "trace", "off"].iter().any(|known| known.eq_ignore_ascii_case(level))
    };
    let text = text.replace(' ', "");
    let good = text.split(',').all(|part| level(part.rsplit_once('=').map_or(part, |(_, last)| last)));
    (good && tracing_subscriber::EnvFilter::try_new(&text).is_ok()).then_some(text)
}

/// The URL of a listener, as seen from its own machine.
pub fn url_of_listener(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// True if the URL's host can only be this machine.
pub fn is_loopback_url(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    is_loopback(url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']'))
}

/// True if the host, a name or an IP address without brackets, can only be this machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Masks the user's password and a query parameter `password` in a URL, well formed or not.
pub fn mask_url(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let mut shown = text.to_owned();
    // An unescaped password may contain @, so the last one counts.
    if let Some(at) = text.rfind('@').filter(|at| *at > start) {
        let user_end = text[start..at].find(':').map_or(start, |colon| start + colon + 1);
        shown.replace_range(user_end..at, "••••");
    }
    let lower = shown.to_ascii_lowercase();
    if let Some(at) = lower.find("password=").map(|at| at + "password=".len()) {
        let end = shown[at..].find('&').map_or(shown.len(), |length| at + length);
        shown.replace_range(at..end, "••••");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_never_show() {
        for (url, shown) in [
            ("sqlite://data/recado.db", "sqlite://data/recado.db"),
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://user@host/db", "postgres://••••@host/db"),
            ("postgres://user:hunter2@host/db", "postgres://user:••••@host/db"),
            ("postgres://user:hun/t@r:2@host/db", "postgres://user:••••@host/db"),
            ("user:hunter2@host", "user:••••@host"),
            ("postgres://host/db?PASSWORD=hunter2&x=1", "postgres://host/db?PASSWORD=••••&x=1"),
        ] {
            assert_eq!(mask_url(url), shown);
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for yes in ["http://127.0.0.1:8000", "http://localhost", "https://[::1]:1", "http://127.9.9.9", "http://127.1"]
        {
            assert!(is_loopback_url(yes), "{yes}");
        }
        for no in ["http://0.0.0.0", "http://localhost.example.com", "http://127.0.0.1.nip.io", "http://10.0.0.1"] {
            assert!(!is_loopback_url(no), "{no}");
        }
    }

    #[test]
    fn a_base_url_is_bare() {
        for good in ["http://127.0.0.1:8000", "https://a.example/recado", "https://[::1]:8"] {
            assert!(base_url(good).is_some(), "{good}");
        }
        for bad in
            ["", "a.example", "https://a.example/", "ftp://a", "https://u:p@a", "https://a?b", "https://a#b", "http://"]
        {
            assert!(base_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_level_is_no_level() {
        for good in ["info", "WARN", "info,recado::rules=debug", "off", "recado=trace, sqlx=off"] {
            assert!(log_level(good).is_some(), "{good}");
        }
        for bad in ["", "inof", "info,recado", "recado=loud", "info,"] {
            assert!(log_level(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn databases_are_sqlite_or_postgres() {
        for good in ["sqlite://data/recado.db", "postgres://u:p@h/d", "postgresql://h:5432/d"] {
            assert!(database(good).is_some(), "{good}");
        }
        for bad in ["", "sqlite://", "sqlite::memory:", "data/recado.db", "mysql://h/d", "postgres://", "postgres:d"] {
            assert!(database(bad).is_none(), "{bad}");
        }
    }
}
