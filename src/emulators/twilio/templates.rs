//! Stores and renders content templates.

use chrono::SecondsFormat;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::Timestamp;
use crate::domain::placeholders;
use crate::domain::placeholders::{Segment, Unclosed};
use crate::integrations::twilio::form::Params;

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
pub struct NewTemplate {
    #[serde(default)]
    pub friendly_name: Option<String>,
    pub language: String,
    #[serde(default)]
    pub variables: Option<Map<String, Value>>,
    pub types: Map<String, Value>,
}

/// A stored template.
#[derive(Clone, Debug)]
pub struct Template {
    pub sid: String,
    pub account_sid: String,
    pub given: NewTemplate,
    /// Its name and category after the submission to WhatsApp.
    pub approval: Option<(String, String)>,
    pub created_at: Timestamp,
}

impl Template {
    /// Formats the template as Twilio's resource.
    pub fn resource(&self) -> Value {
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

    /// Formats WhatsApp's approval.
    pub fn approval(&self) -> Value {
        self.approval.as_ref().map_or(Value::Null, |(name, category)| {
            json!({"name": name, "category": category, "content_type": self.types().next().map(|(kind, _)| kind),
                   "status": "approved", "rejection_reason": "", "allow_category_change": true})
        })
    }

    /// Whether the template matches a search of version 2.
    /// <https://www.twilio.com/docs/content/content-api-resources#content-template-search>
    pub fn matches(&self, query: &Params) -> bool {
        let name = self.given.friendly_name.as_deref().unwrap_or_default();
        let text = |part: &str| self.given.types.values().any(|kind| kind.to_string().contains(part));
        let status = if self.approval.is_some() { "approved" } else { "unsubmitted" };
        let all = |key: &str, fits: &dyn Fn(&str) -> bool| query.all(key).all(|value| value.is_empty() || fits(value));
        let any = |key: &str, fits: &dyn Fn(&str) -> bool| query.filled(key).is_none() || query.all(key).any(fits);
        any("Language", &|language: &str| self.given.language == language)
            && any("ContentType", &|kind: &str| self.given.types.get(kind).is_some_and(|kind| !kind.is_null()))
            && any("ChannelEligibility", &|asked: &str| asked.rsplit_once(':').is_none_or(|(_, asked)| asked == status))
            && all("ContentName", &|part: &str| name.contains(part) || text(part))
            && all("Content", &|part: &str| text(part))
    }

    /// Twilio's libraries send unused types as null.
    pub fn types(&self) -> impl Iterator<Item = (String, Value)> {
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

/// The templates of all accounts.
#[derive(Default)]
pub struct Templates(Mutex<Vec<Template>>);

impl Templates {
    /// Renders a template of the account; `None` if there is no such template.
    pub fn render(&self, account: &str, sid: &str, variables: &Map<String, Value>) -> Option<Rendered> {
        let templates = self.lock();
        let found = templates.iter().find(|template| template.sid == sid && template.account_sid == account);
        found.map(|template| template.render(variables))
    }

    pub fn lock(&self) -> MutexGuard<'_, Vec<Template>> {
        self.0.lock()
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
