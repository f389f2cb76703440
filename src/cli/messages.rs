//! `recado messages`: lists messages, newest first.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    CliError, OfTenant, Outcome, find_tenant, for_tenant, list_length, open_existing, print, print_json, text,
};
use crate::domain::{Action, ActionState, Phone, SendBody, Timestamp};
use crate::store::rows::{action, message};
use crate::store::{Listed, StoreError};

/// The part of a text that a line shows.
const BODY_SHOWN_CHARS: usize = 80;
/// Fields of `extra` that a row shows in columns of their own.
const SHOWN_ELSEWHERE: [&str; 5] = ["from", "to", "body", "provider_sid", "late"];

/// List messages in both directions with their status, newest first
#[derive(clap::Args)]
#[command(after_help = "Example: recado messages --contact +34600111222\n\nThen: recado explain <ID>")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// Only messages from or to this number
    #[arg(long, value_name = "NUMBER")]
    contact: Option<String>,
    /// Maximum number of messages, 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A message, or a send without a message yet; then `status` is the send's state.
#[derive(Serialize)]
struct Row {
    id: Uuid,
    tenant: String,
    /// `in` or `out`.
    direction: String,
    channel: String,
    from: String,
    to: String,
    body: String,
    status: String,
    provider_sid: Option<String>,
    error_code: Option<i64>,
    at: Timestamp,
    /// The earliest time of a send that waits.
    due_at: Option<Timestamp>,
    /// The catch-up found the message; no webhook brought it.
    late: bool,
    /// How many times the provider repeated the webhook.
    repeats: i32,
    /// Why the message has this status, where that is not obvious.
    reason: Option<String>,
    segments: Option<i32>,
    origin: String,
    /// Media, button, location, template, where there are any.
    #[serde(flatten)]
    more: Map<String, Json>,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let key = args.contact.as_deref().map(Phone::parse_human).transpose()?.map(|phone| phone.key());
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let store = &installation.store;
    let listed = match key {
        None => store.messages(tenant.id, None, args.limit).await?,
        Some(key) => match store.contact_by_phone(tenant.id, &key).await? {
            Some(contact) => store.messages(tenant.id, Some(contact), args.limit).await?,
            None => Vec::new(),
        },
    };
    let sent: Vec<Uuid> = listed
        .iter()
        .filter_map(|one| match one {
            Listed::Message(message) if message.direction == "out" => Some(message.id),
            _ => None,
        })
        .collect();
    let mut reasons = installation.store.reasons(tenant.id, &sent).await?;
    let rows = listed
        .into_iter()
        .map(|one| match one {
            Listed::Message(message) => of_message(&tenant.slug, message, &mut reasons),
            Listed::Send(send) => of_send(&tenant.slug, send, installation.clock.now()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if args.json {
        print_json(&rows)?;
        return Ok(Outcome::Done);
    }
    if rows.is_empty() {
        let of = for_tenant(&tenant.slug);
        let slug = &tenant.slug;
        print(format!("'{slug}' has no messages yet; send it one: recado webhook{of} --from +34600111222 HOLA"))?;
    }
    rows.iter().try_for_each(|row| print(line(row)))?;
    Ok(Outcome::Done)
}

fn of_message(slug: &str, message: message::Model, reasons: &mut HashMap<Uuid, String>) -> Result<Row, StoreError> {
    let inbound = message.direction == "in";
    let (from, to) = if inbound { (message.peer, message.ours) } else { (message.ours, message.peer) };
    let mut more: Map<String, Json> = parsed(&message.extra)?;
    more.retain(|name, _| !SHOWN_ELSEWHERE.contains(&name.as_str()));
    Ok(Row {
        reason: reasons.remove(&message.id),
        id: message.id,
        tenant: slug.to_owned(),
        direction: message.direction,
        channel: message.channel,
        from,
        to,
        body: message.body,
        status: message.status,
        provider_sid: message.provider_sid,
        error_code: message.error_code,
        at: Timestamp::from_unix_us(message.at_us),
        due_at: None,
        late: message.late,
        repeats: message.repeats,
        segments: Some(message.segments),
        origin: message.origin,
        more,
    })
}

fn of_send(slug: &str, send: action::Model, now: Timestamp) -> Result<Row, StoreError> {
    let waits = send.state == ActionState::Planned.as_str();
    let mut more = Map::new();
    let body = match parsed::<Action>(&send.payload)? {
        Action::Send(payload) => match payload.body {
            body @ (SendBody::Text(_) | SendBody::Email(_) | SendBody::Call(_)) => body.shown(),
            SendBody::Template(template) => {
                let content = template.content.clone();
                more.insert("template".to_owned(), serde_json::to_value(template).unwrap_or_default());
                content
            }
        },
        other => other.kind().to_owned(),
    };
    Ok(Row {
        id: send.id,
        tenant: slug.to_owned(),
        direction: "out".to_owned(),
        channel: send.channel.unwrap_or_default(),
        from: send.sender.unwrap_or_default(),
        to: send.recipient.unwrap_or_default(),
        body,
        status: send.state,
        provider_sid: send.provider_sid,
        error_code: send.error_code,
        at: Timestamp::from_unix_us(send.planned_us),
        due_at: (waits && send.due_us > now.unix_us()).then(|| Timestamp::from_unix_us(send.due_us)),
        late: false,
        repeats: 0,
        reason: send.reason,
        segments: None,
        origin: send.origin,
        more,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(stored: &str) -> Result<T, StoreError> {
    serde_json::from_str(stored).map_err(|error| StoreError::Stored(error.to_string()))
}

fn line(row: &Row) -> String {
    let (arrow, peer) = if row.direction == "in" { ("<-", &row.from) } else { ("->", &row.to) };
    let mut notes = String::new();
    let mut note = |text: String| notes.push_str(&format!("\n    {text}"));
    if let Some(code) = row.error_code {
        note(format!("error {}", text::code(code)));
    }
    if let Some(reason) = &row.reason {
        note(text::one_line(reason));
    }
    if let Some(due) = row.due_at {
        note(format!("leaves at {}", text::time(due)));
    }
    if row.late {
        note("late: no webhook came, the catch-up found it".to_owned());
    }
    if row.repeats > 0 {
        let times = if row.repeats == 1 { "once".to_owned() } else { format!("{} times", row.repeats) };
        note(format!("the provider brought it {times} more; that had no effect"));
    }
    let more: Vec<&str> = row.more.keys().map(String::as_str).collect();
    if !more.is_empty() {
        note(format!("with {} (--json shows them)", more.join(", ")));
    }
    format!(
        "{}  {arrow} {peer:<16} {:<8} {:<11} {}  {}{notes}",
        text::time(row.at),
        row.channel,
        row.status,
        row.id,
        text::short(&row.body, BODY_SHOWN_CHARS),
    )
}
