//! `recado tenant show`: one tenant, and which of its webhooks were refused of late.

use serde::Serialize;

use super::{text as tenant_text, view_of};
use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json, text};
use crate::domain::Timestamp;
use crate::http::views::tenant::TenantView;
use crate::ops::doctor::REFUSALS_SHOWN_FOR;
use crate::store::RefusedSum;

/// Show a tenant: its senders and webhook URLs, and webhooks that were refused within a day, with the likely cause
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant show clinica")]
pub struct Args {
    /// Which tenant
    slug: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    tenant: TenantView,
    refused: Vec<RefusedView>,
}

/// Webhooks refused within a day for one reason.
#[derive(Serialize)]
struct RefusedView {
    route: String,
    kind: &'static str,
    count: u64,
    last: Timestamp,
    /// What the log said of the last one; written by whoever called, in part.
    detail: String,
    cause: &'static str,
}

impl From<RefusedSum> for RefusedView {
    fn from(sum: RefusedSum) -> Self {
        let RefusedSum { route, kind, count, last, detail, .. } = sum;
        Self { route, kind: kind.as_str(), count, last, detail, cause: kind.remedy() }
    }
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.slug)?;
    let since = installation.clock.now().minus(REFUSALS_SHOWN_FOR);
    let refused = installation.store.refusals_since(Some(tenant.id), since).await?;
    if args.json {
        let refused = refused.into_iter().map(RefusedView::from).collect();
        print_json(&Shown { tenant: view_of(&installation, &tenant), refused })?;
        return Ok(Outcome::Done);
    }
    print(tenant_text(&view_of(&installation, &tenant)))?;
    for sum in &refused {
        let RefusedSum { route, kind, count, last, detail, .. } = sum;
        print(format!("  !! {count} webhooks ({route}) refused within a day {}", kind.meaning()))?;
        print(format!("     the last at {}: {}", text::time(*last), text::one_line(detail)))?;
        print(format!("     likely cause: {}", kind.remedy()))?;
    }
    Ok(Outcome::Done)
}
