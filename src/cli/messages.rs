//! `recado messages`: lists messages, newest first.

use super::{
    CliError, Outcome, TenantArg, find_tenant, for_tenant, list_length, open_existing, print, print_json, text,
};
use crate::domain::Address;
use crate::http::views::message::{MessageView, outbound_ids};

/// The longest text on a line, in characters.
const BODY_SHOWN_CHARS: usize = 80;

/// List messages in both directions with their status, newest first
#[derive(clap::Args)]
#[command(after_help = "Example: recado messages --contact +34600111222\n\nThen: recado explain <ID>")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
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

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let address = args.contact.as_deref().map(|given| Address::parse_human(given, tenant.home())).transpose()?;
    let key = address.map(|address| address.key());
    let store = &installation.store;
    let listed = match key {
        None => store.messages(tenant.id, None, args.limit).await?,
        Some(key) => match store.contact_by_key(tenant.id, &key).await? {
            Some(contact) => store.messages(tenant.id, Some(contact), args.limit).await?,
            None => Vec::new(),
        },
    };
    let reasons = store.reasons(tenant.id, &outbound_ids(&listed)).await?;
    let rows = MessageView::from_listed(&tenant.slug, listed, reasons, installation.clock.now());
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

fn line(row: &MessageView) -> String {
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
        note(format!("with {} (--json shows them)", text::one_line(&more.join(", "))));
    }
    format!(
        "{}  {arrow} {:<16} {:<8} {:<11} {}  {}{notes}",
        text::time(row.at),
        text::one_line(peer),
        row.channel,
        row.status,
        row.id,
        text::short(&row.body, BODY_SHOWN_CHARS),
    )
}
