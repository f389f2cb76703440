//! E-mail end to end: a webhook comes in, a rule asks for an e-mail, and the ledger sends it once.

use std::time::Duration;

use serde_json::Value;

use crate::cli;
use crate::faults::rig::{self, Look, OURS, Provider};
use crate::support::mail::{LOGIN, MailServer};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const CUSTOMER: &str = "+34600111222";
const WITHIN: Duration = Duration::from_secs(60);
/// `MAIL ana@example.com` writes to that address; `CITA` to the customer by a template; `AVISO` to the staff.
const RULES: &str = r#"
rule("mail").on("inbound_sms").keyword("MAIL").then(|e| {
    set_field("email", e.rest);
    send_email(e.rest, "Hola", `Hola, ${e.contact.phone}`);
});
rule("cita").on("inbound_sms").keyword("CITA").when("has an address", |e| e.contact.email != "")
    .then(|e| send_email(e.contact, "cita", #{ name: e.rest, day: "lunes" }));
rule("aviso").on("inbound_sms").keyword("AVISO").then(|e| send_email("staff", "Aviso", e.body));
"#;
const TEXT: &str = "Subject: Tu cita del {{day}}\n\nHola, {{name}}: te esperamos el {{day}}.\n";
const HTML: &str = "<p>Hola, <b title=\"{{name}}\">{{name}}</b></p>";

/// A server whose e-mail goes to `smtp`, or into files.
fn options(provider: &Provider, smtp: Option<(&MailServer, String)>) -> ServerOptions {
    let options = rig::options(&provider.url)
        .file("rules/mail.rhai", RULES)
        .file("rules/templates/cita.txt", TEXT)
        .file("rules/templates/cita.html", HTML);
    match smtp {
        None => options,
        Some((server, url)) => options
            .env("SMTP_URL", url)
            .env("MAIL_FROM", "hola@sol.example")
            .env("SMTP_CA_FILE", server.ca_file().display().to_string()),
    }
}

async fn write(server: &Server, number: u128, body: &str) {
    let twilio = rig::twilio(server);
    let form = twilio.inbound(&message_sid(number), CUSTOMER, OURS, body);
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
}

/// Runs a command beside the server, and gives its JSON.
fn asked(server: &Server, args: &[&str]) -> Value {
    cli::run(&mut rig::recado(server, args)).json()
}

/// The e-mail actions: state, tries and reason.
async fn mails(look: &Look) -> Vec<(String, i32, String)> {
    let actions = look.actions().await.into_iter().filter(|action| action.channel.as_deref() == Some("email"));
    actions.map(|action| (action.state, action.tries, action.reason.unwrap_or_default())).collect()
}

/// Waits until the one e-mail is in this state; gives its tries and reason.
async fn the_mail_is(look: &Look, state: &str) -> (i32, String) {
    eventually(WITHIN, || async {
        match mails(look).await.as_slice() {
            [(is, tries, reason)] if is == state => Ok((*tries, reason.clone())),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_an_e_mail_to_the_customer_and_to_the_staff() {
    let (provider, mail) = (Provider::start(1).await, MailServer::start());
    let server = Server::start(options(&provider, Some((&mail, mail.starttls(LOGIN))))).await;
    let set =
        ["tenant", "set", "demo", "--staff-email", "eva@sol.example", "--staff-email", "leo@sol.example", "--json"];
    assert_eq!(asked(&server, &set)["staff_emails"], serde_json::json!(["eva@sol.example", "leo@sol.example"]));

    write(&server, 1, "MAIL ana@example.com").await;
    let first = mail.first("ana@example.com").await;
    assert_eq!(first["headers"]["Subject"], "Hola");
    assert_eq!(first["text"].as_str().map(str::trim_end), Some(format!("Hola, {CUSTOMER}").as_str()));
    assert_eq!(first["headers"]["From"], "Demo <hola@sol.example>", "the tenant's name, where MAIL_FROM has none");
    write(&server, 2, "CITA <Ana> & Eva").await;
    let both = eventually(WITHIN, || async { mail.taken("ana@example.com").get(1).cloned().ok_or("one so far") }).await;
    assert_eq!(both["headers"]["Subject"], "Tu cita del lunes");
    assert!(
        both["text"].as_str().is_some_and(|text| text.contains("Hola, <Ana> & Eva: te esperamos el lunes.")),
        "{both}"
    );
    assert!(
        both["html"]
            .as_str()
            .is_some_and(|html| html.contains("<b title=\"&lt;Ana&gt; &amp; Eva\">&lt;Ana&gt; &amp; Eva</b>")),
        "{both}"
    );
    // The server is told the staff within a second.
    eventually(WITHIN, || async {
        write(&server, 3 + u128::from(provider.carrier.taken()), "AVISO").await;
        if mail.taken("leo@sol.example").is_empty() { Err("not yet") } else { Ok(()) }
    })
    .await;
    mail.first("eva@sol.example").await;

    let by_hand = ["send", "--email", "--to", "by-hand@example.com", "--subject", "A mano", "Hola"];
    let said = cli::run(&mut rig::recado(&server, &by_hand)).ok();
    assert!(said.contains("sent") && said.contains("@sol.example"), "{said}");
    assert_eq!(mail.first("by-hand@example.com").await["headers"]["Subject"], "A mano");
    let listed = asked(&server, &["messages", "--json", "--limit", "100"]);
    let listed =
        listed.as_array().expect("a list").iter().find(|one| one["to"] == "by-hand@example.com").expect("listed");
    assert_eq!(
        (&listed["channel"], &listed["status"], &listed["body"]),
        (&"email".into(), &"sent".into(), &"Hola".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_greylisted_goes_again_later() {
    let (provider, mail) = (Provider::start(2).await, MailServer::start());
    let server = Server::start(options(&provider, Some((&mail, mail.plain())))).await;
    let look = Look::into(server.folder()).await;
    write(&server, 1, "MAIL 451.rcpt.once@example.com").await;
    let reason = eventually(WITHIN, || async {
        match mails(&look).await.as_slice() {
            [(state, 1, reason)] if state == "planned" && !reason.is_empty() => Ok(reason.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(reason.contains("451 4.7.1") && !reason.contains("once@"), "{reason}");
    let minutes =
        look.text_or_number("SELECT (due_us - tried_us) / 60000000 FROM actions WHERE channel = 'email'").await;
    assert!(["4", "5", "6"].contains(&minutes.as_str()), "it waits some minutes, not {minutes}");
    // The minutes are over.
    look.text_or_number("UPDATE actions SET due_us = 1 WHERE channel = 'email' RETURNING tries").await;
    assert_eq!(the_mail_is(&look, "sent").await.0, 2);
    assert_eq!(mail.taken("451.rcpt.once@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unknown_and_nothing_is_sent_twice() {
    let (provider, mail) = (Provider::start(3).await, MailServer::start());
    let mut server = Server::start(options(&provider, Some((&mail, mail.plain())))).await;
    let look = Look::into(server.folder()).await;
    write(&server, 1, "MAIL drop.end@example.com").await;
    let (tries, reason) = the_mail_is(&look, "unknown").await;
    assert!(tries == 1 && reason.contains("not known"), "{tries} {reason}");
    // RECONCILE_AFTER_S is one second; a new start and other mails change nothing.
    assert!(server.stop().await.success());
    server.start_again().await;
    write(&server, 2, "MAIL after@example.com").await;
    mail.first("after@example.com").await;
    assert_eq!(mail.taken("drop.end@example.com").len(), 1);
    assert!(mails(&look).await.iter().any(|(state, tries, _)| state == "unknown" && *tries == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_servers_answer_and_the_outcome_sends_nothing_twice() {
    let (provider, mail) = (Provider::start(4).await, MailServer::start());
    let mut options = options(&provider, Some((&mail, mail.plain())));
    // No text by SMS: the first send is the e-mail.
    options = options.file("rules/echo.rhai", "").env("RECADO_ABORT_AT", "after-send:1");
    let mut server = Server::start(options).await;
    write(&server, 1, "MAIL ana@example.com").await;
    mail.first("ana@example.com").await;
    server.ended().await;
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    let look = Look::into(server.folder()).await;
    the_mail_is(&look, "unknown").await;
    write(&server, 2, "MAIL after@example.com").await;
    mail.first("after@example.com").await;
    assert_eq!(mail.taken("ana@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_pauses_e_mail_and_nothing_else() {
    let (provider, mail) = (Provider::start(5).await, MailServer::start());
    let server = Server::start(options(&provider, Some((&mail, mail.starttls("hola:hunter2"))))).await;
    let look = Look::into(server.folder()).await;
    write(&server, 1, "MAIL ana@example.com").await;
    eventually(WITHIN, || async {
        match mails(&look).await.as_slice() {
            [(state, _, reason)] if state == "planned" && reason.contains("535") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    write(&server, 2, "hola").await;
    rig::taken_to(&provider, CUSTOMER, 2).await;
    assert!(mail.taken("ana@example.com").is_empty());
    let log = server.log();
    assert!(log.contains("sends pause") && !log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_a_file_is_written_and_it_is_said() {
    let provider = Provider::start(6).await;
    let server = Server::start(options(&provider, None)).await;
    assert!(server.log().contains("e-mail is written to files in data/mail and reaches nobody"), "{}", server.log());
    write(&server, 1, "MAIL ana@example.com").await;
    let look = Look::into(server.folder()).await;
    the_mail_is(&look, "sent").await;
    let files: Vec<_> = std::fs::read_dir(server.folder().join("data/mail")).expect("it is there").flatten().collect();
    let [file] = files.as_slice() else { panic!("one file, not {files:?}") };
    let text = std::fs::read_to_string(file.path()).expect("it can be read");
    assert!(text.contains("To: ana@example.com\r\n") && text.contains("Subject: Hola\r\n"), "{text}");
    let why = cli::run(&mut rig::recado(&server, &["explain", "last"])).ok();
    assert!(why.contains("email recado@localhost -> ana@example.com") && why.contains("data/mail/"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_opted_out_of_e_mail_gets_none() {
    let (provider, mail) = (Provider::start(7).await, MailServer::start());
    let server = Server::start(options(&provider, Some((&mail, mail.plain())))).await;
    let look = Look::into(server.folder()).await;
    let out = "INSERT INTO opt_outs (tenant_id, channel, peer_key, sender, active, word, at_us)
               SELECT id, 'email', 'ana@example.com', '', 1, 'link', 1 FROM tenants RETURNING word";
    look.text_or_number(out).await;
    write(&server, 1, "MAIL Ana@Example.com").await;
    let (tries, reason) = the_mail_is(&look, "blocked").await;
    assert!(tries == 0 && reason.contains("opted out of email"), "{reason}");
    rig::taken_to(&provider, CUSTOMER, 1).await;
    assert!(mail.taken("Ana@Example.com").is_empty());
}
