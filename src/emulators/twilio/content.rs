//! Content templates, as far as WhatsApp needs them: stored, approved at once, rendered.
//!
//! After <https://www.twilio.com/docs/content/content-api-resources>. Twilio serves it at `content.twilio.com`; here it
//! has the same base as everything else.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Carrier;
use super::answer::{self, PageQuery};
use super::validate::Refusal;
use crate::domain::Timestamp;
use crate::domain::placeholders;
use crate::domain::placeholders::{Segment, Unclosed};
use crate::integrations::twilio::form::Params;

/// Limit of templates, over all accounts.
const TEMPLATES_MAX: usize = 1_000;
/// Limit of variables in one template.
const VARIABLES_MAX: usize = 100;

/// A rendered template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rendered {
    pub name: String,
    pub body: String,
    /// The texts of its buttons.
    pub buttons: Vec<String>,
}

/// The request: `{"friendly_name": "…", "language": "es", "variables": {"1": "Ana"}, "types": {"twilio/text": {"body":
/// "Hola {{1}}"}}}`
#[derive(Clone, Debug, Deserialize)]
struct NewTemplate {
    #[serde(default)]
    friendly_name: Option<String>,
    language: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    types: Map<String, Value>,
}

#[derive(Clone, Debug)]
struct Template {
    sid: String,
    account_sid: String,
    given: NewTemplate,
    /// Its name and category after the submission to WhatsApp.
    approval: Option<(String, String)>,
    created_at: Timestamp,
}

impl Template {
    fn resource(&self) -> Value {
        let at = self.created_at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true);
        let url = format!("https://content.twilio.com/v1/Content/{}", self.sid);
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.given.friendly_name,
            "language": self.given.language,
            "variables": self.given.variables.clone().unwrap_or_default(),
            "types": self.types().collect::<Map<_, _>>(),
            "date_created": at,
            "date_updated": at,
            "links": {
                "approval_create": format!("{url}/ApprovalRequests/whatsapp"),
                "approval_fetch": format!("{url}/ApprovalRequests"),
            },
            "url": url,
        })
    }

    fn approval(&self) -> Value {
        self.approval.as_ref().map_or(Value::Null, |(name, category)| {
            json!({"name": name, "category": category, "content_type": self.types().next().map(|(kind, _)| kind),
                   "status": "approved", "rejection_reason": "", "allow_category_change": true})
        })
    }

    /// Twilio's libraries send unused types as null.
    fn types(&self) -> impl Iterator<Item = (String, Value)> {
        self.given.types.iter().filter(|(_, kind)| !kind.is_null()).map(|(name, kind)| (name.clone(), kind.clone()))
    }

    fn render(&self, variables: &Map<String, Value>) -> Rendered {
        let (_, kind) = self.types().next().unwrap_or_default();
        let samples = self.given.variables.clone().unwrap_or_default();
        let fill = |text: &str| fill(text, |name| variables.get(name).or_else(|| samples.get(name)));
        let text = |field: &str| kind[field].as_str().map(fill).filter(|text| !text.is_empty());
        let parts = ["title", "header_text", "body", "subtitle", "footer"].map(text);
        let actions = kind["actions"].as_array().or_else(|| kind["items"].as_array());
        let titles = actions.into_iter().flatten().filter_map(|one| one["title"].as_str().or(one["item"].as_str()));
        Rendered {
            name: self.given.friendly_name.clone().unwrap_or_else(|| self.sid.clone()),
            body: parts.into_iter().flatten().collect::<Vec<_>>().join("\n"),
            buttons: titles.map(fill).collect(),
        }
    }
}

/// Replaces `{{name}}` by its value; a name without a value stays visible.
fn fill<'a>(text: &str, value: impl Fn(&str) -> Option<&'a Value>) -> String {
    let mut filled = String::with_capacity(text.len());
    for segment in placeholders::split(text) {
        match segment {
            Ok(Segment::Literal(literal)) => filled.push_str(literal),
            Ok(Segment::Placeholder { name, .. }) => match value(name) {
                Some(Value::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&value.to_string()),
                None => filled.push_str(&format!("{{{{{name}}}}}")),
            },
            Err(Unclosed(at)) => {
                filled.push_str("{{");
                filled.push_str(&text[at..]);
            }
        }
    }
    filled
}

#[derive(Default)]
pub struct Templates(Mutex<Vec<Template>>);

impl Templates {
    /// Renders a template of the account; `None` if there is no such template.
    pub fn render(&self, account: &str, sid: &str, variables: &Map<String, Value>) -> Option<Rendered> {
        let templates = self.lock();
        let found = templates.iter().find(|template| template.sid == sid && template.account_sid == account);
        found.map(|template| template.render(variables))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Template>> {
        self.0.lock()
    }
}

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

pub async fn list(State(carrier): State<Carrier>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(account) = carrier.account_of(&headers) else { return answer::unauthorized() };
    let Ok(query) = Params::parse(query.unwrap_or_default().as_bytes()) else {
        return answer::bad_request("The query is not a form.");
    };
    let page = PageQuery::of(&query);
    let templates = carrier.0.templates.lock();
    let own = templates.iter().filter(|template| template.account_sid == account);
    let (found, last) = page.cut(own, |template| &template.sid);
    let meta = page.meta("/v1/Content", found.len(), last.as_deref());
    let url = |uri: &str| format!("https://content.twilio.com{uri}");
    let meta = json!({
        "key": "contents", "page": meta.page, "page_size": meta.page_size, "url": url(&meta.uri),
        "first_page_url": url(&meta.first_page_uri),
        "previous_page_url": meta.previous_page_uri.as_deref().map(url),
        "next_page_url": meta.next_page_uri.as_deref().map(url),
    });
    let contents: Vec<_> = found.into_iter().map(Template::resource).collect();
    Json(json!({"contents": contents, "meta": meta})).into_response()
}

pub async fn fetch(State(carrier): State<Carrier>, Path(sid): Path<String>, headers: HeaderMap) -> Response {
    carrier.with_template(&sid, &headers, |templates, at| Json(templates[at].resource()).into_response())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_where_they_are_named() {
        let values = json!({"1": "Ana", "day": "lunes", "n": 3});
        let check = |text: &str, expect: &str| assert_eq!(fill(text, |name| values.get(name)), expect);
        check("Hola {{1}}, hasta el {{ day }}", "Hola Ana, hasta el lunes");
        check("{{n}}{{2}} {{", "3{{2}} {{");
        check("{{1", "{{1");
        check("}} {{1}}", "}} Ana");
    }
}
