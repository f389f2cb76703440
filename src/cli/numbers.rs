//! `recado numbers`: searches, buys, lists, configures and releases phone numbers at Twilio.

use std::io::{self, BufRead, Read, Write};

use super::text::one_line;
use super::{CliError, Outcome, TenantArg, find_tenant, for_tenant, open_existing, print, print_json};
use crate::app::{CARRIER_BASE, Installation};
use crate::domain::Phone;
use crate::features::numbers;
use crate::features::numbers::{FOUND_MAX, NumberService, Purchase};
use crate::http::views::number::{AvailableNumberView, BoughtView, DestinationView, OwnedNumberView, ReleasedView};
use crate::integrations::http;
use crate::integrations::twilio::client::{Client, NumberKind, Search};
use crate::integrations::twilio::is_sid;

/// The longest confirmation that is read.
const TYPED_MAX_BYTES: u64 = 256;
/// The longest friendly name that Twilio keeps.
const FRIENDLY_NAME_CHARS: usize = 64;

/// Search, buy, list, configure and release phone numbers at Twilio
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado numbers search ES --kind mobile\n  recado numbers buy +34911990007\n  \
    recado numbers list\n\nBuying costs money; NUMBERS_BUDGET limits how many numbers a tenant may own.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Search(SearchArgs),
    Buy(BuyArgs),
    List(ListArgs),
    Configure(ConfigureArgs),
    Release(ReleaseArgs),
}

/// Search numbers that can be bought
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado numbers search ES\n  recado numbers search US --area-code 415 --contains 777"
)]
pub struct SearchArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Country, two letters, such as ES
    #[arg(value_parser = numbers::country)]
    country: String,
    /// Kind of number: local, mobile or toll-free
    #[arg(long, default_value = "local", value_parser = numbers::kind)]
    kind: NumberKind,
    /// Area code, three digits; for the US and Canada
    #[arg(long, value_name = "DIGITS", value_parser = numbers::area_code)]
    area_code: Option<String>,
    /// Pattern that the number contains: 2 to 16 digits or letters; * matches any one
    #[arg(long, value_name = "PATTERN", value_parser = numbers::pattern)]
    contains: Option<String>,
    /// Maximum number of results
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(FOUND_MAX)))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Buy a number, set its webhooks and use it as the tenant's sender
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado numbers buy +34911990007\n  recado numbers buy +34911990007 --yes --name Recepción\n\n\
    Running it again buys nothing twice: it completes the first purchase."
)]
pub struct BuyArgs {
    #[command(flatten)]
    of: TenantArg,
    /// A number that 'recado numbers search' found
    number: String,
    /// Friendly name in the Twilio console
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// SID of the address that some countries require
    #[arg(long, value_name = "AD…", value_parser = |text: &str| sid("AD", text))]
    address: Option<String>,
    /// SID of the regulatory bundle that some countries require
    #[arg(long, value_name = "BU…", value_parser = |text: &str| sid("BU", text))]
    bundle: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the tenant's numbers, with their state and where their webhooks point
#[derive(clap::Args)]
#[command(after_help = "Example: recado numbers list --tenant clinica")]
pub struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Set a number's webhooks to this installation and send from it; also completes an interrupted purchase
#[derive(clap::Args)]
#[command(after_help = "Example: recado numbers configure +34911990007")]
pub struct ConfigureArgs {
    #[command(flatten)]
    of: TenantArg,
    /// One of the tenant's numbers
    number: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Release a number; it costs nothing more, and others can buy it
#[derive(clap::Args)]
#[command(after_help = "Example: recado numbers release +34911990007")]
pub struct ReleaseArgs {
    #[command(flatten)]
    of: TenantArg,
    /// One of the tenant's numbers
    number: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let client = client(&installation).await?;
    let service = NumberService { store: &installation.store, directory: &installation.directory, client: &client };
    match args.command {
        Command::Search(args) => search(&installation, &service, args).await,
        Command::Buy(args) => buy(&installation, &service, args).await,
        Command::List(args) => list(&installation, &service, args).await,
        Command::Configure(args) => configure(&installation, &service, args).await,
        Command::Release(args) => release(&installation, &service, args).await,
    }
}

/// A client of Twilio, or of the built-in carrier in a running server.
async fn client(installation: &Installation) -> Result<Client, CliError> {
    let base = if installation.built_in_carrier {
        installation.store.setting(CARRIER_BASE).await?.ok_or_else(|| {
            CliError::Refused(
                "no account is configured; to try with the built-in carrier, start 'recado serve'".to_owned(),
            )
        })?
    } else {
        installation.config.twilio.api_base.clone()
    };
    Ok(Client::new(http::client()?, &base)?)
}

async fn search(
    installation: &Installation,
    service: &NumberService<'_>,
    args: SearchArgs,
) -> Result<Outcome, CliError> {
    let tenant = find_tenant(installation, &args.of.tenant)?;
    let wanted = Search {
        area_code: args.area_code,
        contains: args.contains,
        limit: Some(args.limit),
        ..Search::new(args.country, args.kind)
    };
    let found = service.search(&tenant, &wanted).await?;
    let found: Vec<AvailableNumberView> = found.into_iter().map(AvailableNumberView::from).collect();
    if args.json {
        print_json(&found)?;
        return Ok(Outcome::Done);
    }
    for number in &found {
        print(one_line(&available_line(number)))?;
    }
    match found.first() {
        Some(first) => print(format!("to buy one: recado numbers buy{} {}", for_tenant(&tenant.slug), first.number))?,
        None => print("nothing fits: ask for less")?,
    }
    Ok(Outcome::Done)
}

fn available_line(one: &AvailableNumberView) -> String {
    let places = [&*one.locality, &one.region, &one.country];
    let place = places.into_iter().filter(|place| !place.is_empty()).collect::<Vec<_>>().join(", ");
    let can = [("voice", one.voice), ("sms", one.sms), ("mms", one.mms)];
    let can = can.into_iter().filter_map(|(what, can)| can.then_some(what)).collect::<Vec<_>>().join(", ");
    let address = match &*one.address_requirements {
        "" | "none" => String::new(),
        which => format!(", with an address ({which})"),
    };
    format!("{}  {place}: {can}{address}", one.number)
}

async fn buy(installation: &Installation, service: &NumberService<'_>, args: BuyArgs) -> Result<Outcome, CliError> {
    let tenant = find_tenant(installation, &args.of.tenant)?;
    let number = Phone::parse_human(&args.number, tenant.home())?;
    if args.name.as_ref().is_some_and(|name| name.chars().count() > FRIENDLY_NAME_CHARS) {
        return Err(CliError::Usage(format!("a name has {FRIENDLY_NAME_CHARS} characters at most")));
    }
    if !args.yes {
        let what = format!("{number} costs '{}' a fee each month, from now on.", tenant.slug);
        confirm(&what, &number, "nothing was bought")?;
    }
    let wanted = Purchase { number, friendly_name: args.name, address_sid: args.address, bundle_sid: args.bundle };
    let bought = BoughtView::from(service.buy(&tenant, &wanted).await?);
    if args.json {
        print_json(&bought)?;
        return Ok(Outcome::Done);
    }
    let how = if bought.bought { "bought and set up" } else { "was in the account already, and is set up" };
    print(format!("{} {how}", bought.number.number))?;
    show(&bought.number)?;
    Ok(Outcome::Done)
}

async fn list(installation: &Installation, service: &NumberService<'_>, args: ListArgs) -> Result<Outcome, CliError> {
    let tenant = find_tenant(installation, &args.of.tenant)?;
    let numbers = service.list(&tenant).await?;
    let numbers: Vec<_> = numbers.into_iter().map(OwnedNumberView::from).collect();
    if args.json {
        print_json(&numbers)?;
        return Ok(Outcome::Done);
    }
    for number in &numbers {
        show(number)?;
    }
    if numbers.is_empty() {
        let of = for_tenant(&tenant.slug);
        print(format!("'{}' has no numbers; find one with 'recado numbers search ES{of}'", tenant.slug))?;
    }
    Ok(Outcome::Done)
}

fn show(number: &OwnedNumberView) -> Result<(), CliError> {
    let name = if number.friendly_name.is_empty() || number.friendly_name == number.number {
        String::new()
    } else {
        format!(" {}", number.friendly_name)
    };
    let active = if number.active { "active" } else { "not active: the account does not have it" };
    let shared = if number.shared { ", the installation's" } else { "" };
    print(one_line(&format!("{}{name}: {active}{shared}", number.number)))?;
    if number.active {
        for (what, goes) in [("calls", &number.voice), ("texts", &number.sms), ("the end of calls", &number.status)] {
            print(one_line(&format!("  {what}: {}", describe_destination(goes))))?;
        }
    }
    if !number.sends.is_empty() {
        let sends: Vec<&str> = number.sends.iter().map(|channel| channel.as_str()).collect();
        print(format!("  sends {}", sends.join(", ")))?;
    }
    let agent =
        number.agent.as_deref().map_or("by rules, or the business's greeting".to_owned(), |name| format!("by {name}"));
    print(one_line(&format!("  calls are answered {agent}")))
}

fn describe_destination(goes: &DestinationView) -> String {
    match (goes.here, goes.to.as_str()) {
        (true, _) => "come here".to_owned(),
        (false, "") => "go nowhere: 'recado numbers configure' sets it".to_owned(),
        (false, to) => format!("go to {to}, not here: 'recado numbers configure' sets it"),
    }
}

async fn configure(
    installation: &Installation,
    service: &NumberService<'_>,
    args: ConfigureArgs,
) -> Result<Outcome, CliError> {
    let tenant = find_tenant(installation, &args.of.tenant)?;
    let number =
        OwnedNumberView::from(service.configure(&tenant, &Phone::parse_human(&args.number, tenant.home())?).await?);
    if args.json {
        print_json(&number)?
    } else {
        show(&number)?
    }
    Ok(Outcome::Done)
}

async fn release(
    installation: &Installation,
    service: &NumberService<'_>,
    args: ReleaseArgs,
) -> Result<Outcome, CliError> {
    let tenant = find_tenant(installation, &args.of.tenant)?;
    let number = Phone::parse_human(&args.number, tenant.home())?;
    let uses = service.uses(&tenant, &number);
    if !args.yes {
        let uses = if uses.is_empty() { String::new() } else { format!("{}. ", uses.join("; ")) };
        let what = format!("{uses}{number} is given back for good: others may have it soon.");
        confirm(&what, &number, "nothing was given back")?;
    }
    let released = ReleasedView::from(service.release(&tenant, &number).await?);
    if args.json {
        print_json(&released)?;
        return Ok(Outcome::Done);
    }
    let how = if released.was_active { "was given back" } else { "was not the account's any more" };
    print(format!("{number} {how}; '{}' does not send from it any more", tenant.slug))?;
    if let Some(agent) = &released.agent {
        let of = for_tenant(&tenant.slug);
        print(one_line(&format!("{agent} names it still: recado agents add{of} '{agent}' --number ''")))?;
    }
    Ok(Outcome::Done)
}

/// Asks the user to type the number, because the step costs money or cannot be undone.
fn confirm(what: &str, number: &Phone, else_says: &str) -> Result<(), CliError> {
    write!(io::stderr(), "{what} Type {number} to go on: ")?;
    let mut typed = String::new();
    io::stdin().lock().take(TYPED_MAX_BYTES).read_line(&mut typed)?;
    if typed.trim() == number.as_str() {
        return Ok(());
    }
    Err(CliError::Refused(format!("{else_says}: type the number, or say --yes")))
}

fn sid(prefix: &str, text: &str) -> Result<String, String> {
    if is_sid(prefix, text) { Ok(text.to_owned()) } else { Err(format!("write {prefix} and 32 hex digits")) }
}
