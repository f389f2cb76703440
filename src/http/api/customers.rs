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
use crate::domain::{ContactId, Effect, EventId, Phone, TenantId};
use crate::http::AppState;
use crate::http::views::customer::CustomerView;
use crate::rules::limits::{DATA_BYTES, NAME_CHARS};
use crate::store::{CustomerChange, Store};

/// The most tags of one customer, and the most fields of one request.
const MANY_MAX: usize = 100;

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
        let phone = Phone::parse(&new.phone).map_err(|error| Problem::unfit("not_e164", error))?;
        let do_not_call = new.rest.do_not_call;
        let effects = effects(new.rest, &BTreeSet::new())?;
        let change = CustomerChange { event: EventId::new(id), tenant, by: caller.by(), effects, do_not_call };
        let Some(customer) = store.add_customer(&phone, change).await? else {
            let detail = "there is a customer with this number: change them with PATCH";
            return Err(Problem::new(StatusCode::CONFLICT, "customer_exists", detail));
        };
        Ok((StatusCode::CREATED, find(store, tenant, customer).await?))
    })
    .await
}

/// Get a customer.
#[utoipa::path(get, path = "/customers/{id}", operation_id = "getCustomer", tag = "customers", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The customer", body = CustomerView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<CustomerView>, Problem> {
    Ok(axum::Json(find(&state.store, caller.0.id, ContactId::new(id)).await?))
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
        Ok((StatusCode::OK, find(store, tenant, customer).await?))
    })
    .await
}

async fn find(store: &Store, tenant: TenantId, id: ContactId) -> Result<CustomerView, Problem> {
    let (mut known, _) = store.contact_facts(tenant, &[id], None).await?;
    known.remove(&id).map(CustomerView::from).ok_or_else(|| Problem::not_found("customer"))
}

/// Returns the effects that apply the edit to a customer.
fn effects(edit: CustomerEdit, tags: &BTreeSet<String>) -> Result<Vec<Effect>, Problem> {
    let mut effects = Vec::new();
    if let Some(name) = edit.name {
        check_text("name", &name, true)?;
        effects.push(Effect::SetField { field: "name".to_owned(), value: Value::String(name) });
    }
    if let Some(wanted) = edit.tags {
        if wanted.len() > MANY_MAX {
            return Err(Problem::unfit("too_many", format!("a customer has at most {MANY_MAX} tags")));
        }
        for tag in wanted.difference(tags) {
            check_text("tag", tag, false)?;
            effects.push(Effect::Tag { tag: tag.clone() });
        }
        effects.extend(tags.difference(&wanted).map(|tag| Effect::Untag { tag: tag.clone() }));
    }
    let fields = edit.fields.unwrap_or_default();
    if fields.len() > MANY_MAX {
        return Err(Problem::unfit("too_many", format!("a request sets at most {MANY_MAX} fields")));
    }
    for (field, value) in fields {
        check_text("field", &field, false)?;
        let text = value.to_string();
        if text.len() > DATA_BYTES || text.contains("\\u0000") {
            let detail = format!("field '{field}' has at most {DATA_BYTES} bytes of JSON, and no NUL in it");
            return Err(Problem::unfit("bad_field", detail));
        }
        effects.push(Effect::SetField { field, value });
    }
    Ok(effects)
}

fn check_text(what: &'static str, text: &str, may_be_empty: bool) -> Result<(), Problem> {
    let good = text.chars().count() <= NAME_CHARS
        && (may_be_empty || !text.trim().is_empty())
        && !text.chars().any(char::is_control);
    let detail = format!("a {what} has at most {NAME_CHARS} characters and no control characters, and is not empty");
    if good { Ok(()) } else { Err(Problem::unfit("bad_text", detail)) }
}
