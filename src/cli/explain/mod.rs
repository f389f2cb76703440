//! `recado explain`: why an event led to what it led to, and what became of that.

mod show;

use super::{CliError, Outcome, TenantArg, find_tenant, for_tenant, open_existing, print, print_json};
use crate::app::Installation;
use crate::domain::EventId;
use crate::http::views::explanation::ExplanationView;
use crate::ops::explain::Explainer;
use crate::tenants::Tenant;

/// The word for the newest message or send by hand.
const LAST: &str = "last";

/// Explain an event: what each rule said and why, what it read, and what became of each action
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado explain last\n  recado explain SM0123456789abcdef0123456789abcdef\n\n\
    'last' is the newest message from a customer or send by hand.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// An event's, action's or message's id, the provider's SID of a message, or 'last'
    event: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let id = named(&installation, &tenant, &args.event).await?;
    let rules = installation.load_rules();
    let explainer = Explainer { store: &installation.store, directory: &installation.directory, rules: &rules };
    let gone = || CliError::Refused(format!("the event {id} is gone: was it removed by hand?"));
    let explanation = ExplanationView::new(&tenant.slug, explainer.explain(&tenant, id).await?.ok_or_else(gone)?)?;
    if args.json {
        print_json(&explanation)?
    } else {
        print(show::text(&explanation).trim_end())?
    }
    Ok(Outcome::Done)
}

/// Finds the event that a name stands for.
async fn named(installation: &Installation, tenant: &Tenant, name: &str) -> Result<EventId, CliError> {
    let found = match name {
        LAST => installation.store.last_event(tenant.id).await?,
        name => installation.store.event_named(tenant.id, name).await?,
    };
    let (slug, of) = (&tenant.slug, for_tenant(&tenant.slug));
    found.ok_or_else(|| {
        CliError::Refused(match name {
            LAST => format!("'{slug}' has no message yet; send it one: recado webhook{of} --from +34600111222 HOLA"),
            name => format!(
                "'{slug}' has no event, action or message '{name}': 'recado events{of}' and 'recado messages{of}' list \
                 them, and --tenant names another business"
            ),
        })
    })
}
