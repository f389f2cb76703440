//! `recado tenant show`: shows a tenant and its recently rejected webhooks.

use serde::Serialize;

use super::{text as tenant_text, view_of};
use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json, text};
use crate::domain::Timestamp;
use crate::http::views::tenant::TenantView;
use crate::ops::doctor::REFUSALS_SHOWN_FOR;
use crate::store::RefusedSum;

/// Show a tenant with its senders, its webhook URLs, and the webhooks that were rejected within a day
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant show clinica")]
pub struct Args {
    /// Slug of the tenant
    slug: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    tenant: TenantView,
    refused: Vec<RefusedView>,
}

/// Webhooks that were rejected within a day for one reason.
#[derive(Serialize)]
struct RefusedView {
    route: String,
    kind: &'static str,
    count: u64,
    last: Timestamp,
    /// Log text of the last rejection. Parts of it come from the request.
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
