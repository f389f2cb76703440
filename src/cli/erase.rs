//! `recado erase`: removes a customer from every table.

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{CliError, Outcome, find_tenant, open_existing, print, print_json};
use crate::domain::Address;
use crate::store::{self, Leftovers, StoreError};

/// The time that a server has for the file between two steps of shrinking it.
const SHRINK_PAUSE: Duration = Duration::from_millis(10);
/// The longest confirmation that is read.
const TYPED_MAX_BYTES: u64 = 256;

/// Erase a customer: name, fields, texts, media, traces; opt-outs and bare ledger entries stay
#[derive(clap::Args)]
#[command(after_help = "Example: recado erase demo +34600111222\n\n\
    It does not reach the provider's records, nor earlier backups, exports and logs.")]
pub struct Args {
    /// Slug of the tenant
    tenant: String,
    /// Number of the customer, or the id that WhatsApp gives
    number: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Do not give unused parts of the SQLite file back to the disk
    #[arg(long)]
    no_compact: bool,
    /// Rewrite the SQLite file, for one that an older version made: webhooks wait meanwhile, so stop the server first
    #[arg(long, conflicts_with = "no_compact")]
    compact: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.tenant)?;
    let address = Address::parse_human(&args.number, tenant.home())?;
    if !args.yes {
        confirm(&tenant.slug, &address)?;
    }
    let erased = installation.store.erase_contact(tenant.id, &address.key()).await?;
    let database = store::sqlite_path(installation.config.database_url.expose_secret());
    let leftovers = match database.filter(|_| !args.no_compact) {
        Some(path) => {
            let (clock, runtime, compact) =
                (installation.clock.clone(), tokio::runtime::Handle::current(), args.compact);
            let pause = move || runtime.block_on(clock.sleep(SHRINK_PAUSE));
            let tidied = tokio::task::spawn_blocking(move || match compact {
                true => store::compact_sqlite(&path, pause),
                false => store::shrink_sqlite(&path, pause),
            });
            let tidied = tidied.await;
            match tidied.map_err(|error| CliError::Refused(format!("the shrinking was broken off: {error}")))? {
                // The customer is erased all the same; the output says what is left to do.
                Err(StoreError::Busy) => Leftovers::InLog,
                tidied => tidied?,
            }
        }
        None => Leftovers::InLog,
    };
    if args.json {
        print_json(&erased)?;
        return Ok(Outcome::Done);
    }
    print(format!(
        "erased: {} customer, {} messages, {} events, {} actions; {} sends that waited do not leave",
        erased.customers, erased.messages, erased.events, erased.actions, erased.cancelled
    ))?;
    if erased.kept_opt_outs > 0 {
        print("kept: that this number has opted out, so that it stays refused")?;
    }
    if erased.at_provider > 0 {
        print(format!("{} of these messages are at Twilio, too: delete them there", erased.at_provider))?;
    }
    match leftovers {
        _ if !installation.store.is_sqlite() => {
            print("PostgreSQL keeps old rows in its files until VACUUM FULL, and in its own logs and backups.")?;
        }
        Leftovers::None => {}
        Leftovers::InLog => {
            print(
                "Traces may stay in the database's log until it is written anew; the same command again empties it.",
            )?;
        }
        Leftovers::InFile => print(
            "An older version made this file: traces from that time may stay in its unused parts. Stop the server, \
             and say the same command again with --compact.",
        )?,
    }
    print("Backups, exports and logs that were made before still have them.")?;
    Ok(Outcome::Done)
}

/// Asks the user to type the slug, because erasing cannot be undone.
fn confirm(slug: &str, address: &Address) -> Result<(), CliError> {
    write!(io::stderr(), "Everything about {address} at '{slug}' goes for good. Type {slug} to go on: ")?;
    let mut typed = String::new();
    io::stdin().lock().take(TYPED_MAX_BYTES).read_line(&mut typed)?;
    if typed.trim() == slug {
        return Ok(());
    }
    Err(CliError::Refused("nothing was erased: type the tenant's slug, or say --yes".to_owned()))
}
