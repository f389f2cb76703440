//! `recado tenant add`.

use chrono_tz::Tz;

use super::{text, view_of};
use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json};
use crate::tenants;
use crate::tenants::fields::{language, name, slug, zone};

/// Add a tenant; a running server knows it within a second
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant add clinica --name 'Clínica Sol' --zone Europe/Madrid --language es")]
pub struct Args {
    /// Name in URLs: lower case letters, digits and -, at most 40
    #[arg(value_parser = slug)]
    slug: String,
    /// Name of the business for customers; the slug by default
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Time zone, an IANA name
    #[arg(long, value_parser = zone, default_value = "UTC")]
    zone: Tz,
    /// Language, such as es
    #[arg(long, value_parser = language, default_value = "en")]
    language: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let mut tenant = tenants::new_tenant(&installation.store, &args.slug, args.name.as_deref().unwrap_or(&args.slug));
    args.zone.name().clone_into(&mut tenant.zone);
    tenant.language = args.language;
    installation.store.add_tenant(tenant).await?;
    installation.directory.refresh().await?;
    let view = view_of(&installation, &*find_tenant(&installation, &args.slug)?);
    if args.json {
        print_json(&view)?;
    } else {
        print(text(&view))?;
        print(format!("Next: give it a number: recado tenant set {} --sms +34…", args.slug))?;
    }
    Ok(Outcome::Done)
}
