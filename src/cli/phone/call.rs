//! Calls of the phone: speech is printed as lines, and typed lines are pressed or spoken.
//!
//! ```text
//! * +34600111222 calls +15005550006
//! < Clínica Sol, buenos días. Pulse 1 para pedir cita.
//! > 1
//! < ¿Para qué día?
//! > el lunes por la mañana
//! * completed after 23 s
//! ```
//!
//! A line of digits, `*` and `#` is pressed, any other line is spoken, an empty line is silence. The end of the input
//! hangs up: at once where a person types, else when the input is used up and nothing more is heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::net::{Carrier, NetError};
use super::plain::read_lines;
use super::wire::{CallAct, CallEvent, CallLogEntry, CallSnapshot};
use crate::cli::{CliError, Outcome, print, text};
use crate::domain::{Clock, Phone};

/// The time that a long poll waits at the carrier.
const FOLLOW_WAIT: Duration = Duration::from_secs(20);

pub struct Voice {
    pub carrier: Arc<Carrier>,
    pub clock: Clock,
    /// The customer's number.
    pub me: Phone,
    /// Time to wait for speech after the end of the input.
    pub wait: Duration,
    /// A person types the input.
    pub typed: bool,
}

/// The typed lines, and the signal to stop.
struct Keys {
    lines: mpsc::Receiver<String>,
    ended: bool,
    interrupt: Signal,
}

enum Key {
    Line(String),
    /// The end of the input; it comes once.
    End,
    /// Ctrl-C.
    Stop,
}

impl Keys {
    fn new() -> Result<Self, CliError> {
        Ok(Self { lines: read_lines(), ended: false, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Key {
        tokio::select! {
            _ = self.interrupt.recv() => Key::Stop,
            line = self.lines.recv(), if !self.ended => {
                self.ended = line.is_none();
                line.map_or(Key::End, Key::Line)
            }
        }
    }
}

impl Voice {
    /// Calls a number; returns when the call ends.
    pub async fn call(&self, to: &str) -> Result<Outcome, CliError> {
        let mut keys = Keys::new()?;
        print(format!("* {} calls {to}", self.me.as_str()))?;
        if self.typed {
            print("  Digits are pressed, other lines are said, an empty line is silence; Ctrl-D hangs up.")?;
        }
        let call = self.carrier.call_number(self.me.as_str(), to).await.map_err(refused)?;
        self.talk(&call.sid, &mut keys).await
    }

    /// Waits for calls to the customer's number and answers them.
    pub async fn ring(&self) -> Result<Outcome, CliError> {
        let mut keys = Keys::new()?;
        // Asked for before the number is live: a call that comes at once is newer.
        let after = self.carrier.calls(&self.me, u64::MAX, Duration::ZERO).await.map_err(refused)?.seq;
        self.carrier.set_live(&self.me, true).await.map_err(refused)?;
        let rung = self.take_calls(&mut keys, after).await;
        // Later calls find the number as it was.
        self.carrier.set_live(&self.me, false).await.map_err(refused)?;
        rung
    }

    /// Takes the calls that come after `after`.
    async fn take_calls(&self, keys: &mut Keys, mut after: u64) -> Result<Outcome, CliError> {
        print(format!("* {} waits for calls; Ctrl-C puts the phone away", self.me.as_str()))?;
        let mut outcome = Outcome::Done;
        loop {
            // Without input, nobody answers a call.
            if keys.ended {
                return Ok(outcome);
            }
            let page = tokio::select! {
                page = self.carrier.calls(&self.me, after, FOLLOW_WAIT) => page.map_err(refused)?,
                _ = keys.interrupt.recv() => return Ok(outcome),
            };
            after = page.seq;
            let Some(call) = page.calls.into_iter().find(CallSnapshot::rings) else { continue };
            print(format!("* {} calls: Enter takes the call, n does not", text::one_line(&call.from)))?;
            let taken = |line: &str| !line.trim().eq_ignore_ascii_case("n");
            let answer = !self.typed || matches!(keys.next().await, Key::Line(line) if taken(&line));
            match self.carrier.act(&call.sid, &CallAct::Answer { answer }).await {
                Ok(()) if answer => outcome = self.talk(&call.sid, keys).await?,
                Ok(()) => {}
                Err(error) => print(format!("! {error}"))?,
            }
        }
    }

    /// Listens and speaks until the call is over.
    async fn talk(&self, sid: &str, keys: &mut Keys) -> Result<Outcome, CliError> {
        let (mut after, mut said, mut used) = (0, 0, 0);
        let mut hung_up = false;
        let mut until = self.clock.now();
        let mut page = Box::pin(self.carrier.follow(sid, after, FOLLOW_WAIT));
        loop {
            let quiet = keys.ended && used >= said && !hung_up;
            tokio::select! {
                found = &mut page => {
                    let call = found.map_err(refused)?;
                    for entry in &call.entries {
                        used += usize::from(entry.what.is_mine());
                        self.show(entry)?;
                    }
                    if let Some(last) = call.entries.last() {
                        after = last.number;
                        until = self.clock.now().plus(self.wait);
                    }
                    if call.is_over() {
                        print(format!("* {} after {} s", text::one_line(&call.status), call.duration_ms.div_ceil(1_000)))?;
                        return Ok(if call.status == "completed" && call.error.is_none() { Outcome::Done } else { Outcome::Failed });
                    }
                    page = Box::pin(self.carrier.follow(sid, after, FOLLOW_WAIT));
                }
                key = keys.next() => match key {
                    Key::Line(line) => {
                        said += 1;
                        self.act(sid, &act_of(&line)).await?;
                    }
                    Key::End if !self.typed => until = self.clock.now().plus(self.wait),
                    Key::End | Key::Stop => hung_up = self.hang_up(sid).await?,
                },
                () = self.clock.sleep_until(until), if quiet => hung_up = self.hang_up(sid).await?,
            }
        }
    }

    async fn hang_up(&self, sid: &str) -> Result<bool, CliError> {
        self.act(sid, &CallAct::Hangup { hangup: true }).await?;
        Ok(true)
    }

    /// An act that comes too late is no error.
    async fn act(&self, sid: &str, act: &CallAct) -> Result<(), CliError> {
        match self.carrier.act(sid, act).await {
            Err(NetError::Refused { reason, .. }) => print(format!("! {reason}")),
            done => done.map_err(refused),
        }
    }

    fn show(&self, entry: &CallLogEntry) -> Result<(), CliError> {
        let line = match &entry.what {
            CallEvent::Said { text, .. } => format!("< {}", text::lines(text).join("\n  ")),
            CallEvent::Played { url, digits } => match digits {
                Some(digits) => format!("< ♪ {}", text::one_line(digits)),
                None => format!("< ♪ {}", text::one_line(url)),
            },
            CallEvent::Prompted { input, .. } if self.typed => match input.as_str() {
                "dtmf" => "? keys".to_owned(),
                "speech" => "? words".to_owned(),
                _ => "? keys or words".to_owned(),
            },
            // A person sees their own typing.
            CallEvent::Pressed { digits } if !self.typed => format!("> {}", text::one_line(digits)),
            CallEvent::Spoke { text, .. } if !self.typed => format!("> {}", text::one_line(text)),
            CallEvent::Silent if !self.typed => "> …".to_owned(),
            CallEvent::Fault { code, why } => format!("! error {code}: {}", text::one_line(why)),
            _ => return Ok(()),
        };
        print(line)
    }
}

fn refused(error: NetError) -> CliError {
    CliError::Refused(error.to_string())
}

/// The act that a line stands for.
fn act_of(line: &str) -> CallAct {
    let line = line.trim();
    if line.is_empty() {
        CallAct::Silence { silence: true }
    } else if line.chars().all(|key| matches!(key, '0'..='9' | '*' | '#')) {
        CallAct::Digits { digits: line.to_owned() }
    } else {
        CallAct::Speech { speech: line.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_pressed_said_or_silence() {
        assert_eq!(act_of("12#"), CallAct::Digits { digits: "12#".into() });
        assert_eq!(act_of(" el 12 "), CallAct::Speech { speech: "el 12".into() });
        assert_eq!(act_of(""), CallAct::Silence { silence: true });
    }
}
