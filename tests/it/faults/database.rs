//! Faults of the database: a full disk, a lock that another process holds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use sea_orm::{ConnectOptions, ConnectionTrait};

use super::rig::{self, Look, OURS, Provider, customer};
use crate::support::left_out::left_out;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid};

const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const WELL_AGAIN_WITHIN: Duration = Duration::from_secs(10);
/// Webhooks posted at once.
const AT_ONCE: usize = 8;

/// The ways to fill a disk and to free it.
enum Disk {
    /// A limit on the size of the process's files, which needs no rights.
    Limit,
    /// A small file system that another file fills, where the test may mount one.
    Small { data: PathBuf },
}

impl Disk {
    fn small(folder: &Path) -> Result<Self, String> {
        let data = folder.join("data");
        std::fs::create_dir_all(&data).expect("a folder can be made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "recado-test"]).arg(&data).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self::Small { data }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn fill(&self, server: &Server) {
        match self {
            Self::Limit => {
                let data = std::fs::read_dir(server.folder().join("data")).expect("there is one").flatten();
                let largest = data.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).max();
                limit(server, &(largest.unwrap_or_default() + 32 * 1024).to_string());
            }
            Self::Small { data } => {
                // The write ends where the space does.
                let _ = std::fs::write(data.join("filler"), vec![1; 48 * 1024 * 1024]);
            }
        }
    }

    fn free(&self, server: &Server) {
        match self {
            Self::Limit => limit(server, "unlimited"),
            Self::Small { data } => std::fs::remove_file(data.join("filler")).expect("it is there"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small { data } = self {
            let _ = Command::new("umount").arg("--lazy").arg(data).status();
        }
    }
}

/// Sets the soft limit on the size of the server's files, in bytes.
fn limit(server: &Server, bytes: &str) {
    let id = server.id().expect("it is started").to_string();
    let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).output();
    let set = set.expect("prlimit is part of util-linux");
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_said_to_be_stored_that_is_not() {
    let provider = Provider::start(4).await;
    // A log that grows would meet the limit, too.
    let options = rig::options(&provider.url).env("LOG_LEVEL", "warn").file_size_errors();
    full_disk(&provider, Server::prepare(options), Disk::Limit).await;
}

/// The same on a file system that is full, as `ENOSPC` says, beside a log on another one.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_small_file_system_that_is_full_nothing_is_said_to_be_stored_that_is_not() {
    let provider = Provider::start(5).await;
    let server = Server::prepare(rig::options(&provider.url).env("LOG_LEVEL", "warn"));
    match Disk::small(server.folder()) {
        Ok(small) => full_disk(&provider, server, small).await,
        Err(why) => left_out(&format!("a full file system was not tried: none could be mounted ({why})")),
    }
}

async fn full_disk(provider: &Provider, mut server: Server, disk: Disk) {
    server.start_again().await;
    let twilio = rig::twilio(&server);
    let early = post(&twilio, 0..20).await;
    assert!(early.iter().all(|(_, status)| *status == 200), "{early:?}");
    disk.fill(&server);
    let full = post(&twilio, 20..420).await;
    let refused: Vec<usize> = full.iter().filter(|(_, status)| *status != 200).map(|(number, _)| *number).collect();
    assert!(refused.len() > 300, "the disk was full, but only {} were refused", refused.len());
    assert!(full.iter().all(|(_, status)| [200, 503].contains(status)), "{full:?}");
    disk.free(&server);
    let freed = Instant::now();
    let well = || async {
        match post(&twilio, 1_000..1_001).await.as_slice() {
            [(_, 200)] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually(WELL_AGAIN_WITHIN, well).await;
    eprintln!("well again {:?} after there was space; {} were refused", freed.elapsed(), refused.len());
    let again = repost(&twilio, refused).await;
    assert!(again.iter().all(|(_, status)| *status == 200), "{again:?}");
    let numbers: Vec<usize> = (0..420).chain([1_000]).collect();
    check(&mut server, provider, &numbers).await;
}

/// Checks that all texts are decided events, each answered once, and that the file is intact.
async fn check(server: &mut Server, provider: &Provider, numbers: &[usize]) {
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    server.kill();
    look.assert_sound().await;
    let events = look.count("events WHERE kind = 'inbound_sms' AND handled_us IS NOT NULL").await;
    assert_eq!(events, numbers.len() as i64);
    for number in numbers {
        assert_eq!(provider.carrier.count_to(&customer(*number)), 1, "text {number}");
    }
}

async fn post(twilio: &Twilio, numbers: std::ops::Range<usize>) -> Vec<(usize, u16)> {
    repost(twilio, numbers.collect()).await
}

/// Posts long texts, a few at once. Each answer must come within the client's ten seconds.
async fn repost(twilio: &Twilio, numbers: Vec<usize>) -> Vec<(usize, u16)> {
    let posts = numbers.into_iter().map(|number| async move {
        let body = format!("t{number} {}", "larga ".repeat(150));
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, body.trim());
        let status = rig::post(twilio, &form).await;
        (number, status.unwrap_or_else(|| panic!("no answer to {number} within ten seconds")))
    });
    stream::iter(posts).buffer_unordered(AT_ONCE).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_holds_the_lock_webhooks_are_answered_in_time() {
    const HELD: Duration = Duration::from_secs(30);
    let provider = Provider::start(5).await;
    let mut server = Server::start(rig::options(&provider.url)).await;
    let twilio = rig::twilio(&server);
    assert_eq!(post(&twilio, 0..1).await, [(0, 200)]);
    let url = format!("sqlite://{}", server.folder().join("data/recado.db").display());
    let mut other = ConnectOptions::new(url);
    other.max_connections(1).sqlx_logging(false);
    let other = sea_orm::Database::connect(other).await.expect("the file can be opened");
    other.execute_unprepared("BEGIN IMMEDIATE").await.expect("the lock is free for a moment");
    let locked = Instant::now();
    let (mut answers, mut number) = (Vec::new(), 1);
    while locked.elapsed() < HELD {
        answers.extend(post(&twilio, number..number + AT_ONCE).await);
        number += AT_ONCE;
    }
    other.execute_unprepared("ROLLBACK").await.expect("it is ours");
    assert!(answers.iter().all(|(_, status)| [200, 503].contains(status)), "{answers:?}");
    let refused: Vec<usize> = answers.iter().filter(|(_, status)| *status == 503).map(|(number, _)| *number).collect();
    assert!(!refused.is_empty(), "the lock was held, but nothing was refused");
    let again = repost(&twilio, refused).await;
    assert!(again.iter().all(|(_, status)| *status == 200), "well again at once: {again:?}");
    check(&mut server, &provider, &(0..number).collect::<Vec<_>>()).await;
}
