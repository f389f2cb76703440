//! The settings of e-mail: SMTP_URL, MAIL_FROM and SMTP_CA_FILE.

use std::path::PathBuf;

use lettre::Address;
use lettre::message::Mailbox;
use reqwest::Url;
use secrecy::SecretString;

use super::sources::Reader;
use super::values;
use crate::domain::EmailAddress;
use crate::domain::plain::is_plain;

pub const SMTP_URL: &str = "smtp://user:password@host:587, smtps://user:password@host:465 or smtp://localhost:1025?tls=none; \
                            what is no letter or digit in user and password percent-encoded";
pub const MAIL_FROM: &str = "a name and an address, such as Clínica Sol <hola@clinica.example>, or an address";

/// Submission ports (RFC 6409, RFC 8314).
const STARTTLS_PORT: u16 = 587;
const TLS_PORT: u16 = 465;
/// The longest sender name.
const NAME_CHARS: usize = 100;

/// How e-mail is sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The SMTP server; without one, e-mail is written to files.
    pub smtp: Option<Smtp>,
    /// The sender; present where `smtp` is.
    pub from: Option<Mailbox>,
    /// Certificates in PEM, trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Mail {
    /// MAIL_FROM, or a placeholder where e-mail is only written to files.
    pub fn sender(&self) -> Mailbox {
        let nobody = || Mailbox::new(None, Address::new_dangerous("recado", "localhost"));
        self.from.clone().unwrap_or_else(nobody)
    }
}

/// The SMTP server.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// A host name or an IP address; an IPv6 address has no brackets.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<Login>,
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS before anything else is sent.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// No encryption.
    None,
}

/// The credentials of the SMTP server.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

/// Reads the keys. Errors are left in `reader`.
pub fn read(reader: &mut Reader) -> Mail {
    let smtp = reader.read("SMTP_URL", SMTP_URL, smtp);
    let from = reader.read("MAIL_FROM", MAIL_FROM, mailbox);
    let ca_file = reader.read("SMTP_CA_FILE", "a file", |text| Some(PathBuf::from(text)));
    if reader.is_set("SMTP_URL") && !reader.is_set("MAIL_FROM") {
        reader.refuse("SMTP_URL is set but MAIL_FROM is not: set both, or neither".to_owned());
    }
    if let Some(smtp) = &smtp
        && smtp.security == Security::None
        && !values::is_loopback(&smtp.host)
    {
        let host = &smtp.host;
        reader.warnings.push(format!(
            "SMTP_URL sends to {host} without TLS: passwords and messages can be read on the way; remove tls=none"
        ));
    }
    Mail { smtp, from, ca_file }
}

fn smtp(text: &str) -> Option<Smtp> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (security, port) = match (url.scheme(), url.query()) {
        ("smtp", None) => (Security::StartTls, STARTTLS_PORT),
        ("smtp", Some("tls=none")) => (Security::None, STARTTLS_PORT),
        ("smtps", None) => (Security::Tls, TLS_PORT),
        _ => return None,
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        ("", _) | (_, None) => return None,
        (user, Some(password)) => Some(Login { user: decoded(user)?, password: decoded(password)?.into() }),
    };
    let bare = matches!(url.path(), "" | "/") && url.fragment().is_none() && !host.is_empty();
    bare.then(|| Smtp { host, port: url.port().unwrap_or(port), security, login })
}

/// Parses an address, alone or in angle brackets after a name, which may be quoted.
fn mailbox(text: &str) -> Option<Mailbox> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text.trim()),
    };
    let address = EmailAddress::parse(address).ok()?.as_str().parse().ok()?;
    let good = name.chars().all(is_plain) && name.chars().count() <= NAME_CHARS;
    good.then(|| Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

/// Decodes percent-encoding; `None` if it is broken or hides a character that no protocol line can carry.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn servers_are_read() {
        let check = |text: &str, expect: (&str, u16, Security, Option<(&str, &str)>)| {
            let smtp = smtp(text).unwrap_or_else(|| panic!("{text}"));
            let login = smtp.login.as_ref().map(|login| (login.user.as_str(), login.password.expose_secret()));
            assert_eq!((smtp.host.as_str(), smtp.port, smtp.security, login), expect, "{text}");
        };
        check("smtp://mail.example", ("mail.example", 587, Security::StartTls, None));
        check("smtp://localhost:1025?tls=none", ("localhost", 1025, Security::None, None));
        check("smtps://[::1]/", ("::1", 465, Security::Tls, None));
        let login = Some(("hola@sol.example", "p:ä/@%"));
        check("smtps://hola%40sol.example:p%3A%C3%A4%2F@%25@m.example:1", ("m.example", 1, Security::Tls, login));
    }

    #[test]
    fn a_text_that_is_no_server_is_refused() {
        for bad in [
            "",
            "mail.example:587",
            "http://mail.example",
            "smtp://",
            "smtp://user@mail.example",
            "smtp://:password@mail.example",
            "smtp://mail.example/inbox",
            "smtp://mail.example?tls=maybe",
            "smtps://mail.example?tls=none",
            "smtp://u:100%sure@mail.example",
            "smtp://u:a%0D%0Ab@mail.example",
            "smtp://u:a%FF@mail.example",
        ] {
            assert!(smtp(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn senders_are_read() {
        let check = |text: &str, expect: Option<(Option<&str>, &str)>| {
            let read = mailbox(text);
            let read = read.as_ref().map(|mailbox| (mailbox.name.as_deref(), mailbox.email.as_ref()));
            assert_eq!(read, expect, "{text}");
        };
        check("Clínica Sol <hola@clinica.example>", Some((Some("Clínica Sol"), "hola@clinica.example")));
        check("\"Sol, S.L.\" <a@b.example>", Some((Some("Sol, S.L."), "a@b.example")));
        check("a@b.example", Some((None, "a@b.example")));
        for bad in
            ["", "Sol", "Sol <a@b", "a b@c.example", "So\u{202E}l <a@b.example>", "S\nl <a@b.example>", "a@ñ.example"]
        {
            check(bad, None);
        }
    }
}
