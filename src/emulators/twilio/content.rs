//! Content templates, as far as WhatsApp needs them: stored, approved at once, rendered.
//!
//! After <https://www.twilio.com/docs/content/content-api-resources>. Twilio serves it at `content.twilio.com`; here it
//! has the same base as everything else.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{self, PageQuery};
use super::carrier::Carrier;
use super::templates::{NewTemplate, Rendered, Template};
use super::validate::Refusal;
use crate::integrations::twilio::form::Params;

/// Limit of templates, over all accounts.
const TEMPLATES_MAX: usize = 1_000;
/// Limit of variables in one template.
const VARIABLES_MAX: usize = 100;

/// Creates a template.
pub async fn create(State(carrier): State<Carrier>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(account_sid) = carrier.account_of(&headers) else { return answer::unauthorized() };
    let given: NewTemplate = match serde_json::from_slice(&body) {
        Ok(given) => given,
        Err(error) => return answer::bad_request(&format!("The request body is no template: {error}")),
    };
    let variables = given.variables.as_ref().map_or(0, Map::len);
    if given.types.values().all(Value::is_null) || variables > VARIABLES_MAX {
        return answer::bad_request("A template needs a type, and has at most 100 variables.");
    }
    let template =
        Template { sid: carrier.new_sid("HX"), account_sid, given, approval: None, created_at: carrier.0.clock.now() };
    let mut templates = carrier.0.templates.lock();
    if templates.len() >= TEMPLATES_MAX {
        return answer::bad_request("The carrier keeps no more templates: delete some.");
    }
    templates.push(template.clone());
    drop(templates);
    (StatusCode::CREATED, Json(template.resource())).into_response()
}

/// Lists templates.
pub async fn list(State(carrier): State<Carrier>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    carrier.list_templates("/v1/Content", query, &headers, |_, _| true, Template::resource)
}

/// Lists templates that match, as version 2 of the API does: by language, kind, name, text and approval.
pub async fn search(State(carrier): State<Carrier>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    carrier.list_templates("/v2/Content", query, &headers, Template::matches, Template::resource)
}

/// Lists templates with their approvals.
pub async fn list_approvals(State(carrier): State<Carrier>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let resource = |template: &Template| {
        let mut resource = template.resource();
        resource["approval_requests"] = template.approval();
        resource
    };
    carrier.list_templates("/v1/ContentAndApprovals", query, &headers, |_, _| true, resource)
}

impl Carrier {
    fn list_templates(
        &self,
        path: &str,
        query: Option<String>,
        headers: &HeaderMap,
        matches: impl Fn(&Template, &Params) -> bool,
        resource: impl Fn(&Template) -> Value,
    ) -> Response {
        let Some(account) = self.account_of(headers) else { return answer::unauthorized() };
        let Ok(query) = Params::parse(query.unwrap_or_default().as_bytes()) else {
            return answer::bad_request("The query is not a form.");
        };
        let page = PageQuery::from_query(&query);
        let templates = self.0.templates.lock();
        let own = templates.iter().filter(|template| template.account_sid == account && matches(template, &query));
        let Some((found, last)) = page.cut(own, |template| &template.sid) else { return answer::unknown_page() };
        let meta = page.meta(path, found.len(), last.as_deref());
        let url = |uri: &str| format!("https://content.twilio.com{uri}");
        let meta = json!({
            "key": "contents", "page": meta.page, "page_size": meta.page_size, "url": url(&meta.uri),
            "first_page_url": url(&meta.first_page_uri),
            "previous_page_url": meta.previous_page_uri.as_deref().map(url),
            "next_page_url": meta.next_page_uri.as_deref().map(url),
        });
        let contents: Vec<Value> = found.into_iter().map(resource).collect();
        Json(json!({"contents": contents, "meta": meta})).into_response()
    }
}

/// Fetches a template.
pub async fn fetch(State(carrier): State<Carrier>, Path(sid): Path<String>, headers: HeaderMap) -> Response {
    carrier.with_template(&sid, &headers, |templates, at| Json(templates[at].resource()).into_response())
}

/// Deletes a template.
pub async fn delete(State(carrier): State<Carrier>, Path(sid): Path<String>, headers: HeaderMap) -> Response {
    carrier.with_template(&sid, &headers, |templates, at| {
        templates.remove(at);
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Submits a template. WhatsApp takes a day or two; here it is approved at once.
pub async fn submit(
    State(carrier): State<Carrier>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    #[derive(Deserialize)]
    struct Approval {
        name: String,
        category: String,
    }
    let Ok(Approval { name, category }) = serde_json::from_slice(&body) else {
        return answer::bad_request("An approval needs a name and a category.");
    };
    carrier.with_template(&sid, &headers, |templates, at| {
        templates[at].approval = Some((name, category));
        (StatusCode::CREATED, Json(templates[at].approval())).into_response()
    })
}

/// Fetches the approval of a template.
pub async fn approvals(State(carrier): State<Carrier>, Path(sid): Path<String>, headers: HeaderMap) -> Response {
    carrier.with_template(&sid, &headers, |templates, at| {
        let Template { account_sid, sid, .. } = &templates[at];
        let url = format!("https://content.twilio.com/v1/Content/{sid}/ApprovalRequests");
        let whatsapp = templates[at].approval();
        Json(json!({"sid": sid, "account_sid": account_sid, "whatsapp": whatsapp, "url": url})).into_response()
    })
}

impl Carrier {
    fn with_template(
        &self,
        sid: &str,
        headers: &HeaderMap,
        then: impl FnOnce(&mut Vec<Template>, usize) -> Response,
    ) -> Response {
        let Some(account) = self.account_of(headers) else { return answer::unauthorized() };
        let mut templates = self.0.templates.lock();
        match templates.iter().position(|template| template.sid == sid && template.account_sid == account) {
            Some(at) => then(&mut templates, at),
            None => answer::not_found(&format!("/v1/Content/{sid}")),
        }
    }

    /// Renders a send by template. An unknown template is refused in strict mode, and otherwise shown by its SID and
    /// variables.
    pub(super) fn render(&self, account: &str, sid: &str, variables: &str) -> Result<Rendered, Refusal> {
        let variables: Map<String, Value> = serde_json::from_str(variables).unwrap_or_default();
        if let Some(rendered) = self.0.templates.render(account, sid, &variables) {
            return Ok(rendered);
        }
        if self.0.strict {
            return Err(Refusal::new(21655, format!("The ContentSid {sid} is invalid.")));
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let body = variables.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>();
        Ok(Rendered { name: sid.to_owned(), body: body.join("\n"), buttons: Vec::new() })
    }
}
