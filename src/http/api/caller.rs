//! Authentication of API requests: a bearer token gives access to one tenant.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::quotas::Place;
use crate::domain::{TenantId, TokenScope, hex};
use crate::http::AppState;
use crate::store::ApiTokenGrant;
use crate::tenants::{Directory, Tenant};

/// The prefix of our tokens. It lets scanners recognise a leaked token.
const PREFIX: &str = "recado_";
const TOKEN_BYTES: usize = 32;
/// Length limit of a token; a longer one is rejected without a look-up.
const TOKEN_MAX_CHARS: usize = 100;

/// The tenant of the request's token, with full access, and the place of the request among the tenant's.
pub struct Caller(pub Arc<Tenant>, Token);

struct Token {
    name: String,
    _place: Place,
}

/// The tenant of the request's token; a voice agent's token is enough. It says whom the token may act for.
pub struct AgentCaller(pub Caller, pub ActsFor);

/// The tenant of a request whose token was checked.
#[derive(Clone, Copy, Debug)]
pub struct OfTenant(pub TenantId);

/// The customers that a token may act for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsFor {
    /// The customer of a call in progress.
    Callers,
    Anybody,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let (caller, scope) = Self::of(parts, state).await?;
        match scope {
            TokenScope::Full => Ok(caller),
            TokenScope::Agent | TokenScope::AgentAnyNumber => {
                let detail = format!(
                    "this token opens /api/agent/ alone: for the rest make one with 'recado tenant token add {} --name …'",
                    caller.0.slug
                );
                Err(Problem::new(StatusCode::FORBIDDEN, "wrong_scope", detail))
            }
        }
    }
}

impl FromRequestParts<AppState> for AgentCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let (caller, scope) = Caller::of(parts, state).await?;
        let acts_for = match scope {
            TokenScope::Agent => ActsFor::Callers,
            TokenScope::AgentAnyNumber | TokenScope::Full => ActsFor::Anybody,
        };
        Ok(Self(caller, acts_for))
    }
}

impl Caller {
    /// The tenant as it is now. A command beside this server may have changed it.
    pub async fn current_tenant(&self, directory: &Directory) -> Result<Arc<Tenant>, Problem> {
        directory.refresh().await?;
        directory.now().by_id(self.0.id).cloned().ok_or_else(|| Problem::not_found("tenant"))
    }

    /// The source of what this request changes, as the history shows it: the token's name.
    pub fn by(&self) -> String {
        format!("api: {}", self.1.name)
    }

    /// Returns the token's tenant and scope.
    async fn of(parts: &mut Parts, state: &AppState) -> Result<(Self, TokenScope), Problem> {
        let refused = || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send a token that holds as 'Authorization: Bearer recado_…'; 'recado tenant token add' makes one",
            )
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || !token.starts_with(PREFIX) || token.len() > TOKEN_MAX_CHARS {
            return Err(refused());
        }
        let grant = state.store.api_token_grant(&hash_of_token(token)).await?;
        let ApiTokenGrant { id, tenant: owner, scope, name } = grant.ok_or_else(refused)?;
        let directory = &state.directory;
        if directory.now().by_id(owner).is_none() {
            // Another process has just added the tenant.
            directory.refresh().await?;
        }
        let tenant = directory.now().by_id(owner).cloned().ok_or_else(refused)?;
        let place = state.quotas.enter(owner, scope, id).await?;
        // For extractors of the body, which come later.
        parts.extensions.insert(OfTenant(owner));
        Ok((Self(tenant, Token { name, _place: place }), scope))
    }
}

/// Creates a token. It is shown once.
pub fn new_token() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
}

/// Returns the stored hash of a token. A token has 256 random bits, so a plain hash gives nothing away.
pub fn hash_of_token(token: &str) -> String {
    hex(Sha256::digest(token))
}
