//! `recado do-not-call`: sets and lifts the do-not-call flag of a number.

use super::{CliError, Outcome, TenantArg, find_tenant, open_existing, print};
use crate::domain::Phone;

/// Set the do-not-call flag of a number, or lift it; for messages, customers text STOP and START
#[derive(clap::Args)]
#[command(after_help = "Example: recado do-not-call +34600111222")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Phone number, such as +34600111222
    to: String,
    /// Lift the flag: the number may be called again
    #[arg(long)]
    lift: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let phone = Phone::parse_human(&args.to, tenant.home())?;
    installation.store.set_do_not_call(tenant.id, &phone, !args.lift).await?;
    let may = if args.lift { "may be called again" } else { "is not called any more" };
    print(format!("{phone} {may} by '{}'", tenant.slug))?;
    Ok(Outcome::Done)
}
