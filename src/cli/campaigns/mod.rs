//! `recado campaigns`: calls or messages to many customers.

mod add;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json, text};
use crate::app::Installation;
use crate::domain::CampaignState;
use crate::features::campaigns;
use crate::features::campaigns::{CampaignError, ImportedMembers, sheet};
use crate::http::views::campaign::{CampaignDetailsView, CampaignMemberView, CampaignView, ImportedMembersView};
use crate::store::tables::campaigns::Campaign;
use crate::tenants::Tenant;

/// Add, start, pause and show campaigns: calls or messages to many customers
#[derive(clap::Args)]
#[command(after_help = "Example: recado campaigns add spring --rule interest --step interest --script 'We have a new \
    course.' --windows 'mon-fri 10:00-14:00' --import list.csv --start")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(Box<add::Args>),
    /// List campaigns, newest first
    List(ListArgs),
    /// Show a campaign, its progress and its members
    Show(ShowArgs),
    /// Import members from a table (CSV) with the columns phone and optionally name and fields
    Import(ImportArgs),
    /// Start a campaign; its audience is read now
    Start(NameArgs),
    /// Pause a campaign: no new tries, calls in progress go on
    Pause(NameArgs),
    /// Resume a paused campaign
    Resume(NameArgs),
    /// Cancel a campaign for good
    Cancel(NameArgs),
}

#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Maximum number of campaigns, newest first
    #[arg(long, default_value_t = 20, value_parser = list_length)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name or id of the campaign
    name: String,
    /// Number of members to show
    #[arg(long, value_name = "N", value_parser = list_length, default_value = "20")]
    members: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name or id of the campaign
    name: String,
    /// Table to read
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct NameArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name or id of the campaign
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Add(args) => add::run(*args).await,
        Command::List(args) => list(args).await,
        Command::Show(args) => show(args).await,
        Command::Import(args) => import(args).await,
        Command::Start(args) => transition(args, CampaignState::Running).await,
        Command::Pause(args) => transition(args, CampaignState::Paused).await,
        Command::Resume(args) => transition(args, CampaignState::Running).await,
        Command::Cancel(args) => transition(args, CampaignState::Cancelled).await,
    }
}

async fn shown(installation: &Installation, campaign: &Campaign) -> Result<CampaignView, CliError> {
    Ok(CampaignView::load(&installation.store, campaign).await?)
}

fn line(shown: &CampaignView) -> String {
    let CampaignView { members, waiting, trying, done, tries, .. } = shown;
    format!(
        "{}  {}  {members} members: {waiting} waiting, {trying} under way, {done} done; {tries} tries",
        text::one_line(&shown.name),
        shown.state
    )
}

async fn list(args: ListArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut all = Vec::new();
    for campaign in installation.store.campaigns(tenant.id, None, args.limit).await? {
        all.push(shown(&installation, &campaign).await?);
    }
    if args.json {
        print_json(&all)?;
    } else if all.is_empty() {
        print(format!("'{}' has no campaign yet; 'recado campaigns add --help' says how to make one", tenant.slug))?;
    } else {
        all.iter().try_for_each(|one| print(line(one)))?;
    }
    Ok(Outcome::Done)
}

async fn show(args: ShowArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let campaign = campaigns::find(&installation.store, tenant.id, &args.name).await?;
    let members = installation.store.campaign_members(&campaign, None, args.members).await?;
    let whole = CampaignDetailsView {
        campaign: shown(&installation, &campaign).await?,
        first_members: members.into_iter().map(CampaignMemberView::from).collect(),
    };
    if args.json {
        print_json(&whole)?;
        return Ok(Outcome::Done);
    }
    let CampaignDetailsView { campaign: one, first_members: members } = whole;
    print(line(&one))?;
    print(format!("plan      {}", one.plan))?;
    for (what, counts) in [("outcomes", &one.outcomes), ("calls", &one.calls), ("messages", &one.messages)] {
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
        if !counts.is_empty() {
            print(format!("{what:<9} {}", counts.join(", ")))?;
        }
    }
    for member in members {
        let more: Vec<String> = [member.outcome, member.answer, member.detail].into_iter().flatten().collect();
        print(format!(
            "{}  {}  {}  {} tries  {}",
            member.phone,
            text::one_line(&member.name),
            member.state,
            member.tries,
            text::one_line(&more.join(", "))
        ))?;
    }
    Ok(Outcome::Done)
}

async fn import_members(
    installation: &Installation,
    tenant: &Tenant,
    campaign: &Campaign,
    file: &PathBuf,
) -> Result<ImportedMembers, CliError> {
    let refused = |error: std::io::Error| CliError::Refused(format!("{} cannot be read: {error}", file.display()));
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(refused)?;
    opened.take(sheet::FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    let sheet =
        sheet::read(&bytes, tenant.home()).map_err(|bad| CliError::Refused(format!("{}: {bad}", file.display())))?;
    Ok(campaigns::import_members(&installation.store, campaign, sheet).await?)
}

async fn import(args: ImportArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let campaign = campaigns::find(&installation.store, tenant.id, &args.name).await?;
    let imported = import_members(&installation, &tenant, &campaign, &args.file).await?;
    let outcome = if imported.refused.is_empty() { Outcome::Done } else { Outcome::Failed };
    if args.json {
        print_json(&ImportedMembersView::from(imported))?;
    } else {
        print_imported(&imported)?;
    }
    Ok(outcome)
}

fn print_imported(imported: &ImportedMembers) -> Result<(), CliError> {
    print(format!("{} new members, {} that were members already", imported.new, imported.known))?;
    imported.refused.iter().try_for_each(|one| print(format!("line {}: {}", one.line, text::one_line(&one.reason))))
}

async fn transition(args: NameArgs, state: CampaignState) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let campaign = campaigns::find(&installation.store, tenant.id, &args.name).await?;
    let campaign = move_to(&installation, &tenant, &campaign, state).await?;
    let one = shown(&installation, &campaign).await?;
    if args.json {
        print_json(&one)?
    } else {
        print(line(&one))?
    }
    Ok(Outcome::Done)
}

async fn move_to(
    installation: &Installation,
    tenant: &Tenant,
    campaign: &Campaign,
    to: CampaignState,
) -> Result<Campaign, CampaignError> {
    campaigns::transition(&installation.store, &installation.load_rules(), tenant, campaign, to).await
}
