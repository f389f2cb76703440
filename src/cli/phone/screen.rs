//! The phone in a terminal: reads keys, draws the screen, and restores the terminal however it ends.

use std::io::{self, Stdout};
use std::sync::Once;

use chrono::{Local, NaiveDateTime};
use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::handset::{Command, Handset};
use super::net::{Connection, Job, Update};
use super::view;
use crate::cli::CliError;
use crate::domain::Timestamp;

/// The most updates or keys that are handled before the screen is drawn again.
const AT_ONCE_MAX: usize = 256;

pub async fn run(
    mut phone: Handset,
    mut connection: Connection,
    mut updates: mpsc::Receiver<Update>,
) -> Result<(), CliError> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut screen = Screen::open()?;
    let mut keys = read_keys();
    let mut commands = Vec::new();
    loop {
        let unread = phone.unread_of(phone.customer);
        commands.extend(screen.draw(&mut phone)?);
        if phone.unread_of(phone.customer) != unread {
            // Messages that the screen has just shown are no longer unread.
            commands.extend(screen.draw(&mut phone)?);
        }
        for command in std::mem::take(&mut commands) {
            execute(&mut phone, &mut connection, command);
        }
        tokio::select! {
            event = keys.recv() => {
                // The terminal is gone.
                let Some(event) = event else { return Ok(()) };
                commands.extend(phone.event(event));
                for _ in 0..AT_ONCE_MAX {
                    let Ok(event) = keys.try_recv() else { break };
                    commands.extend(phone.event(event));
                }
            }
            Some(update) = updates.recv() => {
                commands.extend(phone.update(update));
                for _ in 0..AT_ONCE_MAX {
                    let Ok(update) = updates.try_recv() else { break };
                    commands.extend(phone.update(update));
                }
            }
            () = connection.broken() => return Err(CliError::Refused("the phone broke: please report what it said".to_owned())),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        if commands.contains(&Command::Quit) {
            return Ok(());
        }
        if commands.contains(&Command::Redraw) {
            screen.terminal.clear()?;
        }
    }
}

/// Reads keys on a thread of its own, which ends with the terminal or with the process.
fn read_keys() -> mpsc::Receiver<Event> {
    let (keys, receiver) = mpsc::channel(AT_ONCE_MAX);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if keys.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Carries out a command at the carrier.
pub fn execute(phone: &mut Handset, connection: &mut Connection, command: Command) {
    let refused = match command {
        Command::Watch(customer) => {
            connection.watch(customer);
            None
        }
        Command::Send(id, text) => connection.queue(Job::Text(id, Box::new(text))).err(),
        // When too many jobs wait, these are dropped without harm.
        Command::Read(sid) => connection.queue(Job::Read(sid)).err(),
        Command::Numbers => connection.queue(Job::Numbers).err(),
        Command::Redraw | Command::Quit => None,
    };
    if let Some(Job::Text(id, _)) = refused {
        phone.update(Update::NotTaken(id, "too many messages wait for the carrier: send it again later".to_owned()));
    }
}

/// Local time.
fn local(at: Timestamp) -> NaiveDateTime {
    at.to_utc().with_timezone(&Local).naive_local()
}

struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn open() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let opened = terminal.and_then(|terminal| {
            execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
            Ok(Self { terminal })
        });
        if opened.is_err() {
            restore();
        }
        opened
    }

    fn draw(&mut self, phone: &mut Handset) -> io::Result<Vec<Command>> {
        let mut drawn = None;
        self.terminal.draw(|frame| drawn = Some(view::draw(frame, phone, local)))?;
        Ok(drawn.map(|drawn| phone.drawn(drawn)).unwrap_or_default())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal. Errors are ignored: a terminal that cannot be restored is gone.
fn restore() {
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}
