//! `recado services`: the services that customers can book.

use super::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json};
use crate::http::views::team::ServiceView;
use crate::store::tables::appointments::{DEFAULT_MINUTES, Service};

/// List, add and remove services that customers can book
#[derive(clap::Args)]
#[command(after_help = "Example: recado services add cut --minutes 45")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add a service, or change its duration
    Add(AddArgs),
    /// List services
    List(ListArgs),
    /// Remove a service; its appointments stay
    Remove(RemoveArgs),
}

#[derive(clap::Args)]
pub struct AddArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the service; case and accents are ignored
    name: String,
    /// Duration in minutes; 30 by default
    #[arg(long)]
    minutes: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the service
    name: String,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let store = &installation.store;
    match args.command {
        Command::Add(args) => {
            let tenant = find_tenant(&installation, &args.of.tenant)?;
            let service = store.set_service(tenant.id, &args.name, args.minutes, Some(true)).await?;
            if args.json { print_json(&ServiceView::from(service))? } else { print(line(&service))? }
        }
        Command::List(args) => {
            let tenant = find_tenant(&installation, &args.of.tenant)?;
            let services = store.services(tenant.id).await?;
            if args.json {
                print_json(&services.into_iter().map(ServiceView::from).collect::<Vec<_>>())?;
            } else if services.is_empty() {
                print(format!(
                    "'{}' has no service yet; the first booking makes one, {DEFAULT_MINUTES} minutes long",
                    tenant.slug
                ))?;
            } else {
                services.iter().try_for_each(|service| print(line(service)))?;
            }
        }
        Command::Remove(args) => {
            let tenant = find_tenant(&installation, &args.of.tenant)?;
            let known = store.services(tenant.id).await?;
            let key = crate::domain::name_key::name_key(&args.name);
            let Some(service) =
                known.into_iter().find(|service| crate::domain::name_key::name_key(&service.name) == key)
            else {
                return Err(CliError::Refused(format!("'{}' has no service '{}'", tenant.slug, args.name)));
            };
            print(line(&store.set_service(tenant.id, &service.name, None, Some(false)).await?))?;
        }
    }
    Ok(Outcome::Done)
}

fn line(service: &Service) -> String {
    let off = if service.active { "" } else { "  (not offered any more)" };
    format!("{}  {} minutes{off}", super::text::one_line(&service.name), service.minutes)
}
