//! The HTTP method of a webhook.

/// The HTTP method of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
}

impl Method {
    /// Returns the method as it is sent.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}
