//! Typical mistakes of new users, and their messages.

use std::time::Duration;

use super::{CUSTOMER, DELIVERED_WITHIN_S, alone, beside, command, delivered, options, run};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;

const TEMPLATE: &str = "rule(\"offer\")\n    .on(\"inbound_sms\")\n    .keyword(\"OFERTA\")\n    \
                        .then(|e| send_whatsapp_template(e.contact, \"nope\"));\n";

#[tokio::test]
async fn an_unsigned_webhook_needs_no_account_where_it_is_accepted() {
    let server = Server::start(options().env("APP_DEBUG", "true")).await;
    let bring = async |more: &[(&str, &str)]| {
        let sid = format!("SM{:032x}", more.len());
        let form = [("From", CUSTOMER), ("To", "+15005550006"), ("Body", "HOLA"), ("MessageSid", sid.as_str())];
        let request = http_client().post(format!("{}/api/twilio/demo/sms", server.url()));
        let answer = request.form(&[&form, more].concat()).send().await.expect("the server answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, body) = bring(&[("AccountSid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]).await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("AccountSid") && !body.contains("signed"), "{body}");
    let (status, body) = bring(&[]).await;
    assert_eq!(status, 200, "{body}");
    delivered(&server).await;
}

#[tokio::test]
async fn a_template_that_there_is_not_does_not_leave() {
    let server = Server::start(options().file("rules/offer.rhai", TEMPLATE)).await;
    beside(&server, &["tenant", "add", "sol"]).ok();
    let send = ["send", "--tenant", "sol", "--to", CUSTOMER, "--whatsapp", "--no-wait", "--template"];
    let send = |template| beside(&server, &[&send[..], &[template]].concat());
    send("nope").fails(1, &["'nope' is neither a template of 'sol' (there are: none)", "HX and 32 hex digits"]);
    let (name, sid) = ("weekly_offer", "HX0123456789abcdef0123456789abcdef");
    beside(&server, &["tenant", "set", "sol", "--template", &format!("{name}={sid}")]).ok();
    send("HX123").fails(1, &["there are: weekly_offer"]);
    // The suggested command names the same tenant.
    let planned = send(name).ok();
    assert!(planned.contains("recado explain --tenant sol "), "{planned}");
    send(sid).ok();

    let brought = beside(&server, &["webhook", "--tenant", "sol", "--from", CUSTOMER, "OFERTA"]).ok();
    let hint = "recado messages --tenant sol; and why: recado explain --tenant sol last";
    assert!(brought.contains(hint), "{brought}");
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    beside(&server, &["webhook", "--from", CUSTOMER, "OFERTA"]).ok();
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let why = beside(&server, &["explain", "last"]).ok();
        let blocked = why.contains("blocked: 'nope' is neither a template of 'demo'");
        async move { if blocked { Ok(()) } else { Err(why) } }
    })
    .await;
}

#[tokio::test]
async fn a_send_that_waits_for_the_account_says_so() {
    let server = Server::start(options()).await;
    beside(&server, &["tenant", "add", "sol"]).ok();
    // The built-in carrier started before it could know this account.
    let account = ["tenant", "set", "sol", "--account-sid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];
    let token = "0123456789abcdef0123456789abcdef";
    run(command(server.folder(), &account).env("RECADO_TENANT_AUTH_TOKEN", token)).ok();
    let send = |to| beside(&server, &["send", "--tenant", "sol", "--to", to, "--no-wait", "--json", "Hi"]).json();
    let why = |id: &str| beside(&server, &["explain", "--tenant", "sol", id]).ok();
    let refused = "The account's sends wait: the provider refused its credentials, last at";
    let first = send(CUSTOMER);
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let why = why(first["id"].as_str().expect("an id"));
        async move { if why.contains(refused) { Ok(()) } else { Err(why) } }
    })
    .await;
    let later = send("+34600111333");
    let why = why(later["id"].as_str().expect("an id"));
    assert!(why.contains(refused) && why.contains("error 20003"), "{why}");
}

#[tokio::test]
async fn a_stop_is_explained_as_one() {
    let server = Server::start(options()).await;
    beside(&server, &["webhook", "--from", CUSTOMER, "Baja"]).ok();
    let why = beside(&server, &["explain", "last"]).ok();
    assert!(why.contains("\"Baja\" is an opt-out") && why.contains("we answer it"), "{why}");
}

#[test]
fn lists_have_a_length() {
    for list in ["messages", "events"] {
        for wrong in ["0", "10001", "-1", "many"] {
            alone(&[], &[list, &format!("--limit={wrong}")]).fails(2, &["write a number from 1 to 10000"]);
        }
    }
}

#[test]
fn a_file_that_is_in_the_way_is_named() {
    alone(&[("data", "not a folder")], &["serve"]).fails(1, &["data/recado.lock", "DATABASE_URL"]);
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("notes.txt"), "milk and bread, ".repeat(100)).expect("a file can be written");
    for args in [["migrate"], ["messages"]] {
        let ran = run(command(folder.path(), &args).env("DATABASE_URL", "sqlite://notes.txt"));
        ran.fails(1, &["notes.txt cannot be opened as a SQLite database", "DATABASE_URL"]);
    }
}

#[test]
fn a_misspelt_key_is_said_by_config_too() {
    let ran = alone(&[(".env", "TWILIO_FROM_NUMER=+34600111000\n")], &["config"]);
    assert!(ran.err.contains("did you mean TWILIO_FROM_NUMBER?"), "{ran:?}");
    ran.ok();
}

#[test]
fn the_help_of_tenant_set_shows_a_blueprint_that_there_is() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let help = run(&mut command(folder.path(), &["tenant", "set", "--help"])).ok();
    let (name, param) = ("hours", "text_es=Abrimos de 10 a 14 h.");
    assert!(help.contains(&format!("--enable {name} --param '{param}'")), "{help}");
    let set = ["tenant", "set", "demo", "--enable", name, "--param", param];
    run(&mut command(folder.path(), &["migrate"])).ok();
    run(command(folder.path(), &set).env("RULES_DIR", rules)).ok();
}

/// Other users of the machine cannot read what customers write.
#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(options()).await;
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    for name in ["recado.db", "recado.db-wal", "recado.db-shm", "secret.key"] {
        let file = server.folder().join("data").join(name);
        let mode = std::fs::metadata(&file).unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
