//! `/api/v1/campaigns`

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::body::{Body, Path, Query, Table};
use super::caller::Caller;
use super::once::once;
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{CampaignId, CampaignState, Phone};
use crate::features::campaigns;
use crate::features::campaigns::{CampaignError, Plan, sheet};
use crate::http::AppState;
use crate::store::Store;
use crate::store::tables::campaigns as rows;

/// Members of one request, at most.
const MEMBERS_MAX: usize = 1_000;
/// Refused lines of a table that an answer names, at most.
const REFUSED_MAX: usize = 1_000;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show))
        .routes(routes!(set_state))
        .routes(routes!(members, add_members))
        .routes(routes!(import_members))
}

/// A campaign, and how it stands: each member and each call counts once.
#[derive(Debug, Serialize, ToSchema)]
struct Campaign {
    id: Uuid,
    name: String,
    #[schema(example = "running")]
    state: String,
    /// What it does, to whom, when, and how often
    #[schema(value_type = Object)]
    plan: Value,
    members: i64,
    waiting: i64,
    trying: i64,
    done: i64,
    /// Tries that count
    tries: i64,
    /// Members that are done, by what came of them
    outcomes: BTreeMap<String, i64>,
    /// Calls by their status
    calls: BTreeMap<String, i64>,
    /// Seconds of all calls together
    talked_s: i64,
    /// Messages by their delivery status
    messages: BTreeMap<String, i64>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
}

async fn shown(store: &Store, campaign: &rows::Campaign) -> Result<Campaign, Problem> {
    let counted = store.campaign_statistics(campaign).await?;
    Ok(Campaign {
        id: campaign.id.uuid(),
        name: campaign.name.clone(),
        state: campaign.state.to_string(),
        plan: serde_json::from_str(&campaign.plan).unwrap_or_default(),
        members: counted.members,
        waiting: counted.waiting,
        trying: counted.trying,
        done: counted.done,
        tries: counted.tries,
        outcomes: counted.outcomes,
        calls: counted.calls,
        talked_s: counted.talked_s,
        messages: counted.messages,
        created_at: campaign.created.to_string(),
    })
}

/// A campaign to be set up, as a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCampaign {
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

/// Where it is to stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetState {
    /// `running` starts it or lets it go on
    #[schema(value_type = String, pattern = "^(running|paused|cancelled)$", example = "running")]
    state: CampaignState,
}

/// Somebody to be called or written to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
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
struct NewMembers {
    #[schema(max_items = 1000)]
    members: Vec<NewMember>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Added {
    /// How many were no members before
    new: u64,
}

/// What became of a table.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    /// How many were no members before
    new: u64,
    /// How many were
    known: u64,
    /// How many lines name nobody
    refused: usize,
    /// The first 1,000 of these
    refused_lines: Vec<RefusedLine>,
}

/// A line of a table that names nobody.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedLine {
    #[schema(example = 3)]
    line: u64,
    reason: String,
}

/// A member, and where they stand.
#[derive(Debug, Serialize, ToSchema)]
struct CampaignMember {
    phone: String,
    name: String,
    #[schema(example = "waiting")]
    state: String,
    tries: i32,
    /// What came of the last try
    outcome: Option<String>,
    detail: Option<String>,
    /// What the script has kept of their answer
    answer: Option<String>,
    /// The last try: a call or a message
    action: Option<Uuid>,
}

impl From<rows::ListedMember> for CampaignMember {
    fn from(one: rows::ListedMember) -> Self {
        Self {
            phone: one.phone,
            name: one.name,
            state: one.state,
            tries: one.tries,
            outcome: one.outcome,
            detail: one.detail,
            answer: one.answer,
            action: one.action.map(|action| action.uuid()),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Members {
    items: Vec<CampaignMember>,
    /// The number to give as `after` for the next page; `null` on the last one
    next: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Rows, at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<String>,
}

/// Campaigns, the newest first
#[utoipa::path(get, path = "/campaigns", operation_id = "listCampaigns", tag = "campaigns", params(Cursor),
    responses((status = 200, description = "A page of them", body = Page<Campaign>), Common))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<Campaign>>, Problem> {
    let (store, limit) = (&state.store, cursor.limit()?);
    let rows = store.campaigns(caller.0.id, cursor.after.map(CampaignId::new), limit + 1).await?;
    let Page { items: rows, next } = Page::of(rows, limit, |campaign| campaign.id.uuid());
    let mut items = Vec::with_capacity(rows.len());
    for campaign in &rows {
        items.push(shown(store, campaign).await?);
    }
    Ok(axum::Json(Page { items, next }))
}

/// Sets up a campaign, as a draft
#[utoipa::path(post, path = "/campaigns", operation_id = "addCampaign", tag = "campaigns", request_body = NewCampaign,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 201, description = "The new campaign", body = Campaign), Common, Writing))]
async fn add(State(state): State<AppState>, caller: Caller, body: Body<NewCampaign>) -> Result<Response, Problem> {
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
        Ok((StatusCode::CREATED, shown(store, &campaign).await?))
    })
    .await
}

/// One campaign
#[utoipa::path(get, path = "/campaigns/{id}", operation_id = "getCampaign", tag = "campaigns",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The campaign", body = Campaign), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<Campaign>, Problem> {
    let store = &state.store;
    Ok(axum::Json(shown(store, &find(store, &caller, id).await?).await?))
}

/// Starts, pauses, resumes or cancels a campaign
#[utoipa::path(post, path = "/campaigns/{id}/state", operation_id = "setCampaignState", tag = "campaigns",
    request_body = SetState,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The campaign as it stands", body = Campaign), Common, Writing))]
async fn set_state(
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
                campaigns::become_so(store, &rules, &caller.0, &campaign, wanted.state).await.map_err(refused)?
            }
        };
        Ok((StatusCode::OK, shown(store, &campaign).await?))
    })
    .await
}

/// A campaign's members, by their numbers
#[utoipa::path(get, path = "/campaigns/{id}/members", operation_id = "listCampaignMembers", tag = "campaigns",
    params(("id" = Uuid, Path), After),
    responses((status = 200, description = "A page of them", body = Members), Common))]
async fn members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Query(page): Query<After>,
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
    Ok(axum::Json(Members { items: rows.into_iter().map(CampaignMember::from).collect(), next }))
}

/// Adds members; whoever is one already stays as they are
#[utoipa::path(post, path = "/campaigns/{id}/members", operation_id = "addCampaignMembers", tag = "campaigns",
    request_body = NewMembers,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 200, description = "How many are new", body = Added), Common, Writing))]
async fn add_members(
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
        let parsed = given.members.into_iter().map(member).collect::<Result<Vec<_>, _>>()?;
        let new = campaigns::add_members(store, &campaign, &parsed).await.map_err(refused)?;
        Ok((StatusCode::OK, Added { new }))
    })
    .await
}

/// Adds members from a table: CSV in UTF-8, its first line names the columns `phone`, `name` and fields
///
/// Lines that name nobody are refused one by one, the others come in.
#[utoipa::path(post, path = "/campaigns/{id}/members/import", operation_id = "importCampaignMembers", tag = "campaigns",
    request_body(content = String, content_type = "text/csv", example = "phone,name,city\n+34600111222,Ana,Jaén\n"),
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 200, description = "What became of its lines", body = Imported), Common, Writing))]
async fn import_members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Table(body): Table,
) -> Result<Response, Problem> {
    let store = &state.store;
    once(&state, &caller, body, async |_, bytes: Bytes| {
        let campaign = find(store, &caller, id).await?;
        let sheet = sheet::read(&bytes).map_err(|bad| Problem::unfit("bad_table", bad))?;
        let new = campaigns::add_members(store, &campaign, &sheet.members).await.map_err(refused)?;
        let (known, refused) = (sheet.members.len() as u64 - new, sheet.refused.len());
        let lines = sheet.refused.into_iter().take(REFUSED_MAX);
        let refused_lines = lines.map(|one| RefusedLine { line: one.line, reason: one.reason }).collect();
        Ok((StatusCode::OK, Imported { new, known, refused, refused_lines }))
    })
    .await
}

fn member(given: NewMember) -> Result<rows::NewMember, Problem> {
    let phone = Phone::parse(&given.phone).map_err(|error| Problem::unfit("not_e164", error))?;
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
    };
    Problem::unfit(code, error)
}
