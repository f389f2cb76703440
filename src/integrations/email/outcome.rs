//! The meaning of a failed SMTP dialogue for the ledger. Codes are from RFC 5321, enhanced codes (`5.1.1`) from RFC
//! 3463.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;

use crate::domain::plain::is_plain;
use crate::integrations::http::root_cause;
use crate::integrations::provider::{FailureKind, SendFailure};

/// Greylisting servers want a second attempt after some minutes (RFC 6647).
pub const LATER_AFTER: Duration = Duration::from_secs(5 * 60);
/// Doubling from five minutes: the last attempt is after five hours.
pub const LATER_TRIES: u32 = 7;
/// Limit of the server's reply in an error.
const REPLY_MAX_CHARS: usize = 300;

/// The stage that a dialogue has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Connection, greeting, EHLO, TLS.
    Connect,
    Login,
    /// From MAIL until the server asks for the content.
    Envelope,
    /// The content, without the final dot.
    Content,
    /// The final dot was sent, or a part of it.
    End,
}

/// Why a dialogue ended.
#[derive(Debug)]
pub enum Fault {
    Smtp(SmtpError),
    /// No answer within the time limit.
    Silent(Duration),
    /// An answer that has no meaning at this stage.
    Odd(String),
    NoConnection(io::Error),
    NoStartTls,
    NoLogin,
    /// All connections are in use.
    NoRoom,
}

impl From<SmtpError> for Fault {
    fn from(error: SmtpError) -> Self {
        Self::Smtp(error)
    }
}

/// Sorts a failed dialogue by what may be done next.
pub fn send_failure(stage: Stage, fault: &Fault) -> SendFailure {
    if let Fault::Smtp(error) = fault
        && let Some(code) = error.status()
    {
        let reply = error.source().map_or_else(String::new, |reply| shown(&reply.to_string()));
        return refused(stage, code.into(), &reply);
    }
    let why = match fault {
        Fault::Smtp(error) => shown(&root_cause(error)),
        Fault::Silent(within) => format!("no answer within {} s", within.as_secs_f32()),
        Fault::Odd(what) => shown(what),
        Fault::NoConnection(error) => error.to_string(),
        Fault::NoStartTls => {
            "it offers no STARTTLS: use smtps://, or for a server on this machine ?tls=none".to_owned()
        }
        Fault::NoLogin => "it offers no login by PLAIN or LOGIN: take user and password out of SMTP_URL".to_owned(),
        Fault::NoRoom => "every connection to it is in use".to_owned(),
    };
    let busy = FailureKind::Busy { retry_after: None };
    let (kind, detail) = match (fault, stage) {
        (Fault::NoLogin, _) => (FailureKind::Credentials, format!("the mail server cannot be logged in to: {why}")),
        (_, Stage::Connect | Stage::Login) => {
            (busy, format!("the mail server cannot be used ({why}); nothing was sent: check SMTP_URL and the network"))
        }
        (_, Stage::Envelope | Stage::Content) => {
            (later(), format!("the mail server was lost before the message ended ({why}); nothing was sent"))
        }
        (_, Stage::End) => {
            (FailureKind::Unknown, format!("whether the mail server took the message is not known ({why})"))
        }
    };
    SendFailure { kind, http_status: None, code: None, detail }
}

/// The mail itself is invalid.
pub fn unfit(why: &str) -> SendFailure {
    SendFailure { kind: FailureKind::Refused, http_status: None, code: None, detail: why.to_owned() }
}

/// The file could not be written and does not exist.
pub fn unwritten(why: &io::Error) -> SendFailure {
    let detail = format!("the mail could not be written to a file ({why}): make room, or let this user write there");
    SendFailure { kind: FailureKind::Busy { retry_after: None }, http_status: None, code: None, detail }
}

const fn later() -> FailureKind {
    FailureKind::Later { after: LATER_AFTER, tries: LATER_TRIES }
}

/// A reply of 4xx or 5xx: at every stage, the message was not accepted.
fn refused(stage: Stage, code: u16, reply: &str) -> SendFailure {
    let enhanced = enhanced(reply);
    let kind = match (stage, code) {
        (Stage::Connect, _) | (Stage::Login, ..500) => FailureKind::Busy { retry_after: None },
        (Stage::Login, _) | (_, 530 | 534 | 535 | 538) => FailureKind::Credentials,
        // 452 can also mean one full mailbox, which must not delay the other recipients.
        (_, 452) if enhanced.starts_with("4.2.") => later(),
        (_, 421 | 452) => FailureKind::Busy { retry_after: None },
        (_, ..500) => later(),
        (_, _) => FailureKind::Refused,
    };
    // A login error quotes no reply: some servers repeat the credentials.
    let reply = if kind == FailureKind::Credentials { enhanced } else { reply };
    let remedy = match kind {
        FailureKind::Credentials => ": check user and password in SMTP_URL",
        FailureKind::Busy { .. } => ": it is tried again when the server has recovered",
        FailureKind::Later { .. } => ": it is tried again later",
        _ => remedy(code, enhanced),
    };
    let detail = format!("the mail server refused it ({}){remedy}", format!("{code} {reply}").trim_end());
    SendFailure { kind, http_status: None, code: Some(code.into()), detail }
}

/// Returns the remedy for a permanent refusal.
fn remedy(code: u16, enhanced: &str) -> &'static str {
    match (code, enhanced) {
        (_, "5.1.8" | "5.1.7") => ": the server does not take MAIL_FROM as a sender, correct it",
        (_, status) if status.starts_with("5.1.") => ": the recipient's address does not exist, correct it",
        (_, "5.2.2") => ": the recipient's mailbox is full",
        (_, status) if status.starts_with("5.2.") => ": the recipient's mailbox takes no mail",
        (552, _) | (_, "5.3.4") => ": the message is too large, shorten it",
        (_, status) if status.starts_with("5.7.") => {
            ": the server's rules forbid it; may this login send as MAIL_FROM, and are SPF and DKIM in order?"
        }
        (550 | 551 | 553, _) => ": check the recipient's address and MAIL_FROM",
        _ => ": see what the server says",
    }
}

/// Returns the enhanced code at the start of a reply; empty if there is none.
fn enhanced(reply: &str) -> &str {
    let word = reply.split(' ').next().unwrap_or_default();
    let parts = || word.split('.');
    let good = parts().count() == 3 && parts().all(|part| (1..=3).contains(&part.len()) && part.parse::<u16>().is_ok());
    if good { word } else { "" }
}

/// Returns the server's reply for display and logs: short, on one line, without the recipient's address.
fn shown(reply: &str) -> String {
    let plain: String = reply.chars().map(|c| if is_plain(c) { c } else { ' ' }).take(REPLY_MAX_CHARS).collect();
    let masked = plain.split_whitespace().map(|word| word.rsplit_once('@').map_or_else(|| word.to_owned(), masked));
    masked.collect::<Vec<_>>().join(" ")
}

fn masked((user, host): (&str, &str)) -> String {
    let bracket = if user.starts_with('<') { "<" } else { "" };
    format!("{bracket}•••@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_sorted_by_what_may_be_done_next() {
        use Stage::{Connect, End, Envelope, Login};
        let busy = FailureKind::Busy { retry_after: None };
        let check = |stage, code, reply: &str, expect| {
            assert_eq!(refused(stage, code, reply).kind, expect, "{stage:?} {code} {reply}");
        };
        check(Connect, 554, "no service here", busy);
        check(Connect, 421, "4.3.2 shutting down", busy);
        check(Login, 535, "5.7.8 authentication failed", FailureKind::Credentials);
        check(Login, 454, "4.7.0 temporary", busy);
        check(Envelope, 530, "5.7.0 authentication required", FailureKind::Credentials);
        for stage in [Envelope, End] {
            check(stage, 451, "4.7.1 greylisted", later());
            check(stage, 450, "", later());
            check(stage, 421, "4.7.0 too fast", busy);
            check(stage, 452, "4.3.1 no space", busy);
            check(stage, 452, "4.2.2 over quota", later());
            check(stage, 550, "5.1.1 no such user", FailureKind::Refused);
            check(stage, 554, "", FailureKind::Refused);
        }
    }

    #[test]
    fn losses_are_sorted_by_the_stage() {
        let check =
            |stage, expect| assert_eq!(send_failure(stage, &Fault::Odd(String::new())).kind, expect, "{stage:?}");
        check(Stage::Connect, FailureKind::Busy { retry_after: None });
        check(Stage::Login, FailureKind::Busy { retry_after: None });
        check(Stage::Envelope, later());
        check(Stage::Content, later());
        check(Stage::End, FailureKind::Unknown);
    }

    #[test]
    fn refusals_say_what_to_do_and_not_to_whom() {
        let detail = refused(Stage::Envelope, 550, &shown("5.1.1 <ana@example.com>: no\r\nsuch user")).detail;
        assert!(detail.contains("550 5.1.1 <•••@example.com>: no such user"), "{detail}");
        assert!(detail.contains("correct it") && !detail.contains("ana"), "{detail}");
        let detail = refused(Stage::Login, 535, "5.7.8 hola:hunter2 is wrong").detail;
        assert!(detail.contains("535 5.7.8") && detail.contains("SMTP_URL") && !detail.contains("hunter2"), "{detail}");
        assert!(refused(Stage::Envelope, 550, &shown(&"é".repeat(5000))).detail.chars().count() < 500);
    }
}
