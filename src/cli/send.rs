//! `recado send`: sends a message through the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::channel_flags::{CHANNEL, ChannelFlag};
use super::{
    CliError, Outcome, TenantArg, find_send, find_tenant, for_tenant, local_url, name_and_value, open_existing, print,
    print_json, text,
};
use crate::app::Installation;
use crate::domain::action::Template;
use crate::domain::{ActionId, ActionState, EmailBody, TenantId, Timestamp};
use crate::engine::sending::services::{EmailService, MessageService};
use crate::http::views::action::ActionView;
use crate::integrations::http;
use crate::integrations::twilio::codes::BAD_CREDENTIALS;
use crate::ops::explain::refused_send;
use crate::store::StoreError;
use crate::store::rows::action;

/// How long the send is watched.
const WAIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a server on this machine may take to answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Send a message and watch its status
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado send --to +34600111222 'Your order is ready'\n  \
    recado send --to +34600111222 --whatsapp --template HX0123456789abcdef0123456789abcdef --var 1=Ana\n  \
    recado send --to ana@example.com --email --subject 'Your order' 'It is ready'\n\n\
    A running 'recado serve' sends the message; without one it is planned and sent at the next start.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Recipient, E.164; with --email an e-mail address
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// Send an e-mail instead of an SMS
    #[arg(long, requires = "subject", conflicts_with = CHANNEL)]
    email: bool,
    /// Subject of the e-mail
    #[arg(long, requires = "email")]
    subject: Option<String>,
    #[command(flatten)]
    channel: ChannelFlag,
    /// Approved WhatsApp template: its Content SID, or the tenant's name for it
    #[arg(long, value_name = "HX…", requires = "whatsapp", conflicts_with = "text")]
    template: Option<String>,
    /// Variable of the template; repeatable
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "template")]
    variables: Vec<(String, String)>,
    /// Plan the send and do not wait for it
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Text of the message
    #[arg(required_unless_present = "template")]
    text: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    action: ActionView,
    /// A server was running to send it.
    server: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let id = plan(&installation, &args).await?;
    let server = is_serving(&installation).await?;
    let show = |line: String| if args.json { Ok(()) } else { print(line) };
    let action = if server && !args.no_wait {
        watch(&installation, tenant.id, id, show).await?
    } else {
        find_send(&installation, tenant.id, id).await?
    };
    let state = state_of(&action)?;
    let of = for_tenant(&tenant.slug);
    if args.json {
        print_json(&Report { action: ActionView::from_row(&tenant.slug, action)?, server })?;
    } else if !server {
        let url = local_url(installation.config.listen);
        print(format!("{id} is planned. No server answers at {url}: it leaves when 'recado serve' runs"))?;
    } else if args.no_wait {
        print(format!("{id} is planned; see what becomes of it: recado explain{of} {id}"))?;
    } else {
        print(final_state(&action, state))?;
        if state == ActionState::Planned {
            let refused = refused_send(&installation.store, &installation.directory, &tenant).await?;
            print(why_planned(&action, refused.as_ref(), installation.clock.now()))?;
        }
        print(format!("More: recado explain{of} {id}"))?;
    }
    let bad = matches!(state, ActionState::Failed | ActionState::Blocked | ActionState::Held | ActionState::Unknown);
    Ok(if bad { Outcome::Failed } else { Outcome::Done })
}

async fn plan(installation: &Installation, args: &Args) -> Result<ActionId, CliError> {
    let (slug, outbox) = (&args.of.tenant, installation.outbox());
    let text = args.text.as_deref().unwrap_or_default();
    Ok(match &args.template {
        Some(content) => {
            let variables: BTreeMap<String, String> = args.variables.iter().cloned().collect();
            let template = Template { content: content.clone(), variables };
            MessageService { outbox, channel: args.channel.0 }.send_template(slug, &args.to, template).await?
        }
        None if args.email => {
            let subject = args.subject.clone().unwrap_or_default();
            EmailService(outbox).send(slug, &args.to, EmailBody { subject, text: text.to_owned(), html: None }).await?
        }
        None => MessageService { outbox, channel: args.channel.0 }.send(slug, &args.to, text).await?,
    })
}

/// True if a server answers where this configuration says that it listens.
async fn is_serving(installation: &Installation) -> Result<bool, CliError> {
    let url = format!("{}/health", local_url(installation.config.listen));
    let answer = http::client()?.get(url).timeout(HEALTH_TIMEOUT).send().await;
    Ok(answer.is_ok_and(|answer| answer.status().is_success()))
}

/// Watches the send until its state is final or the time is over; prints each change.
async fn watch(
    installation: &Installation,
    tenant: TenantId,
    id: ActionId,
    show: impl Fn(String) -> Result<(), CliError>,
) -> Result<action::Model, CliError> {
    let clock = &installation.clock;
    let until = clock.now().plus(WAIT);
    let mut shown = None;
    loop {
        let action = find_send(installation, tenant, id).await?;
        let state = state_of(&action)?;
        let now = (action.state.clone(), action.reason.clone());
        if shown.as_ref() != Some(&now) {
            let reason = action.reason.as_deref().map(|reason| format!(": {}", text::one_line(reason)));
            show(format!("{}  {state}{}", text::exact_time(clock.now()), reason.unwrap_or_default()))?;
            shown = Some(now);
        }
        if state.is_final() || state == ActionState::Held || clock.now() >= until {
            return Ok(action);
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

fn state_of(action: &action::Model) -> Result<ActionState, StoreError> {
    action.state.parse().map_err(|error| StoreError::Stored(format!("{error}")))
}

fn final_state(action: &action::Model, state: ActionState) -> String {
    let code = action.error_code.map(|code| format!("\nerror {}", text::code(code))).unwrap_or_default();
    let sid = action.provider_sid.as_deref().unwrap_or_default();
    let word = match state {
        ActionState::Sent => format!("sent: the provider has taken it as {sid}"),
        ActionState::Planned => "it is planned still, and leaves when the server can send it".to_owned(),
        ActionState::Unknown => {
            "whether the provider took it is not known yet; it is looked for, and not sent again meanwhile".to_owned()
        }
        ActionState::Sending => "it is still being sent".to_owned(),
        other => format!("it is {other} and does not leave"),
    };
    format!("{word}{code}")
}

/// Why the send is still planned: its time, the account, or no server on this database.
fn why_planned(action: &action::Model, refused: Option<&action::Model>, now: Timestamp) -> String {
    let due = Timestamp::from_unix_us(action.due_us);
    if due > now {
        return format!("It may leave at {}.", text::time(due));
    }
    match refused {
        Some(other) => format!(
            "The provider refused the account's credentials{}: its sends wait until they are put right.\nerror {}",
            other.tried_us.map(|at| format!(" at {}", text::time(Timestamp::from_unix_us(at)))).unwrap_or_default(),
            text::code(BAD_CREDENTIALS.into())
        ),
        None => {
            "Does 'recado serve' run on this database, is the provider within its reach, does a message to the same \
                 customer go first? Its log says what it waits for."
                .to_owned()
        }
    }
}
