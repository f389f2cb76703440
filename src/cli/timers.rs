//! `recado timers`: lists pending timers and those that could not fire.

use super::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json, text};
use crate::domain::TimerId;
use crate::http::views::timer::TimerView;

/// List timers that rules have planned, and retry those that could not fire
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado timers list\n  recado timers list --set-aside\n  recado timers redrive")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(List),
    Redrive(Redrive),
}

/// List pending timers, soonest first
#[derive(clap::Args)]
#[command(after_help = "Example: recado timers list --limit 5\n\n\
    A timer that cannot be read is tried five times, a minute apart, and then set aside: see --set-aside.")]
struct List {
    #[command(flatten)]
    of: TenantArg,
    /// Maximum number of timers, 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// List timers that could not fire instead, with the reason
    #[arg(long)]
    set_aside: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Retry timers that were set aside
#[derive(clap::Args)]
#[command(
    after_help = "Example: recado timers redrive\n\n'recado timers list --set-aside' shows them with the reasons."
)]
struct Redrive {
    #[command(flatten)]
    of: TenantArg,
    /// Only the timer with this id
    id: Option<TimerId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn line(timer: &TimerView) -> String {
    let (due, rule, timing) = (text::time(timer.due), text::one_line(&timer.rule), text::one_line(&timer.timing));
    let about = timer.contact.map(|contact| format!("  contact {contact}")).unwrap_or_default();
    let error = match (&timer.error, timer.retry_at) {
        (Some(error), Some(at)) => format!("\n    {}; tried again {}", text::one_line(error), text::time(at)),
        (Some(error), None) => format!("\n    {}; it waits for 'recado timers redrive'", text::one_line(error)),
        (None, _) => String::new(),
    };
    format!("{due}  {}  {rule}  ({timing}){about}{error}", timer.id)
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::List(list) => list.run().await,
        Command::Redrive(redrive) => redrive.run().await,
    }
}

impl List {
    async fn run(self) -> Result<Outcome, CliError> {
        let installation = open_existing().await?;
        let tenant = find_tenant(&installation, &self.of.tenant)?;
        let (store, slug) = (&installation.store, &tenant.slug);
        let rows: Vec<TimerView> = if self.set_aside {
            let aside = store.timers_set_aside(tenant.id, self.limit).await?.into_iter();
            aside
                .map(|aside| TimerView {
                    tries: Some(aside.tries),
                    retry_at: aside.retry_at,
                    error: Some(aside.error),
                    ..TimerView::new(slug, aside.timer)
                })
                .collect()
        } else {
            store
                .timers(Some(tenant.id), self.limit)
                .await?
                .into_iter()
                .map(|timer| TimerView::new(slug, timer))
                .collect()
        };
        if self.json {
            print_json(&rows)?;
            return Ok(Outcome::Done);
        }
        if rows.is_empty() {
            let what = if self.set_aside { "was set aside" } else { "is planned for later" };
            print(format!("nothing {what} at '{slug}'"))?;
        }
        rows.iter().try_for_each(|row| print(line(row)))?;
        Ok(Outcome::Done)
    }
}

impl Redrive {
    async fn run(self) -> Result<Outcome, CliError> {
        let installation = open_existing().await?;
        let tenant = find_tenant(&installation, &self.of.tenant)?;
        let count = installation.store.redrive_timers(tenant.id, self.id).await?;
        if self.json {
            print_json(&serde_json::json!({ "redriven": count }))?;
        } else {
            print(format!("{count} timers of '{}' are tried again within seconds", tenant.slug))?;
        }
        let asked_in_vain = count == 0 && self.id.is_some();
        Ok(if asked_in_vain { Outcome::Failed } else { Outcome::Done })
    }
}
