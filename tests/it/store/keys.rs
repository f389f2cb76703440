//! Idempotency keys, and the tokens of the API.

use std::time::Duration;

use recado::domain::TokenScope;
use recado::store::{ApiTokenGrant, Begun, NewApiToken};

use super::on_both;

#[tokio::test]
async fn a_key_is_held_then_taken_over_and_answers_for_a_day() {
    on_both(|bench| async move {
        let (store, tenant) = (&bench.store, bench.tenant);
        let begin = async || store.begin_idempotent(tenant, "k", "hash").await.unwrap();
        let Begun::Work { id } = begin().await else { panic!("it is new") };
        assert_eq!(begin().await, Begun::UnderWay);
        assert_eq!(store.begin_idempotent(tenant, "k", "else").await.unwrap(), Begun::Other);
        bench.pass(31);
        assert_eq!(begin().await, Begun::Work { id }, "whoever held it has died: the same identity");
        assert_eq!(begin().await, Begun::UnderWay);
        store.end_idempotent(tenant, "k", None).await.unwrap();
        assert_eq!(begin().await, Begun::Work { id }, "it was let go");
        store.end_idempotent(tenant, "k", Some((201, "{}"))).await.unwrap();
        assert_eq!(begin().await, Begun::Done { status: 201, body: "{}".to_owned() });
        let other = bench.other().await;
        let theirs = other.store.begin_idempotent(other.tenant, "k", "hash").await.unwrap();
        assert!(matches!(theirs, Begun::Work { .. }));
        bench.pass(24 * 3_600 + 60);
        let Begun::Work { id: new } = begin().await else { panic!("it is a new request") };
        assert_ne!(new, id);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_its_tenants_until_it_is_revoked() {
    on_both(|bench| async move {
        let (store, tenant) = (&bench.store, bench.tenant);
        let other = bench.other().await;
        let opens = async |hash: &str| {
            let grant = store.api_token_grant(hash).await.unwrap();
            grant.map(|ApiTokenGrant { tenant, scope, .. }| (tenant, scope))
        };
        let new = |name, scope, hash| NewApiToken { name, scope, hash, expires_at: None };
        let id = store.add_api_token(tenant, new("shop", TokenScope::Full, "h1")).await.unwrap().unwrap();
        assert_eq!(opens("h1").await, Some((tenant, TokenScope::Full)));
        store.add_api_token(tenant, new("voice", TokenScope::Agent, "h3")).await.unwrap().unwrap();
        assert_eq!(opens("h3").await, Some((tenant, TokenScope::Agent)));
        assert_eq!(opens("h2").await, None);
        assert!(!store.revoke_api_token(other.tenant, id).await.unwrap());
        assert!(store.revoke_api_token(tenant, id).await.unwrap());
        assert!(!store.revoke_api_token(tenant, id).await.unwrap(), "once");
        assert_eq!(opens("h1").await, None);
        let listed: Vec<_> = store.api_tokens(tenant).await.unwrap().into_iter().map(|one| one.scope).collect();
        assert_eq!(listed, [TokenScope::Full, TokenScope::Agent], "it is shown on");
        assert!(store.api_tokens(other.tenant).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_token_expires_and_shows_its_last_use() {
    on_both(|bench| async move {
        let (store, tenant) = (&bench.store, bench.tenant);
        let now = store.clock().now();
        let until = now.plus(Duration::from_secs(3_600));
        let new = NewApiToken { name: "shop", scope: TokenScope::Full, hash: "h1", expires_at: Some(until) };
        store.add_api_token(tenant, new).await.unwrap().unwrap();
        let listed = async || store.api_tokens(tenant).await.unwrap().remove(0);
        assert_eq!((listed().await.used_at, listed().await.expires_at), (None, Some(until)));
        assert!(store.api_token_grant("h1").await.unwrap().is_some());
        assert_eq!(listed().await.used_at, Some(now));
        // The next use is noted a minute later at the earliest.
        bench.pass(30);
        assert!(store.api_token_grant("h1").await.unwrap().is_some());
        assert_eq!(listed().await.used_at, Some(now));
        bench.pass(40);
        assert!(store.api_token_grant("h1").await.unwrap().is_some());
        assert_eq!(listed().await.used_at, Some(now.plus(Duration::from_secs(70))));
        bench.pass(3_600);
        assert!(store.api_token_grant("h1").await.unwrap().is_none(), "it has expired");
    })
    .await;
}
