//! E-mail through a real SMTP server, by the mailer alone and by the real binary.

mod dialogue;
mod ledger;
