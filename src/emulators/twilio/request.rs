//! Extractors of Twilio's routes: the account's credentials, forms and queries.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, RawQuery, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::answer;
use super::carrier::Carrier;
use crate::integrations::twilio::form::Params;

/// The path of an account's resource; the account comes first.
pub trait AccountPath: DeserializeOwned + Send {
    /// Returns the account's SID.
    fn account(&self) -> &str;
}

impl AccountPath for String {
    fn account(&self) -> &str {
        self
    }
}

impl AccountPath for (String, String) {
    fn account(&self) -> &str {
        &self.0
    }
}

impl AccountPath for (String, String, String) {
    fn account(&self) -> &str {
        &self.0
    }
}

/// The path of a request with the account's credentials.
pub struct Authenticated<P>(pub P);

impl<P: AccountPath> FromRequestParts<Carrier> for Authenticated<P> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, carrier: &Carrier) -> Result<Self, Response> {
        let Path(path) = Path::<P>::from_request_parts(parts, carrier).await.map_err(IntoResponse::into_response)?;
        if carrier.authenticates(path.account(), &parts.headers) { Ok(Self(path)) } else { Err(answer::unauthorized()) }
    }
}

/// The path of an authenticated read that no fault strikes.
pub struct Readable<P>(pub P);

impl<P: AccountPath> FromRequestParts<Carrier> for Readable<P> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, carrier: &Carrier) -> Result<Self, Response> {
        let Authenticated(path) = Authenticated::<P>::from_request_parts(parts, carrier).await?;
        match carrier.fail_read(path.account()).await {
            Some(response) => Err(response),
            None => Ok(Self(path)),
        }
    }
}

/// The query of a list.
pub struct ListQuery(pub Params);

impl FromRequestParts<Carrier> for ListQuery {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, carrier: &Carrier) -> Result<Self, Response> {
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, carrier).await;
        let params = Params::parse(query.unwrap_or_default().as_bytes());
        params.map(Self).map_err(|_| answer::bad_request("The query is not a form."))
    }
}

/// The form of a request.
pub struct FormBody(pub Params);

impl FromRequest<Carrier> for FormBody {
    type Rejection = Response;

    async fn from_request(request: Request, carrier: &Carrier) -> Result<Self, Response> {
        let body = Bytes::from_request(request, carrier).await.map_err(IntoResponse::into_response)?;
        Params::parse(&body).map(Self).map_err(|_| answer::bad_request("The request body is not a form."))
    }
}
