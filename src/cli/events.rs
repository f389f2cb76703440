//! `recado events`: lists events, newest first.

use super::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json, text};
use crate::http::views::event::EventView;

/// The part of an event's data that a line shows.
const DATA_SHOWN_CHARS: usize = 60;

/// List events, newest first: messages, delivery reports, events that rules emitted
#[derive(clap::Args)]
#[command(after_help = "Example: recado events --limit 5\n\nThen: recado explain <ID>")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Maximum number of events, 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let events = installation.store.events(tenant.id, args.limit).await?;
    let rows: Vec<_> = events.into_iter().map(|event| EventView::from_row(&tenant.slug, event)).collect();
    if args.json {
        print_json(&rows)?;
        return Ok(Outcome::Done);
    }
    if rows.is_empty() {
        print(format!("nothing has happened at '{}' yet", tenant.slug))?;
    }
    for row in rows {
        let waits = if row.decided_at.is_none() { "  (waits to be decided: is 'recado serve' running?)" } else { "" };
        let about = about(&row);
        print(format!("{}  {}  {:<17} {about}{waits}", row.id, text::time(row.occurred_at), row.kind))?;
    }
    Ok(Outcome::Done)
}

/// The most telling part of an event's data.
fn about(event: &EventView) -> String {
    let whole = match (event.text("from"), event.text("body"), event.text("status")) {
        (Some(from), body, _) => format!("{from}: {}", body.unwrap_or("(no text)")),
        (_, _, Some(status)) => status.to_owned(),
        _ => event.data.to_string(),
    };
    text::short(&whole, DATA_SHOWN_CHARS)
}
