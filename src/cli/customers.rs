//! `recado customers`: lists, shows and adds customers, tags them and keeps notes about them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    CliError, Outcome, TenantArg, find_tenant, for_tenant, list_length, name_and_value, open_existing, print,
    print_json, text,
};
use crate::app::Installation;
use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Effect, EventId, Phone};
use crate::features::customers;
use crate::http::views::customer::CustomerView;
use crate::http::views::customer_history::{CustomerDetailsView, HistoryView};
use crate::store::{CustomerChange, Store, StoreError};
use crate::tenants::Tenant;

/// The source of these changes in the history.
const BY: &str = "cli";
/// The customers that are read at once while a tag is searched.
const PAGE: usize = 500;
/// The longest text on a line of the list, in characters.
const SHOWN_CHARS: usize = 60;

/// List, show, add, tag and annotate customers
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado customers add +34600111222 --name Ana --tag vip\n  \
    recado customers note +34600111222 'asked for a call back'\n\n\
    do-not-call: recado do-not-call; erase: recado erase.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Add(AddArgs),
    Tag(TagArgs),
    Note(NoteArgs),
}

/// List customers, oldest first
#[derive(clap::Args)]
#[command(after_help = "Example: recado customers list --tag vip")]
struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Only customers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only customers after this one, the last of a list before
    #[arg(long, value_name = "ID", value_parser = id)]
    after: Option<ContactId>,
    /// Maximum number of customers, 1 to 10000
    #[arg(long, default_value_t = 100, value_parser = list_length)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Show a customer with the newest changes and notes
#[derive(clap::Args)]
#[command(after_help = "Example: recado customers show +34600111222")]
struct ShowArgs {
    #[command(flatten)]
    which: CustomerArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Add a customer
#[derive(clap::Args)]
#[command(after_help = "Example: recado customers add +34600111222 --name Ana --tag vip --field language=es")]
struct AddArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Number of the customer
    number: String,
    /// Name of the customer
    #[arg(long)]
    name: Option<String>,
    /// Tag; repeatable
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Field that rules can read, a text; repeatable
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = name_and_value)]
    fields: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give a customer tags, or remove some
#[derive(clap::Args)]
#[command(after_help = "Example: recado customers tag +34600111222 vip --remove new")]
struct TagArgs {
    #[command(flatten)]
    which: CustomerArg,
    /// Tags to add
    #[arg(required_unless_present = "remove")]
    tags: Vec<String>,
    /// Tag to remove; repeatable
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Add a note about a customer
#[derive(clap::Args)]
#[command(after_help = "Example: recado customers note +34600111222 'asked for a call back'")]
struct NoteArgs {
    #[command(flatten)]
    which: CustomerArg,
    /// Text of the note
    text: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct CustomerArg {
    #[command(flatten)]
    of: TenantArg,
    /// Number or id of the customer
    customer: String,
}

fn id(text: &str) -> Result<ContactId, String> {
    text.parse().map_err(|_| "write an id as 'recado customers list' shows it".to_owned())
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Show(args) => show(args).await,
        Command::Add(args) => add(args).await,
        Command::Tag(args) => tag(args).await,
        Command::Note(args) => note(args).await,
    }
}

async fn list(args: ListArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    // One more tells whether there are more.
    let mut found = find_all(&installation.store, &tenant, &args, args.limit + 1).await?;
    let more = found.len() > args.limit;
    found.truncate(args.limit);
    if args.json {
        print_json(&found.into_iter().map(CustomerView::from).collect::<Vec<_>>())?;
        return Ok(Outcome::Done);
    }
    found.iter().try_for_each(|customer| print(line(customer)))?;
    let of = for_tenant(&tenant.slug);
    match found.last() {
        Some(last) if more => print(format!("there are more: add --after {}", last.id))?,
        Some(_) => {}
        None if args.tag.is_some() || args.after.is_some() => print(format!("'{}' has no such customer", tenant.slug))?,
        None => print(format!(
            "'{}' has no customers yet; add one: recado customers add{of} +34600111222 --name Ana",
            tenant.slug
        ))?,
    }
    Ok(Outcome::Done)
}

/// Finds at most `limit` customers that the filter names.
async fn find_all(
    store: &Store,
    tenant: &Tenant,
    filter: &ListArgs,
    limit: usize,
) -> Result<Vec<ContactFacts>, StoreError> {
    let (mut found, mut after) = (Vec::new(), filter.after);
    let page = if filter.tag.is_some() { PAGE } else { limit };
    loop {
        let read = store.contacts_after(tenant.id, after, page).await?;
        let last = read.len() < page;
        after = read.last().map(|customer| customer.id);
        let wanted = |one: &ContactFacts| filter.tag.as_ref().is_none_or(|tag| one.tags.contains(tag));
        found.extend(read.into_iter().filter(wanted));
        if last || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn show(args: ShowArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.which.of.tenant)?;
    let facts = find(&installation.store, &tenant, &args.which.customer).await?;
    let head = line(&facts);
    let shown = CustomerDetailsView::load(&installation.store, tenant.id, facts).await?;
    if args.json {
        print_json(&shown)?;
        return Ok(Outcome::Done);
    }
    print(head)?;
    let customer = &shown.customer;
    print(format!("  customer since {}, {} messages from them", customer.created_at, customer.inbound_count))?;
    for (field, value) in customer.fields.iter().filter(|(field, _)| *field != "name") {
        print(format!("  {}: {}", text::one_line(field), value_of(value)))?;
    }
    if !customer.opted_out.is_empty() {
        print(format!("  opted out of {}", customer.opted_out.join(", ")))?;
    }
    shown.history.iter().try_for_each(|one| print(format!("  {}", history_line(one))))?;
    Ok(Outcome::Done)
}

async fn add(args: AddArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let store = &installation.store;
    let phone = number(&tenant, &args.number)?;
    let mut effects = Vec::new();
    effects.extend(args.name.map(customers::name).transpose()?);
    let wanted: BTreeSet<String> = args.tags.into_iter().collect();
    effects.extend(customers::tags(&BTreeSet::new(), &wanted, &BTreeSet::new())?);
    for (name, value) in args.fields {
        effects.push(customers::field(name, Value::String(value))?);
    }
    let Some(added) = store.add_customer(&phone, change(&installation, &tenant, effects)).await? else {
        return Err(CliError::Refused(format!(
            "'{slug}' has a customer with the number {phone}; 'recado customers show{of} {phone}' shows them",
            slug = tenant.slug,
            of = for_tenant(&tenant.slug)
        )));
    };
    print_customer(store, &tenant, added, args.json).await
}

async fn tag(args: TagArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.which.of.tenant)?;
    let store = &installation.store;
    let known = find(store, &tenant, &args.which.customer).await?;
    let (add, remove): (BTreeSet<String>, BTreeSet<String>) =
        (args.tags.into_iter().collect(), args.remove.into_iter().collect());
    if let Some(both) = add.intersection(&remove).next() {
        return Err(CliError::Usage(format!("'{}' is both added and removed: name it once", text::one_line(both))));
    }
    let effects = customers::tags(&known.tags, &add, &remove)?;
    if !effects.is_empty() && !store.change_customer(known.id, change(&installation, &tenant, effects)).await? {
        return Err(none(&tenant, &args.which.customer));
    }
    print_customer(store, &tenant, known.id, args.json).await
}

async fn note(args: NoteArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.which.of.tenant)?;
    let store = &installation.store;
    let known = find(store, &tenant, &args.which.customer).await?;
    let change = change(&installation, &tenant, vec![customers::note(&args.text)?]);
    let event = change.event;
    let gone = || none(&tenant, &args.which.customer);
    if !store.change_customer(known.id, change).await? {
        return Err(gone());
    }
    let made = store.history_of_event(tenant.id, known.id, event).await?.pop().ok_or_else(gone)?;
    let made = HistoryView::from(made);
    if args.json {
        print_json(&made)?
    } else {
        print(history_line(&made))?
    }
    Ok(Outcome::Done)
}

/// Parses a number as a person writes it.
fn number(tenant: &Tenant, number: &str) -> Result<Phone, CliError> {
    Ok(Phone::parse_human(number, tenant.home())?)
}

/// Finds the customer with this number or id.
async fn find(store: &Store, tenant: &Tenant, wanted: &str) -> Result<ContactFacts, CliError> {
    let id = match wanted.parse() {
        Ok(id) => Some(id),
        Err(_) => {
            store.contact_by_key(tenant.id, &crate::domain::Address::parse_human(wanted, tenant.home())?.key()).await?
        }
    };
    let id = id.ok_or_else(|| none(tenant, wanted))?;
    let (mut known, _) = store.contact_facts(tenant.id, &[id], None).await?;
    known.remove(&id).ok_or_else(|| none(tenant, wanted))
}

fn none(tenant: &Tenant, wanted: &str) -> CliError {
    CliError::Refused(format!(
        "'{}' has no customer {}; 'recado customers list{}' lists them",
        tenant.slug,
        text::one_line(wanted),
        for_tenant(&tenant.slug)
    ))
}

fn change(installation: &Installation, tenant: &Tenant, effects: Vec<Effect>) -> CustomerChange {
    let event: EventId = installation.store.ids().next();
    CustomerChange { event, tenant: tenant.id, by: BY.to_owned(), effects, do_not_call: None }
}

async fn print_customer(store: &Store, tenant: &Tenant, id: ContactId, json: bool) -> Result<Outcome, CliError> {
    let facts = find(store, tenant, &id.to_string()).await?;
    if json {
        print_json(&CustomerView::from(facts))?
    } else {
        print(line(&facts))?
    }
    Ok(Outcome::Done)
}

/// One line of a list.
fn line(facts: &ContactFacts) -> String {
    let tags: Vec<String> = facts.tags.iter().map(|tag| text::short(tag, SHOWN_CHARS)).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("  [{}]", tags.join(", ")) };
    let name = text::short(&facts.name, SHOWN_CHARS);
    format!("{}  {}  {name}{tags}", facts.id, facts.known_as()).trim_end().to_owned()
}

/// One line of the history.
pub(super) fn history_line(one: &HistoryView) -> String {
    let name = text::one_line(&one.name);
    let what = match (one.kind.as_str(), one.new.is_null()) {
        ("tag", gone) => format!("{} {name}", if gone { "untagged" } else { "tagged" }),
        ("field", true) => format!("{name} removed"),
        ("field", false) => format!("{name} = {}", value_of(&one.new)),
        (_, _) => format!("note: {}", value_of(&one.new)),
    };
    let rule = one.rule.as_deref().map(|rule| format!(" (rule {})", text::one_line(rule)));
    let source = rule.or_else(|| one.by.as_deref().map(|by| format!(" ({})", text::one_line(by))));
    let call = one.call.as_deref().map(|sid| format!(" in {}", text::one_line(sid))).unwrap_or_default();
    format!("{}  {what}{}{call}", one.at, source.unwrap_or_default())
}

fn value_of(value: &Value) -> String {
    value.as_str().map_or_else(|| text::one_line(&value.to_string()), text::one_line)
}
