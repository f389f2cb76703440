//! `/api/v1/campaigns`

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::body::{Body, Path, Query, Table};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{CampaignId, CampaignState, Country, Phone};
use crate::features::campaigns;
use crate::features::campaigns::{CampaignError, Plan, sheet};
use crate::http::AppState;
use crate::http::views::campaign::{CampaignMemberView, CampaignView, ImportedMembersView, ListedCampaignView};
use crate::store::Store;
use crate::store::tables::campaigns as rows;

/// The most members of one request.
const MEMBERS_MAX: usize = 1_000;

/// A new campaign, as a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// One of `call`, `sms` and `whatsapp`; `audience`, `windows`, `per_minute`, `at_once`, `retry`
    #[schema(value_type = Object, example = json!({
        "call": {"rule": "interest", "step": "interest", "machine": "hangup", "state": {"script": "We have a new course."}},
        "audience": {"tag": "member"}, "windows": "mon-fri 10:00-14:00", "per_minute": 30, "at_once": 5,
        "retry": {"on": ["busy", "no-answer"], "after": "2h", "tries": 3}
    }))]
    plan: Plan,
}

/// A new state.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetState {
    /// `running` starts or resumes the campaign
    #[schema(value_type = String, pattern = "^(running|paused|cancelled)$", example = "running")]
    state: CampaignState,
}

/// A new member of a campaign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    #[serde(default)]
    #[schema(max_length = 80)]
    name: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMembers {
    #[schema(max_items = 1000)]
    members: Vec<NewMember>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Added {
    /// Number of new members
    new: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    items: Vec<CampaignMemberView>,
    /// The number to give as `after` for the next page; `null` on the last one
    next: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberQuery {
    /// The most rows
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<String>,
}

/// List campaigns, newest first. Each campaign by itself has its statistics.
#[utoipa::path(get, path = "/campaigns", operation_id = "listCampaigns", tag = "campaigns", params(Cursor),
    responses((status = 200, description = "A page of campaigns", body = Page<ListedCampaignView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<ListedCampaignView>>, Problem> {
    let limit = cursor.limit()?;
    let rows = state.store.campaigns(caller.0.id, cursor.after.map(CampaignId::new), limit + 1).await?;
    let Page { items: rows, next } = Page::of(rows, limit, |campaign| campaign.id.uuid());
    Ok(axum::Json(Page { items: rows.into_iter().map(ListedCampaignView::from).collect(), next }))
}

/// Add a campaign, as a draft.
#[utoipa::path(post, path = "/campaigns", operation_id = "addCampaign", tag = "campaigns", request_body = NewCampaign,
    params(IdempotencyKey),
    responses((status = 201, description = "The new campaign", body = CampaignView), Common, Writing))]
pub async fn add(State(state): State<AppState>, caller: Caller, body: Body<NewCampaign>) -> Result<Response, Problem> {
    let store = &state.store;
    once(&state, &caller, body, async |id, new: NewCampaign| {
        let id = CampaignId::new(id);
        let campaign = match store.campaign(caller.0.id, id).await? {
            // An earlier try with this key has made it.
            Some(campaign) => campaign,
            None => {
                let rules = state.pipeline.rules();
                campaigns::add(store, &rules, &caller.0, id, &new.name, &new.plan).await.map_err(refused)?
            }
        };
        Ok((StatusCode::CREATED, CampaignView::load(store, &campaign).await?))
    })
    .await
}

/// Get a campaign.
#[utoipa::path(get, path = "/campaigns/{id}", operation_id = "getCampaign", tag = "campaigns",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The campaign", body = CampaignView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<CampaignView>, Problem> {
    let store = &state.store;
    Ok(axum::Json(CampaignView::load(store, &find(store, &caller, id).await?).await?))
}

/// Start, pause, resume or cancel a campaign.
#[utoipa::path(post, path = "/campaigns/{id}/state", operation_id = "setCampaignState", tag = "campaigns",
    request_body = SetState,
    params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 200, description = "The campaign as it stands", body = CampaignView), Common, Writing))]
pub async fn set_state(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    body: Body<SetState>,
) -> Result<Response, Problem> {
    let store = &state.store;
    once(&state, &caller, body, async |_, wanted: SetState| {
        let campaign = find(store, &caller, id).await?;
        let campaign = match campaign.state == wanted.state {
            true => campaign,
            false => {
                let rules = state.pipeline.rules();
                campaigns::transition(store, &rules, &caller.0, &campaign, wanted.state).await.map_err(refused)?
            }
        };
        Ok((StatusCode::OK, CampaignView::load(store, &campaign).await?))
    })
    .await
}

/// List the members of a campaign, by number.
#[utoipa::path(get, path = "/campaigns/{id}/members", operation_id = "listCampaignMembers", tag = "campaigns",
    params(("id" = Uuid, Path), MemberQuery),
    responses((status = 200, description = "A page of members", body = Members), Common))]
pub async fn members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Query(page): Query<MemberQuery>,
) -> Result<axum::Json<Members>, Problem> {
    let store = &state.store;
    let campaign = find(store, &caller, id).await?;
    let limit = Cursor { limit: page.limit, after: None }.limit()?;
    let after =
        page.after.as_deref().map(Phone::parse).transpose().map_err(|error| Problem::bad_request(error.to_string()))?;
    // The one more says that there is another page.
    let mut rows = store.campaign_members(&campaign, after.as_ref(), limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.phone.clone());
    Ok(axum::Json(Members { items: rows.into_iter().map(CampaignMemberView::from).collect(), next }))
}

/// Add members; existing members stay as they are.
#[utoipa::path(post, path = "/campaigns/{id}/members", operation_id = "addCampaignMembers", tag = "campaigns",
    request_body = NewMembers,
    params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 200, description = "How many are new", body = Added), Common, Writing))]
pub async fn add_members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    body: Body<NewMembers>,
) -> Result<Response, Problem> {
    let store = &state.store;
    once(&state, &caller, body, async |_, given: NewMembers| {
        let campaign = find(store, &caller, id).await?;
        if given.members.len() > MEMBERS_MAX {
            return Err(Problem::unfit("too_many", format!("a request adds at most {MEMBERS_MAX} members")));
        }
        let parsed =
            given.members.into_iter().map(|given| member(given, caller.0.home())).collect::<Result<Vec<_>, _>>()?;
        let new = campaigns::add_members(store, &campaign, &parsed).await.map_err(refused)?;
        Ok((StatusCode::OK, Added { new }))
    })
    .await
}

/// Add members from a table: CSV, whose first line names the columns `phone`, `name` and fields.
///
/// Lines without a valid number are refused; the others are added. A business has one import at a time.
#[utoipa::path(post, path = "/campaigns/{id}/members/import", operation_id = "importCampaignMembers", tag = "campaigns",
    request_body(content = String, content_type = "text/csv", example = "phone,name,city\n+34600111222,Ana,Jaén\n"),
    params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 200, description = "What became of its lines", body = ImportedMembersView), Common, Writing))]
pub async fn import_members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Table(body, _import): Table,
) -> Result<Response, Problem> {
    let store = &state.store;
    once(&state, &caller, body, async |_, bytes: Bytes| {
        let campaign = find(store, &caller, id).await?;
        let sheet = sheet::read(&bytes, caller.0.home()).map_err(|bad| Problem::unfit("bad_table", bad))?;
        let imported = campaigns::import_members(store, &campaign, sheet).await.map_err(refused)?;
        Ok((StatusCode::OK, ImportedMembersView::from(imported)))
    })
    .await
}

fn member(given: NewMember, home: Option<Country>) -> Result<rows::NewMember, Problem> {
    let phone = Phone::parse_human(&given.phone, home).map_err(|error| Problem::unfit("not_e164", error))?;
    let new = rows::NewMember { phone, name: given.name, fields: given.fields };
    sheet::check(&new).map_err(|why| Problem::unfit("bad_member", why))?;
    Ok(new)
}

async fn find(store: &Store, caller: &Caller, id: Uuid) -> Result<rows::Campaign, Problem> {
    let found = store.campaign(caller.0.id, CampaignId::new(id)).await?;
    found.ok_or_else(|| Problem::not_found("campaign"))
}

fn refused(error: CampaignError) -> Problem {
    let code = match error {
        CampaignError::Store(error) => return error.into(),
        CampaignError::NoCampaign(_) => return Problem::not_found("campaign"),
        CampaignError::Named(_) => return Problem::new(StatusCode::CONFLICT, "campaign_exists", error.to_string()),
        CampaignError::State(..) | CampaignError::Closed(_) => {
            return Problem::new(StatusCode::CONFLICT, "wrong_state", error.to_string());
        }
        CampaignError::Name | CampaignError::Plan(_) | CampaignError::Beginning(_) => "bad_campaign",
        CampaignError::Many | CampaignError::Full => "too_many",
        CampaignError::Nobody => "nobody",
        CampaignError::NoColumn { .. } | CampaignError::Missing(_) => "missing_values",
    };
    Problem::unfit(code, error)
}
