//! Tenants and senders: a slug and a number have one owner.

use recado::directory::new_tenant;
use recado::store::StoreError;
use recado::store::entity::sender;

use super::{Bench, OURS, on_both};

fn sender(bench: &Bench, number: &str) -> sender::Model {
    let id: recado::domain::MessageId = bench.store.ids().next();
    sender::Model {
        id: id.uuid(),
        tenant_id: bench.tenant.uuid(),
        channel: "sms".to_owned(),
        number: number.to_owned(),
        base_url: None,
        created_us: bench.now().unix_us(),
    }
}

#[tokio::test]
async fn a_slug_has_one_owner() {
    on_both(|bench| async move {
        let version = bench.store.directory_version().await.unwrap();
        let again = bench.store.add_tenant(new_tenant(&bench.store, "demo", "Otro")).await;
        assert!(matches!(again, Err(StoreError::Taken(_))), "{again:?}");
        let (_, tenants, _) = bench.store.directory().await.unwrap();
        assert_eq!(tenants.len(), 1);
        assert_eq!(bench.store.directory_version().await.unwrap(), version, "nothing has changed");
        let mut row = tenants.into_iter().next().unwrap();
        row.name = "Panadería".to_owned();
        bench.store.set_tenant(row).await.unwrap();
        let (changed, tenants, _) = bench.store.directory().await.unwrap();
        assert_eq!(tenants[0].name, "Panadería");
        assert!(changed > version);
    })
    .await;
}

#[tokio::test]
async fn a_number_has_one_owner() {
    on_both(|bench| async move {
        let other = bench.other().await;
        bench.store.add_sender(sender(&bench, OURS)).await.unwrap();
        let taken = bench.store.add_sender(sender(&other, OURS)).await;
        assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
        // Its owner may say it again, with another base.
        let based = sender::Model { base_url: Some("https://a.example".to_owned()), ..sender(&bench, OURS) };
        bench.store.add_sender(based).await.unwrap();
        let (_, _, senders) = bench.store.directory().await.unwrap();
        assert_eq!(senders.len(), 1);
        assert_eq!(senders[0].base_url.as_deref(), Some("https://a.example"));
        assert!(!bench.store.remove_sender(other.tenant.uuid(), "sms", OURS).await.unwrap());
        assert!(bench.store.remove_sender(bench.tenant.uuid(), "sms", OURS).await.unwrap());
        bench.store.add_sender(sender(&other, OURS)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_setting_that_is_set_once_stays() {
    on_both(|bench| async move {
        assert_eq!(bench.store.setting("a").await.unwrap(), None);
        assert_eq!(bench.store.set_setting_once("a", "1").await.unwrap(), "1");
        assert_eq!(bench.store.set_setting_once("a", "2").await.unwrap(), "1");
        bench.store.set_setting("a", "3").await.unwrap();
        assert_eq!(bench.store.setting("a").await.unwrap().as_deref(), Some("3"));
    })
    .await;
}
