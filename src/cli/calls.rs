//! `recado calls`: lists calls, or shows one with its transcript.

use strum::VariantArray;

use super::customers::history_line;
use super::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json, text};
use crate::domain::{CallDirection, CallStatus, Phone, Step};
use crate::http::views::call::{CallDetailsView, CallView};
use crate::store::{CallFilter, Store};
use crate::tenants::Tenant;
use crate::time::Span;

/// List calls, newest first; or show one call with its legs, transcript and notes
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado calls --number +34600111222 --status completed --since 7d\n  \
                  recado calls CA0123456789abcdef0123456789abcdef")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// A call: its provider SID, its id, or the id of the send that placed it
    call: Option<String>,
    /// Only calls from or to this customer number
    #[arg(long, value_name = "NUMBER", conflicts_with = "call")]
    number: Option<String>,
    /// Only inbound (in) or outbound (out) calls
    #[arg(long, value_name = "in|out", value_parser = direction, conflicts_with = "call")]
    direction: Option<CallDirection>,
    /// Only calls with this status, such as completed or no-answer
    #[arg(long, value_parser = status, conflicts_with = "call")]
    status: Option<CallStatus>,
    /// Only calls that started within this time, such as 2h or 7d
    #[arg(long, value_name = "SPAN", conflicts_with = "call")]
    since: Option<Span>,
    /// Maximum number of calls, 1 to 10000
    #[arg(long, default_value = "20", value_parser = list_length)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn direction(text: &str) -> Result<CallDirection, String> {
    let known = [CallDirection::In, CallDirection::Out].into_iter().find(|one| one.as_str() == text);
    known.ok_or_else(|| "write in or out".to_owned())
}

fn status(text: &str) -> Result<CallStatus, String> {
    let known = || {
        format!(
            "write one of {}",
            CallStatus::VARIANTS.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ")
        )
    };
    CallStatus::parse(text).ok_or_else(known)
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let peer = args.number.as_deref().map(|number| Phone::parse_human(number, tenant.home())).transpose()?;
    let store = &installation.store;
    if let Some(wanted) = &args.call {
        return show(store, &tenant, wanted, args.json).await;
    }
    let filter = CallFilter {
        peer_key: peer.map(|phone| phone.key()),
        direction: args.direction,
        status: args.status,
        since: args.since.map(|span| span.before(store.clock().now(), tenant.zone)),
        limit: args.limit,
        ..CallFilter::default()
    };
    let calls = store.call_page(tenant.id, &filter).await?;
    let calls: Vec<CallView> = calls.into_iter().map(CallView::from).collect();
    if args.json {
        print_json(&calls)?;
        return Ok(Outcome::Done);
    }
    for call in &calls {
        print(line(call))?;
    }
    if calls.is_empty() {
        print(format!("'{}' has had no such calls yet", tenant.slug))?;
    }
    Ok(Outcome::Done)
}

async fn show(store: &Store, tenant: &Tenant, wanted: &str, json: bool) -> Result<Outcome, CliError> {
    let Some(call) = store.listed_call(tenant.id, wanted).await? else {
        return Err(CliError::Refused(format!("'{}' has no call '{wanted}'; 'recado calls' lists them", tenant.slug)));
    };
    let shown = CallDetailsView::load(store, tenant.id, call).await?;
    if json {
        print_json(&shown)?;
        return Ok(Outcome::Done);
    }
    print(line(&shown.call))?;
    if let Some(summary) = &shown.call.summary {
        text::lines(summary).into_iter().try_for_each(|line| print(format!("  {line}")))?;
    }
    if let Some(recording) = &shown.call.recording_url {
        print(format!("  recording: {}", text::one_line(recording)))?;
    }
    for turn in &shown.turns {
        if !turn.heard.is_empty() {
            print(format!("  caller: {}", text::one_line(&turn.heard)))?;
        }
        let how = text::one_line(turn.how.as_deref().unwrap_or("no answer"));
        for step in turn.steps.iter().flatten() {
            print(format!("  us: {} [{how}]", text::one_line(&describe_step(step))))?;
        }
        for leg in shown.legs.iter().filter(|leg| leg.turn == turn.n) {
            let lasted = leg.duration_s.map(|seconds| format!(", {seconds} s")).unwrap_or_default();
            print(format!("  put through to {}: {}{lasted}", text::one_line(&leg.to), leg.status))?;
        }
    }
    shown.notes.iter().try_for_each(|note| print(format!("  {}", history_line(note))))?;
    Ok(Outcome::Done)
}

/// One line of a list. The numbers are whole, so that somebody can call back.
fn line(call: &CallView) -> String {
    let lasted = call.duration_s.map(|seconds| format!(", {seconds} s")).unwrap_or_default();
    let who = call.answered_by.as_deref().map(|who| format!(", {}", text::one_line(who))).unwrap_or_default();
    let detail = call.detail.as_deref().map(|detail| format!(": {}", text::one_line(detail))).unwrap_or_default();
    let code = call.error_code.map(|code| format!(" (error {code})")).unwrap_or_default();
    let (from, to) = (number(&call.from), number(&call.to));
    // Numbers, and most of the rest, are what the provider or the caller's network said.
    text::one_line(&format!(
        "{} {} {from} → {to}: {}{lasted}{who}{code}{detail}",
        call.started_at, call.sid, call.status
    ))
}

/// The number of an end of a call.
fn number(end: &str) -> String {
    match end {
        "" => "(erased)".to_owned(),
        "anonymous" => "(withheld)".to_owned(),
        end => text::one_line(end),
    }
}

fn describe_step(step: &Step) -> String {
    step.spoken().map_or_else(|| format!("({})", step.kind()), str::to_owned)
}
