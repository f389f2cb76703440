//! A large SQLite file gives its unused parts back to the disk while a server writes to it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use recado::store::{Leftovers, compact_sqlite, shrink_sqlite};
use rusqlite::{Connection, TransactionBehavior};

/// Rows of about two pages each that are deleted.
const ROWS: usize = 6_000;
/// The pauses of one shrinking, in which a server has the file. While a file is rewritten there are none.
const PAUSES_MIN: usize = 12;

fn connect(path: &Path) -> Connection {
    let db = Connection::open(path).expect("it can be opened");
    db.busy_timeout(Duration::from_secs(2)).expect("it can be set");
    db
}

/// A file with many unused pages.
fn file(path: &Path, auto_vacuum: &str) {
    let db = connect(path);
    db.execute_batch(&format!(
        "PRAGMA page_size = 2048; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA journal_mode = wal; PRAGMA secure_delete = on;
         CREATE TABLE gone (body blob); CREATE TABLE kept (n integer)"
    ))
    .expect("it can be made");
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO gone SELECT CAST('secret' || i AS blob) || zeroblob(3000) FROM n; DELETE FROM gone;
         PRAGMA wal_checkpoint(TRUNCATE)"
    );
    db.execute_batch(&rows).expect("it can be filled");
}

/// Shrinks the file while another connection commits all the time: each pause lasts until it has committed. Gives what is left
/// over, and the number of pauses.
fn beside_a_writer(path: &Path) -> (Leftovers, usize) {
    let (over, commits) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut db = connect(path);
            while !over.load(SeqCst) {
                let txn = db.transaction_with_behavior(TransactionBehavior::Immediate).expect("the lock is soon free");
                txn.execute("INSERT INTO kept VALUES (1)", []).expect("it can be written");
                txn.commit().expect("it can be committed");
                commits.fetch_add(1, SeqCst);
            }
        });
        let mut pauses = 0;
        let left = shrink_sqlite(path, || {
            pauses += 1;
            let before = commits.load(SeqCst);
            while commits.load(SeqCst) == before {
                assert!(!writer.is_finished(), "a commit was refused");
                std::thread::yield_now();
            }
        });
        over.store(true, SeqCst);
        writer.join().expect("no commit was refused");
        (left.expect("it can be shrunk"), pauses)
    })
}

#[test]
fn a_file_shrinks_in_steps_between_which_others_write() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("recado.db");
    file(&path, "incremental");
    let before = std::fs::metadata(&path).expect("it is there").len();
    let (left, pauses) = beside_a_writer(&path);
    assert!(pauses >= PAUSES_MIN, "{pauses} pauses came between the steps");
    assert_ne!(left, Leftovers::InFile);
    let left = shrink_sqlite(&path, || ()).expect("it can be shrunk");
    let after = std::fs::metadata(&path).expect("it is there").len();
    // What the writer has added meanwhile stays.
    let unused: i64 =
        connect(&path).query_row("PRAGMA freelist_count", [], |row| row.get(0)).expect("it is a database");
    assert_eq!(unused, 0, "{after} of {before} bytes are left");
    assert!(after < before, "{after} of {before} bytes are left");
    assert_eq!(left, Leftovers::None);
    assert!(!bytes(&path).windows(6).any(|part| part == b"secret"));
}

/// It is not rewritten behind the back of a server.
#[test]
fn a_file_of_an_older_version_is_left_as_it_is_until_a_person_wants_it_rewritten() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("recado.db");
    file(&path, "none");
    let before = std::fs::metadata(&path).expect("it is there").len();
    assert_eq!(shrink_sqlite(&path, || ()).expect("it can be looked at"), Leftovers::InFile);
    assert_eq!(std::fs::metadata(&path).expect("it is there").len(), before);
    assert_eq!(compact_sqlite(&path, || ()).expect("it can be rewritten"), Leftovers::None);
    assert!(std::fs::metadata(&path).expect("it is there").len() * 20 < before);
    assert_eq!(shrink_sqlite(&path, || ()).expect("it can shrink in steps now"), Leftovers::None);
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it can be read")
}
