//! Tokens: after a busy life, no file of the server, no backup and no export holds a plain one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use recado::emulators::twilio::{Fault, FaultKind};

use super::rig::{self, A, ACCOUNT, B, Look, SECRET_KEY, TOKEN, customer};
use crate::support::wait::eventually;
use crate::support::webhook::{fields, message_sid};

const SECONDARY: &str = "5ec0ndary5ec0ndary5ec0ndary5ec00";

#[tokio::test(flavor = "multi_thread")]
async fn no_token_stands_anywhere_in_plain_text() {
    let (provider, mut server) = rig::two_tenants(|url| {
        rig::options(url).env("LOG_LEVEL", "trace").env("TWILIO_AUTH_TOKEN_SECONDARY", SECONDARY)
    })
    .await;
    server.start_again().await;
    let a = A.twilio(&server.url());
    for fault in [FaultKind::Error500, FaultKind::Throttle, FaultKind::DropBeforeAccept] {
        provider.order(Fault::times(fault, 1));
    }
    for number in 0..10 {
        assert_eq!(A.post(&a, number as u128, &customer(number), "hola").await, Some(200));
    }
    // A refused webhook is logged, too.
    let form = a.inbound(&message_sid(99), &customer(1), A.number, "hola");
    for signature in [TOKEN, B.token, A.token] {
        a.post_with_signature(&A.path(), &form, signature).await.expect("it answers");
    }
    a.post("/api/twilio/a/sms", &fields(&[("Body", "no form of the provider's")])).await.expect("it answers");
    let look = Look::into(server.folder()).await;
    provider.wait_taken(10).await;
    eventually(std::time::Duration::from_secs(60), || look.open()).await;
    // Refused credentials of the account are logged, too.
    provider.order_for(&A, FaultKind::Unauthorized);
    assert_eq!(A.post(&a, 1_000, &customer(1_000), "hola").await, Some(200));
    let pausing =
        || async { if server.log().contains("this account's sends pause") { Ok(()) } else { Err("not yet") } };
    eventually(std::time::Duration::from_secs(20), pausing).await;
    assert!(server.log().contains("a webhook was refused"), "it is logged");

    // Backup and export are searched with the rest.
    for args in [&["backup", "copy.db"][..], &["export", "a", "--to", "a.jsonl"], &["export", "b", "--to", "b.jsonl"]] {
        crate::cli::run(&mut rig::recado(&server, args)).ok();
    }

    let basic = |account: &str, token: &str| STANDARD.encode(format!("{account}:{token}"));
    // Two signatures given above are tokens themselves; those came in from outside, but even so they must not be kept.
    let secrets = [TOKEN, SECONDARY, A.token, B.token, SECRET_KEY].map(str::to_owned);
    let secrets: Vec<String> = secrets
        .into_iter()
        .chain([basic(ACCOUNT, TOKEN), basic(A.account, A.token), basic(B.account, B.token)])
        .chain([TOKEN, SECONDARY, A.token, B.token].map(hex))
        .collect();
    let mut searched = Vec::new();
    for entry in walk(server.folder()) {
        let bytes = std::fs::read(&entry).expect("it can be read");
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", entry.display());
        }
        searched.push(entry.file_name().expect("a file has a name").to_string_lossy().into_owned());
    }
    for expect in ["recado.db", "recado.db-wal", "server.log", "copy.db", "a.jsonl", "b.jsonl"] {
        assert!(searched.iter().any(|name| name == expect), "{expect} is not among {searched:?}");
    }
}

fn hex(secret: &str) -> String {
    secret.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read").flatten();
    entries.map(|entry| entry.path()).flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
