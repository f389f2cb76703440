//! `recado doctor`, run as a user runs it, against a fake Twilio.

mod credentials;
mod refusals;
mod twilio;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::routing::get;
use recado::ops::doctor::Severity;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::{Ran, command, run};
use crate::support::http_client;
use crate::support::ports::free_port;
use crate::support::server::{Server, ServerOptions};
use twilio::{ACCOUNT, OTHER, OTHER_TOKEN, TOKEN, Twilio, but, number};

const OURS: &str = "+34911111111";
const SOLS: &str = "+34922222222";
const LUNAS: &str = "+34933333333";
/// An address in TEST-NET-2, where no packet could go; it is reached through a proxy on the loopback.
const PUBLIC: &str = "http://198.51.100.7";
const RULES: &str = "rule(\"offer\").on(\"inbound_sms\")\n    .then(|e| send_whatsapp_template(e.contact, \"offer\", #{\"1\": \"Ana\"}));\n";

/// A server with an account at the fake Twilio, and the commands beside it.
pub struct Rig {
    pub twilio: Twilio,
    pub server: Server,
    env: Vec<(String, String)>,
}

impl Rig {
    pub async fn start(numbers: &[Value], more: &[(&str, &str)]) -> Self {
        let twilio = Twilio::start(numbers).await;
        let mut env: Vec<(String, String)> = [
            ("TWILIO_ACCOUNT_SID", ACCOUNT),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_FROM_NUMBER", OURS),
            ("TWILIO_WHATSAPP_NUMBER", "+14155238886"),
            ("TWILIO_API_BASE", &twilio.url),
            ("METRICS_LISTEN", "off"),
            ("NO_PROXY", "127.0.0.1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let options = env.iter().fold(ServerOptions::default(), |options, (name, value)| options.env(name, value));
        let server = Server::start(options.file("rules/offer.rhai", RULES)).await;
        Self { twilio, server, env }
    }

    /// The same, with a public URL whose proxy leads to the server.
    pub async fn public(numbers: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let proxy = format!("http://{}", listener.local_addr().expect("it is bound"));
        let rig = Self::start(numbers, &[("APP_URL", PUBLIC), ("HTTP_PROXY", &proxy)]).await;
        let health = format!("{}/health", rig.server.url());
        let forward = move || {
            let request = http_client().get(&health).send();
            async move { request.await.expect("the server answers").text().await.expect("it is text") }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/health", get(forward))).await });
        rig
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], more: &[(&str, &str)]) -> Ran {
        run(self.command(args).envs(more.iter().copied()))
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.server.folder(), args);
        command.env("LISTEN", self.server.url().trim_start_matches("http://"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command with this standard input.
    pub fn run_fed(&self, args: &[&str], input: &str) -> Ran {
        let path = self.server.folder().join("input");
        std::fs::write(&path, input).expect("a file can be written");
        run(self.command(args).stdin(std::fs::File::open(path).expect("it is there")))
    }

    /// The findings of `recado doctor` with these arguments.
    pub fn doctor(&self, args: &[&str], more: &[(&str, &str)]) -> Findings {
        Findings::new(self.run_with(&[&["doctor", "--json"], args].concat(), more))
    }
}

/// The findings of `recado doctor`.
#[derive(Debug)]
pub struct Findings(Value);

impl Findings {
    fn new(ran: Ran) -> Self {
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(
            ran.code,
            Some(if report["passed"] == true { 0 } else { 1 }),
            "the exit code says the same: {ran:?}"
        );
        Self(report)
    }

    /// Asserts a finding of this severity about this subject that says this, with a remedy unless it is good.
    #[track_caller]
    pub fn has(&self, severity: Severity, subject: &str, says: &str) -> &Value {
        let severity = severity.to_string();
        let found = self.0["findings"].as_array().expect("an array").iter().find(|one| {
            let has = |field: &str, words: &str| one[field].as_str().is_some_and(|text| text.contains(words));
            one["severity"] == severity && has("subject", subject) && has("says", says)
        });
        found.unwrap_or_else(|| panic!("no {severity} of {subject} says {says:?}: {self:#?}"))
    }

    #[track_caller]
    fn has_with_remedy(&self, severity: Severity, subject: &str, says: &str, remedy: &str) {
        let found = self.has(severity, subject, says);
        assert!(found["remedy"].as_str().is_some_and(|text| text.contains(remedy)), "{remedy:?} is not in {found:#}");
    }

    fn passed(&self) -> bool {
        self.0["passed"] == true
    }
}

fn webhook(slug: &str) -> String {
    format!("{PUBLIC}/api/twilio/{slug}/sms#rc=3&rp=all")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_passes_the_doctor() {
    let rig = Rig::public(&[number(OURS, &webhook("demo")), number("+34999999999", "")]).await;
    let hx = "HX0123456789abcdef0123456789abcdef";
    rig.run(&["tenant", "set", "demo", "--template", &format!("offer={hx}")]).ok();
    let content =
        json!({"sid": hx, "friendly_name": "offer", "language": "es", "variables": {"1": "Ana"}, "types": {}});
    rig.twilio.state().contents.push((hx.to_owned(), content, json!({"type": "whatsapp", "status": "approved"})));
    let found = rig.doctor(&[], &[]);
    assert!(found.passed(), "{found:#?}");
    for (subject, says) in [
        (ACCOUNT, "\"Sol\" is active"),
        (ACCOUNT, "42.50 EUR"),
        (OURS, "its messages come here"),
        (PUBLIC, "this server answers there"),
        ("clock", "agrees with Twilio's"),
        ("SQLite", "in order"),
        ("127.0.0.1", "it runs and is ready"),
        ("offer (HX", "approved"),
        ("webhooks", "none was refused"),
        ("secret.key", "its owner only"),
    ] {
        found.has(Severity::Ok, subject, says);
    }
    found.has(Severity::Note, ACCOUNT, "+34999999999");
    found.has(Severity::Note, "+14155238886", "3 days");
    found.has(Severity::Warning, PUBLIC, "with http");
    let text = rig.run(&["doctor"]).ok();
    assert!(text.contains("0 errors") && text.contains(&format!("ok      {OURS}: its messages come here")), "{text}");
    assert!(rig.twilio.state().posted.is_empty(), "nothing is changed without being asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_at_twilio_are_reported_with_a_remedy() {
    let silent = but(number(SOLS, &webhook("sol")), "capabilities", json!({"sms": false}));
    let numbers = [
        number(OURS, "https://demo.twilio.com/welcome/sms/reply"),
        but(silent, "sms_application_sid", json!("AP00000000000000000000000000000001")),
        but(number(LUNAS, &webhook("luna")), "sms_method", json!("GET")),
    ];
    let rig = Rig::public(&numbers).await;
    for (slug, line) in [("sol", SOLS), ("luna", LUNAS)] {
        rig.run(&["tenant", "add", slug]).ok();
        rig.run(&["tenant", "set", slug, "--sms", line]).ok();
    }
    rig.run(&["tenant", "set", "luna", "--sms", "+34944444444", "--whatsapp", LUNAS]).ok();
    rig.run(&["tenant", "set", "sol", "--whatsapp", SOLS, "--template", "offer=HX0123456789abcdef0123456789abcdef"])
        .ok();
    {
        let mut state = rig.twilio.state();
        state.account["type"] = "Trial".into();
        state.balance["balance"] = "1.20".into();
        state.date = Some("Sat, 21 Nov 2020 08:00:00 GMT".to_owned());
        let sender = json!({"sid": "XE1", "status": "OFFLINE", "sender_id": format!("whatsapp:{SOLS}"), "webhook": null,
            "offline_reasons": [{"code": "63020", "message": "the business is not verified", "more_info": "…"}]});
        state.senders.push(sender);
    }
    let found = rig.doctor(&[], &[]);
    assert!(!found.passed());
    found.has_with_remedy(Severity::Error, OURS, "go to https://demo.twilio.com/welcome/sms/reply instead of", "--fix");
    found.has_with_remedy(Severity::Error, SOLS, "neither send nor receive", "capability");
    found.has_with_remedy(Severity::Warning, SOLS, "AP00000000000000000000000000000001", "Messaging Configuration");
    found.has_with_remedy(Severity::Error, LUNAS, "called by GET", "--fix");
    found.has_with_remedy(Severity::Error, "+34944444444", "it is not of the account", "--remove-sender +34944444444");
    found.has_with_remedy(Severity::Warning, ACCOUNT, "trial", "upgrade");
    found.has_with_remedy(Severity::Warning, ACCOUNT, "1.20 EUR", "top it up");
    found.has_with_remedy(Severity::Error, "clock", "ahead of Twilio's", "NTP");
    found.has_with_remedy(
        Severity::Error,
        SOLS,
        "OFFLINE at WhatsApp, and cannot send: the business is not verified",
        "WhatsApp senders",
    );
    found.has_with_remedy(Severity::Error, LUNAS, "not registered with WhatsApp", "WhatsApp senders");
    found.has_with_remedy(Severity::Error, "offer (HX", "no such template", "--template offer=HX");
    found.has_with_remedy(
        Severity::Warning,
        "offer",
        "'offer' (offer.rhai) sends it",
        "tenant set demo --template offer=HX",
    );
    let of_luna = rig.doctor(&["--tenant", "luna"], &[]);
    of_luna.has(Severity::Error, LUNAS, "called by GET");
    assert!(!format!("{of_luna:?}").contains(SOLS), "{of_luna:#?}");
    rig.run(&["doctor", "--tenant", "nobody"]).fails(1, &["there are: demo, luna, sol"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rcs_sender_is_registered_and_its_messages_come_here() {
    let rig = Rig::public(&[number(OURS, &webhook("demo"))]).await;
    let agent = "sol_agent";
    let found = |url: Value, status: &str| {
        let webhook = json!({"callback_url": url, "callback_method": "POST"});
        let sender = json!({"sid": "XE1", "status": status, "sender_id": format!("rcs:{agent}"), "webhook": webhook});
        rig.twilio.state().senders = vec![sender];
        rig.doctor(&[], &[])
    };
    let here = format!("{PUBLIC}/api/twilio/demo/rcs");
    rig.run(&["tenant", "set", "demo", "--rcs", &format!("rcs:{agent}")]).ok();
    let none = rig.doctor(&[], &[]);
    none.has_with_remedy(Severity::Error, agent, "not registered with RCS", "--remove-sender rcs:sol_agent");
    found(json!(here), "DRAFT").has_with_remedy(Severity::Error, agent, "DRAFT at RCS", "RCS senders");
    found(json!(null), "ONLINE").has_with_remedy(Severity::Error, agent, "it has no webhook", &here);
    let elsewhere = found(json!("https://elsewhere.example/rcs"), "ONLINE");
    elsewhere.has_with_remedy(Severity::Error, agent, "go to https://elsewhere.example/rcs instead of", &here);
    let good = found(json!(here), "ONLINE");
    assert_eq!(good.has(Severity::Ok, agent, "its messages come here")["check"], "rcs");
}

#[tokio::test(flavor = "multi_thread")]
async fn fix_sets_the_webhooks_and_nothing_else() {
    let before = "https://old.example/sms";
    let numbers =
        [number(OURS, before), number(SOLS, &format!("{PUBLIC}/api/twilio/sol/sms")), number("+34999999999", before)];
    let rig = Rig::public(&numbers).await;
    rig.run(&["tenant", "add", "sol"]).ok();
    rig.run(&["tenant", "set", "sol", "--sms", SOLS]).ok();
    rig.doctor(&[], &[]).has_with_remedy(Severity::Warning, SOLS, "without #rc=3&rp=all", "--fix");

    let private = rig.doctor(&["--fix"], &[("APP_URL", &rig.server.url())]);
    private.has_with_remedy(Severity::Error, "--fix", "nothing was changed at Twilio", "APP_URL");
    assert!(!private.passed() && rig.twilio.state().posted.is_empty(), "{private:#?}");

    let fixed = rig.doctor(&["--fix"], &[]);
    assert!(fixed.passed(), "{fixed:#?}");
    fixed.has(Severity::Ok, OURS, &format!("it was POST {before}, and is POST {}", webhook("demo")));
    fixed.has(Severity::Ok, SOLS, &webhook("sol"));
    let posted = rig.twilio.state().posted.clone();
    let form = |slug: &str| {
        format!("SmsUrl=http%3A%2F%2F198.51.100.7%2Fapi%2Ftwilio%2F{slug}%2Fsms%23rc%3D3%26rp%3Dall&SmsMethod=POST")
    };
    let mut forms: Vec<&str> = posted.iter().map(|(_, form)| form.as_str()).collect();
    forms.sort_unstable();
    assert_eq!(forms, [form("demo"), form("sol")], "those that tenants send from, and only where messages go");

    let again = rig.doctor(&["--fix"], &[]);
    again.has(Severity::Ok, OURS, "its messages come here");
    assert_eq!(rig.twilio.state().posted.len(), 2, "what is right is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_named_with_their_account() {
    let rig = Rig::start(&[number(OURS, "")], &[]).await;
    let wrong = "wr0ngwr0ngwr0ngwr0ngwr0ngwr0ngwr";
    let platform = rig.doctor(&[], &[("TWILIO_AUTH_TOKEN", wrong)]);
    platform.has_with_remedy(Severity::Error, ACCOUNT, "refuses the credentials (HTTP 401", "TWILIO_AUTH_TOKEN");
    assert!(!format!("{platform:?}").contains(wrong), "a token is shown to nobody");

    rig.run(&["tenant", "add", "sol"]).ok();
    let set = ["tenant", "credentials", "sol", "--account-sid", OTHER, "--no-check"];
    rig.run_fed(&set, wrong).ok();
    let found = rig.doctor(&[], &[]);
    found.has_with_remedy(Severity::Error, OTHER, "refuses the credentials", "recado tenant credentials sol");
    found.has(Severity::Ok, ACCOUNT, "active");
    rig.run_fed(&set, OTHER_TOKEN).ok();
    let found = rig.doctor(&[], &[]);
    assert_eq!(found.has(Severity::Ok, OTHER, "active")["tenant"], "sol");
    found.has_with_remedy(Severity::Error, OTHER, "no number of this account", "tenant set sol --sms");
    let locked = rig.doctor(&[], &[("RECADO_SECRET_KEY", &"ab".repeat(32))]);
    locked.has_with_remedy(Severity::Error, OTHER, "auth_token does not open", "recado tenant credentials sol");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_must_lead_to_this_very_server() {
    let rig = Rig::start(&[], &[]).await;
    let other = Server::start(ServerOptions::default().env("METRICS_LISTEN", "off")).await;
    let at = |app_url: &str| rig.doctor(&[], &[("APP_URL", app_url)]);
    let found = at(&other.url());
    found.has_with_remedy(Severity::Error, &other.url(), "the world cannot reach it", "https://");
    found.has_with_remedy(Severity::Error, &other.url(), "another server of Recado's", "LISTEN");
    at(&rig.server.url()).has(Severity::Ok, &rig.server.url(), "this server answers there");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    at(&nobody).has_with_remedy(Severity::Error, &nobody, "does not answer there", "curl");
    // Another server than Recado.
    at(&rig.twilio.url).has(Severity::Error, &rig.twilio.url, "HTTP 401, and not what Recado says");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_nobody_is_asked_but_this_machine() {
    let rig = Rig::start(&[number(OURS, "")], &[]).await;
    let key = rig.server.folder().join("data/secret.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    std::fs::write(
        rig.server.folder().join("rules/broken.rhai"),
        "rule(\"b\").on(\"inbound_sms\").then(|e| repply(1));\n",
    )
    .expect("it is ours");
    let before = rig.twilio.state().asked.len();
    let found = rig.doctor(&["--offline"], &[("APP_URL", PUBLIC)]);
    found.has_with_remedy(Severity::Error, "secret.key", "(mode 644)", "chmod 600");
    found.has_with_remedy(Severity::Error, "rules", "broken.rhai:1:", "recado check");
    found.has(Severity::Note, "--offline", "not asked");
    let asked = rig.twilio.state().asked[before..].iter().filter(|asked| !asked.contains("/Messages")).count();
    assert_eq!(asked, 0, "the server's own questions aside");
    rig.run(&["doctor", "--offline", "--fix"]).fails(2, &["--fix"]);
}

/// Runs the doctor in a folder without a server.
fn alone(folder: &Path) -> Findings {
    let mut command = command(folder, &["doctor", "--json"]);
    Findings::new(run(command.env("LISTEN", format!("127.0.0.1:{}", free_port()))))
}

#[test]
fn an_empty_folder_gets_a_hint_where_to_start() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("rules")).expect("it is ours");
    let found = alone(folder.path());
    found.has_with_remedy(Severity::Warning, "recado.db", "no database yet", "recado serve");
    found.has_with_remedy(Severity::Warning, "rules", "no rules", "RULES_DIR");
    assert!(!folder.path().join("data").exists(), "looking makes nothing");
    assert!(found.passed());
    run(&mut command(folder.path(), &["migrate"])).ok();
    let found = alone(folder.path());
    found.has_with_remedy(Severity::Note, "try-out mode", "built-in carrier", "TWILIO_ACCOUNT_SID");
    found.has_with_remedy(Severity::Warning, "127.0.0.1", "no server of Recado's", "recado serve");
    assert!(found.passed(), "trying out is no fault: {found:#?}");
}
