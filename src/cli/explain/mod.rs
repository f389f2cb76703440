//! `recado explain`: why an event led to what it led to, and what became of that.

mod actions;
mod rules;
mod show;
mod word;

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::events::Row as EventRow;
use super::{CliError, OfTenant, Outcome, find_tenant, for_tenant, open_existing, print, print_json, refused_send};
use crate::app::Installation;
use crate::domain::{ActionState, Event, EventId, EventKind, Facts, Timestamp};
use crate::engine::facts::appointments;
use crate::engine::facts::recall::recall;
use crate::integrations::twilio::codes::BAD_CREDENTIALS;
use crate::rules::{RuleSet, Trace};
use crate::store::StoreError;
use crate::tenants::Tenant;

/// The word for the newest message or send by hand.
const LAST: &str = "last";

/// Explain an event: what each rule said and why, what it read, and what became of each action
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado explain last\n  recado explain SM0123456789abcdef0123456789abcdef\n\n\
    'last' is the newest message from a customer or send by hand.")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// An event's, action's or message's id, the provider's SID of a message, or 'last'
    event: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Everything that is known of an event.
#[derive(Serialize)]
struct Explanation {
    event: EventRow,
    /// What it did where it is a STOP, a START or a call for help, and who answers that.
    opt_out: Option<String>,
    /// The newest of the account's sends that wait because the provider refused its credentials.
    refused: Option<Refused>,
    customer: Option<Customer>,
    ruleset: Versions,
    /// As they were when it was decided; as they are now while it waits.
    facts: Facts,
    /// None for a send by hand: no rule is asked about it.
    rules: Vec<rules::Line>,
    actions: Vec<actions::Line>,
}

#[derive(Serialize)]
struct Customer {
    phone: String,
    name: String,
    /// What national numbering says against the number.
    numbering_warning: Option<String>,
}

/// A send that waits until the account's credentials are put right, as all others of that account do.
#[derive(Serialize)]
struct Refused {
    action: Uuid,
    tried_at: Option<Timestamp>,
    error: actions::Code,
}

/// The rules' versions.
#[derive(Serialize)]
struct Versions {
    /// Which decided; `None` where no rule was evaluated, or nothing is decided yet.
    decided: Option<String>,
    today: String,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let id = named(&installation, &tenant, &args.event).await?;
    let explanation = explain(&installation, &tenant, id).await?;
    if args.json {
        print_json(&explanation)?
    } else {
        print(show::text(&explanation).trim_end())?
    }
    Ok(Outcome::Done)
}

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

async fn explain(installation: &Installation, tenant: &Tenant, id: EventId) -> Result<Explanation, CliError> {
    let store = &installation.store;
    let gone = || CliError::Refused(format!("the event {id} is gone: was it removed by hand?"));
    let (event, handled_at) = store.event(tenant.id, id).await?.ok_or_else(gone)?;
    let stored = store.trace(tenant.id, id).await?;
    let decided_at = stored.as_ref().map(|(at, _)| *at).or(handled_at);
    let trace: Option<Trace> = stored
        .map(|(_, trace)| serde_json::from_str(&trace))
        .transpose()
        .map_err(|error| StoreError::Stored(error.to_string()))?;
    let today = installation.load_rules();
    let facts = facts(installation, tenant, &today, &event, decided_at, trace.as_ref()).await?;
    let lines = if event.kind == EventKind::MANUAL {
        Vec::new()
    } else {
        rules::lines(trace.as_ref(), &today, &event, &facts, decided_at.is_some())
    };
    let event = row(&tenant.slug, event, handled_at);
    let actions = actions::lines(store, &installation.directory.platform().providers, tenant.id, id).await?;
    let waits = actions.iter().any(|action| action.state == ActionState::Planned.as_str());
    Ok(Explanation {
        opt_out: word::said(&event),
        refused: if waits { refused(installation, tenant).await? } else { None },
        customer: facts.contact.as_ref().map(|contact| Customer {
            phone: contact.phone.to_string(),
            name: contact.name.clone(),
            numbering_warning: contact.phone.numbering_warning(),
        }),
        ruleset: Versions { decided: trace.map(|trace| trace.ruleset), today: today.version().to_owned() },
        facts,
        rules: lines,
        actions,
        event,
    })
}

async fn refused(installation: &Installation, tenant: &Tenant) -> Result<Option<Refused>, StoreError> {
    let newest = refused_send(installation, tenant).await?;
    Ok(newest.map(|action| Refused {
        action: action.id,
        tried_at: action.tried_us.map(Timestamp::from_unix_us),
        error: actions::Code::new(BAD_CREDENTIALS.into()),
    }))
}

/// What the rules could read when they decided, as far as it can be rebuilt.
async fn facts(
    installation: &Installation,
    tenant: &Tenant,
    rules: &RuleSet,
    event: &Event,
    decided_at: Option<Timestamp>,
    trace: Option<&Trace>,
) -> Result<Facts, StoreError> {
    let contacts: Vec<_> = event.contact.into_iter().collect();
    let (mut known, mut not_rebuilt) = installation.store.contact_facts(tenant.id, &contacts, decided_at).await?;
    if decided_at.is_some() {
        not_rebuilt.push("the business's name, zone, language and blueprints are today's".to_owned());
    }
    let as_of = decided_at.unwrap_or_else(|| installation.clock.now());
    let store = &installation.store;
    let next = rules.reads_next_appointment();
    let book = appointments::known(store, tenant.id, std::iter::once(event), as_of, decided_at, next).await?;
    let contact = event.contact.and_then(|id| known.remove(&id));
    let facts = Facts { tenant: tenant.facts.clone(), contact, not_rebuilt, ..Facts::empty(as_of) };
    let mut batch = [(event.clone(), book.fill(event, facts))];
    recall(store, rules, &mut batch, decided_at).await?;
    let [(_, mut facts)] = batch;
    if decided_at.is_some() {
        // What was open then stands in the trace: its row is gone once it has found its end.
        let question = trace.and_then(|trace| trace.question.clone());
        facts.questions = question.into_iter().map(|question| (question.channel, question)).collect();
        if rules.reads_free_slots(event, &facts) {
            facts.not_rebuilt.push("which times were free is not known any more".to_owned());
        }
    }
    Ok(facts)
}

fn row(slug: &str, event: Event, decided_at: Option<Timestamp>) -> EventRow {
    EventRow {
        id: event.id.uuid(),
        tenant: slug.to_owned(),
        kind: event.kind.to_string(),
        channel: event.channel.map(|channel| channel.to_string()),
        contact: event.contact.map(|contact| contact.uuid()),
        occurred_at: event.occurred_at,
        decided_at,
        depth: i16::from(event.depth),
        data: event.data,
    }
}

/// A text of a JSON object, where there is one and it says something.
fn field<'a>(data: &'a Json, name: &str) -> Option<&'a str> {
    data.get(name).and_then(Json::as_str).filter(|text| !text.is_empty())
}
