//! Orders to a running call.

use super::super::method::Method;
use super::call::HungUpBy;
use crate::integrations::twilio::form::Params;

/// Interrupts a call.
#[derive(Clone, Debug)]
pub enum Order {
    HangUp(HungUpBy),
    /// Replaces the running document.
    Go(Source),
}

/// The source of the next document.
#[derive(Clone, Debug)]
pub enum Source {
    Url { url: String, method: Method, extra: Params },
    Twiml(String),
}

impl Source {
    /// Creates the source of a URL without further fields.
    pub fn url(url: impl Into<String>, method: Method) -> Self {
        Self::Url { url: url.into(), method, extra: Params::default() }
    }
}
