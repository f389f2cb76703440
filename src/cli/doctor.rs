//! `recado doctor`: checks whether the installation can go live, and says what to do.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde::Serialize;

use super::{CliError, DIR, Outcome, configure, find_tenant, print, print_json, text};
use crate::app::{self, Installation};
use crate::config::Config;
use crate::domain::Clock;
use crate::integrations::http;
use crate::integrations::twilio::client::Client;
use crate::ops::doctor::{Check, Doctor, Finding, Scope, Severity, files};
use crate::store::{self, Store};
use crate::tenants::Tenant;

/// Check the account, token, numbers and webhooks at Twilio, APP_URL, clock, disk, rules and templates
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado doctor\n  recado doctor --fix    also set the numbers' webhooks at Twilio\n\n\
    It fails if a finding is an error. Without --fix it changes nothing; with --fix it changes SmsUrl and SmsMethod of the \
    numbers that tenants send from."
)]
pub struct Args {
    /// Only this tenant, with its account and numbers
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Set the numbers' webhooks at Twilio to this installation, with #rc=3&rp=all
    #[arg(long, conflicts_with = "offline")]
    fix: bool,
    /// Do not call Twilio or APP_URL
    #[arg(long)]
    offline: bool,
    /// Print JSON: passed, and an array of findings
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// True if no finding is an error.
    passed: bool,
    findings: Vec<Finding>,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let mut findings = files::examine(&config, Path::new(DIR));
    if let Some(unopened) = check_database(&config).await {
        findings.push(unopened);
    } else {
        match Installation::existing(config, Clock::system(), Path::new(DIR)).await {
            Ok(installation) => findings.extend(examine(&installation, &args).await?),
            Err(error) => findings.push(Finding::error(Check::Database, "the installation", error.to_string())),
        }
    }
    let passed = findings.iter().all(|finding| finding.severity < Severity::Error);
    let report = Report { passed, findings };
    if args.json {
        print_json(&report)?
    } else {
        show(&report)?
    }
    Ok(if passed { Outcome::Done } else { Outcome::Failed })
}

/// Why the database cannot be examined. Opening it would create or migrate it.
async fn check_database(config: &Config) -> Option<Finding> {
    let path = store::sqlite_path(config.database_url.expose_secret());
    if let Some(path) = path.filter(|path| !path.exists()) {
        let says = "there is no database yet: tenants, numbers and accounts could not be checked";
        return Some(
            Finding::warning(Check::Database, path.display().to_string(), says)
                .remedy("start 'recado serve' in this folder, go to the folder where it runs, or set DATABASE_URL"),
        );
    }
    let store: Store = match app::open_store(config, &Clock::system()).await {
        Ok(store) => store,
        Err(error) => return Some(Finding::error(Check::Database, "DATABASE_URL", error.to_string())),
    };
    match store.pending_migrations().await {
        Ok(0) => None,
        Ok(pending) => {
            let says = format!("{pending} migrations wait: tenants, numbers and accounts could not be checked");
            let remedy = "back the database up, then: recado migrate";
            Some(Finding::error(Check::Database, "DATABASE_URL", says).remedy(remedy))
        }
        Err(error) => Some(Finding::error(Check::Database, "DATABASE_URL", error.to_string())),
    }
}

async fn examine(installation: &Installation, args: &Args) -> Result<Vec<Finding>, CliError> {
    let tenant: Option<Arc<Tenant>> = args.tenant.as_deref().map(|slug| find_tenant(installation, slug)).transpose()?;
    let http = http::client()?;
    let doctor = Doctor {
        config: &installation.config,
        clock: &installation.clock,
        store: &installation.store,
        directory: &installation.directory,
        rules: &installation.load_rules(),
        client: &Client::new(http.clone(), &installation.config.twilio.api_base)?,
        http: &http,
        built_in_carrier: installation.built_in_carrier,
    };
    Ok(doctor.examine(&Scope { tenant, offline: args.offline, fix: args.fix }).await)
}

fn show(report: &Report) -> Result<(), CliError> {
    for finding in &report.findings {
        let of = finding.tenant.as_ref().map(|slug| format!(" [{slug}]")).unwrap_or_default();
        // A finding may contain text from outside.
        let line = text::one_line(&format!("{}{of}: {}", finding.subject, finding.says));
        print(format!("{:7} {line}", finding.severity))?;
        if let Some(remedy) = &finding.remedy {
            print(format!("        -> {}", text::one_line(remedy)))?;
        }
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    print(format!("{} errors, {} warnings", count(Severity::Error), count(Severity::Warning)))
}
