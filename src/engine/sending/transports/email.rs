//! E-mail, by the mail server of the installation.

use lettre::message::Mailbox;

use super::Outgoing;
use crate::domain::{Address, Route, Send, SendBody};
use crate::integrations::email::{CONNECTIONS_MAX, Mail, Mailer};
use crate::integrations::provider::{Accepted, SendFailure};

/// More sends would only wait for a connection.
pub(super) const IN_FLIGHT_MAX: usize = CONNECTIONS_MAX;

/// All tenants share the mail server.
pub(super) fn account_key() -> String {
    Route::Email.to_string()
}

/// Sends an e-mail; `None` where `send` is none.
pub(super) async fn send(
    mailer: &Mailer,
    outgoing: Outgoing<'_>,
    send: &Send,
) -> Option<Result<Accepted, SendFailure>> {
    let mail = mail(outgoing, mailer.from(), send)?;
    Some(mailer.send(&mail).await)
}

/// The sender's name is that of MAIL_FROM, or else the tenant's.
fn mail(outgoing: Outgoing<'_>, from: &Mailbox, send: &Send) -> Option<Mail> {
    let (SendBody::Email(body), Address::Email(to)) = (&send.body, &send.to) else { return None };
    let name = from.name.clone().unwrap_or_else(|| outgoing.tenant.name.clone());
    Some(Mail {
        id: outgoing.queued.id,
        from: Mailbox::new(Some(name), from.email.clone()),
        to: to.clone(),
        subject: body.subject.clone(),
        text: body.text.clone(),
        html: body.html.clone(),
        reply_to: None,
        unsubscribe: None,
    })
}
