//! `recado events`: lists events, newest first.

use super::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json, text};
use crate::app::Installation;
use crate::domain::EventId;
use crate::http::views::event::EventView;
use crate::tenants::Tenant;

/// The part of an event's data that a line shows.
const DATA_SHOWN_CHARS: usize = 60;

/// List events, newest first: messages, delivery reports, events that rules emitted
#[derive(clap::Args)]
#[command(after_help = "Example: recado events --limit 5\n\nThen: recado explain <ID>\n\n\
    An event that cannot be decided is tried five times, a minute apart, and then waits: see --set-aside.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Maximum number of events, 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// List events that could not be decided instead, with the reason
    #[arg(long)]
    set_aside: bool,
    /// Try events again that were set aside: the one with this id, or 'all'
    #[arg(long, value_name = "ID", conflicts_with = "set_aside")]
    redrive: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    if let Some(which) = &args.redrive {
        return redrive(&installation, &tenant, which, args.json).await;
    }
    if args.set_aside {
        return list_set_aside(&installation, &tenant, &args).await;
    }
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

async fn list_set_aside(installation: &Installation, tenant: &Tenant, args: &Args) -> Result<Outcome, CliError> {
    let rows = installation.store.events_set_aside(tenant.id, args.limit).await?;
    if args.json {
        print_json(&rows)?;
        return Ok(Outcome::Done);
    }
    if rows.is_empty() {
        print(format!("no event of '{}' was set aside", tenant.slug))?;
    }
    for row in rows {
        let next = match row.retry_at {
            Some(at) => format!("tried again {}", text::time(at)),
            None => format!("it waits for 'recado events --redrive {}'", row.event),
        };
        print(format!("{}  {}  {}; {next}", row.event, text::time(row.at), text::one_line(&row.error)))?;
    }
    Ok(Outcome::Done)
}

async fn redrive(installation: &Installation, tenant: &Tenant, which: &str, json: bool) -> Result<Outcome, CliError> {
    let event = match which {
        "all" => None,
        id => Some(
            id.parse::<EventId>().map_err(|_| CliError::Usage(format!("'{id}' is no id of an event; or say all")))?,
        ),
    };
    let count = installation.store.redrive_events(tenant.id, event).await?;
    if json {
        print_json(&serde_json::json!({ "redriven": count }))?;
    } else {
        print(format!("{count} events of '{}' are tried again within seconds", tenant.slug))?;
    }
    Ok(if count == 0 && event.is_some() { Outcome::Failed } else { Outcome::Done })
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
