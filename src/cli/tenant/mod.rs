//! `recado tenant`: the businesses that share the installation.

mod account;
mod add;
mod credentials;
mod hours;
mod list;
mod set;
mod show;
mod token;

use super::{CliError, Outcome, find_tenant, print, print_json};
use crate::app::Installation;
use crate::cli::text::one_line;
use crate::http::views::tenant::TenantView;
use crate::tenants::{Blueprints, Missing, SettingsError, Tenant, TenantChange, TenantService};

/// Add, list, show and change tenants: the businesses that share this installation
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant add clinica --name 'Clínica Sol' --zone Europe/Madrid --language es")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(add::Args),
    List(list::Args),
    Show(show::Args),
    Set(Box<set::Args>),
    Credentials(credentials::Args),
    Token(token::Args),
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Add(args) => add::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Set(args) => set::run(*args).await,
        Command::Credentials(args) => credentials::run(args).await,
        Command::Token(args) => token::run(args).await,
    }
}

/// Returns a tenant's view.
fn view_of(installation: &Installation, tenant: &Tenant) -> TenantView {
    TenantView::new(tenant, installation.directory.platform())
}

/// Formats a tenant as text.
fn text(view: &TenantView) -> String {
    let TenantView { slug, name, zone, language, webhooks, .. } = view;
    let mut lines = vec![format!("{slug}: {name}, {zone}, {language}")];
    let account = view.account_sid.as_deref().unwrap_or("the installation's");
    lines.push(format!("  account: {account}"));
    for sender in &view.senders {
        let base = sender.base_url.as_ref().map(|base| format!(", webhooks at {base}")).unwrap_or_default();
        lines.push(format!("  sends {} from {}{base}", sender.channel, sender.number));
    }
    if let Some(country) = &view.country {
        lines.push(format!("  numbers without a country code are of {country}"));
    }
    if view.senders.is_empty() {
        lines.push("  sends from the installation's numbers".to_owned());
    }
    for (blueprint, params) in &view.blueprints {
        let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("  enabled: {blueprint} {}", params.join(" ")).trim_end().to_owned());
    }
    for (name, content) in &view.templates {
        lines.push(format!("  template {name}: {content}"));
    }
    if let Some(days) = view.retain_days {
        lines.push(format!("  keeps what happened for {days} days"));
    }
    for address in &view.staff_emails {
        lines.push(format!("  staff: {address}"));
    }
    for (prefix, way) in &view.routes {
        lines.push(format!("  {prefix} goes through {way}"));
    }
    if let Some(hours) = &view.hours {
        lines.push(format!("  open: {hours}"));
    }
    for (prefix, hours) in view.quiet.iter() {
        lines.push(format!("  quiet hours for {prefix}: {hours}"));
    }
    let budgets = [("an hour", view.sends.per_hour), ("24 hours", view.sends.per_day)];
    for (span, budget) in budgets {
        lines.extend(budget.map(|budget| format!("  sends at most {budget} messages and calls in {span}")));
    }
    if !view.sends.countries.is_empty() {
        let countries: Vec<&str> = view.sends.countries.iter().map(|country| country.as_str()).collect();
        lines.push(format!("  sends to {} only", countries.join(", ")));
    }
    for (what, names) in [("templates", &view.sends.templates), ("stream agents", &view.sends.stream_agents)] {
        if !names.is_empty() {
            lines.push(format!("  allowed {what}: {}", names.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
    }
    let mut lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
    let urls: Vec<&str> = webhooks.values().map(String::as_str).collect();
    lines.push(format!("  webhooks: {}", urls.join("\n            ")));
    lines.join("\n")
}

/// Applies a change; returns whether it changed anything.
async fn apply(
    installation: &Installation,
    tenant: &Tenant,
    change: &TenantChange,
    blueprints: &Blueprints,
) -> Result<bool, CliError> {
    let service = TenantService { store: &installation.store, directory: &installation.directory };
    Ok(service.apply(tenant, change, blueprints, Missing::IsError).await?)
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Store(error) => error.into(),
            SettingsError::Seal(error) => error.into(),
            error => Self::Refused(error.to_string()),
        }
    }
}

/// A value of `NAME=VALUE`; `None` where it is empty, which removes the name.
fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Ends a command that has changed a tenant: prints the tenant as it is now.
fn show_changed(installation: &Installation, slug: &str, json: bool) -> Result<Outcome, CliError> {
    let view = view_of(installation, &*find_tenant(installation, slug)?);
    if json {
        print_json(&view)?
    } else {
        print(text(&view))?
    }
    Ok(Outcome::Done)
}
