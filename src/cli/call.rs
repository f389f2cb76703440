//! `recado call`: a call by hand, through the ledger like every other.

use super::{CliError, Outcome, find_tenant, for_tenant, open, print, print_json};
use crate::domain::{CallBody, OnMachine};
use crate::engine::sending::services::CallService;

/// Call somebody by hand: something is said, a rule begins it at a step, or a voice agent has it
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado call clinica +34600111222 'Your order is ready'\n  \
    recado call clinica +34600111222 --rule 'confirm by phone' --step confirm --machine hangup\n\n\
    It leaves through a running 'recado serve'; without one it is planned and leaves when one starts.")]
pub struct Args {
    /// The tenant's slug
    tenant: String,
    /// Who is called, E.164
    to: String,
    /// What is said, before the call ends
    #[arg(required_unless_present_any = ["rule", "agent"])]
    text: Option<String>,
    /// The rule whose .on_call(…) begins it
    #[arg(long, requires = "step", conflicts_with_all = ["text", "agent"])]
    rule: Option<String>,
    /// The step of the rule
    #[arg(long, requires = "rule")]
    step: Option<String>,
    /// The voice agent that has it
    #[arg(long, conflicts_with = "text")]
    agent: Option<String>,
    /// Where a machine answers: hangup, message or go_on
    #[arg(long)]
    machine: Option<OnMachine>,
    /// What a machine is told, where that is not what is said
    #[arg(long, requires = "machine")]
    message: Option<String>,
    /// Record the call
    #[arg(long)]
    record: bool,
    /// Seconds that it rings
    #[arg(long, value_parser = clap::value_parser!(u16).range(5..=600))]
    timeout: Option<u16>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open().await?;
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
    if args.json {
        print_json(&serde_json::json!({ "id": id, "tenant": tenant.slug, "state": "planned" }))?;
    } else {
        print(format!("{id} is planned; see what becomes of it: recado explain{} {id}", for_tenant(&tenant.slug)))?;
    }
    Ok(Outcome::Done)
}
