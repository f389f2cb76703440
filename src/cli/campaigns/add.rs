//! `recado campaigns add`: adds a campaign.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{import_members, move_to, print, print_json, shown};
use crate::cli::{CliError, Outcome, TenantArg, find_tenant, name_and_value, open_existing};
use crate::domain::action::Template;
use crate::domain::{CallBody, CampaignState, OnMachine};
use crate::features::campaigns;
use crate::features::campaigns::{Audience, Plan, Retry, RetryOn};
use crate::time::{Span, WeeklyHours};

/// Add a campaign as a draft
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado campaigns add spring --rule interest --step interest --script 'We have a new \
    course.' --tag member --windows 'mon-fri 10:00-14:00,17:00-20:00'\n  \
    recado campaigns add offer --sms 'Hello {name}, everything is half price today' --import list.csv --start"
)]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the campaign
    name: String,
    /// Rule whose .on_call(…) starts the calls
    #[arg(long, requires = "step")]
    rule: Option<String>,
    /// Step of the rule
    #[arg(long, requires = "rule")]
    step: Option<String>,
    /// Voice agent that handles the calls
    #[arg(long)]
    agent: Option<String>,
    /// Text that the calls say before they end; {name} and {field} are replaced by the member's
    #[arg(long)]
    say: Option<String>,
    /// Value of `e.call.state.script` in rules
    #[arg(long)]
    script: Option<String>,
    /// What to do when a machine answers: hangup, message or go_on
    #[arg(long)]
    machine: Option<OnMachine>,
    /// Text for a machine
    #[arg(long)]
    message: Option<String>,
    /// Ring timeout in seconds
    #[arg(long)]
    timeout: Option<u16>,
    /// Voice, such as Polly.Lucia
    #[arg(long)]
    voice: Option<String>,
    /// Language, such as es-ES
    #[arg(long, value_name = "LANGUAGE")]
    speak: Option<String>,
    /// Record the calls
    #[arg(long)]
    record: bool,
    /// Text message to send; {name} and {field} are replaced by the member's; {field|text} has a text for members without
    /// one
    #[arg(long, value_name = "TEXT")]
    sms: Option<String>,
    /// Approved WhatsApp template to send: its Content SID, or the tenant's name for it
    #[arg(long, value_name = "HX…")]
    template: Option<String>,
    /// Variable of the template, with {name} and {field} as in --sms; repeatable
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "template")]
    variables: Vec<(String, String)>,
    /// Customers with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Customers with this field; repeatable
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = name_and_value)]
    fields: Vec<(String, String)>,
    /// Customers with this language
    #[arg(long)]
    language: Option<String>,
    /// All customers
    #[arg(long, conflicts_with_all = ["tag", "fields", "language"])]
    everybody: bool,
    /// Hours in each customer's time zone: 'mon-fri 10:00-14:00,17:00-20:00; sat 10:00-13:00'
    #[arg(long, value_name = "HOURS")]
    windows: Option<WeeklyHours>,
    /// Maximum calls or messages per minute
    #[arg(long, value_name = "N", default_value_t = 30)]
    per_minute: u32,
    /// Maximum calls in progress
    #[arg(long, value_name = "N", default_value_t = 10)]
    at_once: u32,
    /// Results to retry on: busy, no-answer, failed, machine; repeatable; busy and no-answer by default
    #[arg(long, value_name = "OUTCOME")]
    retry_on: Vec<RetryOn>,
    /// Delay after the last try
    #[arg(long, value_name = "SPAN", default_value = "2h")]
    retry_after: Span,
    /// Maximum number of tries per member
    #[arg(long, value_name = "N", default_value_t = 3)]
    tries: u8,
    /// Import members from this table (CSV)
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// Start the campaign at once
    #[arg(long)]
    start: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let store = &installation.store;
    let rules = installation.load_rules();
    let mut campaign = campaigns::add(store, &rules, &tenant, store.ids().next(), &args.name, &plan(&args)).await?;
    let mut refused = 0;
    if let Some(file) = &args.import {
        let imported = import_members(&installation, &tenant, &campaign, file).await?;
        refused = imported.refused.len();
        if !args.json {
            super::print_imported(&imported)?;
        }
    }
    if args.start {
        campaign = move_to(&installation, &tenant, &campaign, CampaignState::Running).await?;
    }
    let one = shown(&installation, &campaign).await?;
    if args.json {
        print_json(&one)?
    } else {
        print(super::line(&one))?
    }
    Ok(if refused == 0 { Outcome::Done } else { Outcome::Failed })
}

fn plan(args: &Args) -> Plan {
    let calls = args.rule.is_some() || args.agent.is_some() || args.say.is_some();
    let call = calls.then(|| CallBody {
        rule: args.rule.clone(),
        step: args.step.clone(),
        agent: args.agent.clone(),
        say: args.say.clone(),
        voice: args.voice.clone(),
        language: args.speak.clone(),
        machine: args.machine,
        message: args.message.clone(),
        record: args.record,
        timeout_s: args.timeout,
        state: args.script.iter().map(|text| ("script".to_owned(), text.as_str().into())).collect(),
    });
    let template = args
        .template
        .as_ref()
        .map(|content| Template { content: content.clone(), variables: args.variables.iter().cloned().collect() });
    let filters = args.tag.is_some() || !args.fields.is_empty() || args.language.is_some();
    let audience = (filters || args.everybody).then(|| Audience {
        tag: args.tag.clone(),
        fields: args.fields.iter().cloned().collect(),
        language: args.language.clone(),
    });
    let asked: BTreeSet<RetryOn> = args.retry_on.iter().copied().collect();
    let on = if asked.is_empty() { Retry::default().on } else { asked };
    Plan {
        call,
        sms: args.sms.clone(),
        whatsapp: template,
        audience,
        windows: args.windows.clone(),
        per_minute: args.per_minute,
        at_once: args.at_once,
        retry: Retry { on, after: args.retry_after, tries: args.tries },
    }
}
