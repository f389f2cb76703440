//! `recado staff`: the staff members who take appointments.

use chrono_tz::Tz;

use super::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json, text};
use crate::features::appointments::feed;
use crate::http::views::team::StaffView;
use crate::store::tables::appointments::{NewStaff, StaffMember};
use crate::time::WeeklyHours;

/// List, add and remove staff, and share their calendar feeds
#[derive(clap::Args)]
#[command(after_help = "Example: recado staff add Marta --service cut --service colour")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(Box<AddArgs>),
    /// List staff
    List(ListArgs),
    /// Remove a staff member; booked appointments stay
    Remove(RemoveArgs),
    Feed(FeedArgs),
}

/// Open a staff member's calendar feed and print its URL; anyone with the URL sees the appointments
#[derive(clap::Args)]
#[command(
    after_help = "Example: recado staff feed Marta\n\nIf others learn the URL: --renew replaces it, --close removes it."
)]
pub struct FeedArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the staff member
    name: String,
    /// Replace the URL; the old one stops working
    #[arg(long)]
    renew: bool,
    /// Close the feed
    #[arg(long, conflicts_with = "renew")]
    close: bool,
}

/// Add a staff member, or change one; omitted options stay as they are
#[derive(clap::Args)]
#[command(after_help = "Example: recado staff add Marta --service cut --zone Atlantic/Canary")]
pub struct AddArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the staff member; case and accents are ignored
    name: String,
    /// Service that they offer; repeatable; all services by default
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Hours in which customers can book them; by default the business's: 'mon-fri 09:00-14:00,16:00-20:00; sat
    /// 10:00-13:00'
    #[arg(long, value_name = "HOURS")]
    hours: Option<WeeklyHours>,
    /// Time zone of their work; by default the business's
    #[arg(long, value_name = "IANA")]
    zone: Option<Tz>,
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
    /// Name of the staff member
    name: String,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Add(args) => add(*args).await,
        Command::List(args) => list(args).await,
        Command::Remove(args) => remove(args).await,
        Command::Feed(args) => show_feed(args).await,
    }
}

async fn add(args: AddArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let new = NewStaff {
        name: args.name,
        zone: args.zone.map(Some),
        hours: args.hours.map(Some),
        services: (!args.services.is_empty()).then_some(args.services),
        active: Some(true),
    };
    let member = installation.store.set_staff(tenant.id, &new).await?;
    if args.json {
        print_json(&StaffView::from(member))?
    } else {
        print(line(&member))?
    }
    Ok(Outcome::Done)
}

async fn list(args: ListArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let staff = installation.store.staff(tenant.id).await?;
    if args.json {
        print_json(&staff.into_iter().map(StaffView::from).collect::<Vec<_>>())?;
    } else if staff.is_empty() {
        print(format!("'{}' has no staff yet; add somebody with 'recado staff add NAME'", tenant.slug))?;
    } else {
        staff.iter().try_for_each(|member| print(line(member)))?;
    }
    Ok(Outcome::Done)
}

async fn remove(args: RemoveArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let member = named(&installation.store.staff(tenant.id).await?, &tenant.slug, &args.name)?;
    let new = NewStaff { name: member.name, active: Some(false), ..NewStaff::default() };
    print(line(&installation.store.set_staff(tenant.id, &new).await?))?;
    Ok(Outcome::Done)
}

async fn show_feed(args: FeedArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut member = named(&installation.store.staff(tenant.id).await?, &tenant.slug, &args.name)?;
    if args.close || args.renew || member.feed_us.is_none() {
        member.feed_us = installation.store.set_feed(tenant.id, member.id, !args.close).await?;
    }
    let directory = &installation.directory;
    match feed::token(directory.key(), tenant.id, &member) {
        Some(token) => print(format!("{}/calendar/{token}.ics", directory.platform().app_url))?,
        None => print(format!("{} has no feed any more", text::one_line(&member.name)))?,
    }
    Ok(Outcome::Done)
}

fn named(staff: &[StaffMember], slug: &str, name: &str) -> Result<StaffMember, CliError> {
    let key = crate::domain::name_key::name_key(name);
    let found = staff.iter().find(|member| crate::domain::name_key::name_key(&member.name) == key);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = staff.iter().map(|member| member.name.as_str()).collect();
        CliError::Refused(format!(
            "nobody of the staff of '{slug}' is called '{name}'; there are: {}",
            names.join(", ")
        ))
    })
}

fn line(member: &StaffMember) -> String {
    let services: Vec<String> = member.services.iter().map(|name| text::one_line(name)).collect();
    let does = if services.is_empty() { "does everything".to_owned() } else { services.join(", ") };
    let zone = member.zone.map(|zone| format!("  in {zone}")).unwrap_or_default();
    let off = if member.active { "" } else { "  (takes no appointments any more)" };
    format!("{}  {does}{zone}{off}", text::one_line(&member.name))
}
