//! `recado carrier`: runs the built-in carrier by itself, for any program that speaks to Twilio.

use std::net::SocketAddr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Outcome, configure, print};
use crate::config::Config;
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::Channel;
use crate::domain::{Clock, Phone};
use crate::emulators::twilio as carrier;
use crate::emulators::twilio::{Carrier, CarrierConfig, Fault, NumberConfig, Pace, SANDBOX, SANDBOX_CODE};
use crate::tenants::DEMO_SLUG;

/// The default number.
const NUMBER: &str = "+15005550006";
const CALLBACK_DELAY_MAX_MS: u64 = 3_600_000;

/// Run a local stand-in for Twilio: API, signed webhooks, delivery reports, and faults on demand
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado carrier\n  \
    recado carrier --number +34911222333 --webhook http://127.0.0.1:3000/incoming\n  \
    recado carrier --fault error_500_after_accept:times=3 --fault callbacks_late:delay_ms=90000\n\n\
    Faults: throttle, error_500, error_500_after_accept, unavailable_503, unauthorized, hang, hang_after_accept, drip, \
    drop_before_accept, drop_after_accept, callbacks_doubled, callbacks_late, callbacks_reordered, callbacks_lost, \
    callbacks_before_answer; each with times=, percent=, account=, on=create|call|list|any, delay_ms=. \
    While it runs: POST, GET and DELETE /carrier/faults.\n\n\
    Account and numbers come from TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM_NUMBER and TWILIO_WHATSAPP_NUMBER.")]
pub struct Args {
    /// Address to listen on; loopback only, because the control routes need no credentials
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8010")]
    listen: SocketAddr,
    /// A further number of the account, for SMS and WhatsApp; repeatable
    #[arg(long, value_name = "NUMBER")]
    number: Vec<Phone>,
    /// URL for inbound messages; by default /api/twilio/demo/sms and …/whatsapp below APP_URL
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    /// URL for inbound WhatsApp messages, if different
    #[arg(long, value_name = "URL")]
    whatsapp_webhook: Option<Url>,
    /// URL for calls; by default /api/twilio/demo/answer below APP_URL
    #[arg(long, value_name = "URL")]
    voice_webhook: Option<Url>,
    /// A fault to inject from the start, such as throttle:times=3; repeatable
    #[arg(long, value_name = "KIND[:…]")]
    fault: Vec<Fault>,
    /// Calls that an account may start per second, further calls wait; 0 for no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    calls_per_second: u32,
    /// Milliseconds between the statuses of a message
    #[arg(long, value_name = "MS", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(..=CALLBACK_DELAY_MAX_MS))]
    callback_delay: u64,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let (sid, token, made) = match &config.twilio.account {
        Some(account) => (account.sid.clone(), account.auth_token.clone(), false),
        None => (format!("AC{}", hex()?), SecretString::from(hex()?), true),
    };
    let numbers = numbers(&args, &config, &sid)?;
    let carrier = Carrier::new(CarrierConfig {
        seed: getrandom::u64()?,
        callback_delay_ms: args.callback_delay,
        strict: true,
        numbers: numbers.clone(),
        pace: Pace { calls_per_second: Some(args.calls_per_second).filter(|rate| *rate > 0), ..Pace::default() },
        ..CarrierConfig::new(&sid, token.clone(), Clock::system())
    })?;
    for fault in args.fault {
        carrier.add_fault(fault).map_err(|error| CliError::Usage(error.to_string()))?;
    }
    let refused =
        |error| CliError::Refused(format!("{} cannot be listened on: {error}; use another --listen", args.listen));
    let listener = carrier::listen(args.listen).await.map_err(refused)?;
    let base = format!("http://{}", listener.local_addr()?);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    print(announcement(&base, &sid, made.then_some(&token), &numbers))?;
    tokio::select! {
        served = axum::serve(listener, carrier.router()) => served?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(Outcome::Done)
}

fn numbers(args: &Args, config: &Config, account: &str) -> Result<Vec<NumberConfig>, CliError> {
    let ours = WebhookUrls::new(&config.app_url, DEMO_SLUG);
    let sms_url = args.webhook.as_ref().map_or_else(|| ours.messages(Channel::Sms), Url::to_string);
    let whatsapp = args.whatsapp_webhook.as_ref().or(args.webhook.as_ref());
    let whatsapp_url = whatsapp.map_or_else(|| ours.messages(Channel::WhatsApp), Url::to_string);
    let voice_url = args.voice_webhook.as_ref().map_or_else(|| ours.answer(), Url::to_string);
    for url in [&sms_url, &whatsapp_url, &voice_url] {
        carrier::check_loopback(url).map_err(|why| CliError::Usage(format!("the webhook {url} will not do: {why}")))?;
    }
    let named = |number: &Option<Phone>, default: &str| {
        number.as_ref().map(Phone::to_string).or_else(|| args.number.is_empty().then(|| default.to_owned()))
    };
    let texts = named(&config.twilio.from_number, NUMBER);
    let chats = named(&config.twilio.whatsapp_number, SANDBOX);
    let all = args.number.iter().map(Phone::to_string).chain(texts.clone()).chain(chats.clone());
    let mut numbers: Vec<NumberConfig> = Vec::new();
    for number in all {
        if numbers.iter().any(|known| known.number == number) {
            continue;
        }
        let further = args.number.iter().any(|further| further.as_str() == number);
        let takes = |named: &Option<String>| further || named.as_ref() == Some(&number);
        numbers.push(NumberConfig {
            account_sid: account.to_owned(),
            label: number.clone(),
            sms_url: takes(&texts).then(|| sms_url.clone()),
            whatsapp_url: takes(&chats).then(|| whatsapp_url.clone()),
            other_urls: std::collections::BTreeMap::new(),
            voice_url: takes(&texts).then(|| voice_url.clone()),
            status_url: takes(&texts).then(|| ours.status()),
            number,
        });
    }
    Ok(numbers)
}

fn announcement(base: &str, sid: &str, token: Option<&SecretString>, numbers: &[NumberConfig]) -> String {
    let mut text = format!("A stand-in for Twilio listens on {base}\n\nPoint a server at it:\n");
    text += &format!("  export TWILIO_API_BASE={base}\n");
    match token {
        Some(token) => {
            // The token was created for this process only, and the user needs it to sign in.
            let token = token.expose_secret();
            text += &format!("  export TWILIO_ACCOUNT_SID={sid}\n  export TWILIO_AUTH_TOKEN={token}\n");
        }
        None => text += &format!("  (the account is {sid}, with its token from the configuration)\n"),
    }
    let first = |takes: fn(&NumberConfig) -> bool| numbers.iter().find(|number| takes(number));
    if let Some(texts) = first(|number| number.sms_url.is_some()) {
        text += &format!("  export TWILIO_FROM_NUMBER={}\n", texts.number);
    }
    if let Some(chats) = first(|number| number.whatsapp_url.is_some()) {
        text += &format!("  export TWILIO_WHATSAPP_NUMBER={}\n", chats.number);
    }
    text += "\nNumbers, and where their messages go:\n";
    for NumberConfig { number, sms_url, whatsapp_url, voice_url, .. } in numbers {
        for (channel, url) in [("sms", sms_url), ("whatsapp", whatsapp_url), ("voice", voice_url)] {
            text += &url.as_ref().map(|url| format!("  {number:16} {channel:8} {url}\n")).unwrap_or_default();
        }
    }
    if numbers.iter().any(|number| number.number == SANDBOX) {
        text += &format!("{SANDBOX} is WhatsApp's sandbox: its customers write 'join {SANDBOX_CODE}' first.\n");
    }
    text += &format!("\nText it:\n  recado phone --carrier {base}");
    text
}

fn hex() -> Result<String, CliError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(crate::domain::hex(bytes))
}
