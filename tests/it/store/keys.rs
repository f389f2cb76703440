//! Idempotency keys, and the tokens of the API.

use recado::domain::TokenScope;
use recado::store::Begun;

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
        let id = store.add_api_token(tenant, "shop", TokenScope::Full, "h1").await.unwrap().unwrap();
        assert_eq!(store.api_token_owner("h1").await.unwrap(), Some((tenant, TokenScope::Full)));
        store.add_api_token(tenant, "voice", TokenScope::Agent, "h3").await.unwrap().unwrap();
        assert_eq!(store.api_token_owner("h3").await.unwrap(), Some((tenant, TokenScope::Agent)));
        assert_eq!(store.api_token_owner("h2").await.unwrap(), None);
        assert!(!store.revoke_api_token(other.tenant, id).await.unwrap());
        assert!(store.revoke_api_token(tenant, id).await.unwrap());
        assert!(!store.revoke_api_token(tenant, id).await.unwrap(), "once");
        assert_eq!(store.api_token_owner("h1").await.unwrap(), None);
        let listed: Vec<_> = store.api_tokens(tenant).await.unwrap().into_iter().map(|one| one.scope).collect();
        assert_eq!(listed, [TokenScope::Full, TokenScope::Agent], "it is shown on");
        assert!(store.api_tokens(other.tenant).await.unwrap().is_empty());
    })
    .await;
}
