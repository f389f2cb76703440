//! `recado events`: what happened, the newest first.

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{CliError, OfTenant, Outcome, find_tenant, list_length, open_existing, print, print_json, text};
use crate::domain::Timestamp;
use crate::store::StoreError;
use crate::store::rows::event;

/// How much of an event's data a line shows, in characters.
const DATA_SHOWN_CHARS: usize = 60;

/// List what happened, the newest first: messages, delivery reports, what rules emitted
#[derive(clap::Args)]
#[command(after_help = "Example: recado events --limit 5\n\nThen: recado explain <ID>")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// How many, at most: 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

/// An event as a person, or a script, wants it.
#[derive(Serialize)]
pub struct Row {
    pub id: Uuid,
    pub tenant: String,
    pub kind: String,
    pub channel: Option<String>,
    pub contact: Option<Uuid>,
    pub occurred_at: Timestamp,
    /// `None` while it waits to be decided.
    pub decided_at: Option<Timestamp>,
    /// `emit`s between it and what came from outside.
    pub depth: i16,
    pub data: Json,
}

impl Row {
    pub fn new(slug: &str, event: event::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: event.id,
            tenant: slug.to_owned(),
            kind: event.kind,
            channel: event.channel,
            contact: event.contact_id,
            occurred_at: Timestamp::from_unix_us(event.occurred_us),
            decided_at: event.handled_us.map(Timestamp::from_unix_us),
            depth: event.depth,
            data: serde_json::from_str(&event.data).map_err(|error| StoreError::Stored(error.to_string()))?,
        })
    }
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let events = installation.store.events(tenant.id, args.limit).await?;
    let rows = events.into_iter().map(|event| Row::new(&tenant.slug, event)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        print_json(&rows)?;
        return Ok(Outcome::Done);
    }
    if rows.is_empty() {
        print(format!("nothing has happened at '{}' yet", tenant.slug))?;
    }
    for row in rows {
        let waits = if row.decided_at.is_none() { "  (waits to be decided: is 'recado serve' running?)" } else { "" };
        let about = about(&row.data);
        print(format!("{}  {}  {:<17} {about}{waits}", row.id, text::time(row.occurred_at), row.kind))?;
    }
    Ok(Outcome::Done)
}

/// What of an event's data tells most.
fn about(data: &Json) -> String {
    let field = |name: &str| data.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let whole = match (field("from"), field("body"), field("status")) {
        (Some(from), body, _) => format!("{from}: {}", body.unwrap_or("(no text)")),
        (_, _, Some(status)) => status.to_owned(),
        _ => data.to_string(),
    };
    text::short(&whole, DATA_SHOWN_CHARS)
}
