//! Audiences of campaigns: by filter, by table over the API, or by an operator; with an agent.

use std::time::Duration;

use recado::emulators::twilio::{CallEvent, Party, Step};
use reqwest::Response;
use serde_json::{Value, json};

use super::campaigns::{campaigns, done, list, options, provider};
use crate::cli;
use crate::faults::rig::{self, Look, OURS, customer};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;
use crate::voice::model::Scene;

const WITHIN: Duration = Duration::from_secs(30);

/// The API with a tenant's token.
struct Api {
    base: String,
    token: String,
}

impl Api {
    fn new(server: &Server, slug: &str) -> Self {
        let args = ["tenant", "token", "add", slug, "--name", "test", "--json"];
        let token = cli::run(&mut rig::recado(server, &args)).json()["token"].as_str().expect("a token").to_owned();
        Self { base: format!("{}/api/v1", server.url()), token }
    }

    async fn get(&self, path: &str) -> Value {
        let asked = http_client().get(format!("{}/{path}", self.base)).bearer_auth(&self.token);
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let asked = http_client().post(format!("{}/{path}", self.base)).bearer_auth(&self.token).json(body);
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn table(&self, path: &str, table: &[u8], key: &str) -> Response {
        let asked = http_client().post(format!("{}/{path}", self.base)).bearer_auth(&self.token);
        let asked = asked.header("content-type", "text/csv; charset=utf-8").header("idempotency-key", key);
        asked.body(table.to_vec()).send().await.unwrap()
    }

    /// The members of a campaign, page by page.
    async fn members(&self, campaign: &str, limit: usize) -> Vec<String> {
        let (mut seen, mut after) = (Vec::new(), String::new());
        // More pages than there can be.
        for _ in 0..20 {
            let page = self.get(&format!("campaigns/{campaign}/members?limit={limit}{after}")).await;
            let items = page["items"].as_array().expect("items").iter();
            seen.extend(items.filter_map(|one| one["phone"].as_str().map(str::to_owned)));
            let Some(next) = page["next"].as_str() else { return seen };
            after = format!("&after={}", next.replace('+', "%2B"));
        }
        panic!("the pages do not end: {seen:?}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_is_read_when_the_campaign_starts() {
    let provider = provider(21).await;
    let server = Server::start(options(&provider)).await;
    let api = Api::new(&server, "demo");
    let known = [
        json!({"tags": ["member"], "fields": {"city": "Jaén", "language": "es-ES", "visits": 3}}),
        json!({"tags": ["member"], "fields": {"city": "Úbeda", "language": "es-ES"}}),
        json!({"fields": {"city": "Jaén", "language": "es-ES"}}),
        json!({"tags": ["member"], "fields": {"city": "Jaén", "language": "en"}}),
        json!({"tags": ["member"], "fields": {"city": "Jaén"}}),
    ];
    for (n, mut customer_is) in known.into_iter().enumerate() {
        customer_is["phone"] = customer(n + 1).into();
        assert!(api.post("customers", &customer_is).await["id"].is_string());
    }
    let asks: [(&str, &[&str], &[usize]); 6] = [
        ("tag", &["--tag", "member"], &[1, 2, 4, 5]),
        ("field", &["--field", "city=Jaén", "--field", "visits=3"], &[1]),
        ("city", &["--field", "city=Jaén"], &[1, 3, 4, 5]),
        ("language", &["--language", "es"], &[1, 2, 3]),
        // A customer without a language speaks the business's.
        ("together", &["--tag", "member", "--field", "city=Jaén", "--language", "en"], &[4, 5]),
        ("everybody", &["--everybody"], &[1, 2, 3, 4, 5]),
    ];
    for (name, filter, fits) in asks {
        let added = campaigns(&server, &[&["add", name, "--sms", name, "--per-minute", "6000"], filter].concat());
        assert_eq!((&added["state"], &added["members"]), (&json!("draft"), &json!(0)), "{added}");
        campaigns(&server, &["start", name]);
        let shown = done(&server, name).await;
        let members: Vec<&str> =
            shown["first_members"].as_array().unwrap().iter().filter_map(|one| one["phone"].as_str()).collect();
        assert_eq!(members, fits.iter().map(|n| customer(*n)).collect::<Vec<_>>(), "{name}");
        let got = |n: &usize| provider.sent().iter().filter(|one| one.to == customer(*n) && one.body == name).count();
        assert!(fits.iter().all(|n| got(n) == 1), "{name}");
    }
    let sent = 4 + 1 + 4 + 3 + 2 + 5;
    assert_eq!(provider.sent().len(), sent);
    let nobody = ["campaigns", "add", "nobody", "--sms", "x", "--tag", "staff", "--start"];
    cli::run(&mut rig::recado(&server, &nobody)).fails(1, &["nobody to try"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_over_the_api_and_hostile_lines_are_refused_one_by_one() {
    let provider = provider(22).await;
    let server = Server::start(options(&provider)).await;
    cli::run(&mut rig::recado(&server, &["tenant", "add", "other"])).ok();
    let (api, other) = (Api::new(&server, "demo"), Api::new(&server, "other"));
    let made = api.post("campaigns", &json!({"name": "spring", "plan": {"sms": "Hello {name}"}})).await;
    let id = made["id"].as_str().expect("it is made");
    let import = format!("campaigns/{id}/members/import");
    let lines: [(&str, Option<&str>); 14] = [
        ("phone,name,city", None),
        ("+5511987654321,João,São Paulo", None),
        ("+551187654321,João again,", Some("the number stands in a line before")),
        ("'=1+1,Formula,", Some("is not a phone number")),
        ("+5215512345678,\"Lupe, la \"\"Jefa\"\"\",México", None),
        ("+525512345678,,", Some("the number stands in a line before")),
        ("<script>,X,", Some("is not a phone number")),
        ("+34600111222", None),
        ("+34600333444,\"a\nb\",", Some("no line breaks")),
        ("+551190000000,'=HYPERLINK(\"x\"),Rio", None),
        ("+34600555666,Eva,\u{1b}[2J", Some("no line breaks")),
        (",,", None),
        ("'; DROP TABLE campaigns,,", Some("is not a phone number")),
        ("+34600777888,,Úbeda,more,than,there,is", None),
    ];
    let text: String = lines.iter().map(|(line, _)| format!("{line}\r\n")).collect();
    let long = format!("{text}+34600999000,{},\n", "x".repeat(100));
    let came: Value = api.table(&import, long.as_bytes(), "one").await.json().await.unwrap();
    assert_eq!((&came["new"], &came["known"], &came["refused"]), (&json!(5), &json!(0), &json!(8)), "{came}");
    // A cell of two lines counts as two.
    let after = |n: usize| lines[..n].iter().map(|(line, _)| 1 + line.matches('\n').count()).sum::<usize>() + 1;
    let refused = lines.iter().enumerate().filter_map(|(n, (_, why))| Some((after(n), (*why)?)));
    let refused = refused.chain([(after(lines.len()), "at most 80 characters")]);
    let named = came["refused_lines"].as_array().unwrap();
    for ((line, why), listed) in refused.zip(named) {
        assert_eq!(listed["line"], json!(line), "{why}: {listed}");
        assert!(listed["reason"].as_str().unwrap().contains(why), "{why}: {listed}");
    }
    let again = api.table(&import, long.as_bytes(), "one").await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.json::<Value>().await.unwrap(), came);
    let again: Value = api.table(&import, long.as_bytes(), "two").await.json().await.unwrap();
    assert_eq!((&again["new"], &again["known"]), (&json!(0), &json!(5)));
    // The command reports the same.
    let file = server.folder().join("list.csv");
    std::fs::write(&file, &long).unwrap();
    let file = file.to_str().unwrap();
    let told = cli::run(&mut rig::recado(&server, &["campaigns", "import", "spring", file, "--json"]));
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(serde_json::from_str::<Value>(&told.out).unwrap(), again);
    let members = ["+34600111222", "+34600777888", "+5215512345678", "+5511987654321", "+551190000000"];
    for limit in 1..=6 {
        assert_eq!(api.members(id, limit).await, members, "by {limit}");
    }
    assert_eq!(api.get(&format!("campaigns/{id}/members?after=nobody")).await["status"], 400);
    for (table, key, status) in [
        (&b"name,city\nAna,x\n"[..], "a", 422),
        (b"phone,phone\n", "b", 422),
        // It is read as Windows-1252, and its only line holds no number.
        (b"phone\n\xff\xfe\n", "c", 200),
        (b"", "d", 422),
    ] {
        assert_eq!(api.table(&import, table, key).await.status().as_u16(), status, "{key}");
    }
    assert_eq!(other.table(&import, b"phone\n+34600123456\n", "a").await.status().as_u16(), 404, "another's campaign");
    let json = api.post(&import, &json!({})).await;
    assert_eq!((&json["status"], &json["code"]), (&json!(415), &json!("no_csv")));
    assert_eq!(api.get(&format!("campaigns/{id}")).await["members"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_do_not_call_flag_holds_while_the_campaign_runs() {
    let provider = provider(23).await;
    let server = Server::start(options(&provider).file("list.csv", list(12))).await;
    campaigns(&server, &["add", "c", "--say", "Hello", "--import", "list.csv", "--per-minute", "60", "--start"]);
    eventually(WITHIN, || async { provider.carrier.calls().get(1).map(|_| ()).ok_or("no two calls yet") }).await;
    cli::run(&mut rig::recado(&server, &["do-not-call", &customer(12)])).ok();
    assert!(provider.carrier.calls().len() < 12, "it is in the middle");
    let shown = done(&server, "c").await;
    assert_eq!(shown["outcomes"], json!({"completed": 11, "blocked": 1}), "{shown}");
    assert!(provider.carrier.calls().iter().all(|call| call.to != customer(12)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_handles_the_calls_of_a_campaign() {
    let provider = provider(24).await;
    provider.carrier.set_party(&customer(1), Party::does([Step::speech("what time is it")])).unwrap();
    let rule = "rule(\"desk\").on(\"call_input\").then(|e| { say(`You said ${e.body}.`); hangup() });";
    let options = options(&provider).file("list.csv", list(1)).file("rules/desk.rhai", rule);
    let mut server = Server::start(options).await;
    let agent = ["agents", "add", "Lucia", "--greeting", "Here is Lucia of {name}", "--voice", "Polly.Lucia"];
    cli::run(&mut rig::recado(&server, &[&agent[..], &["--mode", "script"]].concat())).ok();
    // The server must learn about the new number.
    server.kill();
    server.start_again().await;
    campaigns(&server, &["add", "c", "--agent", "Lucia", "--import", "list.csv", "--start"]);
    let shown = done(&server, "c").await;
    assert_eq!(shown["outcomes"], json!({"completed": 1}), "{shown}");
    let calls = provider.carrier.calls();
    let [call] = &calls[..] else { panic!("one call: {calls:?}") };
    let said: Vec<(&str, Option<&str>)> = call
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            CallEvent::Said { text, voice, .. } => Some((text.as_str(), voice.as_deref())),
            _ => None,
        })
        .collect();
    let lucia = Some("Polly.Lucia");
    assert_eq!(said, [("Here is Lucia of Demo", lucia), ("You said what time is it.", lucia)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_model_handles_the_calls_of_a_campaign() {
    let provider = provider(25).await;
    let asks = [Step::speech("What is it about?"), Step::hangup()];
    provider.carrier.set_party(&customer(1), Party::does(asks)).unwrap();
    let rule = "rule(\"ended\").on(\"call_completed\").then(|e| note(`${e.data.transcript.len()} lines`));";
    let options = options(&provider).file("list.csv", list(1)).file("rules/ended.rhai", rule);
    let mut scene = Scene::with(options).await;
    let agent = ["agents", "add", "Lucia", "--greeting", "Hello, this is Lucia", "--instructions", "Offer the course."];
    cli::run(&mut rig::recado(&scene.server, &[&agent[..], &["--mode", "model"]].concat())).ok();
    // The server must learn about the new number.
    scene.server.kill();
    scene.server.start_again().await;
    campaigns(&scene.server, &["add", "c", "--agent", "Lucia", "--import", "list.csv", "--start"]);
    let shown = done(&scene.server, "c").await;
    assert_eq!((&shown["outcomes"], &shown["tries"]), (&json!({"completed": 1}), &json!(1)), "{shown}");
    let calls = provider.carrier.calls();
    let [call] = &calls[..] else { panic!("one call: {calls:?}") };
    let said: Vec<&str> = call
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            CallEvent::Said { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said.first(), Some(&"Hello, this is Lucia"), "{said:?}");
    assert_eq!(said.last(), Some(&"You said: What is it about?"), "{said:?}");
    let asked = scene.chat.requests();
    let system = asked[0]["messages"][0]["content"].as_str().unwrap_or_default();
    assert!(system.contains("Offer the course."), "{system}");
    let look = Look::into(scene.server.folder()).await;
    eventually(WITHIN, || async {
        let notes = look.text_or_number("SELECT coalesce(group_concat(new, '|'), '') FROM contact_history").await;
        if notes == "\"3 lines\"" { Ok(()) } else { Err(notes) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_are_listed_in_pages_over_the_api_and_by_limit_on_the_cli() {
    let server = Server::start(options(&provider(26).await)).await;
    cli::run(&mut rig::recado(&server, &["tenant", "add", "other"])).ok();
    let (api, other) = (Api::new(&server, "demo"), Api::new(&server, "other"));
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        assert!(api.post("campaigns", &json!({"name": name, "plan": {"sms": "Hello"}})).await["id"].is_string());
    }
    other.post("campaigns", &json!({"name": "theirs", "plan": {"sms": "Hello"}})).await;
    for limit in [1, 2, 5, 6] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        // More pages than there can be.
        for _ in 0..10 {
            let page = api.get(&format!("campaigns?limit={limit}{after}")).await;
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= limit, "{page}");
            seen.extend(items.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, ["e", "d", "c", "b", "a"], "by {limit}");
    }
    assert_eq!(api.get("campaigns").await["items"].as_array().map(Vec::len), Some(5));
    for wrong in ["limit=0", "limit=201", "after=x", "afterwards=1"] {
        assert_eq!(api.get(&format!("campaigns?{wrong}")).await["status"], 400, "{wrong}");
    }
    let listed = campaigns(&server, &["list", "--limit", "2"]);
    let listed: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(listed, ["e", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_and_rules_together_keep_to_the_accounts_calls_a_second() {
    const RATE: u32 = 4;
    let provider = provider(27).await;
    let rule = "rule(\"ring\").on(\"inbound_sms\").then(|e| call(e.contact, \"hello\"))\
        .on_call(\"hello\", |e| { say(\"Hello\"); hangup() });";
    let options = options(&provider).env("CALLS_PER_SECOND", RATE.to_string());
    let server = Server::start(options.file("rules/echo.rhai", rule).file("list.csv", list(5))).await;
    campaigns(&server, &["add", "c", "--say", "Hello", "--import", "list.csv", "--per-minute", "6000", "--start"]);
    let twilio = rig::twilio(&server);
    for n in 6..=8 {
        let form = twilio.inbound(&message_sid(n as u128), &customer(n), OURS, "ring me");
        assert_eq!(rig::post(&twilio, &form).await, Some(200));
    }
    eventually(WITHIN, || async {
        let made = provider.carrier.calls().len();
        if made == 8 { Ok(()) } else { Err(made) }
    })
    .await;
    let look = Look::into(server.folder()).await;
    let mut began: Vec<i64> = look.actions().await.into_iter().filter_map(|action| action.first_try_us).collect();
    began.sort_unstable();
    // One may be late and the next in time, but the last is not before the last of their slots.
    let least = (began.len() as i64 - 1) * 1_000_000 / i64::from(RATE);
    assert_eq!(began.len(), 8);
    assert!(began[7] - began[0] >= least, "{began:?}");
}
