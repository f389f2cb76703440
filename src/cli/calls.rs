//! `recado calls`: calls, and what was heard and said in them.

use super::{CliError, OfTenant, Outcome, find_tenant, list_length, open_existing, print, print_json};
use crate::domain::Step;
use crate::domain::phone::mask;
use crate::store::{ListedCall, ListedTurn};

/// List calls, or show what was heard and said in one
#[derive(clap::Args)]
#[command(after_help = "Example: recado calls CA0123456789abcdef0123456789abcdef")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// A call, by the provider's id or ours
    call: Option<String>,
    /// How many, the newest first
    #[arg(long, default_value = "20", value_parser = list_length)]
    limit: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    call: ListedCall,
    turns: Vec<ListedTurn>,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let store = &installation.store;
    let Some(wanted) = &args.call else {
        let calls = store.list_calls(tenant.id, args.limit).await?;
        if args.json {
            print_json(&calls)?;
            return Ok(Outcome::Done);
        }
        for call in &calls {
            print(line(call))?;
        }
        if calls.is_empty() {
            print(format!("'{}' has had no calls yet", tenant.slug))?;
        }
        return Ok(Outcome::Done);
    };
    let Some(call) = store.listed_call(tenant.id, wanted).await? else {
        return Err(CliError::Refused(format!("'{}' has no call '{wanted}'; 'recado calls' lists them", tenant.slug)));
    };
    let turns = store.call_turns(tenant.id, call.id).await?;
    if args.json {
        print_json(&Shown { call, turns })?;
        return Ok(Outcome::Done);
    }
    print(line(&call))?;
    if let Some(summary) = &call.result.summary {
        print(format!("  {summary}"))?;
    }
    for turn in &turns {
        if !turn.heard.is_empty() {
            print(format!("  caller: {}", turn.heard))?;
        }
        let how = turn.how.as_deref().unwrap_or("no answer");
        for step in turn.answer.iter().flatten() {
            print(format!("  us: {} [{how}]", said(step)))?;
        }
    }
    Ok(Outcome::Done)
}

fn line(call: &ListedCall) -> String {
    let lasted = call.duration_s.map(|seconds| format!(", {seconds} s")).unwrap_or_default();
    let who = call.answered_by.as_deref().map(|who| format!(", {who}")).unwrap_or_default();
    let detail = call.detail.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    let code = call.error_code.map(|code| format!(" (error {code})")).unwrap_or_default();
    let (from, to) = (mask(&call.from), mask(&call.to));
    format!("{} {} {from} → {to}: {}{lasted}{who}{code}{detail}", call.started_at, call.sid, call.status)
}

fn said(step: &Step) -> String {
    step.spoken().map_or_else(|| format!("({})", step.kind()), str::to_owned)
}
