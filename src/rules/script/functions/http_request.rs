//! `http_request`: a request to another server. The shape of the URL is checked here; whether its address may be called
//! is checked when the request leaves.
//!
//! Rules have no access to secrets, because many people read them. A receiver that wants proof uses a secret path, or
//! stands behind a proxy that adds a header.

use std::collections::BTreeMap;

use rhai::{Dynamic, NativeCallContext};

use crate::domain::{Action, HttpMethod, HttpRequest};
use crate::integrations::http_providers::request;
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::text;
use crate::rules::script::context::RequestedAction;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, to_json};

pub(in crate::rules) const HTTP_REQUEST: Function = Function {
    name: "http_request",
    receiver: None,
    group: Group::Messages,
    about: "Sends an HTTP request: `url`, and optionally `method` (POST), `headers`, and `json` or `body`.",
    signatures: &[Signature::new(&[("request", Kind::Request)], Kind::PlannedAction)],
    example: r#"http_request(#{ url: "https://example.com/orders", json: #{ customer: e.contact.phone } })"#,
    register: |engine, _| {
        engine.register_fn("http_request", |ctx: NativeCallContext<'_>, request: Dynamic| {
            plan(&ctx, "http_request", |_| http_request(&request))
        });
    },
};

const KEYS: [&str; 5] = ["method", "url", "headers", "json", "body"];
const CONTENT_TYPE: &str = "content-type";

fn http_request(request_map: &Dynamic) -> Result<RequestedAction, String> {
    let Ok(request_map) = request_map.as_map_ref() else {
        return Err(format!(
            "it takes a map such as #{{ url: \"https://…\", json: #{{}} }}, and this is a {}",
            kind_of(request_map)
        ));
    };
    if let Some(unknown) = request_map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("there is no '{unknown}': it takes {}", KEYS.join(", ")));
    }
    let url = request_map.get("url").ok_or("it lacks the url, as in #{ url: \"https://example.com/hook\" }")?;
    let mut http = HttpRequest {
        method: request_map.get("method").map_or(Ok(HttpMethod::Post), method)?,
        // A missing value is no mistake of the script: the request cannot be made.
        url: if url.is_unit() { String::new() } else { text("the url", url)? },
        headers: request_map.get("headers").map_or_else(|| Ok(BTreeMap::new()), headers)?,
        body: None,
    };
    http.body = match (request_map.get("json"), request_map.get("body")) {
        (Some(_), Some(_)) => return Err("it has both json and body: leave one out".to_owned()),
        (Some(json), None) => {
            if !http.headers.keys().any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE)) {
                http.headers.insert(CONTENT_TYPE.to_owned(), "application/json".to_owned());
            }
            Some(to_json(json)?.to_string())
        }
        (None, Some(body)) => Some(text("the body", body)?),
        (None, None) => None,
    };
    match request::check(&http) {
        Ok(()) => Ok(Action::Request(http).into()),
        Err(error) if error.is_of_script() => Err(error.to_string()),
        Err(error) => Ok(RequestedAction::blocked(Action::Request(http), error.to_string())),
    }
}

/// Returns what is wrong with a URL that a rule writes out.
pub(in crate::rules) fn bad_url(url: &str) -> Option<String> {
    let http = HttpRequest { method: HttpMethod::Get, url: url.to_owned(), headers: BTreeMap::new(), body: None };
    request::check(&http).err().map(|error| error.to_string())
}

fn method(value: &Dynamic) -> Result<HttpMethod, String> {
    let name = text("the method", value)?.to_ascii_uppercase();
    let known = serde_json::from_value(name.as_str().into());
    known.map_err(|_| {
        let name: String = name.chars().take(20).collect();
        format!("'{name}' is no method: use GET, POST, PUT, PATCH or DELETE")
    })
}

fn headers(value: &Dynamic) -> Result<BTreeMap<String, String>, String> {
    let Ok(map) = value.as_map_ref() else {
        return Err(format!(
            "the headers must be a map such as #{{ \"X-Kind\": \"note\" }}, and this is a {}",
            kind_of(value)
        ));
    };
    let header = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let text = match value.as_int() {
            Ok(number) => number.to_string(),
            Err(_) => text(&format!("the header {name}"), value)?,
        };
        if text.chars().count() > TEXT_CHARS {
            return Err(format!("the header {name} has over {TEXT_CHARS} letters"));
        }
        Ok((name.to_string(), text))
    };
    map.iter().map(header).collect()
}
