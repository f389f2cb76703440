//! The files below the writer's connection: its log is written a commit at a time, and what is copied out of it is
//! brought to the disk before anybody waits for that.
//!
//! SQLite writes each page of its log by two calls of the system, one for the frame's head and one for the page: some four
//! a message, a fifth of the writer's time. [`gather`] puts itself before the methods of the log's file and hands on, in
//! one piece, what stands side by side. Nothing is seen earlier or kept longer than before: a commit is published after
//! the log was synced, and that hands everything on first. What a killed process had gathered was of no commit.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use rusqlite::Connection;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods};

/// Gathered at most, in bytes, before it is handed on; some 30 frames. SQLite's own files take less than 128 KiB at once
/// (`seekAndWriteFd` in its `os_unix.c`).
const GATHERED_MAX_BYTES: usize = 64 * 1_024;

/// The methods of a file as SQLite calls them, with what is gathered behind them: SQLite knows a file by the pointer to
/// its methods, which must therefore come first.
#[repr(C)]
struct Gathering {
    methods: sqlite3_io_methods,
    below: *const sqlite3_io_methods,
    bytes: Vec<u8>,
    /// Where in the file the first of them belongs.
    offset: i64,
}

/// Gathers what the connection writes to its log. Only for one that syncs its log at each commit (`synchronous=FULL`): else
/// a commit would be published before it was handed on. A connection without a log stays as it is.
pub(super) fn gather(connection: &Connection) -> rusqlite::Result<()> {
    // The log is open once something was read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    if connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))? != "wal" {
        return Ok(());
    }
    let Some(log) = file(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)? else { return Ok(()) };
    // SAFETY: SQLite has just named this file, open, of a connection that nobody else uses meanwhile. The methods put
    // before its own live until it is closed (`close`), and they do what its own do.
    unsafe {
        let below = (*log).pMethods;
        let methods = sqlite3_io_methods {
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            ..*below
        };
        let gathering = Box::new(Gathering { methods, below, bytes: Vec::new(), offset: 0 });
        (*log).pMethods = Box::into_raw(gathering).cast();
    }
    Ok(())
}

/// Brings the connection's database file to the disk.
///
/// SQLite does so itself, but only where all of the log was copied: a copy beside a writer that goes on leaves the disk's
/// work (some 10 ms) to who copies the rest.
pub(super) fn sync_database(connection: &Connection) -> rusqlite::Result<()> {
    let Some(database) = file(connection, ffi::SQLITE_FCNTL_FILE_POINTER)? else { return Ok(()) };
    // SAFETY: SQLite has just named this file, open, of a connection that nobody else uses meanwhile.
    let code = unsafe { (*(*database).pMethods).xSync.map(|sync| sync(database, ffi::SQLITE_SYNC_NORMAL)) };
    accepted(code.unwrap_or(ffi::SQLITE_OK))
}

/// One of the connection's files, if it is open.
fn file(connection: &Connection, which: c_int) -> rusqlite::Result<Option<*mut sqlite3_file>> {
    let mut file: *mut sqlite3_file = null_mut();
    // SAFETY: both of these questions are answered with a pointer to a file (<https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html>),
    // written where the last argument says.
    unsafe {
        accepted(ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), which, (&raw mut file).cast()))?;
        Ok((!file.is_null() && !(*file).pMethods.is_null()).then_some(file))
    }
}

fn accepted(code: c_int) -> rusqlite::Result<()> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)) }
}

impl Gathering {
    /// # Safety
    ///
    /// `file` is one that [`gather`] has changed, as all are that SQLite calls the methods below with; SQLite calls
    /// one at a time.
    unsafe fn of<'a>(file: *mut sqlite3_file) -> &'a mut Self {
        // SAFETY: its methods are the first field of a `Gathering`, which lives until the file is closed.
        unsafe { &mut *(*file).pMethods.cast_mut().cast() }
    }

    /// Hands on what is gathered. What fails is dropped, as the commit it is of fails.
    ///
    /// # Safety
    ///
    /// As for [`Gathering::of`], whose file it is.
    unsafe fn hand_on(&mut self, file: *mut sqlite3_file) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        // SAFETY: the file's own method, with memory that is there.
        let code =
            unsafe { own((*self.below).xWrite)(file, self.bytes.as_ptr().cast(), length(&self.bytes), self.offset) };
        self.bytes.clear();
        code
    }

    /// Whether these bytes come right behind what is gathered, and have room there.
    fn goes_on_at(&self, offset: i64, count: usize) -> bool {
        self.offset + i64::from(length(&self.bytes)) == offset && self.bytes.len() + count <= GATHERED_MAX_BYTES
    }
}

/// At most [`GATHERED_MAX_BYTES`], or what SQLite wrote at once.
fn length(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).unwrap_or(c_int::MAX)
}

/// A method that every file of SQLite has.
fn own<F>(method: Option<F>) -> F {
    method.expect("a file can be read, written, truncated, synced, measured and closed")
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite's call, with as many bytes as it says.
    unsafe {
        let gathering = Gathering::of(file);
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(count).unwrap_or(0));
        if !gathering.goes_on_at(offset, bytes.len()) {
            let code = gathering.hand_on(file);
            if code != ffi::SQLITE_OK {
                return code;
            }
            gathering.offset = offset;
        }
        gathering.bytes.extend_from_slice(bytes);
        ffi::SQLITE_OK
    }
}

/// Hands on what is gathered, then does what the file's own method does.
///
/// # Safety
///
/// SQLite's call of a method of this file.
unsafe fn handed_on(file: *mut sqlite3_file, then: impl FnOnce(&sqlite3_io_methods) -> c_int) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        let gathering = Gathering::of(file);
        match gathering.hand_on(file) {
            ffi::SQLITE_OK => then(&*gathering.below),
            code => code,
        }
    }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, count: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite's call, handed on as it is.
    unsafe { handed_on(file, |below| own(below.xRead)(file, into, count, offset)) }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite's call, handed on as it is.
    unsafe { handed_on(file, |below| own(below.xTruncate)(file, size)) }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite's call, handed on as it is.
    unsafe { handed_on(file, |below| own(below.xSync)(file, flags)) }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: SQLite's call, handed on as it is.
    unsafe { handed_on(file, |below| own(below.xFileSize)(file, size)) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite's last call. The file has its own methods again before what stood in their place is given back.
    unsafe {
        let mut gathering: Box<Gathering> = Box::from_raw((*file).pMethods.cast_mut().cast());
        let written = gathering.hand_on(file);
        (*file).pMethods = gathering.below;
        let closed = own((*gathering.below).xClose)(file);
        if written == ffi::SQLITE_OK { closed } else { written }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// A connection with few pages at hand: a large transaction writes to its log before it commits, and reads from there.
    fn open(path: &Path, gathers: bool) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA page_size = 2048; PRAGMA journal_mode = wal; PRAGMA synchronous = full")
            .unwrap();
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 20").unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS t (id integer primary key, x text)").unwrap();
        if gathers {
            gather(&connection).unwrap();
        }
        connection
    }

    fn write(connection: &Connection, rows: usize, from: i64) {
        let mut insert = connection.prepare("INSERT OR REPLACE INTO t VALUES (?, hex(randomblob(300)))").unwrap();
        for id in from..from + i64::try_from(rows).unwrap() {
            insert.execute([id]).unwrap();
        }
    }

    /// All rows, as somebody else sees them who opens these files.
    fn seen(path: &Path) -> Vec<(i64, String)> {
        let connection = Connection::open(path).unwrap();
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        rows(&connection)
    }

    fn rows(connection: &Connection) -> Vec<(i64, String)> {
        let mut all = connection.prepare("SELECT id, x FROM t ORDER BY id").unwrap();
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Commit(usize, i64),
        RollBack(usize, i64),
        Checkpoint,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1_usize..600, 0_i64..1_000).prop_map(|(rows, from)| Step::Commit(rows, from)),
            1 => (1_usize..600, 0_i64..1_000).prop_map(|(rows, from)| Step::RollBack(rows, from)),
            1 => Just(Step::Checkpoint),
        ];
        proptest::collection::vec(step, 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_committed_is_in_the_files_when_the_commit_returns(steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("test.db");
            let writer = open(&path, true);
            for step in steps {
                let before = rows(&writer);
                match step {
                    Step::Commit(count, from) => {
                        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
                        write(&writer, count, from);
                        prop_assert_eq!(seen(&path), before);
                        let written = rows(&writer);
                        writer.execute_batch("COMMIT").unwrap();
                        // The files alone, as after a fall of the machine: without what the processes share of them.
                        let copy = folder.path().join("copy.db");
                        for end in ["", "-wal"] {
                            std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", copy.display())).unwrap();
                        }
                        prop_assert_eq!(seen(&copy), written.clone());
                        prop_assert_eq!(seen(&path), written);
                    }
                    Step::RollBack(count, from) => {
                        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
                        write(&writer, count, from);
                        writer.execute_batch("ROLLBACK").unwrap();
                        prop_assert_eq!(rows(&writer), before.clone());
                        prop_assert_eq!(seen(&path), before);
                    }
                    Step::Checkpoint => {
                        writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
                        sync_database(&writer).unwrap();
                        prop_assert_eq!(seen(&path), before);
                    }
                }
            }
            let last = rows(&writer);
            drop(writer);
            prop_assert_eq!(seen(&path), last, "closing it loses nothing");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_commit_of_many_pages_is_written_at_once() {
        let calls = |gathers: bool| {
            let folder = tempfile::tempdir().unwrap();
            let connection = open(&folder.path().join("test.db"), gathers);
            connection.execute_batch("PRAGMA cache_size = 2000; BEGIN IMMEDIATE").unwrap();
            write(&connection, 90, 0);
            let before = write_calls();
            connection.execute_batch("COMMIT").unwrap();
            write_calls() - before
        };
        let (plain, gathered) = (calls(false), calls(true));
        assert!(plain >= 60, "{plain}");
        assert!(gathered <= 4, "{gathered} of {plain}");
    }

    /// Calls of the system by which this thread has written, as it counts them.
    #[cfg(target_os = "linux")]
    fn write_calls() -> u64 {
        let counted = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        counted.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
    }
}
