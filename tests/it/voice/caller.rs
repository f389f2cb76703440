//! A caller on the line: posts webhooks as the provider would, and reads the documents.

use recado::integrations::twilio::form::Params;

use crate::faults::rig::{self, OURS};
use crate::support::server::{Server, ServerOptions};
use crate::support::webhook::{Form, Twilio, fields, sign};

pub const ANA: &str = "+34600111222";

/// A call in progress.
pub struct Caller {
    pub twilio: Twilio,
    pub sid: String,
    pub from: String,
    pub to: String,
    pub direction: &'static str,
}

/// A response to a webhook of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwimlResponse {
    pub status: u16,
    pub document: String,
}

impl Caller {
    /// A call from Ana.
    pub fn new(server: &Server, number: u128) -> Self {
        Self {
            twilio: rig::twilio(server),
            sid: format!("CA{number:032x}"),
            from: ANA.to_owned(),
            to: OURS.to_owned(),
            direction: "inbound",
        }
    }

    pub fn form(&self, more: &[(&str, &str)]) -> Form {
        let mut form = fields(&[
            ("CallSid", &self.sid),
            ("AccountSid", &self.twilio.account_sid),
            ("From", &self.from),
            ("To", &self.to),
            ("CallStatus", "in-progress"),
            ("ApiVersion", "2010-04-01"),
            ("Direction", self.direction),
        ]);
        for (name, value) in more {
            form.retain(|(known, _)| known != name);
            form.push(((*name).to_owned(), (*value).to_owned()));
        }
        form
    }

    pub async fn posts(&self, path: &str, more: &[(&str, &str)]) -> TwimlResponse {
        read_response(self.twilio.post(path, &self.form(more)).await.expect("it answers")).await
    }

    /// By GET: all parameters are in the URL, which is signed whole.
    pub async fn gets(&self, path: &str, more: &[(&str, &str)]) -> TwimlResponse {
        let params: Params = self.form(more).into_iter().collect();
        let joint = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{joint}{}", params.encode());
        let signature = sign(&self.twilio.auth_token, &format!("{}{target}", self.twilio.public_url), &Form::new());
        let request = crate::support::http_client()
            .get(format!("{}{target}", self.twilio.server_url))
            .header("X-Twilio-Signature", signature);
        read_response(request.send().await.expect("it answers")).await
    }

    /// Answers the question that was heard.
    pub async fn answers(&self, twiml: &TwimlResponse, more: &[(&str, &str)]) -> TwimlResponse {
        self.posts(&self.next(twiml), more).await
    }

    /// The URL at which the call continues after the document.
    pub fn next_of_redirect(&self, twiml: &TwimlResponse) -> String {
        let url = twiml.text("Redirect").expect("it goes on");
        url.strip_prefix(&self.twilio.public_url).expect("a URL of ours").to_owned()
    }

    /// The URL at which the question is answered, on this server.
    pub fn next(&self, twiml: &TwimlResponse) -> String {
        let action = twiml.attribute("action").or_else(|| twiml.text("Redirect")).expect("it goes on");
        action.strip_prefix(&self.twilio.public_url).expect("a URL of ours").to_owned()
    }
}

async fn read_response(response: reqwest::Response) -> TwimlResponse {
    TwimlResponse { status: response.status().as_u16(), document: response.text().await.expect("a text") }
}

impl TwimlResponse {
    /// The text between the first such tag and its end.
    pub fn text(&self, tag: &str) -> Option<String> {
        let start = self.document.find(&format!("<{tag}"))?;
        let begun = &self.document[start..];
        let text = &begun[begun.find('>')? + 1..begun.find(&format!("</{tag}>"))?];
        Some(text.replace("&amp;", "&"))
    }

    pub fn attribute(&self, name: &str) -> Option<String> {
        let start = self.document.find(&format!(" {name}=\""))? + name.len() + 3;
        let value = &self.document[start..];
        Some(value[..value.find('"')?].replace("&amp;", "&"))
    }

    /// The verbs in order of their start tags.
    pub fn verbs(&self) -> Vec<String> {
        let tags = self.document.split('<').skip(1).filter(|tag| !tag.starts_with(['/', '?']));
        tags.map(|tag| tag.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()).collect()
    }

    pub fn says(&self, text: &str) {
        assert!(self.document.contains(text), "'{text}' is not in {}", self.document);
    }
}

/// A server with these rules, without a provider: nothing is sent.
pub fn options(rules: &str) -> ServerOptions {
    rig::options("http://127.0.0.1:1").file("rules/echo.rhai", rules)
}
