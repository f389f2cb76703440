//! `/api/v1/tenant`: the tenant that the token belongs to.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::problem::{Common, Problem, Writing};
use crate::domain::EmailAddress;
use crate::http::AppState;
use crate::http::views::tenant::TenantView;
use crate::tenants::{
    BlueprintChange, Blueprints, Missing, ParamChange, SettingsError, StaffChange, TenantChange, TenantService, fields,
};

/// A change of the tenant. Omitted fields stay as they are.
///
/// In maps, the named keys change and the others stay; `null` removes a key. Lists are replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTenant {
    /// The name that customers know the business by
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Time zone, an IANA name
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, example = "Europe/Madrid")]
    zone: Option<String>,
    /// Language tag (BCP 47)
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, example = "es", max_length = 35)]
    language: Option<String>,
    /// Country of numbers that are written without a country code (ISO 3166-1); `null`: that of the tenant's own numbers
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "ES")]
    country: Option<Option<String>>,
    /// Days after which old events are removed, 7 to 3650; 0 or `null` keeps everything
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, maximum = 3650)]
    retain_days: Option<Option<u32>>,
    /// Addresses that e-mail to "staff" goes to, at most 10
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, max_items = 10)]
    staff_emails: Option<Vec<String>>,
    /// Names of WhatsApp templates with their Content SIDs (`HX…`)
    #[serde(default)]
    templates: BTreeMap<String, Option<String>>,
    /// Routes of text messages by prefix (`+34`): `twilio` or a provider's name; `null`: the installation's choice
    #[serde(default)]
    routes: BTreeMap<String, Option<String>>,
    /// Blueprint rules with parameters to set. A rule that is named is enabled; `null` disables it and forgets its
    /// parameters. A parameter that is `null` goes back to the rule's default
    #[serde(default)]
    #[schema(value_type = Object)]
    blueprints: BTreeMap<String, Option<BTreeMap<String, Value>>>,
    /// Weekly opening hours; holidays stay. `null` removes the hours and the holidays
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00")]
    hours: Option<Option<String>>,
    /// Holidays by date: `closed` or shifts; `null`: the hours of the weekday again
    #[serde(default)]
    holidays: BTreeMap<String, Option<String>>,
    /// Quiet hours by prefix (`+34`) or `all`: hours or `off`; `null`: the installation's choice
    #[serde(default)]
    quiet: BTreeMap<String, Option<String>>,
}

/// Tells a field that is given from one that is omitted.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl TryFrom<ChangeTenant> for TenantChange {
    type Error = SettingsError;

    fn try_from(body: ChangeTenant) -> Result<Self, SettingsError> {
        let invalid = |field| move |problem: String| SettingsError::Invalid { field, problem };
        let address = |text: String| {
            EmailAddress::parse(&text).map_err(|error| invalid("staff_emails")(format!("'{text}': {error}")))
        };
        let staff = body.staff_emails.map(|all| all.into_iter().map(address).collect::<Result<Vec<_>, _>>());
        let date = |(day, shifts): (String, Option<String>)| match day.parse() {
            Ok(date) => Ok((date, shifts)),
            Err(_) => Err(invalid("holidays")(format!("'{day}' is no date: write a date such as 2026-12-25"))),
        };
        let params = |params: BTreeMap<String, Value>| {
            let change = |value| if value == Value::Null { ParamChange::Reset } else { ParamChange::Value(value) };
            BlueprintChange::Set(params.into_iter().map(|(name, value)| (name, change(value))).collect())
        };
        let blueprint = |given: Option<_>| given.map_or(BlueprintChange::Disable, params);
        let hours = |text: Option<String>| text.map(|text| text.parse()).transpose();
        let country = |text: Option<String>| text.as_deref().map(fields::country).transpose();
        let days = |days: Option<u32>| fields::retain_days(days.unwrap_or_default());
        Ok(Self {
            name: body.name.as_deref().map(fields::name).transpose().map_err(invalid("name"))?,
            zone: body.zone.as_deref().map(fields::zone).transpose().map_err(invalid("zone"))?,
            language: body.language.as_deref().map(fields::language).transpose().map_err(invalid("language"))?,
            country: body.country.map(country).transpose().map_err(invalid("country"))?,
            retain_days: body.retain_days.map(days).transpose().map_err(invalid("retain_days"))?,
            staff_emails: StaffChange { replace: staff.transpose()?, ..StaffChange::default() },
            templates: body.templates,
            routes: body.routes,
            blueprints: body.blueprints.into_iter().map(|(rule, given)| (rule, blueprint(given))).collect(),
            hours: body.hours.map(hours).transpose()?,
            holidays: body.holidays.into_iter().map(date).collect::<Result<_, _>>()?,
            quiet: body.quiet,
            ..Self::default()
        })
    }
}

/// Get the tenant with its settings.
#[utoipa::path(get, path = "/tenant", operation_id = "getTenant", tag = "tenant",
    responses((status = 200, description = "The tenant", body = TenantView), Common))]
pub async fn show(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<TenantView>, Problem> {
    Ok(axum::Json(view(&state, &caller).await?))
}

/// Change settings of the tenant.
///
/// Omitted fields stay as they are. In maps, the named keys change and the others stay; `null` removes a key. Lists are
/// replaced. A change that is refused changes nothing.
#[utoipa::path(patch, path = "/tenant", operation_id = "changeTenant", tag = "tenant", request_body = ChangeTenant,
    params(IdempotencyKey),
    responses((status = 200, description = "The tenant as changed", body = TenantView), Common, Writing))]
pub async fn change(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<ChangeTenant>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, body: ChangeTenant| {
        let change = TenantChange::try_from(body)?;
        let known = state.pipeline.rules().blueprints();
        let blueprints = Blueprints { known, source: "the installation".to_owned() };
        let service = TenantService { store: &state.store, directory: &state.directory };
        service.apply(&caller.0, &change, &blueprints, Missing::IsFine).await?;
        Ok((StatusCode::OK, view(&state, &caller).await?))
    })
    .await
}

async fn view(state: &AppState, caller: &Caller) -> Result<TenantView, Problem> {
    let tenant = caller.current_tenant(&state.directory).await?;
    let rules = state.pipeline.rules();
    Ok(TenantView::new(&tenant, state.directory.platform()).with_warnings(&rules, &tenant))
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match (error.field(), error) {
            (_, SettingsError::Store(error)) => error.into(),
            (_, SettingsError::NoTenant(_)) => Self::not_found("tenant"),
            (Some(field), error) => Self::unfit("bad_setting", format!("{field}: {error}")).in_field(field),
            (None, error) => {
                tracing::error!(%error, "a tenant could not be changed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
            }
        }
    }
}
