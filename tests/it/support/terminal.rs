//! A terminal without a window: runs a program, types keys, reads the screen.

use std::fmt;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::wait::eventually;

/// Time for the screen to show the expected text, in seconds; a debug build on a busy machine takes one or two.
const SHOWN_WITHIN_S: u64 = 30;

/// The screen, shown by a failing test.
pub struct Shot(pub String);

impl fmt::Debug for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}\n", self.0)
    }
}

/// A program in a terminal.
pub struct Terminal {
    parser: Arc<Mutex<vt100::Parser<TitleListener>>>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
}

/// A program's requests to the terminal besides text.
#[derive(Default)]
struct TitleListener {
    titles: Vec<String>,
}

impl vt100::Callbacks for TitleListener {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.titles.push(String::from_utf8_lossy(title).into_owned());
    }
}

impl Terminal {
    /// Runs the binary with `args` in `folder`, without the test's environment.
    pub fn start(folder: &Path, args: &[&str], columns: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).expect("a pseudo-terminal can be opened");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_recado"));
        command.args(args);
        command.cwd(folder);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        command.env("RUST_BACKTRACE", "1");
        let child = pair.slave.spawn_command(command).expect("the binary can be started");
        let parser = vt100::Parser::new_with_callbacks(positive(rows), positive(columns), 0, TitleListener::default());
        let parser = Arc::new(Mutex::new(parser));
        let mut reader = pair.master.try_clone_reader().expect("a pseudo-terminal can be read");
        let screen = parser.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends when the program, and with it the other side, has ended.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                screen.lock().process(&bytes[..length]);
            }
        });
        let writer = pair.master.take_writer().expect("a pseudo-terminal can be written to");
        Self { parser, master: pair.master, writer, child }
    }

    /// Types keys as a terminal sends them: `\r` is Enter, `\x13` Ctrl-S.
    pub fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("the program reads");
        self.writer.flush().expect("the program reads");
    }

    /// Changes the size of the terminal.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.parser.lock().screen_mut().set_size(positive(rows), positive(columns));
        self.master.resize(size(columns, rows)).expect("a pseudo-terminal can be resized");
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        self.parser.lock().screen().contents()
    }

    /// Waits until the screen's text satisfies `is_so`; returns it.
    #[track_caller]
    pub fn until(&self, is_so: impl Fn(&str) -> bool) -> impl Future<Output = String> {
        eventually(Duration::from_secs(SHOWN_WITHIN_S), move || {
            let text = self.text();
            let shown = is_so(&text);
            async move { if shown { Ok(text) } else { Err(Shot(text)) } }
        })
    }

    /// Waits until the screen shows these words.
    #[track_caller]
    pub fn shows(&self, words: &str) -> impl Future<Output = String> {
        self.until(move |text| text.contains(words))
    }

    /// True if the program has restored every terminal setting.
    pub fn is_given_back(&self) -> bool {
        let parser = self.parser.lock();
        let screen = parser.screen();
        let modes = self.master.get_termios().expect("a terminal has modes");
        // Compared by name: the type of the flags is private to another crate.
        let cooked = format!("{:?}", modes.local_flags).contains("ICANON");
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste() && cooked
    }

    /// Waits until the terminal is restored: the last output may still be on its way when the program has ended.
    pub async fn given_back(&self) {
        eventually(Duration::from_secs(SHOWN_WITHIN_S), || async {
            if self.is_given_back() { Ok(()) } else { Err("the screen, the cursor, pasting or the modes are changed") }
        })
        .await;
    }

    /// The window titles that the program set.
    pub fn titles(&self) -> Vec<String> {
        self.parser.lock().callbacks().titles.clone()
    }

    /// Sends SIGTERM to the program.
    pub fn terminate(&self) {
        let id = self.child.process_id().expect("it runs").to_string();
        let killed = std::process::Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status();
        assert!(killed.expect("there is a shell").success(), "process {id} cannot be told to end");
    }

    /// Waits until the program has ended; returns its exit code.
    pub async fn ended(&mut self) -> u32 {
        let child = &mut self.child;
        eventually(Duration::from_secs(SHOWN_WITHIN_S), || {
            let ended = child.try_wait().expect("the child can be asked");
            async move { ended.map(|status| status.exit_code()).ok_or("still running") }
        })
        .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn positive(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has rows and columns")
}
