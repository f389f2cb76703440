//! The guard: a URL from a rule or a provider description must not reach hosts that only this machine can reach.
//!
//! The HTTP client's resolver looks names up and drops forbidden addresses: the client connects to the checked address,
//! and a name that changes its answer later gains nothing. An address in the URL itself passes no resolver, so the URL
//! is checked, in any notation: the parser normalizes `http://2130706433/`, `http://0x7f.1/` and `http://127.1/` to
//! 127.0.0.1.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;
use crate::config::Allowed;

/// Limit of addresses of one name that are checked.
const ADDRESSES_MAX: usize = 64;

/// Why a URL is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("only http:// and https:// are called, not {0}:")]
    Scheme(String),
    #[error("a URL with a user or a password in it is not called: put them into a header")]
    UserInfo,
    #[error("the URL names no host")]
    NoHost,
    #[error(
        "{address} is {what} and is not called: use a public address, or, if this one is meant, name it in OUTBOUND_ALLOW"
    )]
    Address { address: IpAddr, what: &'static str },
    #[error(
        "'{name}' leads to {address}, {what}, and is not called: use a host with a public address, or, if this one is \
         meant, name it in OUTBOUND_ALLOW"
    )]
    Name { name: String, address: IpAddr, what: &'static str },
}

/// Looks a name up, by the machine's resolver or a test's.
pub type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// The addresses that may be called: public ones, and those that the installation allows.
#[derive(Clone)]
pub struct Guard {
    allowed: Arc<[Allowed]>,
    lookup: Lookup,
}

impl Guard {
    /// Creates a guard that also allows these addresses.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self::with_lookup(allowed, Arc::new(|name| Box::pin(system_lookup(name))))
    }

    /// Creates a guard with its own name lookup.
    pub fn with_lookup(allowed: Vec<Allowed>, lookup: Lookup) -> Self {
        Self { allowed: allowed.into(), lookup }
    }

    /// Checks a URL before it is called. A name is checked by its addresses when it is looked up.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = check_shape(url)?;
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => self.objection(address).map_or(Ok(()), |what| Err(Forbidden::Address { address, what })),
            Err(_) => Ok(()),
        }
    }

    fn objection(&self, address: IpAddr) -> Option<&'static str> {
        let allowed = self.allowed.iter().any(|allowed| allowed.holds_address(address.to_canonical()));
        address::objection(address).filter(|_| !allowed)
    }

    /// Returns the addresses of a name that may be called.
    async fn addresses(self, name: String) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let mut addresses = (self.lookup)(name.clone()).await?;
        addresses.truncate(ADDRESSES_MAX);
        if self.allowed.iter().any(|allowed| allowed.is_host(&name)) {
            return Ok(addresses);
        }
        let objections: Vec<_> = addresses.iter().map(|address| self.objection(*address)).collect();
        let first = addresses.iter().zip(&objections).find_map(|(address, what)| Some((*address, (*what)?)));
        let good: Vec<_> = addresses.iter().zip(&objections).filter(|(_, what)| what.is_none()).collect();
        match (good.as_slice(), first) {
            ([], Some((address, what))) => Err(Forbidden::Name { name, address, what }.into()),
            (good, _) => Ok(good.iter().map(|(address, _)| **address).collect()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move {
            // The client replaces port 0 by that of the URL.
            let addresses: Vec<_> = addresses.await?.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Checks the form of a URL and returns its host.
pub fn check_shape(url: &Url) -> Result<&str, Forbidden> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Forbidden::Scheme(url.scheme().chars().take(20).collect()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Forbidden::UserInfo);
    }
    url.host_str().filter(|host| !host.is_empty()).ok_or(Forbidden::NoHost)
}

/// Returns the guard's refusal if that caused the error.
pub fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(forbidden) = error.downcast_ref() {
            return Some(forbidden);
        }
        cause = error.source();
    }
    None
}

async fn system_lookup(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}
