//! A tenant's phone numbers at Twilio: search, buy, configure, list, release.
//!
//! **Buying costs money.** It happens within NUMBERS_BUDGET and is safe to repeat: the tenant's claim on the number,
//! its sender for calls, is committed first; the account's list is read before anything is bought; and a number is sold
//! once. If the process dies in between, the claim stays, and buying again or configuring completes the purchase.
//!
//! In the installation's account, which tenants share, a number belongs to the tenant that sends from it. In an account
//! of its own, all numbers belong to the tenant except those that another tenant sends from.

mod buy;
mod error;
mod release;

pub use buy::{Bought, Purchase};
pub use error::NumbersError;
pub use release::Released;

use crate::config::webhook_urls::{OVERRIDES, STATUS_WITHOUT_SLUG, VOICE_WITHOUT_SLUG, WebhookUrls};
use crate::domain::{Channel, Phone};
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{
    AvailableNumber, Client, IncomingNumber, NumberKind, NumberSettings, Search,
};
use crate::integrations::twilio::types::Method;
use crate::store::Store;
use crate::tenants::{Directory, Tenant};

/// Pages of a thousand numbers that are read of an account. A sender that is not among them is requested by itself.
const PAGES_MAX: usize = 5;
/// The most results of a search.
pub const FOUND_MAX: u32 = 100;
/// The channels whose senders make a number a tenant's.
const CHANNELS: [Channel; 3] = [Channel::Sms, Channel::Voice, Channel::WhatsApp];

/// Manages the numbers of tenants.
#[derive(Clone, Copy)]
pub struct NumberService<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
    pub client: &'a Client,
}

/// The destination of one kind of webhook of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// True if it is this installation, for this tenant.
    pub here: bool,
    /// The URL, or what overrides it, such as a TwiML App. Empty where none is set.
    pub to: String,
}

/// A number of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedNumber {
    pub number: String,
    pub friendly_name: String,
    /// Whether the provider's account has it; else no calls and messages come or go
    pub active: bool,
    /// Whether all its webhooks point here
    pub points_here: bool,
    pub voice: Destination,
    pub sms: Destination,
    /// Destination of call statuses
    pub status: Destination,
    /// Channels for which this tenant sends from it
    pub sends: Vec<Channel>,
    /// Voice agent that answers its calls
    pub agent: Option<String>,
    /// It is the installation's, shared by tenants without a number of their own
    pub shared: bool,
}

/// The owner of a number, from a tenant's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// The tenant sends from it.
    Own,
    /// Nobody sends from it.
    Free,
    /// The installation sends from it; `true` if its calls and messages reach this tenant.
    Installations(bool),
    Another,
}

/// The URLs that a tenant's number should have.
struct Urls {
    voice: String,
    also_voice: String,
    fallback: String,
    status: String,
    /// Without the connection overrides.
    sms: String,
    base: String,
}

impl Urls {
    fn new(base: &str, slug: &str) -> Self {
        let urls = WebhookUrls::new(base, slug);
        Self {
            voice: urls.answer(),
            also_voice: urls.voice(),
            fallback: urls.fallback(),
            status: urls.status(),
            sms: urls.messages(Channel::Sms),
            base: base.to_owned(),
        }
    }

    fn settings(&self) -> NumberSettings {
        NumberSettings {
            voice_url: Some(self.voice.clone()),
            voice_method: Some(Method::Post),
            voice_fallback_url: Some(self.fallback.clone()),
            voice_fallback_method: Some(Method::Post),
            status_callback: Some(self.status.clone()),
            status_callback_method: Some(Method::Post),
            sms_url: Some(format!("{}{OVERRIDES}", self.sms)),
            sms_method: Some(Method::Post),
            ..NumberSettings::default()
        }
    }

    /// The same, and no application before them.
    fn settings_alone(&self) -> NumberSettings {
        let none = || Some(String::new());
        NumberSettings { voice_application_sid: none(), sms_application_sid: none(), ..self.settings() }
    }

    /// The destination of calls. Every URL that reaches the tenant counts; those without a slug find it by the number.
    fn voice(&self, number: &IncomingNumber) -> Destination {
        let before = [("a TwiML App", &number.voice_application_sid), ("a trunk", &number.trunk_sid)];
        self.judge(&number.voice_url, &before, |bare| {
            bare == self.voice || bare == self.also_voice || self.is_one_of(bare, &VOICE_WITHOUT_SLUG)
        })
    }

    fn sms(&self, number: &IncomingNumber) -> Destination {
        let goes =
            self.judge(&number.sms_url, &[("a TwiML App", &number.sms_application_sid)], |bare| bare == self.sms);
        if goes.here && !number.sms_method.eq_ignore_ascii_case("POST") {
            return Destination {
                here: false,
                to: format!("{} {}, which takes POST only", number.sms_method, goes.to),
            };
        }
        goes
    }

    fn status(&self, number: &IncomingNumber) -> Destination {
        self.judge(&number.status_callback, &[], |bare| {
            bare == self.status || self.is_one_of(bare, &STATUS_WITHOUT_SLUG)
        })
    }

    fn is_one_of(&self, url: &str, paths: &[&str]) -> bool {
        url.strip_prefix(&self.base).is_some_and(|path| paths.contains(&path))
    }

    fn judge(&self, url: &str, before: &[(&str, &String)], is_good: impl Fn(&str) -> bool) -> Destination {
        match before.iter().find(|(_, sid)| !sid.is_empty()) {
            Some((what, sid)) => Destination { here: false, to: format!("{what} ({sid})") },
            // The part after # holds Twilio's connection overrides.
            None => Destination { here: is_good(url.split('#').next().unwrap_or_default()), to: url.to_owned() },
        }
    }
}

impl<'a> NumberService<'a> {
    /// Searches numbers that can be bought; at most [`FOUND_MAX`].
    pub async fn search(&self, tenant: &Tenant, search: &Search) -> Result<Vec<AvailableNumber>, NumbersError> {
        let account = credentials(tenant)?;
        let limit = search.limit.map_or(FOUND_MAX, |limit| limit.min(FOUND_MAX));
        let search = Search { limit: Some(limit), ..search.clone() };
        let mut found = match self.client.search_numbers(&account, &search).await {
            Err(client::LookupError::NotFound) => return Err(NumbersError::NoSuchKind(search.country)),
            found => found.map_err(|error| NumbersError::from_lookup(&tenant.slug, error))?,
        };
        if found.is_empty() && search.area_code.is_some() {
            return Err(NumbersError::NoneInArea);
        }
        found.truncate(limit as usize);
        Ok(found)
    }

    /// A tenant's numbers, and the installation's if it sends from those, as the provider has them.
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<OwnedNumber>, NumbersError> {
        let account = credentials(tenant)?;
        let of_tenant = |error| NumbersError::from_lookup(&tenant.slug, error);
        let listed = self.client.list_numbers(&account, None, PAGES_MAX).await.map_err(of_tenant)?;
        let mut numbers: Vec<OwnedNumber> = Vec::new();
        for number in &listed.numbers {
            if self.is_shown(tenant, &number.phone_number) {
                numbers.push(self.view(tenant, &number.phone_number, Some(number)));
            }
        }
        for number in self.expected(tenant) {
            if numbers.iter().any(|shown| shown.number == number) {
                continue;
            }
            let found = if listed.complete { None } else { self.find(tenant, &account, &number).await? };
            numbers.push(self.view(tenant, &number, found.as_ref()));
        }
        Ok(numbers)
    }

    /// The tenants that use the number, to be shown before it is released.
    pub fn uses(&self, tenant: &Tenant, number: &Phone) -> Vec<String> {
        let sends = sends(tenant, number.as_str())
            .into_iter()
            .map(|channel| format!("'{}' sends {channel} by it", tenant.slug));
        let agent = tenant.settings.voice.agent_of(number.as_str());
        let agent = agent.map(|agent| format!("the voice agent {} takes its calls", agent.name));
        sends.chain(agent).collect()
    }

    /// The numbers that the account should have.
    fn expected(&self, tenant: &Tenant) -> Vec<String> {
        let is_number = |channel| channel == Channel::Sms || channel == Channel::Voice;
        let own = tenant.senders.iter().filter(|sender| is_number(sender.channel) && sender.number.starts_with('+'));
        let mut numbers: Vec<String> = own.map(|sender| sender.number.clone()).collect();
        let installations = self.directory.platform().from_number.as_ref().map(Phone::to_string);
        numbers.extend(installations.filter(|number| self.is_shown(tenant, number)));
        numbers.sort();
        numbers.dedup();
        numbers
    }

    fn is_shown(&self, tenant: &Tenant, number: &str) -> bool {
        match self.standing(tenant, number) {
            Ownership::Own => true,
            Ownership::Free => tenant.owns_account,
            Ownership::Installations(concerns) => !tenant.owns_account && (concerns || tenant.senders.is_empty()),
            Ownership::Another => false,
        }
    }

    fn standing(&self, tenant: &Tenant, number: &str) -> Ownership {
        let (snapshot, platform) = (self.directory.now(), self.directory.platform());
        let owners: Vec<_> = CHANNELS.into_iter().filter_map(|channel| snapshot.owner(channel, number)).collect();
        if owners.iter().any(|owner| owner.id == tenant.id) {
            return Ownership::Own;
        }
        if !owners.is_empty() {
            return Ownership::Another;
        }
        let of_platform = [&platform.from_number, &platform.whatsapp_number];
        if of_platform.into_iter().flatten().any(|own| own.as_str() == number) {
            let concerned = CHANNELS.into_iter().filter_map(|channel| snapshot.by_number(channel, number)).next();
            return Ownership::Installations(concerned.is_some_and(|one| one.id == tenant.id));
        }
        Ownership::Free
    }

    fn view(&self, tenant: &Tenant, number: &str, found: Option<&IncomingNumber>) -> OwnedNumber {
        let urls = self.urls(tenant, number);
        let nowhere = || Destination { here: false, to: String::new() };
        let judged =
            |judge: fn(&Urls, &IncomingNumber) -> Destination| found.map_or_else(nowhere, |found| judge(&urls, found));
        let (voice, sms, status) = (judged(Urls::voice), judged(Urls::sms), judged(Urls::status));
        OwnedNumber {
            number: number.to_owned(),
            friendly_name: found.map(|found| found.friendly_name.clone()).unwrap_or_default(),
            active: found.is_some(),
            points_here: voice.here && sms.here && status.here,
            voice,
            sms,
            status,
            sends: sends(tenant, number),
            agent: tenant.settings.voice.agent_of(number).map(|agent| agent.name.clone()),
            shared: matches!(self.standing(tenant, number), Ownership::Installations(_)),
        }
    }

    fn urls(&self, tenant: &Tenant, number: &str) -> Urls {
        Urls::new(self.base(tenant, number).as_deref().unwrap_or(&self.directory.platform().app_url), &tenant.slug)
    }

    /// The base URL of this number, if it has its own.
    fn base(&self, tenant: &Tenant, number: &str) -> Option<String> {
        tenant.senders.iter().find(|sender| sender.number == number).and_then(|sender| sender.base_url.clone())
    }

    /// Finds a number in the account.
    async fn find(
        &self,
        tenant: &Tenant,
        account: &client::Account,
        number: &str,
    ) -> Result<Option<IncomingNumber>, NumbersError> {
        let listed = self.client.list_numbers(account, Some(number), 1).await;
        let listed = listed.map_err(|error| NumbersError::from_lookup(&tenant.slug, error))?;
        Ok(listed.numbers.into_iter().find(|one| one.phone_number == number))
    }
}

fn credentials(tenant: &Tenant) -> Result<client::Account, NumbersError> {
    let token = tenant.account.tokens.first().ok_or_else(|| NumbersError::NoToken(tenant.slug.clone()))?;
    Ok(client::Account { sid: tenant.account.sid.clone(), token: token.clone() })
}

fn sends(tenant: &Tenant, number: &str) -> Vec<Channel> {
    let of = |channel: &Channel| tenant.senders.iter().any(|one| one.channel == *channel && one.number == number);
    CHANNELS.into_iter().filter(of).collect()
}

/// Parses `local`, `mobile` or `toll-free`.
pub fn kind(text: &str) -> Result<NumberKind, String> {
    match text {
        "local" => Ok(NumberKind::Local),
        "mobile" => Ok(NumberKind::Mobile),
        "toll-free" => Ok(NumberKind::TollFree),
        _ => Err("write local, mobile or toll-free".to_owned()),
    }
}

/// Parses an ISO 3166 country code; returns it in capitals.
pub fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err("write a country as two letters, such as ES".to_owned())
    }
}

/// Parses a North American area code.
pub fn area_code(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("write an area code as three digits, such as 415".to_owned())
    }
}

/// Parses a search pattern.
pub fn pattern(text: &str) -> Result<String, String> {
    if (2..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*') {
        Ok(text.to_owned())
    } else {
        Err("write 2 to 16 digits or letters; * stands for any one".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_options_are_parsed() {
        assert_eq!(country("es").as_deref(), Ok("ES"));
        assert!(country("ESP").is_err() && country("é").is_err() && country("E1").is_err());
        assert!(kind("toll-free").is_ok() && kind("Local").is_err());
        assert!(area_code("415").is_ok() && area_code("41").is_err() && area_code("41a").is_err());
        assert!(pattern("34*7AB").is_ok() && pattern("7").is_err() && pattern("+34").is_err());
    }

    #[test]
    fn a_webhook_points_here_by_each_of_its_urls() {
        let urls = Urls::new("https://a.example", "sol");
        let number = |json: serde_json::Value| -> IncomingNumber {
            let mut whole = serde_json::json!({"sid": "PN1", "phone_number": "+34911990007", "sms_method": "POST"});
            whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
            serde_json::from_value(whole).unwrap()
        };
        for (path, here) in [
            ("/api/twilio/sol/answer", true),
            ("/api/twilio/sol/voice#rc=1", true),
            ("/api/webhooks/twilio", true),
            ("/api/twilio/luna/answer", false),
            ("/api/twilio/sol/sms", false),
        ] {
            let number = number(serde_json::json!({"voice_url": format!("https://a.example{path}")}));
            assert_eq!(urls.voice(&number).here, here, "{path}");
        }
        let elsewhere = number(serde_json::json!({"voice_url": "https://b.example/api/twilio/sol/answer"}));
        assert!(!urls.voice(&elsewhere).here && urls.status(&elsewhere).to.is_empty());
        let sms = "https://a.example/api/twilio/sol/sms#rc=3&rp=all";
        assert!(urls.sms(&number(serde_json::json!({"sms_url": sms}))).here);
        assert!(!urls.sms(&number(serde_json::json!({"sms_url": sms, "sms_method": "GET"}))).here);
        let app = number(serde_json::json!({"sms_url": sms, "sms_application_sid": "AP1"}));
        assert_eq!(urls.sms(&app), Destination { here: false, to: "a TwiML App (AP1)".to_owned() });
    }
}
