//! The files below the writer's connection: its log is written a commit at a time, and what is copied out of it is
//! brought to the disk before anybody waits for that.
//!
//! SQLite writes each page of its log by two calls of the system, one for the frame's head and one for the page: some four
//! a message, a fifth of the writer's time. A [`Log`] puts itself before the methods of the log's file and, during a
//! commit, hands on in one piece what stands side by side. Nothing is seen earlier than before: a commit is published
//! after the log was synced, which hands everything on first. And nothing outlives its commit: what a failed one has
//! left is dropped, since the place in the file may be another's by then.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods};

/// Gathered at most, in bytes, before it is handed on; some 30 frames. SQLite's own files take less than 128 KiB at once
/// (`seekAndWriteFd` in its `os_unix.c`).
const GATHERED_MAX_BYTES: usize = 64 * 1_024;

/// The log of a connection that gathers.
pub(in crate::store) struct Log(Arc<Mutex<Gathered>>);

#[derive(Default)]
struct Gathered {
    /// Only then is anything gathered: what a large transaction writes before is not sure to be committed.
    committing: bool,
    bytes: Vec<u8>,
    /// Where in the file the first of them belongs.
    offset: i64,
    /// Why some could not be handed on: the commit has failed, though it was a read that met it.
    failed: Option<c_int>,
}

/// The methods of a file as SQLite calls them, with what belongs to them behind: SQLite knows a file by the pointer to
/// its methods, which must therefore come first.
#[repr(C)]
struct Gathering {
    methods: sqlite3_io_methods,
    below: *const sqlite3_io_methods,
    gathered: Arc<Mutex<Gathered>>,
}

impl Log {
    /// Gathers what the connection's commits write to its log. Only for one that syncs its log at each commit
    /// (`synchronous=FULL`): else a commit would be published before it was handed on. To be called once. `None`, and all
    /// stays as it is, without a log, or on a disk that wants more written behind what was synced.
    pub fn gather(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        // The log is open once something was read.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        if connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))? != "wal" {
            return Ok(None);
        }
        let (log, database) = (ffi::SQLITE_FCNTL_JOURNAL_POINTER, ffi::SQLITE_FCNTL_FILE_POINTER);
        let Some((log, database)) = file(connection, log)?.zip(file(connection, database)?) else { return Ok(None) };
        let gathered = Arc::new(Mutex::new(Gathered::default()));
        // SAFETY: SQLite has just named these files, open, of a connection that nobody else uses meanwhile. The methods put
        // before the log's own live until it is closed (`close`), and they do what its own do.
        unsafe {
            let below = (*log).pMethods;
            let disk =
                (*(*database).pMethods).xDeviceCharacteristics.map_or(0, |characteristics| characteristics(database));
            if disk & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE == 0 {
                return Ok(None);
            }
            let methods = sqlite3_io_methods {
                xClose: Some(close),
                xRead: Some(read),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xFileSize: Some(file_size),
                ..*below
            };
            let gathering = Box::new(Gathering { methods, below, gathered: gathered.clone() });
            (*log).pMethods = Box::into_raw(gathering).cast();
        }
        Ok(Some(Self(gathered)))
    }

    /// Commits a transaction of the connection.
    pub fn commit<T>(&self, commit: impl FnOnce() -> T) -> T {
        lock(&self.0).committing = true;
        let result = commit();
        let mut gathered = lock(&self.0);
        // Committed, it has been synced, and nothing is left.
        gathered.bytes.clear();
        (gathered.committing, gathered.failed) = (false, None);
        result
    }
}

/// Nothing panics while it is held.
fn lock(gathered: &Mutex<Gathered>) -> MutexGuard<'_, Gathered> {
    gathered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings the connection's database file to the disk.
///
/// SQLite does so itself, but only where all of the log was copied: a copy beside a writer that goes on leaves the disk's
/// work (some 10 ms) to who copies the rest.
pub(in crate::store) fn sync_database(connection: &Connection) -> rusqlite::Result<()> {
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
    /// `file` is one that [`Log::gather`] has changed, as all are that SQLite calls the methods below with.
    unsafe fn of<'a>(file: *mut sqlite3_file) -> &'a Self {
        // SAFETY: its methods are the first field of a `Gathering`, which lives until the file is closed.
        unsafe { &*(*file).pMethods.cast() }
    }

    /// Hands on what is gathered.
    ///
    /// # Safety
    ///
    /// As for [`Gathering::of`], whose file it is.
    unsafe fn hand_on(&self, gathered: &mut Gathered, file: *mut sqlite3_file) -> c_int {
        if gathered.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        // SAFETY: the file's own method, with memory that is there.
        let code = unsafe {
            own((*self.below).xWrite)(file, gathered.bytes.as_ptr().cast(), gathered.length(), gathered.offset)
        };
        gathered.bytes.clear();
        gathered.failed = (code != ffi::SQLITE_OK).then_some(code);
        code
    }
}

impl Gathered {
    /// [`GATHERED_MAX_BYTES`] at most.
    fn length(&self) -> c_int {
        c_int::try_from(self.bytes.len()).unwrap_or(c_int::MAX)
    }

    /// Whether these bytes come right behind what is gathered, and have room there.
    fn goes_on_at(&self, offset: i64, count: usize) -> bool {
        self.offset + i64::from(self.length()) == offset && self.bytes.len() + count <= GATHERED_MAX_BYTES
    }
}

/// A method that every file of SQLite has.
fn own<F>(method: Option<F>) -> F {
    method.expect("a file can be read, written, truncated, synced, measured and closed")
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite's call, with as many bytes as it says.
    unsafe {
        let gathering = Gathering::of(file);
        let mut gathered = lock(&gathering.gathered);
        if !gathered.committing {
            return own((*gathering.below).xWrite)(file, bytes, count, offset);
        }
        if let Some(code) = gathered.failed {
            return code;
        }
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(count).unwrap_or(0));
        if !gathered.goes_on_at(offset, bytes.len()) {
            let code = gathering.hand_on(&mut gathered, file);
            if code != ffi::SQLITE_OK {
                return code;
            }
            gathered.offset = offset;
        }
        gathered.bytes.extend_from_slice(bytes);
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
        let code = gathering.hand_on(&mut lock(&gathering.gathered), file);
        if code == ffi::SQLITE_OK { then(&*gathering.below) } else { code }
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
    unsafe {
        if let Some(code) = lock(&Gathering::of(file).gathered).failed {
            return code;
        }
        handed_on(file, |below| own(below.xSync)(file, flags))
    }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: SQLite's call, handed on as it is.
    unsafe { handed_on(file, |below| own(below.xFileSize)(file, size)) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite's last call. The file has its own methods again before what stood in their place is given back.
    unsafe {
        let gathering: Box<Gathering> = Box::from_raw((*file).pMethods.cast_mut().cast());
        (*file).pMethods = gathering.below;
        own((*gathering.below).xClose)(file)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    struct Writer {
        connection: Connection,
        log: Option<Log>,
    }

    impl Writer {
        fn run(&self, sql: &str) {
            self.connection.execute_batch(sql).unwrap();
        }

        fn commit(&self) -> rusqlite::Result<()> {
            let commit = || self.connection.execute_batch("COMMIT");
            self.log.as_ref().map_or_else(commit, |log| log.commit(commit))
        }
    }

    /// A connection with few pages at hand: a large transaction writes to its log before it commits, and reads from there.
    fn open(path: &Path, gathers: bool) -> Writer {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA page_size = 2048; PRAGMA journal_mode = wal; PRAGMA synchronous = full")
            .unwrap();
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 20").unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS t (id integer primary key, x text)").unwrap();
        let log = if gathers { Some(Log::gather(&connection).unwrap().expect("it has a log")) } else { None };
        Writer { connection, log }
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
            let (writer, other) = (open(&path, true), open(&path, false));
            for step in steps {
                let before = rows(&other.connection);
                match step {
                    Step::Commit(count, from) => {
                        writer.run("BEGIN IMMEDIATE");
                        write(&writer.connection, count, from);
                        prop_assert_eq!(seen(&path), before);
                        writer.commit().unwrap();
                        let written = rows(&writer.connection);
                        // The files alone, as after a fall of the machine: without what the processes share of them.
                        let copy = folder.path().join("copy.db");
                        for end in ["", "-wal"] {
                            std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", copy.display())).unwrap();
                        }
                        prop_assert_eq!(seen(&copy), written.clone());
                        prop_assert_eq!(seen(&path), written);
                    }
                    Step::RollBack(count, from) => {
                        writer.run("BEGIN IMMEDIATE");
                        write(&writer.connection, count, from);
                        writer.run("ROLLBACK");
                        // Its place in the log is another's now.
                        other.run("BEGIN IMMEDIATE");
                        write(&other.connection, 600, 0);
                        other.commit().unwrap();
                        let written = rows(&other.connection);
                        prop_assert_eq!(rows(&writer.connection), written.clone());
                        prop_assert_eq!(seen(&path), written);
                    }
                    Step::Checkpoint => {
                        writer.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
                        sync_database(&writer.connection).unwrap();
                        prop_assert_eq!(seen(&path), before);
                    }
                }
            }
            let last = rows(&writer.connection);
            drop((writer, other));
            prop_assert_eq!(seen(&path), last, "closing it loses nothing");
        }
    }

    unsafe extern "C" fn full(_: *mut sqlite3_file, _: *const c_void, _: c_int, _: i64) -> c_int {
        ffi::SQLITE_FULL
    }

    /// Takes nothing more, until it is given what it had before.
    fn fill_disk(writer: &Writer) -> impl FnOnce() {
        let log = file(&writer.connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER).unwrap().unwrap();
        // SAFETY: the writer gathers, and is not used while its methods change.
        unsafe {
            let gathering: *mut Gathering = (*log).pMethods.cast_mut().cast();
            let below = (*gathering).below;
            (*gathering).below = Box::leak(Box::new(sqlite3_io_methods { xWrite: Some(full), ..*below }));
            move || (*gathering).below = below
        }
    }

    #[test]
    fn a_commit_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let (writer, other) = (open(&path, true), open(&path, false));
        writer.run("PRAGMA cache_size = 2000; BEGIN IMMEDIATE");
        write(&writer.connection, 200, 0);
        writer.commit().unwrap();
        let before = rows(&writer.connection);
        let mend = fill_disk(&writer);
        writer.run("BEGIN IMMEDIATE");
        write(&writer.connection, 200, 100);
        let error = writer.commit().unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        assert_eq!(seen(&path), before);
        other.run("BEGIN IMMEDIATE");
        write(&other.connection, 300, 50);
        other.commit().unwrap();
        let after = rows(&other.connection);
        assert_eq!(rows(&writer.connection), after);
        mend();
        writer.run("BEGIN IMMEDIATE");
        write(&writer.connection, 1, 1_000);
        writer.commit().unwrap();
        assert_eq!(seen(&path), rows(&writer.connection));
        assert_eq!(seen(&path)[..after.len()], after);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_commit_of_many_pages_is_written_at_once() {
        let calls = |gathers: bool| {
            let folder = tempfile::tempdir().unwrap();
            let writer = open(&folder.path().join("test.db"), gathers);
            writer.run("PRAGMA cache_size = 2000; BEGIN IMMEDIATE");
            write(&writer.connection, 90, 0);
            let before = write_calls();
            writer.commit().unwrap();
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
