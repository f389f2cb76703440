//! `http_request`: what a rule may ask of another server. The URL is checked here as far as its shape goes; whether its
//! address may be called is seen when it is.
//!
//! ```rhai
//! http_request(#{ url: "https://example.com/orders", json: #{ customer: e.contact.phone } });
//! http_request(#{ method: "PUT", url: "https://example.com/a/1", headers: #{ "X-Kind": "note" }, body: e.body });
//! ```
//! There is no access to secrets: rules are read by many. A receiver that wants proof knows it by a secret path, or
//! stands behind a proxy that adds the header.

use std::collections::BTreeMap;

use rhai::Dynamic;

use crate::domain::{Action, HttpMethod, HttpRequest};
use crate::integrations::http_providers::request;
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::values::{kind_of, to_json};
use crate::rules::script::views::event::text_argument;

const KEYS: [&str; 5] = ["method", "url", "headers", "json", "body"];
const CONTENT_TYPE: &str = "content-type";

pub(in crate::rules) fn http_request(asked: &Dynamic) -> Result<Action, String> {
    let Ok(asked) = asked.as_map_ref() else {
        return Err(format!(
            "it takes a map such as #{{ url: \"https://…\", json: #{{}} }}, and this is a {}",
            kind_of(asked)
        ));
    };
    if let Some(unknown) = asked.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("there is no '{unknown}': it takes {}", KEYS.join(", ")));
    }
    let url = asked.get("url").ok_or("it lacks the url, as in #{ url: \"https://example.com/hook\" }")?;
    let mut wanted = HttpRequest {
        method: asked.get("method").map_or(Ok(HttpMethod::Post), method)?,
        url: text_argument("the url", url)?,
        headers: asked.get("headers").map_or_else(|| Ok(BTreeMap::new()), headers)?,
        body: None,
    };
    wanted.body = match (asked.get("json"), asked.get("body")) {
        (Some(_), Some(_)) => return Err("it has both json and body: leave one out".to_owned()),
        (Some(json), None) => {
            if !wanted.headers.keys().any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE)) {
                wanted.headers.insert(CONTENT_TYPE.to_owned(), "application/json".to_owned());
            }
            Some(to_json(json)?.to_string())
        }
        (None, Some(body)) => Some(text_argument("the body", body)?),
        (None, None) => None,
    };
    request::check(&wanted).map_err(|error| error.to_string())?;
    Ok(Action::Request(wanted))
}

/// What is wrong with a URL that is written out, and so wrong each time.
pub(in crate::rules) fn bad_url(url: &str) -> Option<String> {
    let wanted = HttpRequest { method: HttpMethod::Get, url: url.to_owned(), headers: BTreeMap::new(), body: None };
    request::check(&wanted).err().map(|error| error.to_string())
}

fn method(value: &Dynamic) -> Result<HttpMethod, String> {
    let text = text_argument("the method", value)?.to_ascii_uppercase();
    let known = serde_json::from_value(text.as_str().into());
    known.map_err(|_| {
        let text: String = text.chars().take(20).collect();
        format!("'{text}' is no method: use GET, POST, PUT, PATCH or DELETE")
    })
}

fn headers(value: &Dynamic) -> Result<BTreeMap<String, String>, String> {
    let Ok(map) = value.as_map_ref() else {
        return Err(format!(
            "the headers must be a map such as #{{ \"X-Kind\": \"note\" }}, and this is a {}",
            kind_of(value)
        ));
    };
    let text = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let text = match value.as_int() {
            Ok(number) => number.to_string(),
            Err(_) => text_argument(&format!("the header {name}"), value)?,
        };
        if text.chars().count() > TEXT_CHARS {
            return Err(format!("the header {name} has over {TEXT_CHARS} letters"));
        }
        Ok((name.to_string(), text))
    };
    map.iter().map(text).collect()
}
