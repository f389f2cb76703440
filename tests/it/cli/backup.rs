//! Backups while the server works.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::run;
use crate::faults::rig::{self, Look, Provider, customer};
use crate::support::server::Server;
use crate::support::webhook::message_sid;

/// Webhooks posted at the same time.
const POSTERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_all_that_was_acknowledged_before_it() {
    let provider = Provider::start(1).await;
    let server = Server::start(rig::options(&provider.url)).await;
    let twilio = rig::twilio(&server);
    let post = async |number: usize| {
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), rig::OURS, "hola");
        rig::post(&twilio, &form).await
    };
    for number in 0..50 {
        assert_eq!(post(number).await, Some(200));
    }
    let (acknowledged, done) = (Mutex::new((0..50).collect::<BTreeSet<_>>()), AtomicBool::new(false));
    let burst = async |poster: usize| {
        let mut number = 1_000 + poster;
        while !done.load(Ordering::Relaxed) {
            assert_eq!(post(number).await, Some(200), "the server goes on answering");
            acknowledged.lock().unwrap().insert(number);
            number += POSTERS;
        }
    };
    let copy = server.folder().join("backup.db");
    let backup = async || {
        let first = acknowledged.lock().unwrap().len();
        // The burst is in progress.
        while acknowledged.lock().unwrap().len() < first + 50 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let mut command = rig::recado(&server, &["backup", "backup.db"]);
        let said = tokio::task::spawn_blocking(move || run(&mut command)).await.expect("it runs").ok();
        let after = acknowledged.lock().unwrap().len();
        done.store(true, Ordering::Relaxed);
        (before, after, said)
    };
    let ((before, after, said), _) = tokio::join!(backup(), futures_util::future::join_all((0..POSTERS).map(burst)));
    assert!(after > before.len(), "webhooks were answered meanwhile");
    assert!(said.contains("backup.db") && said.contains("RECADO_SECRET_KEY"), "{said}");
    assert_eq!(mode(&copy), 0o600);

    // A server starts on the backup in a new folder.
    let mut restored = Server::prepare(rig::options(&provider.url));
    std::fs::create_dir(restored.folder().join("data")).expect("a folder can be made");
    std::fs::copy(&copy, restored.folder().join("data/recado.db")).expect("it can be copied");
    let look = Look::into(restored.folder()).await;
    look.assert_sound().await;
    let sids: BTreeSet<String> = look.messages().await.into_iter().filter_map(|message| message.provider_sid).collect();
    let missing: Vec<_> = before.iter().filter(|number| !sids.contains(&message_sid(**number as u128))).collect();
    assert!(missing.is_empty(), "acknowledged before the backup and not in it: {missing:?}");
    restored.start_again().await;
}

#[tokio::test]
async fn a_backup_replaces_nothing_unasked() {
    let server = Server::start(super::options()).await;
    let backup = |args: &[&str]| super::beside(&server, &[&["backup", "copy.db"], args].concat());
    std::fs::write(server.folder().join("copy.db"), "precious").expect("a file can be written");
    backup(&[]).fails(1, &["is there already", "--force"]);
    assert_eq!(std::fs::read(server.folder().join("copy.db")).unwrap(), b"precious");
    let report = backup(&["--force", "--json"]).json();
    let bytes = std::fs::metadata(server.folder().join("copy.db")).unwrap().len();
    assert_eq!(report["bytes"], bytes);
    super::beside(&server, &["backup", "none/copy.db"]).fails(1, &["cannot be written"]);
    let left: Vec<_> = std::fs::read_dir(server.folder()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("draft")), "{left:?}");
}

#[test]
fn on_postgresql_its_own_tool_is_named() {
    let ran = run(super::command(&std::env::temp_dir(), &["backup", "x.dump"])
        .env("DATABASE_URL", "postgres://recado@127.0.0.1:1/recado"));
    ran.fails(1, &["pg_dump --format=custom --file=x.dump", "secret key"]);
}

fn mode(path: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).expect("it is there").permissions()) & 0o777
}
