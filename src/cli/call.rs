//! `recado call`: places a call through the ledger.

use super::{CliError, Outcome, find_send, find_tenant, for_tenant, open_existing, print, print_json};
use crate::domain::{CallBody, OnMachine};
use crate::engine::sending::services::CallService;
use crate::http::views::action::ActionView;

/// Place a call: it says a text, starts at a step of a rule, or is handled by a voice agent
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado call clinica +34600111222 'Your order is ready'\n  \
    recado call clinica +34600111222 --rule 'confirm by phone' --step confirm --machine hangup\n\n\
    A running 'recado serve' places the call; without one it is planned and placed at the next start.")]
pub struct Args {
    /// Slug of the tenant
    tenant: String,
    /// Number to call, E.164
    to: String,
    /// Text to say before the call ends
    #[arg(required_unless_present_any = ["rule", "agent"])]
    text: Option<String>,
    /// Rule whose .on_call(…) starts the call
    #[arg(long, requires = "step", conflicts_with_all = ["text", "agent"])]
    rule: Option<String>,
    /// Step of the rule
    #[arg(long, requires = "rule")]
    step: Option<String>,
    /// Voice agent that handles the call
    #[arg(long, conflicts_with = "text")]
    agent: Option<String>,
    /// What to do when a machine answers: hangup, message or go_on
    #[arg(long)]
    machine: Option<OnMachine>,
    /// Text for a machine, if different
    #[arg(long, requires = "machine")]
    message: Option<String>,
    /// Record the call
    #[arg(long)]
    record: bool,
    /// Ring timeout in seconds
    #[arg(long, value_parser = clap::value_parser!(u16).range(5..=600))]
    timeout: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.tenant)?;
    let body = CallBody {
        rule: args.rule,
        step: args.step,
        agent: args.agent,
        say: args.text,
        machine: args.machine,
        message: args.message,
        record: args.record,
        timeout_s: args.timeout,
        ..CallBody::default()
    };
    let event = installation.store.ids().next();
    let calls = CallService(installation.outbox());
    let id = calls.call(&installation.load_rules(), event, &tenant, &args.to, body).await?;
    let action = find_send(&installation, tenant.id, id).await?;
    if args.json {
        print_json(&ActionView::from_row(&tenant.slug, action)?)?;
    } else {
        print(format!(
            "{id} is {}; see what becomes of it: recado explain{} {id}",
            action.state,
            for_tenant(&tenant.slug)
        ))?;
    }
    Ok(Outcome::Done)
}
