//! The tenant over the API: views, changes, and rejected changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{command, run};
use crate::support::http_client;
use crate::support::server::{Server, ServerOptions};

const BLUEPRINT: &str = "rule(\"hours\").on(\"inbound_sms\").keyword(\"HORARIO\").blueprint()\n    \
    .param(\"from\", \"09:00\").param(\"days\", 5)\n    .then(|e| reply(`From ${e.params.from}`));\n";
const SID: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Api {
    server: Server,
    token: String,
}

impl Api {
    async fn start() -> Self {
        let options = ServerOptions::default().env("METRICS_LISTEN", "off").file("rules/hours.rhai", BLUEPRINT);
        let server = Server::start(options).await;
        let token = Self::token(&server, "full");
        Self { server, token }
    }

    fn token(server: &Server, scope: &str) -> String {
        let args = ["tenant", "token", "add", "demo", "--name", "test", "--scope", scope, "--json"];
        run(&mut command(server.folder(), &args)).json()["token"].as_str().expect("a token").to_owned()
    }

    fn recado(&self, args: &[&str]) -> Value {
        let listen = self.server.url().trim_start_matches("http://").to_owned();
        run(command(self.server.folder(), args).env("LISTEN", listen)).json()
    }

    async fn ask(&self, method: Method, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/api/v1/tenant", self.server.url());
        let mut request = http_client().request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the server answers");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    async fn get(&self) -> Value {
        let (status, tenant) = self.ask(Method::GET, None).await;
        assert_eq!(status, 200, "{tenant}");
        tenant
    }

    async fn change(&self, change: Value) -> Value {
        let (status, tenant) = self.ask(Method::PATCH, Some(change)).await;
        assert_eq!(status, 200, "{tenant}");
        tenant
    }
}

#[tokio::test]
async fn a_tenant_is_shown_alike_by_the_api_and_the_command_without_its_tokens() {
    let api = Api::start().await;
    let set = ["tenant", "set", "demo", "--account-sid", SID, "--sms", "+34911222333"];
    run(command(api.server.folder(), &set).env("RECADO_TENANT_AUTH_TOKEN", TOKEN)).ok();
    let mut shown = api.recado(&["tenant", "show", "demo", "--json"]);
    shown.as_object_mut().expect("an object").remove("refused");
    let tenant = api.get().await;
    assert_eq!(tenant, shown);
    assert_eq!((&tenant["account_sid"], &tenant["senders"][0]["number"]), (&json!(SID), &json!("+34911222333")));
    assert!(!tenant.to_string().contains(TOKEN) && !tenant.to_string().contains("auth_token"), "{tenant}");
}

#[tokio::test]
async fn a_change_leaves_omitted_fields_as_they_are() {
    let api = Api::start().await;
    let before = api.get().await;
    assert_eq!(api.change(json!({})).await, before);
    let changed = api.change(json!({"name": "Clínica Sol", "templates": {"a": format!("HX{:032x}", 1)}})).await;
    assert_eq!((&changed["name"], &changed["zone"]), (&json!("Clínica Sol"), &before["zone"]));
    // The command and the API change one tenant.
    api.recado(&["tenant", "set", "demo", "--retain-days", "30", "--staff-email", "ana@sol.example", "--json"]);
    let changed = api.change(json!({"templates": {"b": format!("HX{:032x}", 2)}, "zone": "Europe/Madrid"})).await;
    assert_eq!(changed["templates"].as_object().map(serde_json::Map::len), Some(2), "{changed}");
    assert_eq!((&changed["retain_days"], &changed["staff_emails"]), (&json!(30), &json!(["ana@sol.example"])));
    let changed = api.change(json!({"templates": {"a": null}, "retain_days": null, "staff_emails": []})).await;
    assert_eq!(changed["templates"].as_object().map(serde_json::Map::len), Some(1), "{changed}");
    assert_eq!((&changed["retain_days"], &changed["staff_emails"]), (&Value::Null, &json!([])));
    assert_eq!(api.recado(&["tenant", "show", "demo", "--json"])["templates"], changed["templates"]);
}

#[tokio::test]
async fn hours_holidays_and_blueprints_are_changed_one_by_one() {
    let api = Api::start().await;
    let changed = api.change(json!({"hours": "mon 09:00-10:00", "holidays": {"2026-12-25": "closed"}})).await;
    assert_eq!(changed["hours"], "mon 09:00-10:00; 2026-12-25 closed");
    let changed = api.change(json!({"hours": "tue 09:00-10:00", "quiet": {"+34": "22:00-10:00"}})).await;
    assert_eq!(changed["hours"], "tue 09:00-10:00; 2026-12-25 closed");
    let changed = api.change(json!({"holidays": {"2026-12-25": null, "2026-12-26": null}})).await;
    assert_eq!((&changed["hours"], &changed["quiet"]), (&json!("tue 09:00-10:00"), &json!({"+34": "22:00-10:00"})));
    assert_eq!(api.change(json!({"hours": null})).await["hours"], Value::Null);

    let changed = api.change(json!({"blueprints": {"hours": {"from": "10:00"}}})).await;
    assert_eq!(changed["blueprints"], json!({"hours": {"from": "10:00"}}));
    let changed = api.change(json!({"blueprints": {"hours": {"days": 6}}})).await;
    assert_eq!(changed["blueprints"], json!({"hours": {"from": "10:00", "days": 6}}));
    let changed = api.change(json!({"blueprints": {"hours": {"from": null}}})).await;
    assert_eq!(changed["blueprints"], json!({"hours": {"days": 6}}));
    assert_eq!(api.change(json!({"blueprints": {"hours": null}})).await["blueprints"], json!({}));
}

#[tokio::test]
async fn a_refused_change_names_the_field_and_changes_nothing() {
    let api = Api::start().await;
    let before = api.get().await;
    for (field, value, says) in [
        ("name", json!(""), "1 to 100"),
        ("zone", json!("Madrid"), "Europe/Madrid"),
        ("language", json!("Spanish"), "such as es"),
        ("retain_days", json!(3), "7 to 3650"),
        ("staff_emails", json!(["nobody"]), "nobody"),
        ("templates", json!({"a": "HX1"}), "HX and 32 hex digits"),
        ("routes", json!({"91": "twilio"}), "such as +91"),
        ("routes", json!({"+91": "nobody"}), "there are: twilio"),
        ("blueprints", json!({"ours": {}}), "there are: hours"),
        ("blueprints", json!({"hours": {"to": 1}}), "there are: days, from"),
        ("blueprints", json!({"hours": {"days": "six"}}), "a value like 5"),
        ("hours", json!("lunes 09:00-14:00"), "no weekday"),
        ("holidays", json!({"Christmas": "closed"}), "such as 2026-12-25"),
        ("quiet", json!({"34": "22:00-10:00"}), "no prefix"),
    ] {
        let (status, problem) = api.ask(Method::PATCH, Some(json!({"language": "es", field: value}))).await;
        assert_eq!((status, &problem["code"], &problem["field"]), (422, &json!("bad_setting"), &json!(field)));
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains(says) && detail.starts_with(field), "{says:?} is not in {problem}");
    }
    for body in [json!({"name": null}), json!({"colour": 1}), json!({"account_sid": SID})] {
        let (status, problem) = api.ask(Method::PATCH, Some(body)).await;
        assert_eq!((status, &problem["code"]), (422, &json!("not_such_body")), "{problem}");
    }
    assert_eq!(api.get().await, before);
    let agent = Api { token: Api::token(&api.server, "agent"), ..api };
    assert_eq!(agent.ask(Method::GET, None).await.0, 403);
}
