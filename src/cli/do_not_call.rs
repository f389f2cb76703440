//! `recado do-not-call`: who is not called, by a person's word.

use super::{CliError, OfTenant, Outcome, find_tenant, open, print};
use crate::domain::Phone;

/// Do not call somebody any more, or lift that again; text messages have STOP and START of their own
#[derive(clap::Args)]
#[command(after_help = "Example: recado do-not-call +34600111222")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// Whose number, E.164
    to: String,
    /// They may be called again
    #[arg(long)]
    lift: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let phone = Phone::parse_human(&args.to)?;
    installation.store.set_do_not_call(tenant.id, &phone, !args.lift).await?;
    let may = if args.lift { "may be called again" } else { "is not called any more" };
    print(format!("{phone} {may} by '{}'", tenant.slug))?;
    Ok(Outcome::Done)
}
