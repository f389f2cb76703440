//! TwiML: the XML with which a webhook is answered.

/// Nothing to do. What is to be said goes out through the REST API, never in the answer to a message webhook.
pub const EMPTY_RESPONSE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// An answer without a content type is error 12300 for Twilio.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";
