//! The examples of a page, run as a reader would run them: in one folder, from top to bottom, beside a server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::blocks::{Block, Page};
use crate::support::server::{Server, ServerOptions};
use crate::support::source;

/// The server's address in the manual.
const SERVER: &str = "http://127.0.0.1:8000";
/// How long the decision on a message may take, in tenths of a second.
const DECIDED_WITHIN_TENTHS: u32 = 100;
/// Lines that start the server, which is running here, or name the program, which is found here.
const GIVEN: [&str; 2] = ["cargo run --release", "alias recado="];

/// A reader, with a folder, a server and the program.
pub struct Reader {
    server: Server,
    /// The folder of the program `recado`.
    programs: tempfile::TempDir,
    /// The rules have changed since the server started.
    stale: bool,
    /// The rule file that was written last.
    rule: Option<PathBuf>,
    scripts: u32,
}

impl Reader {
    /// In an empty folder.
    pub async fn in_an_empty_folder() -> Self {
        Self::with(ServerOptions::default()).await
    }

    /// In a folder with the rules of this repository.
    pub async fn with_the_rules() -> Self {
        let rules = source::files("rules", &[".rhai", ".json", ".txt", ".html"]);
        Self::with(
            rules.into_iter().fold(ServerOptions::default(), |options, file| options.file(&file.path, file.text)),
        )
        .await
    }

    async fn with(options: ServerOptions) -> Self {
        let programs = tempfile::TempDir::new().expect("a temporary folder can be made");
        let program = programs.path().join("recado");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_recado"), program).expect("a link can be made");
        let server = Server::start(options.env("METRICS_LISTEN", "off")).await;
        Self { server, programs, stale: false, rule: None, scripts: 0 }
    }

    /// Does what the page says; the rules must be good at its end.
    pub async fn read(&mut self, page: &Page) {
        for block in &page.blocks {
            match block.language.as_str() {
                "rhai" => self.write_rule(block),
                "json" => self.write_cases(block),
                "sh" if !block.example => drop(self.run(&page.name, &block.text).await),
                "console" if !block.example => self.compare(&page.name, &block.text).await,
                _ => {}
            }
        }
        if self.server.folder().join("rules").exists() {
            self.run(&page.name, "recado check").await;
        }
    }

    /// Runs the commands of a session; what they print must be what stands below them.
    async fn compare(&mut self, page: &str, session: &str) {
        let (typed, printed): (Vec<_>, Vec<_>) = session.lines().partition(|line| line.starts_with("$ "));
        let script = typed.iter().map(|line| format!("{}\n", &line[2..])).collect::<String>();
        let output = self.run(page, &script).await;
        assert_eq!(output.lines().collect::<Vec<_>>(), printed, "{page}: {script}");
    }

    fn write_rule(&mut self, block: &Block) {
        let Some(path) = block.file() else { return };
        let path = self.server.folder().join(path);
        write(&path, &block.text);
        self.rule = Some(path);
        self.stale = true;
    }

    fn write_cases(&self, block: &Block) {
        if let Some(rule) = self.rule.as_ref().filter(|_| block.text.starts_with("[{\"name\"")) {
            write(&rule.with_extension("cases.json"), &block.text);
        }
    }

    /// Runs a script, which must succeed; gives what it prints.
    async fn run(&mut self, page: &str, script: &str) -> String {
        if std::mem::take(&mut self.stale) {
            assert!(self.server.stop().await.success());
            self.server.start_again().await;
        }
        let url = self.server.url();
        let script = prepared(script).replace(SERVER, &url);
        self.stale = script.contains("rules/") || script.contains(".env");
        self.scripts += 1;
        let path = format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.server.folder())
            .env_clear()
            .env("PATH", path)
            .env("LISTEN", url.trim_start_matches("http://"))
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it runs");
        let output = output.expect("there is bash");
        assert!(
            output.status.success(),
            "{page}: {script}\n--- {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many blocks were run.
    pub const fn scripts(&self) -> u32 {
        self.scripts
    }
}

/// The script as it is run here. `recado explain …  # + rule: fired` waits until that is what is said.
fn prepared(script: &str) -> String {
    let mut prepared = String::new();
    for line in script.lines().filter(|line| !GIVEN.iter().any(|given| line.starts_with(given))) {
        let said = line.split_once('#').filter(|(command, said)| {
            command.starts_with("recado explain") && (said.starts_with(" + ") || said.starts_with(" - "))
        });
        let _ = match said {
            Some((command, said)) => {
                let (command, said) = (command.trim(), said.trim());
                writeln!(
                    prepared,
                    "for i in $(seq {DECIDED_WITHIN_TENTHS}); do\n\
                     {command} > said.txt; if grep -qF -- '{said}' said.txt; then break; fi; sleep 0.1\ndone\n\
                     grep -F -- '{said}' said.txt || {{ cat said.txt; exit 1; }}"
                )
            }
            None => writeln!(prepared, "{line}"),
        };
    }
    prepared
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
    std::fs::write(path, text).expect("a file can be written");
}
