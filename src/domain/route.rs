//! The route of a send: the transport that takes it. Each route has its own capacity and its own failures, and waits for no
//! other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::id::TenantId;

/// A route, by its stable name: `twilio`, `email`, `request`, or `provider:` and the provider's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Messages and calls by the tenant's account at Twilio.
    Twilio,
    /// E-mail.
    Email,
    /// An HTTP request that a rule makes.
    Request,
    /// Messages by another provider of this name.
    Provider(Arc<str>),
}

const PROVIDER: &str = "provider:";

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twilio => f.write_str("twilio"),
            Self::Email => f.write_str("email"),
            Self::Request => f.write_str("request"),
            Self::Provider(name) => write!(f, "{PROVIDER}{name}"),
        }
    }
}

/// A name that is not one of a [`Route`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no route: it is twilio, email, request, or provider: and a name")]
pub struct UnknownRoute(String);

impl FromStr for Route {
    type Err = UnknownRoute;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "twilio" => Ok(Self::Twilio),
            "email" => Ok(Self::Email),
            "request" => Ok(Self::Request),
            _ => match text.strip_prefix(PROVIDER) {
                Some(name) if !name.is_empty() => Ok(Self::Provider(name.into())),
                _ => Err(UnknownRoute(text.chars().take(60).collect())),
            },
        }
    }
}

/// The queue of a tenant's sends along one route. They are claimed, limited and woken together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendQueue {
    pub tenant: TenantId,
    pub route: Route,
}

impl SendQueue {
    /// Names the queue.
    pub const fn new(tenant: TenantId, route: Route) -> Self {
        Self { tenant, route }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for route in [Route::Twilio, Route::Email, Route::Request, Route::Provider("india".into())] {
            assert_eq!(route.to_string().parse::<Route>().unwrap(), route);
        }
        assert!("provider:".parse::<Route>().is_err());
        assert!("sms".parse::<Route>().is_err());
    }
}
