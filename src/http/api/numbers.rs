//! `/api/v1/numbers`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::problem::{Common, Problem, Writing};
use crate::domain::Phone;
use crate::features::numbers;
use crate::features::numbers::{FOUND_MAX, NumberService, NumbersError, Purchase};
use crate::http::AppState;
use crate::http::views::number::{AvailableNumberView, BoughtView, OwnedNumberView, ReleasedView};
use crate::integrations::twilio::client::Search;
use crate::integrations::twilio::is_sid;
use crate::tenants::Tenant;

/// The default number of results.
const FOUND: u32 = 30;
/// The longest name at the provider, in characters.
const NAME_CHARS: usize = 64;

#[derive(Debug, Serialize, ToSchema)]
pub struct Numbers {
    items: Vec<OwnedNumberView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AvailableNumbers {
    items: Vec<AvailableNumberView>,
}

/// A search for numbers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NumberQuery {
    /// Country code, two letters
    #[param(example = "ES", min_length = 2, max_length = 2)]
    country: String,
    /// `local` (the default), `mobile` or `toll-free`
    kind: Option<String>,
    /// Area code of the US and Canada, three digits
    area_code: Option<String>,
    /// 2 to 16 digits or letters that the number contains; `*` is any one
    #[param(min_length = 2, max_length = 16)]
    contains: Option<String>,
    /// The most numbers; default 30
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A number to buy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Buy {
    /// The number, E.164, as a search has found it
    #[schema(example = "+34911990007")]
    number: String,
    /// Must be `true`: it costs money
    #[serde(default)]
    confirm: bool,
    /// Its name in the provider's console
    #[schema(max_length = 64)]
    friendly_name: Option<String>,
    /// Address SID (`AD…`), where the country requires an address
    address_sid: Option<String>,
    /// Bundle SID (`BU…`), where the country requires documents
    bundle_sid: Option<String>,
}

/// An empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Configure {}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConfirmQuery {
    /// Must be `true`: the number cannot be taken back
    #[serde(default)]
    confirm: bool,
}

/// List the numbers of the tenant, with their state at the provider and their webhooks.
#[utoipa::path(get, path = "/numbers", operation_id = "listNumbers", tag = "numbers",
    responses((status = 200, description = "All numbers", body = Numbers), Common,
        (status = 409, description = "The provider refuses the credentials", body = Problem,
            content_type = "application/problem+json"),
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
pub async fn list(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Numbers>, Problem> {
    let (service, tenant) = service(&state, &caller).await?;
    let numbers = service.list(&tenant).await.map_err(refused)?;
    Ok(axum::Json(Numbers { items: numbers.into_iter().map(OwnedNumberView::from).collect() }))
}

/// Search numbers to buy.
#[utoipa::path(get, path = "/numbers/available", operation_id = "searchNumbers", tag = "numbers", params(NumberQuery),
    responses((status = 200, description = "Numbers to buy", body = AvailableNumbers), Common,
        (status = 409, description = "The provider refuses the credentials", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "There are no such numbers", body = Problem,
            content_type = "application/problem+json"),
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
pub async fn available(
    State(state): State<AppState>,
    caller: Caller,
    Query(wanted): Query<NumberQuery>,
) -> Result<axum::Json<AvailableNumbers>, Problem> {
    let country = numbers::country(&wanted.country).map_err(Problem::bad_request)?;
    let kind = numbers::kind(wanted.kind.as_deref().unwrap_or("local")).map_err(Problem::bad_request)?;
    let area_code = wanted.area_code.as_deref().map(numbers::area_code).transpose().map_err(Problem::bad_request)?;
    let contains = wanted.contains.as_deref().map(numbers::pattern).transpose().map_err(Problem::bad_request)?;
    let limit = wanted.limit.unwrap_or(FOUND);
    if !(1..=FOUND_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is a number from 1 to {FOUND_MAX}")));
    }
    let search = Search { area_code, contains, limit: Some(limit), ..Search::new(country, kind) };
    let (service, tenant) = service(&state, &caller).await?;
    let found = service.search(&tenant, &search).await.map_err(refused)?;
    Ok(axum::Json(AvailableNumbers { items: found.into_iter().map(AvailableNumberView::from).collect() }))
}

/// Buy a number and configure its webhooks.
///
/// It costs money. A repeat does not buy twice, even where the provider's answer was lost: the account's list is checked
/// first.
#[utoipa::path(post, path = "/numbers", operation_id = "buyNumber", tag = "numbers", request_body = Buy,
    params(IdempotencyKey),
    responses((status = 201, description = "It was bought and set up", body = BoughtView),
        (status = 200, description = "The account had it already; it is set up", body = BoughtView), Common, Writing,
        (status = 502, description = "The provider cannot be asked, or whether it was bought is not known: ask again",
            body = Problem, content_type = "application/problem+json")))]
pub async fn buy(State(state): State<AppState>, caller: Caller, body: Body<Buy>) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, wanted: Buy| {
        let purchase = purchase(wanted)?;
        let (service, tenant) = service(&state, &caller).await?;
        let bought = service.buy(&tenant, &purchase).await.map_err(refused)?;
        Ok((if bought.bought { StatusCode::CREATED } else { StatusCode::OK }, BoughtView::from(bought)))
    })
    .await
}

/// Configure a number's webhooks. It repairs an interrupted purchase.
#[utoipa::path(post, path = "/numbers/{number}/configure", operation_id = "configureNumber", tag = "numbers",
    request_body = Configure,
    params(("number" = String, Path, description = "E.164"), IdempotencyKey),
    responses((status = 200, description = "The number", body = OwnedNumberView), Common, Writing,
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
pub async fn configure(
    State(state): State<AppState>,
    caller: Caller,
    Path(number): Path<String>,
    body: Body<Configure>,
) -> Result<Response, Problem> {
    let number = phone(&number)?;
    once(&state, &caller, body, async |_, Configure {}| {
        let (service, tenant) = service(&state, &caller).await?;
        let number = service.configure(&tenant, &number).await.map_err(refused)?;
        Ok((StatusCode::OK, OwnedNumberView::from(number)))
    })
    .await
}

/// Release a number; it may soon belong to somebody else.
///
/// Without `confirm=true` nothing is released: the answer says what uses the number.
#[utoipa::path(delete, path = "/numbers/{number}", operation_id = "releaseNumber", tag = "numbers",
    params(("number" = String, Path, description = "E.164"), ConfirmQuery),
    responses((status = 200, description = "It was given back", body = ReleasedView), Common, Writing,
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
pub async fn release(
    State(state): State<AppState>,
    caller: Caller,
    Path(number): Path<String>,
    Query(query): Query<ConfirmQuery>,
) -> Result<axum::Json<ReleasedView>, Problem> {
    let number = phone(&number)?;
    let (service, tenant) = service(&state, &caller).await?;
    if !query.confirm {
        let uses = service.uses(&tenant, &number);
        let uses = if uses.is_empty() { "nobody uses it".to_owned() } else { uses.join("; ") };
        let detail = format!("it does not come back, and {uses}: say confirm=true");
        return Err(Problem::new(StatusCode::CONFLICT, "not_confirmed", detail));
    }
    Ok(axum::Json(service.release(&tenant, &number).await.map_err(refused)?.into()))
}

/// The numbers service, and the tenant as it is now.
async fn service<'a>(state: &'a AppState, caller: &Caller) -> Result<(NumberService<'a>, Arc<Tenant>), Problem> {
    let tenant = caller.current_tenant(&state.directory).await?;
    Ok((NumberService { store: &state.store, directory: &state.directory, client: &state.transports.twilio }, tenant))
}

fn purchase(wanted: Buy) -> Result<Purchase, Problem> {
    let number = phone(&wanted.number)?;
    for (prefix, sid) in [("AD", &wanted.address_sid), ("BU", &wanted.bundle_sid)] {
        if sid.as_ref().is_some_and(|sid| !is_sid(prefix, sid)) {
            return Err(Problem::unfit("bad_sid", format!("write {prefix} and 32 hex digits")));
        }
    }
    if wanted.friendly_name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS) {
        return Err(Problem::unfit("too_long", format!("friendly_name has {NAME_CHARS} characters at most")));
    }
    if !wanted.confirm {
        let detail = format!("{number} costs money each month, from now on: say \"confirm\": true");
        return Err(Problem::unfit("not_confirmed", detail));
    }
    let Buy { friendly_name, address_sid, bundle_sid, .. } = wanted;
    Ok(Purchase { number, friendly_name, address_sid, bundle_sid })
}

fn phone(text: &str) -> Result<Phone, Problem> {
    Phone::parse_human(text, None).map_err(|error| Problem::unfit("not_e164", error))
}

fn refused(error: NumbersError) -> Problem {
    use NumbersError as E;
    let code = error.code();
    let status = match error {
        E::Store(error) => return error.into(),
        E::NotOurs { .. } => StatusCode::NOT_FOUND,
        E::NotANumber(_) | E::NoneInArea | E::NoSuchKind(_) | E::NeedsAddress(_) | E::NeedsBundle(_) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        E::OverBudget { .. }
        | E::NotForSale(_)
        | E::Credentials { .. }
        | E::NoToken(_)
        | E::OfAnother(_)
        | E::InAccount { .. }
        | E::Installations(_) => StatusCode::CONFLICT,
        E::Unknown { .. } | E::HalfDone { .. } | E::NotAsSet { .. } | E::Twilio(_) | E::NotBought(_) => {
            StatusCode::BAD_GATEWAY
        }
    };
    Problem::new(status, code, error.to_string())
}
