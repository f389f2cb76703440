//! The phone without a screen: each input line is sent as a message; each message is printed as a line.
//!
//! ```text
//! > HOLA ✓✓
//! < ¡Hola! Somos Demo. ¿En qué podemos ayudarte?
//! ```

use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::time::Duration;

use tokio::sync::mpsc;

use super::chat_message::{ChatMessage, Mark};
use super::handset::{Command, Drawn, Handset};
use super::net::{Connection, Update};
use super::screen::execute;
use crate::cli::{CliError, Outcome, print, text};
use crate::domain::Clock;

/// The longest typed line; the rest becomes the next line.
const LINE_MAX_BYTES: u64 = 16 * 1024;
/// The most lines that are read ahead.
const LINES_MAX: usize = 16;

pub struct Plain {
    pub phone: Handset,
    pub connection: Connection,
    pub updates: mpsc::Receiver<Update>,
    pub clock: Clock,
    /// Time to wait for an answer.
    pub wait: Duration,
    /// A person types: the next line does not wait for an answer to the last one.
    pub typed: bool,
}

/// Sends standard input line by line. It ends after the last line, when that is answered or `wait` has passed.
pub async fn run(plain: Plain) -> Result<Outcome, CliError> {
    let Plain { mut phone, mut connection, mut updates, clock, wait, typed } = plain;
    let mut printer = Printer::default();
    await_history(&mut phone, &mut updates, &clock, wait).await;
    printer.skip(&phone);
    let mut lines = read_lines();
    let (mut ended, mut until) = (false, clock.now());
    loop {
        let now = clock.now();
        let waits = now < until && !printer.is_answered(&phone);
        printer.print(&phone, now >= until)?;
        let mut commands = phone.drawn(printer.drawn());
        if ended && !waits {
            if phone.away {
                return Err(CliError::Refused("the carrier is away: does 'recado serve' still run?".to_owned()));
            }
            return Ok(printer.outcome(&phone));
        }
        tokio::select! {
            typed = lines.recv(), if !ended && (typed || !waits) => match typed {
                Some(text) => {
                    commands.extend(phone.say(&text));
                    printer.ours.extend(sent(&commands));
                    until = clock.now().plus(wait);
                }
                None => ended = true,
            },
            Some(update) = updates.recv() => commands.extend(phone.update(update)),
            () = clock.sleep_until(until), if now < until => {}
            () = connection.broken() => return Err(CliError::Refused("the phone broke: please report what it said".to_owned())),
        }
        for command in commands {
            execute(&mut phone, &mut connection, command);
        }
    }
}

/// The ids of the texts among these commands.
fn sent(commands: &[Command]) -> impl Iterator<Item = u64> {
    commands.iter().filter_map(|command| if let Command::Send(id, _) = command { Some(*id) } else { None })
}

/// Reads the messages from before the start.
async fn await_history(phone: &mut Handset, updates: &mut mpsc::Receiver<Update>, clock: &Clock, wait: Duration) {
    let until = clock.now().plus(wait);
    loop {
        tokio::select! {
            Some(update) = updates.recv() => {
                let more = match &update {
                    Update::Messages { messages, history, .. } => *history && messages.len() >= super::net::PAGE_MAX,
                    _ => true,
                };
                // The commands of the history were carried out at the start.
                phone.update(update);
                if !more {
                    return;
                }
            }
            () = clock.sleep_until(until) => return,
        }
    }
}

/// Reads lines on a thread of its own, which ends with standard input or with the process.
pub fn read_lines() -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            if lines.blocking_send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The part of the conversation that has been printed.
#[derive(Default)]
struct Printer {
    printed: HashSet<u64>,
    /// Messages whose failure was printed, or happened before the start.
    failed: HashSet<u64>,
    /// The ids of our own messages.
    ours: Vec<u64>,
}

impl Printer {
    fn skip(&mut self, phone: &Handset) {
        self.printed.extend(phone.me().entries.iter().map(|entry| entry.id));
        self.failed.clone_from(&self.printed);
    }

    /// Prints new messages in order. Our own are printed when they have arrived, failed or been answered, or where
    /// `all` is set.
    fn print(&mut self, phone: &Handset, all: bool) -> Result<(), CliError> {
        let entries = &phone.me().entries;
        for (at, entry) in entries.iter().enumerate() {
            if !self.printed.contains(&entry.id) {
                let answered = || entries.iter().skip(at + 1).any(|other| !other.mine && is_settled(other));
                if entry.mine && !is_settled(entry) && !all && !answered() {
                    break;
                }
                print(line_of(phone, entry))?;
                self.printed.insert(entry.id);
            }
            if let Mark::Failed(why) = &entry.mark
                && self.failed.insert(entry.id)
            {
                print(format!("! {}", text::one_line(why)))?;
            }
        }
        Ok(())
    }

    /// True if the last sent message has failed, or has been answered and the answers are final.
    fn is_answered(&self, phone: &Handset) -> bool {
        let entries = &phone.me().entries;
        let last = self.ours.last();
        let Some(at) = entries.iter().position(|entry| Some(&entry.id) == last) else { return true };
        let mut answers = entries.iter().skip(at + 1).filter(|entry| !entry.mine).peekable();
        let answered = answers.peek().is_some() && answers.all(is_settled);
        // The carrier answers some keywords itself and does not deliver them to the server.
        matches!(entries[at].mark, Mark::Failed(_)) || answered
    }

    /// Marks the printed messages as seen.
    fn drawn(&self) -> Drawn {
        Drawn { visible: self.printed.iter().copied().collect(), ..Drawn::default() }
    }

    /// The result is negative if a message of ours was not accepted.
    fn outcome(&self, phone: &Handset) -> Outcome {
        let lost = |entry: &ChatMessage| {
            matches!(entry.mark, Mark::Pending | Mark::Failed(_)) && self.ours.contains(&entry.id)
        };
        if phone.me().entries.iter().any(lost) { Outcome::Failed } else { Outcome::Done }
    }
}

fn is_settled(entry: &ChatMessage) -> bool {
    !matches!(entry.mark, Mark::Pending | Mark::Sent)
}

fn line_of(phone: &Handset, entry: &ChatMessage) -> String {
    let here = phone.now().is_some_and(|chat| chat.is_of(entry));
    let whence = if here {
        String::new()
    } else {
        format!("[{} {}] ", entry.channel.spec().label, text::one_line(&entry.business))
    };
    let mut said = text::lines(&entry.body).join("\n  ");
    for url in &entry.media {
        said += &format!(" 📎 {}", text::one_line(url));
    }
    for (at, button) in entry.buttons.iter().enumerate() {
        said += &format!(" [{} {}]", at + 1, text::one_line(button));
    }
    if entry.mine { format!("> {whence}{said} {}", entry.mark.ticks()) } else { format!("< {whence}{said}") }
}
