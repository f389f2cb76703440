//! `recado retention`: removes what is older than its tenant's retention period.

use serde_json::{Map, json};

use super::{CliError, Outcome, find_tenant, open_existing, print, print_json};
use crate::domain::Clock;
use crate::ops::retention;

/// Remove data older than the tenant's retention period; the server does this four times a day
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant set sol --retain-days 365 && recado retention run --dry-run")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Run(RunArgs),
}

/// Remove data older than the retention period now
#[derive(clap::Args)]
#[command(after_help = "Example: recado retention run --tenant sol --dry-run")]
struct RunArgs {
    /// Only this tenant; by default every tenant that has --retain-days
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Count only, remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(Args { command: Command::Run(args) }: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let mut tenants = match &args.tenant {
        Some(slug) => vec![find_tenant(&installation, slug)?],
        None => installation.directory.now().tenants().cloned().collect(),
    };
    if args.tenant.is_none() {
        tenants.retain(|tenant| tenant.settings.retain_days.is_some());
    }
    tenants.sort_by(|a, b| a.slug.cmp(&b.slug));
    let mut report = Map::new();
    for tenant in &tenants {
        let Some(days) = tenant.settings.retain_days else {
            return Err(CliError::Refused(format!(
                "'{0}' keeps everything: set for how long it does with recado tenant set {0} --retain-days N",
                tenant.slug
            )));
        };
        let removed = retention::purge(&installation.store, tenant, &Clock::system(), args.dry_run).await?;
        report.insert(tenant.slug.clone(), json!(removed));
        if !args.json {
            let did = if args.dry_run { "would go" } else { "went" };
            print(format!(
                "{}: {} events, {} actions, {} messages, {} appointments, {} calls and {} campaigns older than {days} \
                 days {did}",
                tenant.slug,
                removed.events,
                removed.actions,
                removed.messages,
                removed.appointments,
                removed.calls,
                removed.campaigns
            ))?;
        }
    }
    if args.json {
        print_json(&report)?;
    } else if tenants.is_empty() {
        print("no tenant has --retain-days: everything is kept")?;
    }
    Ok(Outcome::Done)
}
