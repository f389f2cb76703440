//! The accounts' numbers (`IncomingPhoneNumbers`), and the URLs of their messages.
//!
//! After <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::{self, PageMeta, PageQuery};
use super::available::{self, NumberKind};
use super::carrier::Carrier;
use super::number_store::{Number, NumberConfig};
use super::request::{Authenticated, FormBody, ListQuery};
use super::validate::Refusal;
use crate::domain::Timestamp;
use crate::domain::phone::Phone;
use crate::integrations::twilio::form::Params;

/// Limit of numbers, over all accounts.
const NUMBERS_MAX: usize = 10_000;
/// Test numbers that cannot be bought, and that can, from <https://www.twilio.com/docs/iam/test-credentials>.
const UNAVAILABLE: &str = "+15005550000";
const INVALID: &str = "+15005550001";
/// An area code without numbers for sale.
pub const EMPTY_AREA: &str = "533";

impl Carrier {
    /// Replaces the numbers. A number that stays keeps its SID and other settings.
    pub fn set_numbers(&self, configs: Vec<NumberConfig>) {
        let now = self.0.clock.now();
        let mut numbers = self.0.numbers.lock();
        let mut before = std::mem::take(&mut *numbers);
        for config in configs.into_iter().take(NUMBERS_MAX) {
            let same =
                |known: &Number| known.config.number == config.number && known.config.account_sid == config.account_sid;
            let number = match before.iter().position(same) {
                Some(at) => Number { config, ..before.swap_remove(at) },
                None => self.new_number(config, now),
            };
            numbers.push(number);
        }
    }

    fn new_number(&self, config: NumberConfig, now: Timestamp) -> Number {
        Number { sid: self.new_sid("PN"), config, settings: Params::default(), created_at: now, updated_at: now }
    }
}

/// Lists numbers.
pub async fn list(
    State(carrier): State<Carrier>,
    Authenticated(account): Authenticated<String>,
    ListQuery(query): ListQuery,
) -> Response {
    carrier.list_numbers(&account, None, &query)
}

/// Lists the numbers of one kind (`Local.json`), or fetches a number (`PN….json`).
pub async fn fetch_or_list(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
    ListQuery(query): ListQuery,
) -> Response {
    match NumberKind::of_file(&file) {
        Some(kind) => carrier.list_numbers(&account, Some((kind, &file)), &query),
        None => carrier.with_number(&account, &file, |numbers, at| Json(numbers[at].resource()).into_response()),
    }
}

impl Carrier {
    fn list_numbers(&self, account: &str, of: Option<(NumberKind, &str)>, query: &Params) -> Response {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let wanted = query.filled("PhoneNumber").map(digits);
        let page = PageQuery::from_query(query);
        let numbers = self.0.numbers.lock();
        let concerned = numbers.iter().filter(|number| {
            number.config.account_sid == account
                && number.is_phone()
                && of.is_none_or(|(kind, _)| available::kind_of(&number.config.number) == kind)
                && wanted.as_deref().is_none_or(|wanted| number.config.number.contains(wanted))
                && query.filled("FriendlyName").is_none_or(|name| number.config.label == name)
        });
        let Some((found, last)) = page.cut(concerned, |number| &number.sid) else { return answer::unknown_page() };
        let below = of.map_or_else(|| ".json".to_owned(), |(_, file)| format!("/{file}"));
        let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers{below}");
        let meta = page.meta(&path, found.len(), last.as_deref());
        Json(Page { meta, incoming_phone_numbers: found.into_iter().map(Number::resource).collect() }).into_response()
    }
}

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    meta: PageMeta,
    incoming_phone_numbers: Vec<serde_json::Value>,
}

/// Buys a number.
pub async fn create(
    State(carrier): State<Carrier>,
    Authenticated(account): Authenticated<String>,
    FormBody(form): FormBody,
) -> Response {
    carrier.sell(&account, None, &form)
}

impl Carrier {
    fn sell(&self, account: &str, kind: Option<NumberKind>, form: &Params) -> Response {
        match self.buy(account, kind, form) {
            Ok(number) => (StatusCode::CREATED, Json(number.resource())).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn buy(&self, account: &str, kind: Option<NumberKind>, form: &Params) -> Result<Number, Refusal> {
        let wanted = match (form.filled("PhoneNumber"), form.filled("AreaCode")) {
            (Some(UNAVAILABLE), _) => return Err(Refusal::new(21422, format!("{UNAVAILABLE} is not available."))),
            (Some(number), _) if number == INVALID || Phone::parse(number).is_err() => {
                return Err(Refusal::new(21421, format!("{number} is not a valid number.")));
            }
            (Some(number), _) => number.to_owned(),
            (None, Some(EMPTY_AREA)) => {
                return Err(Refusal::new(21452, format!("No phone numbers found in area code {EMPTY_AREA}.")));
            }
            (None, Some(area)) if area.len() == 3 && area.bytes().all(|b| b.is_ascii_digit()) => {
                format!("+1{area}555{:04}", self.0.random.next_u64() % 10_000)
            }
            _ => return Err(Refusal::new(21403, "PhoneNumber or AreaCode is required.".to_owned())),
        };
        if kind.is_some_and(|kind| available::kind_of(&wanted) != kind) {
            return Err(Refusal::new(21421, format!("{wanted} is not a number of this kind.")));
        }
        let now = self.0.clock.now();
        let label = wanted.clone();
        let config = NumberConfig { account_sid: account.to_owned(), number: wanted, label, ..NumberConfig::default() };
        let mut number = self.new_number(config, now);
        number.update(form, now)?;
        let mut numbers = self.0.numbers.lock();
        if numbers.iter().any(|known| known.config.number == number.config.number) {
            return Err(Refusal::new(21422, format!("{} is not available.", number.config.number)));
        }
        if numbers.len() >= NUMBERS_MAX {
            return Err(Refusal::new(21404, "The account has as many numbers as it may have.".to_owned()));
        }
        numbers.push(number.clone());
        drop(numbers);
        Ok(number)
    }
}

/// Changes a number's settings (`PN….json`), or buys a number of one kind (`Local.json`).
pub async fn update_or_buy(
    State(carrier): State<Carrier>,
    Authenticated((account, number)): Authenticated<(String, String)>,
    FormBody(form): FormBody,
) -> Response {
    if let Some(kind) = NumberKind::of_file(&number) {
        return carrier.sell(&account, Some(kind), &form);
    }
    let now = carrier.0.clock.now();
    carrier.with_number(&account, &number, |numbers, at| match numbers[at].update(&form, now) {
        Ok(()) => Json(numbers[at].resource()).into_response(),
        Err(refusal) => refusal.into_response(),
    })
}

/// Releases a number.
pub async fn delete(
    State(carrier): State<Carrier>,
    Authenticated((account, number)): Authenticated<(String, String)>,
) -> Response {
    carrier.with_number(&account, &number, |numbers, at| {
        numbers.remove(at);
        StatusCode::NO_CONTENT.into_response()
    })
}

impl Carrier {
    /// Finds `PN….json` of an account.
    fn with_number(
        &self,
        account: &str,
        file: &str,
        then: impl FnOnce(&mut Vec<Number>, usize) -> Response,
    ) -> Response {
        let sid = file.strip_suffix(".json").unwrap_or(file);
        let mut numbers = self.0.numbers.lock();
        match numbers.iter().position(|number| number.sid == sid && number.config.account_sid == account) {
            Some(at) => then(&mut numbers, at),
            None => answer::not_found(&format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{file}")),
        }
    }
}
