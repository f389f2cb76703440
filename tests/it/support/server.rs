//! The real binary, `recado serve`, with its own folder and port.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::ports::free_port;
use super::wait::eventually;

/// Time for the binary to become ready or to stop, in seconds; a debug build on a busy machine takes one.
const START_TIMEOUT_S: u64 = 30;
const STOP_TIMEOUT_S: u64 = 30;
/// Bytes from the end of the log that a failing test shows.
const LOG_SHOWN_BYTES: usize = 16 * 1024;
/// The setting of the listen address, `host:port`.
const LISTEN_KEY: &str = "LISTEN";

/// The settings of a server. Of the test's environment it only gets `PATH`.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    env: Vec<(String, String)>,
    files: Vec<(String, String)>,
    file_size_errors: bool,
    descriptors_max: Option<usize>,
}

impl ServerOptions {
    /// Makes writes beyond the file size limit (`prlimit --fsize`) fail; otherwise they would end the process.
    pub fn file_size_errors(mut self) -> Self {
        self.file_size_errors = true;
        self
    }

    /// Limits the number of files and sockets that it may open.
    pub fn descriptors_max(mut self, max: usize) -> Self {
        self.descriptors_max = Some(max);
        self
    }

    /// Sets a variable of the server's environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Creates a file in the server's folder before it starts, for example `recado.toml` or `rules/demo/hello.rhai`.
    pub fn file(mut self, path: &str, content: impl Into<String>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }
}

/// A running server. Dropping it kills it and removes its folder; a failing test shows its output.
pub struct Server {
    /// The working directory, to which relative paths in the settings refer.
    folder: TempDir,
    port: u16,
    options: ServerOptions,
    /// `None` while the server is stopped.
    child: Option<Child>,
}

impl Server {
    /// Starts `recado serve` and waits until `GET /health` answers 200.
    pub async fn start(options: ServerOptions) -> Self {
        let mut server = Self::prepare(options);
        server.start_again().await;
        server
    }

    /// Creates the folder and its files, without starting the process.
    pub fn prepare(options: ServerOptions) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        // A server without any rule has its folder of rules all the same.
        std::fs::create_dir(folder.path().join("rules")).expect("a folder can be made");
        for (path, content) in &options.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
            std::fs::write(path, content).expect("a file can be written");
        }
        Self { folder, port: free_port(), options, child: None }
    }

    /// Starts it again in the same folder and on the same port, after [`Self::kill`] or [`Self::stop`].
    pub async fn start_again(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Sets a variable for the next start, for example an abort point.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.unset_env(name);
        self.options.env.push((name.to_owned(), value.to_owned()));
    }

    /// Removes a variable for the next start.
    pub fn unset_env(&mut self, name: &str) {
        self.options.env.retain(|(existing, _)| existing != name);
    }

    /// Starts it without waiting, for tests in which it fails or aborts.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "stop the server before it is started again");
        let log = self.open_log();
        let binary = env!("CARGO_BIN_EXE_recado");
        let mut before = String::new();
        if self.options.file_size_errors {
            before += "trap '' XFSZ; ";
        }
        if let Some(max) = self.options.descriptors_max {
            before += &format!("ulimit -n {max}; ");
        }
        let mut command = if before.is_empty() {
            Command::new(binary)
        } else {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{before}exec \"$0\" \"$@\""), binary]);
            shell
        };
        let child = command
            .arg("serve")
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            // Tests run at any hour.
            .env("QUIET_HOURS", "off")
            .env(LISTEN_KEY, format!("127.0.0.1:{}", self.port))
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the binary can be started");
        self.child = Some(child);
    }

    /// Waits until `GET /health` answers 200; panics if the process ends before that.
    pub async fn ready(&mut self) {
        if let Err(status) = self.ready_or_ended().await {
            panic!("recado serve ended before it was ready: {status}");
        }
    }

    /// Waits until `GET /health` answers 200, or until the process ends, for example at an early abort point.
    pub async fn ready_or_ended(&mut self) -> Result<(), ExitStatus> {
        let url = format!("{}/health", self.url());
        let client = super::http_client();
        let child = self.child.as_mut().expect("the server is started");
        let ready = eventually(Duration::from_secs(START_TIMEOUT_S), || {
            let ended = child.try_wait().expect("the child can be asked");
            let request = client.get(&url).send();
            async move {
                if let Some(status) = ended {
                    return Ok(Err(status));
                }
                match request.await {
                    Ok(response) if response.status().is_success() => Ok(Ok(())),
                    Ok(response) => Err(format!("{url} answers {}", response.status(), url = response.url())),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
        .await;
        if ready.is_err() {
            self.child = None;
        }
        ready
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("the child can be asked").is_none())
    }

    /// The process id while it is started.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its current memory (`VmRSS`), or its peak (`VmHWM`), if the system has them (proc(5)).
    pub fn memory_kb(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Kills it (SIGKILL), as the kernel does when memory is short.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails if the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it (SIGTERM) and waits until it has ended.
    pub async fn stop(&mut self) -> ExitStatus {
        let id = self.child.as_ref().expect("the server is started").id();
        let killed = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id.to_string()]).status();
        assert!(killed.expect("there is a shell").success(), "process {id} cannot be told to stop");
        self.ended().await
    }

    /// Waits until it ends by itself, for example at an abort point.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("the server is started");
        let status = eventually(Duration::from_secs(STOP_TIMEOUT_S), || {
            let ended = child.try_wait().expect("the child can be asked");
            async move { ended.ok_or("still running") }
        })
        .await;
        self.child = None;
        status
    }

    /// Its address, for example `http://127.0.0.1:4010`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its whole output, over all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn open_log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log can be written")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let start = log.floor_char_boundary(log.len().saturating_sub(LOG_SHOWN_BYTES));
            eprintln!("--- the server's log, at most its last {LOG_SHOWN_BYTES} bytes\n{}\n---", &log[start..]);
        }
    }
}
