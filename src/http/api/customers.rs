//! `/api/v1/customers`

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Effect, EventId, Phone, TenantId};
use crate::features::customers::{self, MANY_MAX, UnfitEdit};
use crate::http::AppState;
use crate::http::views::customer::CustomerView;
use crate::http::views::customer_history::{CustomerDetailsView, HistoryView};
use crate::store::{CustomerChange, Store};

/// A new customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    #[serde(flatten)]
    rest: CustomerEdit,
}

/// A change of a customer; omitted fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default)]
#[derive(Default)]
pub struct CustomerEdit {
    #[schema(max_length = 80)]
    name: Option<String>,
    /// Replaces all tags
    #[schema(max_items = 100)]
    tags: Option<BTreeSet<String>>,
    /// Fields to set; `null` removes one
    #[schema(value_type = Option<Object>)]
    fields: Option<BTreeMap<String, Value>>,
    /// Do-not-call flag
    do_not_call: Option<bool>,
}

/// A note about a customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    #[schema(example = "asked for a call back", min_length = 1, max_length = 2000)]
    text: String,
}

/// List customers, oldest first.
#[utoipa::path(get, path = "/customers", operation_id = "listCustomers", tag = "customers", params(Cursor),
    responses((status = 200, description = "A page of customers", body = Page<CustomerView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<CustomerView>>, Problem> {
    let (store, limit) = (&state.store, cursor.limit()?);
    let tenant = caller.0.id;
    let ids = store.customer_page(tenant, cursor.after.map(ContactId::new), limit + 1).await?;
    let (mut known, _) = store.contact_facts(tenant, &ids, None).await?;
    let customers = ids.iter().filter_map(|id| known.remove(id)).map(CustomerView::from).collect();
    Ok(axum::Json(Page::of(customers, limit, |customer| customer.id)))
}

/// Add a customer.
#[utoipa::path(post, path = "/customers", operation_id = "addCustomer", tag = "customers", request_body = NewCustomer,
    params(IdempotencyKey),
    responses((status = 201, description = "The new customer", body = CustomerView), Common, Writing))]
pub async fn add(State(state): State<AppState>, caller: Caller, body: Body<NewCustomer>) -> Result<Response, Problem> {
    let (store, tenant) = (&state.store, caller.0.id);
    once(&state, &caller, body, async |id, new: NewCustomer| {
        let phone =
            Phone::parse_human(&new.phone, caller.0.home()).map_err(|error| Problem::unfit("not_e164", error))?;
        let do_not_call = new.rest.do_not_call;
        let effects = effects(new.rest, &BTreeSet::new())?;
        let change = CustomerChange { event: EventId::new(id), tenant, by: caller.by(), effects, do_not_call };
        let Some(customer) = store.add_customer(&phone, change).await? else {
            let detail = "there is a customer with this number: change them with PATCH";
            return Err(Problem::new(StatusCode::CONFLICT, "customer_exists", detail));
        };
        Ok((StatusCode::CREATED, CustomerView::from(find(store, tenant, customer).await?)))
    })
    .await
}

/// Get a customer with the newest entries of their history.
#[utoipa::path(get, path = "/customers/{id}", operation_id = "getCustomer", tag = "customers", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The customer", body = CustomerDetailsView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<CustomerDetailsView>, Problem> {
    let (store, tenant) = (&state.store, caller.0.id);
    let facts = find(store, tenant, ContactId::new(id)).await?;
    Ok(axum::Json(CustomerDetailsView::load(store, tenant, facts).await?))
}

/// List what was changed of a customer, and the notes; newest first.
#[utoipa::path(get, path = "/customers/{id}/history", operation_id = "listCustomerHistory", tag = "customers",
    params(("id" = Uuid, Path), Cursor),
    responses((status = 200, description = "A page of the history", body = Page<HistoryView>), Common))]
pub async fn history(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<HistoryView>>, Problem> {
    let (store, tenant, limit) = (&state.store, caller.0.id, cursor.limit()?);
    let customer = find(store, tenant, ContactId::new(id)).await?.id;
    let rows = store.customer_history(tenant, customer, cursor.after, limit + 1).await?;
    Ok(axum::Json(Page::of(rows.into_iter().map(HistoryView::from).collect(), limit, |one| one.id)))
}

/// Add a note about a customer.
#[utoipa::path(post, path = "/customers/{id}/notes", operation_id = "addNote", tag = "customers", request_body = NewNote,
    params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 201, description = "The note in the history", body = HistoryView), Common, Writing))]
pub async fn note(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    body: Body<NewNote>,
) -> Result<Response, Problem> {
    let (store, tenant, customer) = (&state.store, caller.0.id, ContactId::new(id));
    once(&state, &caller, body, async |event, new: NewNote| {
        let event = EventId::new(event);
        let effects = vec![customers::note(&new.text)?];
        let change = CustomerChange { event, tenant, by: caller.by(), effects, do_not_call: None };
        if !store.change_customer(customer, change).await? {
            return Err(Problem::not_found("customer"));
        }
        let made = store.history_of_event(tenant, customer, event).await?.pop();
        let made = made.ok_or_else(|| Problem::not_found("customer"))?;
        Ok((StatusCode::CREATED, HistoryView::from(made)))
    })
    .await
}

/// Change a customer.
#[utoipa::path(patch, path = "/customers/{id}", operation_id = "changeCustomer", tag = "customers", request_body = CustomerEdit,
    params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 200, description = "The customer as changed", body = CustomerView), Common, Writing))]
pub async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    body: Body<CustomerEdit>,
) -> Result<Response, Problem> {
    let (store, tenant, customer) = (&state.store, caller.0.id, ContactId::new(id));
    once(&state, &caller, body, async |event, edit: CustomerEdit| {
        let known = find(store, tenant, customer).await?;
        let do_not_call = edit.do_not_call;
        let effects = effects(edit, &known.tags)?;
        let change = CustomerChange { event: EventId::new(event), tenant, by: caller.by(), effects, do_not_call };
        if !store.change_customer(customer, change).await? {
            return Err(Problem::not_found("customer"));
        }
        Ok((StatusCode::OK, CustomerView::from(find(store, tenant, customer).await?)))
    })
    .await
}

async fn find(store: &Store, tenant: TenantId, id: ContactId) -> Result<ContactFacts, Problem> {
    let (mut known, _) = store.contact_facts(tenant, &[id], None).await?;
    known.remove(&id).ok_or_else(|| Problem::not_found("customer"))
}

/// Returns the effects that apply the edit to a customer.
fn effects(edit: CustomerEdit, known: &BTreeSet<String>) -> Result<Vec<Effect>, UnfitEdit> {
    let mut effects = Vec::new();
    effects.extend(edit.name.map(customers::name).transpose()?);
    if let Some(wanted) = edit.tags {
        if wanted.len() > MANY_MAX {
            return Err(UnfitEdit::Tags);
        }
        let gone = known.difference(&wanted).cloned().collect();
        effects.extend(customers::tags(known, &wanted, &gone)?);
    }
    let fields = edit.fields.unwrap_or_default();
    if fields.len() > MANY_MAX {
        return Err(UnfitEdit::Fields);
    }
    for (field, value) in fields {
        effects.push(customers::field(field, value)?);
    }
    Ok(effects)
}

impl From<UnfitEdit> for Problem {
    fn from(error: UnfitEdit) -> Self {
        Self::unfit(error.code(), error)
    }
}
