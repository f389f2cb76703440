//! The demo: the built-in carrier inside the server, where no Twilio account is configured.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::error::AppError;
use super::installation::Installation;
use crate::config::webhook_urls::WebhookUrls;
use crate::config::{Config, Source};
use crate::domain::{Channel, Clock};
use crate::emulators::twilio as carrier;
use crate::emulators::twilio::{Carrier, CarrierConfig, NumberConfig};
use crate::integrations::twilio::is_sid;
use crate::tenants::{DEMO_SLUG, Directory, Platform, Sender, Snapshot};

/// The time between the statuses of a message that it reports.
const CALLBACK_DELAY_MS: u64 = 200;
/// The setting that holds the carrier's address, for the commands beside the server.
pub const CARRIER_BASE: &str = "carrier_base";
/// The interval at which the carrier reads new numbers.
const NUMBERS_EVERY: Duration = Duration::from_secs(1);

/// Starts the built-in carrier; returns its base URL.
pub async fn start_carrier(installation: &Installation) -> Result<String, AppError> {
    Ok(start_carrier_with(installation, CALLBACK_DELAY_MS).await?.1)
}

/// Starts the built-in carrier with a delay between the statuses that it reports.
pub async fn start_carrier_with(installation: &Installation, delay_ms: u64) -> Result<(Carrier, String), AppError> {
    let Installation { config, clock, store, directory, .. } = installation;
    let account = &directory.platform().account;
    let mut carrier = CarrierConfig::new(&account.sid, account.exposed_tokens()[0], clock.clone());
    carrier.callback_delay_ms = delay_ms;
    // Every start has its own seed, because the SIDs of earlier starts are in the database.
    carrier.seed = getrandom::u64()?;
    let snapshot = directory.now();
    for tenant in snapshot.tenants().filter(|tenant| tenant.owns_account) {
        // An account whose token cannot be opened can neither send nor sign.
        if let Some(token) = tenant.account.tokens.first() {
            carrier.accounts.insert(tenant.account.sid.clone(), token.clone());
        }
    }
    carrier.numbers = numbers(&snapshot, directory.platform());
    let carrier = Carrier::new(carrier)?;
    let listener = listen(config).await?;
    let base = format!("http://{}", listener.local_addr()?);
    store.set_setting(CARRIER_BASE, &base).await?;
    let router = carrier.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::spawn(follow(carrier.clone(), directory.clone(), clock.clone(), snapshot));
    Ok((carrier, base))
}

/// Binds `CARRIER_LISTEN`. Where the default port is taken, any free port will do.
async fn listen(config: &Config) -> Result<TcpListener, AppError> {
    let address = config.carrier_listen;
    let configured = config.explain().iter().any(|key| key.name == "CARRIER_LISTEN" && key.source != Source::Default);
    let listened = match carrier::listen(address).await {
        Err(_) if !configured => carrier::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await,
        listened => listened,
    };
    listened.map_err(|cause| AppError::Listen { key: "CARRIER_LISTEN", address, cause })
}

/// Tells the carrier about numbers that tenants get later, until the process ends.
async fn follow(carrier: Carrier, directory: Arc<Directory>, clock: Clock, mut known: Arc<Snapshot>) {
    loop {
        clock.sleep(NUMBERS_EVERY).await;
        let now = directory.now();
        if !Arc::ptr_eq(&known, &now) {
            carrier.set_numbers(numbers(&now, directory.platform()));
            known = now;
        }
    }
}

/// Every number with its webhooks: the shared ones, which the tenant `demo` answers, and each tenant's own.
fn numbers(snapshot: &Snapshot, platform: &Platform) -> Vec<NumberConfig> {
    let mut numbers: Vec<NumberConfig> = Vec::new();
    let mut add = |account: &str, slug: &str, channel: Channel, number: &str, base: &str| {
        let known = |one: &NumberConfig| one.number == number && one.account_sid == account;
        let at = numbers.iter().position(known).unwrap_or_else(|| {
            let (account_sid, number, label) = (account.to_owned(), number.to_owned(), slug.to_owned());
            numbers.push(NumberConfig { account_sid, number, label, ..NumberConfig::default() });
            numbers.len() - 1
        });
        let urls = WebhookUrls::new(base, slug);
        let url = Some(urls.messages(channel));
        match channel {
            Channel::Sms => {
                numbers[at].sms_url = url;
                // A number that receives texts receives calls, too.
                numbers[at].voice_url = Some(urls.answer());
                numbers[at].status_url = Some(urls.status());
            }
            Channel::WhatsApp => numbers[at].whatsapp_url = url,
            other if other.spec().receives => numbers[at].other_urls.extend(url.map(|url| (other, url))),
            // E-mail senders are no numbers; voice shares the number's SMS sender.
            _ => {}
        }
    };
    let own = [(Channel::Sms, &platform.from_number), (Channel::WhatsApp, &platform.whatsapp_number)];
    for (channel, number) in own.into_iter().filter_map(|(channel, number)| Some((channel, number.as_ref()?))) {
        if snapshot.owner(channel, number.as_str()).is_none() && snapshot.by_slug(DEMO_SLUG).is_some() {
            add(&platform.account.sid, DEMO_SLUG, channel, number.as_str(), &platform.app_url);
        }
    }
    let mut tenants: Vec<_> = snapshot.tenants().collect();
    tenants.sort_by(|one, other| one.slug.cmp(&other.slug));
    for tenant in tenants {
        let listed = |sender: &&Sender| sender.channel.is_sender(&sender.number) && !is_sid("MG", &sender.number);
        for sender in tenant.senders.iter().filter(listed) {
            let base = sender.base_url.as_deref().unwrap_or(&platform.app_url);
            add(&tenant.account.sid, &tenant.slug, sender.channel, &sender.number, base);
        }
    }
    numbers
}
