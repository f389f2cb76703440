//! `/api/v1/numbers`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::once;
use super::problem::{Common, Problem, Writing};
use crate::domain::Phone;
use crate::features::numbers;
use crate::features::numbers::{Bought, Desk, FOUND_MAX, NumbersError, Owned, Purchase, Released};
use crate::http::AppState;
use crate::integrations::twilio::client::{AvailableNumber, Search};
use crate::integrations::twilio::is_sid;
use crate::tenants::Tenant;

/// What a search gives where nothing is said.
const FOUND: u32 = 30;
/// What the provider keeps of a name, in characters.
const NAME_CHARS: usize = 64;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, buy))
        .routes(routes!(available))
        .routes(routes!(configure))
        .routes(routes!(release))
}

#[derive(Debug, Serialize, ToSchema)]
struct Numbers {
    items: Vec<Owned>,
}

/// A number that can be bought.
#[derive(Debug, Serialize, ToSchema)]
struct Available {
    /// E.164
    #[schema(example = "+34911990007")]
    number: String,
    locality: String,
    region: String,
    country: String,
    /// What address must be given with it: `none`, `any`, `local` or `foreign`
    address_requirements: String,
    voice: bool,
    sms: bool,
}

impl From<AvailableNumber> for Available {
    fn from(one: AvailableNumber) -> Self {
        Self {
            number: one.phone_number,
            locality: one.locality,
            region: one.region,
            country: one.iso_country,
            address_requirements: one.address_requirements,
            voice: one.capabilities.voice,
            sms: one.capabilities.sms,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct AvailableNumbers {
    items: Vec<Available>,
}

/// What is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Two letters
    #[param(example = "ES", min_length = 2, max_length = 2)]
    country: String,
    /// `local`, `mobile` or `toll-free`; `local` where nothing is said
    kind: Option<String>,
    /// In the US and Canada: three digits
    area_code: Option<String>,
    /// 2 to 16 digits or letters that it has; `*` stands for any one
    #[param(min_length = 2, max_length = 16)]
    contains: Option<String>,
    /// 30 where nothing is said
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A number to be bought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Buy {
    /// E.164, as a search has found it
    #[schema(example = "+34911990007")]
    number: String,
    /// `true`: it costs money
    #[serde(default)]
    confirm: bool,
    /// What it is called in the provider's console
    #[schema(max_length = 64)]
    friendly_name: Option<String>,
    /// `AD…`, where the country asks for an address
    address_sid: Option<String>,
    /// `BU…`, where the country asks for papers
    bundle_sid: Option<String>,
}

/// Nothing is to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Configure {}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sure {
    /// `true`: it does not come back
    #[serde(default)]
    confirm: bool,
}

/// The numbers, each with whether it is active at the provider and whether its webhooks point here
#[utoipa::path(get, path = "/numbers", operation_id = "listNumbers", tag = "numbers",
    responses((status = 200, description = "All of them", body = Numbers), Common,
        (status = 409, description = "The provider refuses the credentials", body = Problem,
            content_type = "application/problem+json"),
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Numbers>, Problem> {
    let (desk, tenant) = desk(&state, &caller).await?;
    Ok(axum::Json(Numbers { items: desk.list(&tenant).await.map_err(refused)? }))
}

/// Numbers that can be bought
#[utoipa::path(get, path = "/numbers/available", operation_id = "searchNumbers", tag = "numbers", params(Wanted),
    responses((status = 200, description = "Some of them", body = AvailableNumbers), Common,
        (status = 409, description = "The provider refuses the credentials", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "There are no such numbers", body = Problem,
            content_type = "application/problem+json"),
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
async fn available(
    State(state): State<AppState>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
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
    let (desk, tenant) = desk(&state, &caller).await?;
    let found = desk.search(&tenant, &search).await.map_err(refused)?;
    Ok(axum::Json(AvailableNumbers { items: found.into_iter().map(Available::from).collect() }))
}

/// Buys a number, points its webhooks here, and sends from it
///
/// It costs money. A repeat buys nothing twice, also where the provider's answer was lost: the account's list is looked at
/// first.
#[utoipa::path(post, path = "/numbers", operation_id = "buyNumber", tag = "numbers", request_body = Buy,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key gets the same answer",
        min_length = 1, max_length = 255)),
    responses((status = 201, description = "It was bought and set up", body = Bought),
        (status = 200, description = "The account had it already; it is set up", body = Bought), Common, Writing,
        (status = 502, description = "The provider cannot be asked, or whether it was bought is not known: ask again",
            body = Problem, content_type = "application/problem+json")))]
async fn buy(State(state): State<AppState>, caller: Caller, body: Body<Buy>) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, wanted: Buy| {
        let purchase = purchase(wanted)?;
        let (desk, tenant) = desk(&state, &caller).await?;
        let bought = desk.buy(&tenant, &purchase).await.map_err(refused)?;
        Ok((if bought.bought { StatusCode::CREATED } else { StatusCode::OK }, bought))
    })
    .await
}

/// Points a number's webhooks here and sends from it: what repairs a purchase that broke off
#[utoipa::path(post, path = "/numbers/{number}/configure", operation_id = "configureNumber", tag = "numbers",
    request_body = Configure,
    params(("number" = String, Path, description = "E.164"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 200, description = "The number", body = Owned), Common, Writing,
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
async fn configure(
    State(state): State<AppState>,
    caller: Caller,
    Path(number): Path<String>,
    body: Body<Configure>,
) -> Result<Response, Problem> {
    let number = phone(&number)?;
    once(&state, &caller, body, async |_, Configure {}| {
        let (desk, tenant) = desk(&state, &caller).await?;
        Ok((StatusCode::OK, desk.configure(&tenant, &number).await.map_err(refused)?))
    })
    .await
}

/// Gives a number back; somebody else may have it soon
///
/// Without `confirm=true` nothing happens but that who uses it is said.
#[utoipa::path(delete, path = "/numbers/{number}", operation_id = "releaseNumber", tag = "numbers",
    params(("number" = String, Path, description = "E.164"), Sure),
    responses((status = 200, description = "It was given back", body = Released), Common, Writing,
        (status = 502, description = "The provider cannot be asked", body = Problem,
            content_type = "application/problem+json")))]
async fn release(
    State(state): State<AppState>,
    caller: Caller,
    Path(number): Path<String>,
    Query(sure): Query<Sure>,
) -> Result<axum::Json<Released>, Problem> {
    let number = phone(&number)?;
    let (desk, tenant) = desk(&state, &caller).await?;
    if !sure.confirm {
        let uses = desk.uses(&tenant, &number);
        let uses = if uses.is_empty() { "nobody uses it".to_owned() } else { uses.join("; ") };
        let detail = format!("it does not come back, and {uses}: say confirm=true");
        return Err(Problem::new(StatusCode::CONFLICT, "not_confirmed", detail));
    }
    Ok(axum::Json(desk.release(&tenant, &number).await.map_err(refused)?))
}

/// The desk, and the tenant as it stands: what is bought or given back by a command beside this server counts at once.
async fn desk<'a>(state: &'a AppState, caller: &Caller) -> Result<(Desk<'a>, Arc<Tenant>), Problem> {
    state.directory.refresh().await?;
    let tenant = state.directory.now().by_id(caller.0.id).unwrap_or(&caller.0).clone();
    Ok((Desk { store: &state.store, directory: &state.directory, client: &state.transports.twilio }, tenant))
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
    Phone::parse_human(text).map_err(|error| Problem::unfit("not_e164", error))
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
