//! `recado phone`: a customer's phone in the terminal, connected to the built-in carrier.
//!
//! `handset` holds the state of the phone, and `keys` changes it; neither knows a screen or a network. `view`
//! draws it, `net` talks to the carrier, `screen` connects them. `plain` works without a screen.

mod bubble;
mod call;
mod editor;
mod chat_message;
mod handset;
mod keys;
mod net;
mod plain;
mod screen;
#[cfg(test)]
mod tests;
mod view;
mod wire;
mod wrap;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret;

use super::{CliError, DIR, Outcome};
use crate::app::{self, CARRIER_BASE};
use crate::config::{self as configuration, Config};
use crate::domain::{Channel, Clock, Phone};
use crate::integrations::http;
use crate::store::{self, Store};

use handset::{CUSTOMERS_MAX, Handset};
use net::{Carrier, Connection, NetError};
use wire::Number;

/// The carrier's address, unless the installation names another.
const CARRIER_DEFAULT: &str = "http://127.0.0.1:8010";
const CUSTOMER_DEFAULT: &str = "+34600111222";
const WAIT_MAX_S: u64 = 600;

/// Open a customer's phone in the terminal: text or call a business, without a Twilio account
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado phone\n  \
    recado phone --from +34600111222 --from +34600111333 --whatsapp\n  \
    printf 'HOLA\\nSTOP\\n' | recado phone --plain\n  \
    recado phone --call\n  \
    printf '1\\nel lunes\\n' | recado phone --call\n\n\
    It connects to the built-in carrier of a running 'recado serve'. F1 shows the keys, Ctrl-C quits.")]
pub struct Args {
    /// Number of the customer, E.164; repeatable
    #[arg(long, value_name = "NUMBER", default_value = CUSTOMER_DEFAULT)]
    from: Vec<String>,
    /// Number of the business; by default the carrier's first
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// Write WhatsApp messages instead of SMS
    #[arg(long)]
    whatsapp: bool,
    /// Name of the first customer's WhatsApp profile
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// URL of the carrier on this machine; by default that of the server in this folder
    #[arg(long, value_name = "URL", value_parser = net::loopback)]
    carrier: Option<Url>,
    /// Run without a screen: input lines are sent, messages are printed; also if the output is no terminal
    #[arg(long)]
    plain: bool,
    /// Place a call: speech is printed, input lines are spoken, digits are pressed
    #[arg(long, conflicts_with_all = ["whatsapp", "name"])]
    call: bool,
    /// Wait for calls to the first --from and answer them
    #[arg(long, conflicts_with_all = ["call", "to", "whatsapp", "name"])]
    ring: bool,
    /// Time that --plain waits for an answer after each line and at the end, 0s to 600s
    #[arg(long, value_name = "SECONDS", default_value = "5s", value_parser = wait)]
    wait: Duration,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let customers = customers(&args.from)?;
    let (base, store) = match args.carrier {
        Some(base) => (base, None),
        None => find_carrier().await?,
    };
    let clock = Clock::system();
    let carrier = Arc::new(Carrier::new(http::client()?, base, store));
    let numbers = carrier.numbers().await.map_err(|error| match error {
        NetError::Away { .. } => CliError::Refused(error.to_string()),
        _ => CliError::Refused(format!("{error}. Is another program there? Say where the carrier is: --carrier URL")),
    })?;
    if args.call || args.ring {
        let (me, typed) = (customers[0].clone(), io::stdin().is_terminal());
        let voice = call::Voice { carrier, clock, me, wait: args.wait, typed };
        return if args.ring { voice.ring().await } else { voice.call(&callee(args.to.as_deref(), &numbers)?).await };
    }
    let mut phone = Handset::new(customers.clone(), clock.clone());
    phone.customers[0].name = args.name.unwrap_or_default();
    let asked = if args.whatsapp { Channel::WhatsApp } else { Channel::Sms };
    phone.update_numbers(&numbers, asked);
    if let Some(to) = &args.to {
        let number = Phone::parse_human(to, None)?;
        let only_whatsapp = numbers
            .iter()
            .any(|one| one.number == number.as_str() && one.sms_url.is_none() && one.whatsapp_url.is_some());
        phone.open(number.as_str(), if only_whatsapp { Channel::WhatsApp } else { asked });
    }
    let (mut connection, updates) = Connection::new(carrier, clock.clone());
    for customer in customers {
        connection.watch(customer);
    }
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let typed = io::stdin().is_terminal();
    if args.plain || dumb || !typed || !io::stdout().is_terminal() {
        return plain::run(plain::Plain { phone, connection, updates, clock, wait: args.wait, typed }).await;
    }
    screen::run(phone, connection, updates).await?;
    Ok(Outcome::Done)
}

/// The number to call: the one that was named, or the first that answers calls.
fn callee(to: Option<&str>, numbers: &[Number]) -> Result<String, CliError> {
    match to {
        Some(to) => Ok(Phone::parse_human(to, None)?.as_str().to_owned()),
        None => {
            numbers.iter().find(|number| number.voice_url.is_some()).map(|number| number.number.clone()).ok_or_else(
                || {
                    CliError::Refused(
                        "no number of the carrier takes calls: set a number's VoiceUrl, or give --to".to_owned(),
                    )
                },
            )
        }
    }
}

fn customers(from: &[String]) -> Result<Vec<Phone>, CliError> {
    let mut customers: Vec<Phone> = Vec::new();
    for number in from {
        let number = Phone::parse_human(number, None)?;
        if !customers.contains(&number) {
            customers.push(number);
        }
    }
    if customers.len() > CUSTOMERS_MAX {
        return Err(CliError::Usage(format!("the phone holds {CUSTOMERS_MAX} numbers: give fewer --from")));
    }
    Ok(customers)
}

/// The carrier of the server in this folder, and the store that names it again after a restart.
async fn find_carrier() -> Result<(Url, Option<Store>), CliError> {
    let config = Config::load(Path::new(DIR), configuration::environment())?;
    let path = store::sqlite_path(config.database_url.expose_secret());
    let mut store = None;
    if path.is_none_or(|path| path.exists()) {
        // The log is not started, because its lines would break the screen.
        store = Some(app::open_existing_store(&config, &Clock::system()).await?);
    }
    let found = match &store {
        Some(store) => store.setting(CARRIER_BASE).await?,
        None => None,
    };
    let base = net::loopback(found.as_deref().unwrap_or(CARRIER_DEFAULT)).map_err(CliError::Refused)?;
    Ok((base, store))
}

fn wait(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok().filter(|&seconds| seconds <= WAIT_MAX_S);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("write seconds from 0s to {WAIT_MAX_S}s"))
}
