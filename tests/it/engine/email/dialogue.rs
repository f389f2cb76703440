//! The mailer's outcome for each end of an SMTP dialogue.

use recado::config::Config;
use recado::domain::{ActionId, Clock, EmailAddress};
use recado::integrations::email::{Mail, Mailer};
use recado::integrations::provider::{Accepted, FailureKind, SendFailure};
use uuid::Uuid;

use crate::support::install_tls;
use crate::support::mail::{LOGIN, MailServer};
use crate::support::ports::free_port;

fn mailer(url: &str, ca_file: Option<&MailServer>) -> Mailer {
    install_tls();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut settings = vec![("SMTP_URL", url.to_owned()), ("MAIL_FROM", "Clínica Sol <hola@sol.example>".to_owned())];
    settings.extend(ca_file.map(|server| ("SMTP_CA_FILE", server.ca_file().display().to_string())));
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(folder.path(), settings).expect("the settings are good");
    Mailer::new(&config.mail, folder.path(), Clock::system()).expect("a mailer can be made")
}

fn mail(mailer: &Mailer, to: &str) -> Mail {
    Mail {
        id: ActionId::new(Uuid::from_u128(7)),
        from: mailer.from().clone(),
        to: EmailAddress::parse(to).expect("it is an address"),
        subject: "Tu cita: mañana a las 9, en la calle de la Constitución número 3".to_owned(),
        text: "Hola, Ana:\n.\n.. y aún\nhasta mañana".to_owned(),
        html: Some(format!("<p>Hola, <b>Ana</b>: {}</p>", "ñ".repeat(2_000))),
        reply_to: None,
        unsubscribe: Some("https://sol.example/adios?a=1".parse().expect("it is a URL")),
    }
}

async fn send(mailer: &Mailer, to: &str) -> Result<Accepted, SendFailure> {
    mailer.send(&mail(mailer, to)).await
}

type Expected = fn(&FailureKind) -> bool;

async fn refusal(mailer: &Mailer, to: &str) -> SendFailure {
    send(mailer, to).await.expect_err(to)
}

#[tokio::test]
async fn what_arrives_is_what_was_written() {
    let server = MailServer::start();
    for (url, tls) in [(server.starttls(LOGIN), true), (server.tls(LOGIN), true), (server.plain(), false)] {
        let mailer = mailer(&url, Some(&server));
        let to =
            if tls { format!("ana@{}.example", &url[..5].trim_end_matches(':')) } else { "ana@plain.example".into() };
        let id = "00000000-0000-0000-0000-000000000007@sol.example";
        assert_eq!(send(&mailer, &to).await.expect(&url).sid, id);
        let sent = mail(&mailer, &to);
        let got = &server.taken(&to)[0];
        assert_eq!(got["from"], "hola@sol.example");
        let headers = [
            ("Subject", sent.subject.as_str()),
            ("From", "Clínica Sol <hola@sol.example>"),
            ("To", to.as_str()),
            ("Message-ID", &format!("<{id}>")),
            ("Auto-Submitted", "auto-generated"),
            ("List-Unsubscribe", "<https://sol.example/adios?a=1>"),
        ];
        for (name, value) in headers {
            assert_eq!(got["headers"][name], value, "{got}");
        }
        assert!(got["headers"]["Content-Type"].as_str().is_some_and(|kind| kind.starts_with("multipart/alternative")));
        let shown = |part: &str| got[part].as_str().unwrap_or_default().replace("\r\n", "\n").trim_end().to_owned();
        assert_eq!((shown("text"), Some(shown("html"))), (sent.text, sent.html));
        assert_eq!((&got["defects"], &got["tls"]), (&serde_json::json!([]), &serde_json::json!(tls)), "{got}");
        assert_eq!(got["authenticated"], tls);
    }
}

#[tokio::test]
async fn a_connection_serves_many_mails_even_after_a_refusal() {
    let server = MailServer::start();
    let mailer = mailer(&server.starttls(LOGIN), Some(&server));
    send(&mailer, "one@example.com").await.expect("it is taken");
    refusal(&mailer, "550.rcpt@example.com").await;
    send(&mailer, "two@example.com").await.expect("it is taken");
    let connection = |to: &str| server.taken(to)[0]["connection"].clone();
    assert_eq!(connection("one@example.com"), connection("two@example.com"));
    // A lost connection is replaced.
    refusal(&mailer, "drop.data@example.com").await;
    send(&mailer, "three@example.com").await.expect("it is taken");
    assert_ne!(connection("one@example.com"), connection("three@example.com"));
}

#[tokio::test]
async fn each_refusal_says_what_may_be_done_next() {
    let server = MailServer::start();
    let mailer = mailer(&server.plain(), None);
    let busy: Expected = |what| matches!(what, FailureKind::Busy { .. });
    let later: Expected = |what| matches!(what, FailureKind::Later { .. });
    let refused: Expected = |what| *what == FailureKind::Refused;
    let cases: [(&str, i64, Expected); 7] = [
        ("451.rcpt@example.com", 451, later),
        ("421.rcpt@example.com", 421, busy),
        ("452.end@example.com", 452, busy),
        ("450.end@example.com", 450, later),
        ("550.rcpt@example.com", 550, refused),
        ("554.end@example.com", 554, refused),
        ("530.rcpt@example.com", 530, |what| *what == FailureKind::Credentials),
    ];
    for (to, code, expect) in cases {
        let refusal = refusal(&mailer, to).await;
        assert!(expect(&refusal.kind) && refusal.code == Some(code), "{to}: {refusal:?}");
        assert!(server.taken(to).is_empty() && !refusal.detail.contains(to), "{refusal:?}");
    }
    // The server has the message without having answered: the outcome is unknown.
    let unknown = refusal(&mailer, "drop.end@example.com").await;
    assert_eq!(unknown.kind, FailureKind::Unknown, "{unknown:?}");
    assert_eq!(server.taken("drop.end@example.com").len(), 1);
}

#[tokio::test]
async fn logins_certificates_and_empty_ports_are_told_apart() {
    let server = MailServer::start();
    for url in [server.starttls("hola:hunter2"), server.tls("hola:hunter2")] {
        let wrong = refusal(&mailer(&url, Some(&server)), "ana@example.com").await;
        assert_eq!((wrong.kind, wrong.code), (FailureKind::Credentials, Some(535)), "{wrong:?}");
        assert!(wrong.detail.contains("SMTP_URL") && !wrong.detail.contains("hunter2"), "{wrong:?}");
    }
    let no_tls = server.plain().replace("?tls=none", "");
    let nobody = format!("smtp://127.0.0.1:{}", free_port());
    let says = [
        (server.starttls(LOGIN), "certificate"),
        (server.tls(LOGIN), "certificate"),
        (no_tls, "STARTTLS"),
        (nobody, "refused"),
    ];
    for (url, says) in says {
        let failed = refusal(&mailer(&url, None), "ana@example.com").await;
        assert!(matches!(failed.kind, FailureKind::Busy { .. }), "{failed:?}");
        assert!(failed.detail.to_lowercase().contains(&says.to_lowercase()), "{says}: {failed:?}");
    }
    assert!(server.taken("ana@example.com").is_empty());
}
