//! `recado settle`: an operator decides about a send that the engine cannot settle by itself.

use super::{CliError, Outcome, TenantArg, find_tenant, for_tenant, open_existing, print, print_json};
use crate::domain::{ActionId, ActionState};
use crate::http::views::action::SendStateView;
use crate::store::{OperatorDecision, Resolution};

/// Decide about a send that is unknown, held or unwanted
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado settle 0199f3c2-… --sent --sid SM0123456789abcdef0123456789abcdef\n  \
    recado settle 0199f3c2-… --not-sent\n  recado settle 0199f3c2-… --release\n  recado settle 0199f3c2-… --give-up\n\n\
    'recado explain' and 'recado messages' show the id. Check at the provider first: a send that it accepted and that you \
    mark as not sent is sent twice.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Id of the send
    action: ActionId,
    #[command(flatten)]
    decision: DecisionFlags,
    /// Provider SID of the sent message
    #[arg(long, value_name = "SM…", conflicts_with_all = ["not_sent", "release", "give_up"])]
    sid: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct DecisionFlags {
    /// An unknown send was accepted by the provider
    #[arg(long)]
    sent: bool,
    /// An unknown send was not accepted by the provider: send it
    #[arg(long)]
    not_sent: bool,
    /// Release a send that the loop guard held
    #[arg(long)]
    release: bool,
    /// Cancel the send
    #[arg(long)]
    give_up: bool,
}

impl Args {
    fn decision(&self) -> OperatorDecision {
        match self.decision {
            DecisionFlags { sent: true, .. } => OperatorDecision::Sent { sid: self.sid.clone() },
            DecisionFlags { not_sent: true, .. } => OperatorDecision::NotSent,
            DecisionFlags { release: true, .. } => OperatorDecision::Release,
            DecisionFlags { .. } => OperatorDecision::GiveUp,
        }
    }
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let decision = args.decision();
    let state = match installation.store.resolve(tenant.id, args.action, &decision).await? {
        Resolution::Now(state) => state,
        Resolution::Stands(state) => {
            return Err(CliError::Refused(format!(
                "{} is {state}, where this changes nothing: --sent and --not-sent are for unknown sends, --release for \
                 held ones, --give-up for all that are not over",
                args.action
            )));
        }
        Resolution::Unknown => {
            return Err(CliError::Refused(format!(
                "'{}' has no send {}: 'recado messages{}' lists them, 'recado explain' shows their ids",
                tenant.slug,
                args.action,
                for_tenant(&tenant.slug)
            )));
        }
    };
    if args.json {
        print_json(&SendStateView { id: args.action.uuid(), state: state.to_string() })?;
    } else if state == ActionState::Planned {
        print(format!("{} is planned: a running server sends it now", args.action))?;
    } else {
        print(format!("{} is {state}", args.action))?;
    }
    Ok(Outcome::Done)
}
