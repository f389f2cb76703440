//! Tenants and senders: a slug and a number have one owner.

use std::sync::Arc;

use recado::config::secret::SecretKey;
use recado::domain::TenantId;
use recado::store::StoreError;
use recado::store::rows::sender;
use recado::tenants::{Account, Directory, Platform, new_tenant, sealed_as};

use super::{Bench, OURS, on_both};
use crate::support::replace_tenant;

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
        replace_tenant(&bench.store, row).await.unwrap();
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
        // The owner may add it again, with another base URL.
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

#[tokio::test]
async fn a_token_that_does_not_open_stops_its_own_tenant_alone() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let (_, tenants, _) = bench.store.directory().await.unwrap();
        let key = |digit: &str| SecretKey::parse(&digit.repeat(64)).unwrap();
        let account = Arc::new(Account { sid: format!("AC{:032}", 1), tokens: vec!["platform".into()] });
        let platform = Platform {
            mail_from: "hola@sol.example".to_owned(),
            account,
            from_number: None,
            whatsapp_number: None,
            messaging_service_sid: None,
            providers: recado::integrations::http_providers::Providers::default(),
            app_url: "http://localhost".to_owned(),
            quiet: recado::time::QuietRules::default(),
            numbers_budget: 3,
        };
        let mut row = tenants.into_iter().find(|row| row.id == bench.tenant.uuid()).unwrap();
        row.account_sid = Some(format!("AC{:032}", 2));
        let sealed_as = sealed_as(row.id, "auth_token");
        row.auth_token = Some(key("a").seal(&"token".into(), &sealed_as).unwrap());
        replace_tenant(&bench.store, row.clone()).await.unwrap();

        let directory = Directory::open(bench.store.clone(), key("b"), platform).await.unwrap();
        let locked = directory.now().by_id(bench.tenant).cloned().unwrap();
        // Not the platform's account, which would send in another name.
        assert_eq!(
            (locked.account.sid.as_str(), locked.account.tokens.len()),
            (row.account_sid.as_deref().unwrap(), 0)
        );
        assert_eq!(directory.now().by_id(other.tenant).unwrap().account.tokens.len(), 1);

        row.auth_token = Some(key("b").seal(&"token".into(), &sealed_as).unwrap());
        replace_tenant(&bench.store, row.clone()).await.unwrap();
        directory.refresh().await.unwrap();
        assert_eq!(directory.now().by_id(bench.tenant).unwrap().account.exposed_tokens(), ["token"]);

        row.settings = "not JSON".to_owned();
        replace_tenant(&bench.store, row).await.unwrap();
        directory.refresh().await.unwrap();
        assert_eq!(directory.now().by_id(bench.tenant).unwrap().account.exposed_tokens(), ["token"], "as it was");
    })
    .await;
}

/// Each change sees the row as it is then, so that no change is lost. A refused change changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_changed_at_once_are_all_kept() {
    on_both(|bench| async move {
        let store = &bench.store;
        let add = |n: u32| {
            store.change_tenant(bench.tenant, move |stored| {
                let mut settings: serde_json::Value = serde_json::from_str(&stored.row.settings).expect("JSON");
                settings["templates"][format!("t{n}")] = "HX".into();
                stored.row.settings = settings.to_string();
                Ok::<_, StoreError>(n)
            })
        };
        let made = futures_util::future::join_all((0..20).map(add)).await;
        for (n, made) in (0..).zip(made) {
            assert_eq!(made.expect("it is changed"), Some(n));
        }
        let settings = async || {
            let (version, rows, _) = store.directory().await.unwrap();
            let row = rows.into_iter().find(|row| row.id == bench.tenant.uuid()).expect("it is there");
            (version, serde_json::from_str::<serde_json::Value>(&row.settings).expect("JSON"))
        };
        let before = settings().await;
        assert_eq!(before.1["templates"].as_object().map(serde_json::Map::len), Some(20), "{}", before.1);
        let refused = store.change_tenant(bench.tenant, |_| Err::<(), _>(StoreError::Closed)).await;
        assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
        let nobody = TenantId::new(uuid::Uuid::nil());
        let gone = store.change_tenant(nobody, |_| Ok::<_, StoreError>(())).await;
        assert_eq!(gone.unwrap(), None);
        assert_eq!(settings().await, before);
    })
    .await;
}
