//! The commands, run as a user runs them: the real binary, beside a real server.

mod forecast;
mod appointments;
mod customers;
mod deploy;
mod staff;
mod backup;
mod docs;
mod hours;
mod manual;
mod first_steps;
mod export_import;
mod files;
mod settle;
mod promises;
mod tenants;
mod built_in_carrier;
pub mod doctor;
pub mod phone;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::ports::free_port;
use crate::support::postgres::Database;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

const CUSTOMER: &str = "+34600111222";
const HELLO: &str =
    "rule(\"hello\")\n    .on(\"inbound_sms\")\n    .keyword(\"HOLA\")\n    .then(|e| reply(`Hola, ${e.body}`));\n";
const HELLO_CASES: &str = r#"[{"name": "says hello", "event": {"kind": "inbound_sms", "body": "HOLA"},
  "expect": {"fired": ["hello"],
             "actions": [{"send": "sms", "to": "+15005550006", "reply": true, "text": "Hola, HOLA"}]}}]"#;
const BROKEN: &str = "rule(\"broken\")\n    .on(\"inbound_sms\")\n    .then(|e| repply(\"x\"));\n";
/// How long an answer may take to be received, sent and delivered, in seconds.
const DELIVERED_WITHIN_S: u64 = 20;

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Asserts this exit code and these texts on standard error.
    #[track_caller]
    pub fn fails(self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for words in says {
            assert!(self.err.contains(words), "{words:?} is not in {}", self.err);
        }
    }
}

pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recado"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null());
    command
}

pub fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command in a server's folder, with its address.
fn beside(server: &Server, args: &[&str]) -> Ran {
    run(command(server.folder(), args).env("LISTEN", server.url().trim_start_matches("http://")))
}

/// Runs a command in a folder with these files, without a server.
fn alone(files: &[(&str, &str)], args: &[&str]) -> Ran {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }
    run(command(folder.path(), args).env("LISTEN", format!("127.0.0.1:{}", free_port())))
}

fn options() -> ServerOptions {
    ServerOptions::default().env("METRICS_LISTEN", "off").file("rules/hello.rhai", HELLO)
}

/// Waits until the newest message to the customer is delivered; returns all messages.
async fn delivered(server: &Server) -> Vec<Value> {
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let messages = beside(server, &["messages", "--contact", CUSTOMER, "--json"]).json();
        let newest = messages[0]["status"] == "delivered";
        async move { if newest { Ok(messages.as_array().expect("an array").clone()) } else { Err(messages) } }
    })
    .await
}

#[tokio::test]
async fn a_newcomer_sees_the_answer_and_why() {
    let mut server = Server::start(options()).await;
    let answer = beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    assert!(answer.contains("200 OK") && answer.contains("recado explain last"), "{answer}");
    let messages = delivered(&server).await;
    let [out, incoming] = messages.as_slice() else { panic!("two messages, not {messages:?}") };
    let expect = [("tenant", "demo"), ("direction", "out"), ("channel", "sms"), ("to", CUSTOMER)];
    for (name, value) in expect.into_iter().chain([("body", "Hola, HOLA"), ("from", "+15005550006")]) {
        assert_eq!(out[name], value, "{name}");
    }
    assert!(answer.contains(incoming["provider_sid"].as_str().expect("a SID")));
    for name in ["id", "error_code", "at", "late", "repeats", "reason", "segments"] {
        assert!(out.get(name).is_some() && incoming.get(name).is_some(), "{name}");
    }

    let why = beside(&server, &["explain", "last"]).ok();
    for words in
        ["+ hello: fired, 1 action  (hello.rhai:1)", "read e.body = \"HOLA\"", "HTTP 201", "delivery: delivered"]
    {
        assert!(why.contains(words), "{words:?} is not in {why}");
    }
    // Every id leads to the same event.
    for name in [&out["id"], &out["provider_sid"], &incoming["id"], &incoming["provider_sid"]] {
        assert_eq!(beside(&server, &["explain", name.as_str().expect("a name")]).ok(), why);
    }
    let why = beside(&server, &["explain", "last", "--json"]).json();
    assert_eq!(why["event"]["kind"], "inbound_sms");
    assert_eq!(why["rules"][0]["decided"]["verdict"], "fired");
    assert_eq!(why["ruleset"]["decided"], why["ruleset"]["today"]);
    assert_eq!(why["actions"][0]["attempts"][0]["outcome"], "sent");
    assert_eq!(why["actions"][0]["delivery"]["status"], "delivered");
    let events = beside(&server, &["events", "--json"]).json();
    assert_eq!(events.as_array().expect("an array").last(), Some(&why["event"]), "an event looks the same everywhere");
    assert_eq!((&why["customer"]["id"], &why["customer"]["phone"]), (&why["event"]["customer"], &CUSTOMER.into()));
    assert!(server.stop().await.success(), "SIGTERM ends it in good order");
}

#[tokio::test]
async fn on_postgresql_the_commands_are_the_same() {
    let database = Database::fresh().await;
    let server = Server::start(options().file(".env", format!("DATABASE_URL={}\n", database.url()))).await;
    let answer = beside(&server, &["webhook", "--from", CUSTOMER, "--json", "HOLA"]).json();
    let messages = delivered(&server).await;
    let why = beside(&server, &["explain", "last", "--json"]).json();
    assert_eq!(why["event"]["data"]["provider_sid"], answer["sid"]);
    for name in [&messages[0]["id"], &messages[1]["id"], &messages[1]["provider_sid"]] {
        let same = beside(&server, &["explain", name.as_str().expect("a name"), "--json"]).json();
        assert_eq!(same["event"]["id"], why["event"]["id"]);
    }
    assert!(beside(&server, &["migrate"]).ok().contains("up to date already"));
    assert!(!beside(&server, &["events", "--json"]).json().as_array().expect("an array").is_empty());
}

#[tokio::test]
async fn when_the_rules_change_then_and_today_are_told_apart() {
    let server = Server::start(options()).await;
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    delivered(&server).await;
    std::fs::write(server.folder().join("rules/hello.rhai"), HELLO.replace("HOLA", "CIAO")).expect("a file");
    let why = beside(&server, &["explain", "last", "--json"]).json();
    assert_eq!(why["rules"][0]["decided"]["verdict"], "fired");
    assert_eq!(why["rules"][0]["today"]["verdict"], "no_keyword");
    assert_ne!(why["ruleset"]["decided"], why["ruleset"]["today"]);
    let why = beside(&server, &["explain", "last"]).ok();
    assert!(why.contains("today: neither the text nor its first word is CIAO"), "{why}");
}

#[tokio::test]
async fn a_broken_rule_is_reported_and_the_others_go_on() {
    let server = Server::start(options().file("rules/broken.rhai", BROKEN)).await;
    let check = beside(&server, &["check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("broken.rhai:3:15: error: "), "{}", check.out);
    assert!(check.out.contains("reply"), "it says what was meant: {}", check.out);
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    delivered(&server).await;
}

#[test]
fn check_and_test_speak_json_too() {
    let good = [("rules/hello.rhai", HELLO), ("rules/hello.cases.json", HELLO_CASES)];
    let check = alone(&good, &["check", "--json"]).json();
    assert_eq!(check["rules"][0]["name"], "hello");
    assert_eq!(check["findings"], Value::Array(Vec::new()));
    let test = alone(&good, &["test", "--json"]).json();
    assert_eq!(test["cases"][0]["differences"], Value::Array(Vec::new()));

    let differs = [good[0], ("rules/hello.cases.json", &*HELLO_CASES.replace("Hola, HOLA", "Adiós"))];
    let test = alone(&differs, &["test"]);
    assert_eq!(test.code, Some(1), "{test:?}");
    assert!(test.out.contains("Adiós") && test.out.contains("\"says hello\" differs"), "{}", test.out);

    let broken = alone(&[("rules/broken.rhai", BROKEN)], &["check", "--json"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let report: Value = serde_json::from_str(&broken.out).expect("JSON, though it failed");
    assert_eq!(report["findings"][0]["line"], 3);
    // A rule that is left out has no cases to check.
    assert_eq!(alone(&[("rules/broken.rhai", BROKEN)], &["test"]).code, Some(1));
}

#[tokio::test]
async fn a_send_says_what_became_of_it() {
    let mut server = Server::start(options()).await;
    let sent = beside(&server, &["send", "--to", CUSTOMER, "--json", "Your order is ready"]).json();
    assert_eq!(sent["state"], "sent");
    assert!(sent["provider_sid"].as_str().expect("a SID").starts_with("SM"));
    let why = beside(&server, &["explain", sent["id"].as_str().expect("an id"), "--json"]).json();
    for (name, value) in sent.as_object().expect("an object").iter().filter(|(name, _)| *name != "server") {
        assert_eq!(&why["actions"][0][name], value, "an action looks the same everywhere: {name}");
    }
    let blocked = beside(&server, &["send", "--to", CUSTOMER, "--whatsapp", "Hi"]);
    assert_eq!(blocked.code, Some(1), "{blocked:?}");
    assert!(blocked.out.contains("blocked") && blocked.out.contains("24 hours"), "{}", blocked.out);
    assert!(beside(&server, &["explain", "last"]).ok().contains("Sent by hand"));

    beside(&server, &["send", "--to", "600 111 222", "Hi"]).fails(1, &["has no country code", "such as +34"]);
    beside(&server, &["send", "--tenant", "nobody", "--to", CUSTOMER, "Hi"]).fails(1, &["there are: demo"]);
    beside(&server, &["send", "--to", CUSTOMER]).fails(2, &["TEXT"]);

    server.stop().await;
    let planned = beside(&server, &["send", "--to", CUSTOMER, "--json", "Later"]).json();
    assert_eq!((&planned["state"], &planned["server"]), (&Value::from("planned"), &Value::from(false)));
    server.start_again().await;
    let messages = delivered(&server).await;
    assert_eq!(messages[0]["id"], planned["id"]);
}

#[tokio::test]
async fn a_refused_webhook_says_the_likely_cause() {
    let server = Server::start(options()).await;
    let args = ["webhook", "--from", CUSTOMER, "HOLA"];
    let listen = server.url().trim_start_matches("http://").to_owned();
    let elsewhere = run(command(server.folder(), &args).env("LISTEN", &listen).env("APP_URL", "https://example.com"));
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert!(elsewhere.out.contains("403") && elsewhere.out.contains("APP_URL"), "{}", elsewhere.out);

    let other = |args: &[&str]| {
        run(command(server.folder(), args).env("LISTEN", &listen).env("DATABASE_URL", "sqlite://other.db"))
    };
    other(&["migrate"]).ok();
    other(&["tenant", "add", "ghost"]).ok();
    let unknown = other(&["webhook", "--tenant", "ghost", "--from", CUSTOMER, "HOLA"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    // It does not say whether it has such a tenant: the other database's account is not its own.
    let says = ["403", "same database", "'ghost'"];
    assert!(says.iter().all(|words| unknown.out.contains(words)), "{}", unknown.out);

    let nobody = format!("http://127.0.0.1:{}", free_port());
    beside(&server, &["webhook", "--url", &nobody, "--from", CUSTOMER, "HOLA"]).fails(1, &["start 'recado serve'"]);
    alone(&[], &["messages"]).fails(1, &["no database", "recado serve"]);
}

#[tokio::test]
async fn whatsapp_webhooks_carry_media_and_buttons() {
    let server = Server::start(options()).await;
    let media = "https://example.com/cat.png";
    let sid = "SM00000000000000000000000000000001";
    let args =
        ["webhook", "--whatsapp", "--from", CUSTOMER, "--media", media, "--button", "yes-1", "--sid", sid, "Yes"];
    beside(&server, &args).ok();
    beside(&server, &args).ok();
    let messages = beside(&server, &["messages", "--json"]).json();
    let message = &messages[0];
    assert_eq!(message["channel"], "whatsapp");
    assert_eq!(message["media"][0]["url"], media);
    assert_eq!(message["media"][0]["content_type"], "image/png");
    assert_eq!(message["button"]["payload"], "yes-1");
    assert_eq!(message["repeats"], 1, "the second was a repeat");
    assert_eq!(messages.as_array().expect("an array").len(), 1);
}

#[tokio::test]
async fn tenants_are_added_changed_and_listed() {
    let blueprint = "rule(\"hours\").on(\"inbound_sms\").keyword(\"HORARIO\").blueprint()\n    .param(\"from\", \"09:00\")\n    \
                     .then(|e| reply(`From ${e.params.from}`));\n";
    let server = Server::start(options().file("rules/hours.rhai", blueprint)).await;
    let added =
        beside(&server, &["tenant", "add", "sol", "--name", "Clínica Sol", "--zone", "Europe/Madrid", "--json"]);
    assert_eq!(added.json()["zone"], "Europe/Madrid");
    beside(&server, &["tenant", "add", "sol"]).fails(1, &["'sol'", "taken"]);
    beside(&server, &["tenant", "add", "Sol!"]).fails(2, &["lower case"]);
    beside(&server, &["tenant", "add", "luna", "--zone", "Madrid"]).fails(2, &["Europe/Madrid"]);

    beside(&server, &["tenant", "set", "sol", "--sms", "+34 911 222 333"]).ok();
    beside(&server, &["tenant", "set", "demo", "--sms", "+34911222333"]).fails(1, &["belongs to 'sol'"]);
    beside(&server, &["tenant", "set", "sol"]).fails(2, &["nothing would change"]);
    let hours = beside(&server, &["tenant", "set", "sol", "--enable", "hours", "--param", "from=10:00", "--json"]);
    assert_eq!(hours.json()["blueprints"]["hours"]["from"], "10:00");
    beside(&server, &["tenant", "set", "sol", "--enable", "ours"]).fails(1, &["there are: hours"]);
    beside(&server, &["tenant", "set", "sol", "--enable", "hours", "--param", "to=1"]).fails(1, &["there are: from"]);

    let (sid, token) = ("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0123456789abcdef0123456789abcdef");
    let account = ["tenant", "set", "sol", "--account-sid", sid];
    beside(&server, &account).fails(2, &["RECADO_TENANT_AUTH_TOKEN"]);
    let set = run(command(server.folder(), &account).env("RECADO_TENANT_AUTH_TOKEN", token)).ok();
    assert!(set.contains(sid) && !set.contains(token), "{set}");
    let list = beside(&server, &["tenant", "list", "--json"]).json();
    let slugs: Vec<_> = list.as_array().expect("an array").iter().map(|tenant| tenant["slug"].clone()).collect();
    assert_eq!(slugs, ["demo", "sol"]);
    assert_eq!(list[1]["account_sid"], sid);
    assert_eq!(list[1]["senders"][0]["number"], "+34911222333");

    // The server follows: it accepts the tenant's own signatures, with the tenant's blueprint.
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let webhook = beside(&server, &["webhook", "--tenant", "sol", "--from", CUSTOMER, "HORARIO"]);
        async move { if webhook.code == Some(0) { Ok(()) } else { Err(webhook) } }
    })
    .await;
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let why = beside(&server, &["explain", "last", "--tenant", "sol"]).ok();
        async move { if why.contains("\"From 10:00\"") { Ok(()) } else { Err(why) } }
    })
    .await;
    let back =
        beside(&server, &["tenant", "set", "sol", "--remove-account", "--remove-sender", "+34911222333", "--json"]);
    let back = back.json();
    assert_eq!((&back["account_sid"], &back["senders"]), (&Value::Null, &Value::Array(Vec::new())));
}

#[test]
fn a_wrong_setting_names_its_place() {
    let wrong = "\nlisten = \"8000\"\nlisen = \"127.0.0.1:1\"\n";
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("recado.toml"), wrong).expect("a file can be written");
    let says = ["LISTEN in recado.toml line 2", "'8000' does not do", "line 3: there is no key 'lisen'", "'listen'"];
    run(&mut command(folder.path(), &["config"])).fails(1, &says);
    let environment = ["LISTEN in the environment: 'here' does not do"];
    run(command(folder.path(), &["serve"]).env("LISTEN", "here")).fails(1, &environment);
    let config = alone(&[], &["config", "--json"]).json();
    let listen = &config[0];
    assert_eq!((&listen["name"], &listen["source"]), (&Value::from("LISTEN"), &Value::from("the environment")));
}

#[test]
fn a_database_is_migrated_once() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let first = run(&mut command(folder.path(), &["migrate", "--json"])).json();
    assert!(first["applied"].as_u64().expect("a number") > 0);
    let again = run(&mut command(folder.path(), &["migrate"])).ok();
    assert!(again.contains("up to date already"), "{again}");
}

/// A command that runs in the wrong folder, or beside a server of another version, changes no database.
#[test]
fn only_serve_and_migrate_make_or_migrate_a_database() {
    let commands: &[&[&str]] = &[
        &["messages"],
        &["events"],
        &["tenant", "list"],
        &["tenant", "add", "sol"],
        &["tenant", "set", "demo", "--language", "es"],
        &["send", "--to", CUSTOMER, "hola"],
        &["staff", "list"],
        &["services", "list"],
        &["campaigns", "list"],
        &["do-not-call", CUSTOMER],
        &["agents", "list"],
        &["timers", "list"],
        &["erase", "demo", CUSTOMER, "--yes"],
        &["export", "demo"],
        &["forecast"],
    ];
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let in_folder = |args: &[&str]| run(&mut command(folder.path(), args));
    for args in commands {
        in_folder(args).fails(1, &["there is no database at", "recado serve", "recado migrate"]);
        assert!(!folder.path().join("data").exists(), "{args:?} made something");
    }
    in_folder(&["migrate"]).ok();
    let db = rusqlite::Connection::open(folder.path().join("data/recado.db")).expect("it is there");
    // As before the last step.
    db.execute_batch("DELETE FROM seaql_migrations WHERE version = 'm0022_lists'; DROP INDEX events_of_tenant")
        .expect("it can be changed");
    for args in commands {
        in_folder(args).fails(1, &["the database is older than this program", "recado migrate"]);
    }
    let steps: i64 = db.query_row("SELECT count(*) FROM seaql_migrations", [], |row| row.get(0)).expect("a number");
    assert_eq!(steps as usize, recado::migrations::MIGRATIONS.len() - 1, "nothing was migrated");
}

#[test]
fn every_help_has_an_example() {
    let commands: &[&[&str]] = &[
        &[],
        &["serve"],
        &["check"],
        &["test"],
        &["reference"],
        &["explain"],
        &["events"],
        &["messages"],
        &["send"],
        &["settle"],
        &["appointments"],
        &["appointments", "add"],
        &["appointments", "move"],
        &["appointments", "list"],
        &["appointments", "free"],
        &["appointments", "import"],
        &["appointments", "export"],
        &["services"],
        &["staff"],
        &["staff", "add"],
        &["staff", "feed"],
        &["forecast"],
        &["simulate"],
        &["timers"],
        &["timers", "list"],
        &["timers", "redrive"],
        &["webhook"],
        &["carrier"],
        &["tenant"],
        &["tenant", "add"],
        &["tenant", "set"],
        &["tenant", "list"],
        &["tenant", "show"],
        &["tenant", "credentials"],
        &["doctor"],
        &["migrate"],
        &["backup"],
        &["export"],
        &["import"],
        &["erase"],
        &["retention"],
        &["retention", "run"],
        &["man"],
        &["completions"],
    ];
    for args in commands.iter().copied().chain([&["config"][..]]) {
        let help = alone(&[], &[args, &["--help"]].concat()).ok();
        assert!(help.contains("Example") && help.contains("recado "), "{args:?}: {help}");
    }
    alone(&[], &["explian"]).fails(2, &["explain"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let mut child = command(folder.path(), &["config"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
