//! Retention removes old events with all their results. Open ones stay, and so do customers and opt-outs.

use std::sync::Arc;

use recado::config::secret::SecretKey;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{CampaignState, Clock, DeliveryStatus, Timestamp};
use recado::ops::retention;
use recado::store::{AttemptResult, Removed};
use recado::tenants::{Account, Directory, Platform};

use super::{ANA, Bench, LUIS, OptOutKeyword, on_both};
use crate::support::replace_tenant;

const DAY_S: u64 = 24 * 3_600;

async fn remove(bench: &Bench, before: Timestamp, dry_run: bool) -> Removed {
    let (mut all, mut after) = (Removed::default(), None);
    loop {
        let step = bench.store.remove_old(bench.tenant, before, after, dry_run).await.expect("it can be removed");
        all.events += step.removed.events;
        all.actions += step.removed.actions;
        all.messages += step.removed.messages;
        match step.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn answered(bench: &Bench, sid: &str, number: &str) {
    let claimed = bench.under_way(sid, number).await;
    bench.end(&claimed, AttemptResult::Sent { sid: format!("{sid}out"), status: DeliveryStatus::Queued }, None).await;
}

#[tokio::test]
async fn old_events_go_with_their_results_and_the_rest_stays() {
    on_both(|bench| async move {
        let other = bench.other().await;
        other.received("SMother", ANA, "de otro").await;
        let stop = OptOutKeyword {
            word: OptOutWord::Stop,
            text: "baja".to_owned(),
            only_if_opted_out: false,
            confirmation: None,
        };
        bench.wished("SMstop", LUIS, stop).await;
        for event in bench.store.pending_events(bench.tenant, 10).await.unwrap() {
            bench.decide(event.event.id, event.event.contact.unwrap(), vec![]).await;
        }
        answered(&bench, "SMold", ANA).await;
        let open = bench.planned("SMopen", "+34600000001", "espera").await;
        let (undecided, _) = bench.received("SMundecided", "+34600000002", "sin decidir").await;
        bench.pass(10 * DAY_S);
        let before = bench.now();
        bench.pass(1);
        // This event is young, so it stays.
        let (young, contact) = bench.received("SMyoung", ANA, "hoy").await;
        bench.decide(young, contact, vec![]).await;

        let counted = remove(&bench, before, true).await;
        assert_eq!(bench.event_kinds().await.len(), 6, "it only counts");
        let removed = remove(&bench, before, false).await;
        // The STOP and its event, and the answered message.
        assert_eq!(removed, Removed { events: 3, actions: 1, messages: 3, ..Removed::default() });
        assert_eq!(counted, removed);
        let (sids, kinds): (Vec<_>, Vec<_>) = bench
            .messages()
            .await
            .into_iter()
            .map(|message| (message.provider_sid.unwrap(), message.direction))
            .unzip();
        assert_eq!(sids, ["SMyoung", "SMundecided", "SMopen"]);
        assert_eq!(kinds, ["in"; 3]);
        assert_eq!(bench.state(open).await, "planned");
        assert!(bench.store.event(bench.tenant, undecided).await.unwrap().is_some());
        assert_eq!(other.messages().await.len(), 1);
        assert_eq!(remove(&bench, before, false).await, Removed::default());

        // Customers and their opt-outs have no retention.
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert_eq!(facts[&contact].inbound_count, 2);
        assert_eq!(bench.claim().await.len(), 1);
        assert!(bench.under_way("SMagain", LUIS).await.facts.opted_out);
    })
    .await;
}

async fn directory(bench: &Bench) -> Directory {
    let platform = Platform {
        account: Arc::new(Account { sid: super::ACCOUNT.to_owned(), tokens: vec!["platform".into()] }),
        from_number: None,
        whatsapp_number: None,
        messaging_service_sid: None,
        app_url: "http://localhost".to_owned(),
        mail_from: "hola@example.com".to_owned(),
        providers: Default::default(),
        quiet: Default::default(),
        numbers_budget: 3,
    };
    let key = SecretKey::parse(&"a".repeat(64)).unwrap();
    Directory::open(bench.store.clone(), key, platform).await.unwrap()
}

#[tokio::test]
async fn a_tenants_retention_setting_applies() {
    on_both(|bench| async move {
        let directory = directory(&bench).await;
        let purge = async || {
            directory.refresh().await.unwrap();
            let tenant = directory.now().by_id(bench.tenant).cloned().unwrap();
            retention::purge(&bench.store, &tenant, &Clock::system(), false).await.unwrap().messages
        };
        for number in 0..3 {
            let (event, contact) = bench.received(&format!("SM{number}"), ANA, "hola").await;
            bench.decide(event, contact, vec![]).await;
            bench.pass(10 * DAY_S);
        }
        assert_eq!(purge().await, 0, "by default everything is kept");
        for (days, goes) in [(35, 0), (25, 1), (1, 2)] {
            let (_, tenants, _) = bench.store.directory().await.unwrap();
            let mut row = tenants.into_iter().next().unwrap();
            row.settings = format!("{{\"retain_days\": {days}}}");
            replace_tenant(&bench.store, row).await.unwrap();
            assert_eq!(purge().await, goes, "{days} days");
        }
        // A retention of one day counts as seven days.
        let (event, contact) = bench.received("SM9", ANA, "hola").await;
        bench.decide(event, contact, vec![]).await;
        bench.pass(5 * DAY_S);
        assert_eq!(purge().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_counts_all_rows_that_would_go() {
    on_both(|bench| async move {
        bench.called("CA1", "hola").await;
        let campaign = bench.campaigned("spring").await;
        bench.store.move_campaign(&campaign, CampaignState::Running, CampaignState::Cancelled).await.unwrap();
        bench.campaigned("still").await;
        for event in bench.store.pending_events(bench.tenant, 10).await.unwrap() {
            bench.decide(event.event.id, event.event.contact.unwrap(), vec![]).await;
        }
        bench.pass(30 * DAY_S);
        bench.called("CA2", "hoy").await;
        let directory = directory(&bench).await;
        let (_, tenants, _) = bench.store.directory().await.unwrap();
        let mut row = tenants.into_iter().next().unwrap();
        row.settings = "{\"retain_days\": 20}".to_owned();
        replace_tenant(&bench.store, row).await.unwrap();
        directory.refresh().await.unwrap();
        let tenant = directory.now().by_id(bench.tenant).cloned().unwrap();
        let purge = async |dry| retention::purge(&bench.store, &tenant, &Clock::system(), dry).await.unwrap();
        let counted = purge(true).await;
        assert_eq!((counted.calls, counted.campaigns), (1, 1));
        assert_eq!((counted.events, counted.messages), (4, 1), "the call's three, and the campaign's with its message");
        let all = recado::store::CallFilter { limit: 9, ..recado::store::CallFilter::default() };
        assert_eq!(bench.store.call_page(bench.tenant, &all).await.unwrap().len(), 2, "it only counts");
        assert_eq!(purge(false).await, counted);
        assert_eq!(purge(true).await, Removed::default());
    })
    .await;
}

#[tokio::test]
async fn many_events_go_in_small_steps() {
    on_both(|bench| async move {
        for number in 0..250 {
            let (event, contact) = bench.received(&format!("SM{number}"), ANA, "hola").await;
            bench.decide(event, contact, vec![]).await;
        }
        bench.pass(10 * DAY_S);
        let first = bench.store.remove_old(bench.tenant, bench.now(), None, false).await.unwrap();
        assert_eq!(first.removed.events, 100);
        assert_eq!(bench.messages().await.len(), 150);
        assert_eq!(remove(&bench, bench.now(), false).await.events, 150);
        assert!(bench.messages().await.is_empty());
    })
    .await;
}
