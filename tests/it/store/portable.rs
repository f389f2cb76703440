//! Export and import of a tenant: all rows or none.

use std::sync::Arc;

use recado::domain::clock::Random;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{AppointmentId, CampaignState, Change, Clock, DeliveryStatus, Effect, Ids, NewTimer};
use recado::ops::export_import::export;
use recado::ops::export_import::import;
use recado::ops::export_import::import::{ImportError, Imported, Options as How};
use recado::store::rows::sender;
use recado::store::tables::appointments::NewStaff;
use recado::store::{AttemptResult, Store, TABLES};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ANA, Bench, LUIS, OURS, OptOutKeyword, START, on_both};
use crate::support::postgres::Database;

/// Opens a store with an empty tenant `demo`, like a first start.
pub(super) async fn another(url: &str) -> Store {
    let clock = Clock::simulated(START);
    let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(2)));
    let options = super::Options { url: url.into(), synchronous: super::Synchronous::Normal };
    let store = Store::open(&options, clock, ids).await.expect("the database can be opened");
    store.migrate().await.expect("the schema can be made");
    Bench::add_tenant(&store, "demo").await;
    store
}

pub(super) fn in_folder(folder: &TempDir, name: &str) -> String {
    format!("sqlite://{}", folder.path().join(name).display())
}

/// Fills a tenant with a row of each kind. Three sends and an event are open at the end.
async fn live(bench: &Bench) {
    let sender = sender::Model {
        id: bench.store.ids().next::<recado::domain::id::noun::Message>().uuid(),
        tenant_id: bench.tenant.uuid(),
        channel: "sms".to_owned(),
        number: OURS.to_owned(),
        base_url: Some("https://a.example".to_owned()),
        created_us: bench.now().unix_us(),
    };
    bench.store.add_sender(sender).await.unwrap();
    let (event, contact) = bench.received("SM1", ANA, "¡hola! \u{1f600}\n\"dos\"").await;
    let field = Effect::SetField { field: "size".to_owned(), value: json!({"chest": 4.5, "big": u64::MAX}) };
    let effects = [field, Effect::Tag { tag: "vip".to_owned() }, Effect::Note { text: "llamó".to_owned() }];
    let effects = effects.into_iter().enumerate().map(|(n, effect)| bench.effect(event, contact, n, effect)).collect();
    bench.decide(event, contact, effects).await;
    let stop =
        OptOutKeyword { word: OptOutWord::Stop, text: "baja".to_owned(), only_if_opted_out: false, confirmation: None };
    bench.wished("SM2", LUIS, stop).await;
    let does = NewStaff { name: "Marta".to_owned(), services: Some(vec!["Cut".to_owned()]), ..NewStaff::default() };
    bench.store.set_staff(bench.tenant, &does).await.unwrap();
    let booked = bench.store.book(&bench.with("Marta", ANA, "2027-06-01 10:00")).await.unwrap();
    for event in bench.store.pending_events(bench.tenant, 10).await.unwrap() {
        let event = event.event;
        bench.decide(event.id, event.contact.unwrap(), vec![]).await;
    }
    bench.campaigned("spring").await;
    let sent = bench.under_way("SM3", ANA).await;
    bench.end(&sent, AttemptResult::Sent { sid: "SMout1".to_owned(), status: DeliveryStatus::Queued }, None).await;
    let failed = bench.under_way("SM4", "+34600000004").await;
    bench.end(&failed, AttemptResult::Failed, Some(21211)).await;
    let unknown = bench.under_way("SM5", "+34600000005").await;
    bench.end(&unknown, AttemptResult::Unknown { look_at: bench.now() }, None).await;
    bench.under_way("SM6", "+34600000006").await;
    bench.planned("SM7", "+34600000007", "espera").await;
    bench.called("CA1", "¿hola?").await;
    bench.remembers("SM9", "+34600000009").await;
    bench.received("SM8", ANA, "sin decidir").await;
    bench.received("SM10", ANA, "sin decidir").await;
    assert!(bench.store.set_aside_oldest(bench.tenant, "it cannot be read").await.unwrap().is_some());
    let later = bench.timer(1, bench.now().plus(super::Duration::from_secs(3_600)));
    let later = NewTimer { subject: Some(booked.id.uuid()), ..later };
    let bad = NewTimer { payload: "bad".into(), ..bench.timer(2, bench.now()) };
    bench.plan(&[later, bad]).await;
    assert_eq!(bench.fire(10).await.set_aside, 1);
}

pub(super) async fn exported(store: &Store, slug: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    export::export(store, slug, &mut bytes).await.expect("it can be exported");
    String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
}

pub(super) async fn imported(store: &Store, lines: &[String], how: &How) -> Result<Imported, ImportError> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    import::import(store, &Clock::system(), text.as_bytes(), how).await
}

pub(super) fn resumed() -> How {
    How { resume: true, ..How::default() }
}

/// Ends the attempt in progress, which no import accepts.
async fn none_under_way(bench: &Bench) {
    let orphans = bench
        .store
        .orphans_to_unknown(bench.now().plus(super::Duration::from_secs(1)), START, &Default::default())
        .await;
    assert_eq!(orphans.unwrap(), 1);
}

#[tokio::test]
async fn a_tenant_is_the_same_after_two_imports() {
    let folder = TempDir::new().unwrap();
    let bench = Bench::open(&in_folder(&folder, "a.db")).await;
    live(&bench).await;
    none_under_way(&bench).await;
    let first = exported(&bench.store, "demo").await;
    for table in &TABLES {
        let found = first.iter().any(|line| line.starts_with(&format!("{{\"{}\":", table.kind)));
        assert!(found, "no {} is in the export", table.kind);
    }
    let database = Database::fresh().await;
    let postgres = another(&database.url()).await;
    imported(&postgres, &first, &resumed()).await.expect("it can come in");
    let second = exported(&postgres, "demo").await;
    assert_eq!(first[1..], second[1..]);
    let sqlite = another(&in_folder(&folder, "b.db")).await;
    imported(&sqlite, &second, &resumed()).await.expect("it can come in");
    assert_eq!(first[1..], exported(&sqlite, "demo").await[1..]);
    // The subjects of timers are there, too.
    for store in [postgres, sqlite] {
        let there = Bench { store, tenant: bench.tenant };
        let subjects = async || -> Vec<_> {
            let timers = there.store.timers(Some(there.tenant), 10).await.unwrap();
            timers.into_iter().filter_map(|timer| timer.subject).collect()
        };
        let [subject] = subjects().await[..] else { panic!("one hangs on the appointment") };
        there.store.change_appointment(&there.order(AppointmentId::new(subject), Change::Cancel)).await.unwrap();
        assert!(subjects().await.is_empty());
    }
}

#[tokio::test]
async fn an_export_is_of_one_moment_and_of_one_tenant() {
    on_both(|bench| async move {
        let other = bench.other().await;
        other.received("SM1", "+34600999999", "de otro").await;
        bench.received("SM2", ANA, "antes").await;
        let frozen = bench.store.freeze().await.unwrap();
        assert!(frozen.tenant("demo").await.unwrap().is_some());
        bench.received("SM3", LUIS, "después").await;
        let messages = TABLES.iter().find(|table| table.kind == "message").unwrap();
        let mut bodies = Vec::new();
        let count = frozen.each_row(messages, bench.tenant, |row| {
            bodies.push(row["body"].clone());
            Ok::<_, recado::store::StoreError>(())
        });
        assert_eq!(count.await.unwrap(), 1);
        assert_eq!(bodies, ["antes"]);
    })
    .await;
}

#[tokio::test]
async fn open_sends_are_not_sent_by_two_installations() {
    on_both(|bench| async move {
        live(&bench).await;
        let lines = exported(&bench.store, "demo").await;
        let folder = TempDir::new().unwrap();
        let elsewhere = another(&in_folder(&folder, "b.db")).await;
        let imported = imported(&elsewhere, &lines, &How::default()).await.expect("it can come in");
        assert_eq!((imported.held, imported.paused), (3, 1));
        let there = Bench { store: elsewhere, tenant: bench.tenant };
        assert_eq!(there.store.campaigns(there.tenant, None, 1).await.unwrap()[0].state, CampaignState::Paused);
        assert!(there.store.running_campaigns().await.unwrap().is_empty());
        there.pass(3_600);
        assert!(there.claim().await.is_empty());
        assert!(there.store.due_queues().await.unwrap().is_empty());
        assert!(there.store.unknowns(&recado::domain::Route::Twilio, 10).await.unwrap().is_empty());
        assert!(there.store.pending_tenants().await.unwrap().is_empty());
        assert_eq!(there.store.orphans_to_unknown(there.now(), there.now(), &Default::default()).await.unwrap(), 0);
        let listed = there.store.messages(there.tenant, None, 100).await.unwrap();
        let held = listed.iter().filter(|listed| matches!(listed, super::Listed::Send(send) if send.state == "held"));
        assert_eq!(held.count(), 3);
        assert_eq!(there.fire(10).await.taken, 0, "its timers wait for a person");
        assert_eq!(there.store.redrive_timers(there.tenant, None).await.unwrap(), 3);
        assert_eq!(there.fire(10).await.taken, 3);
    })
    .await;
}

#[tokio::test]
async fn a_bad_file_leaves_nothing_behind() {
    on_both(|bench| async move {
        live(&bench).await;
        let good = exported(&bench.store, "demo").await;
        let folder = TempDir::new().unwrap();
        let elsewhere = another(&in_folder(&folder, "b.db")).await;
        let place = |kind: &str| {
            good.iter().position(|line| line.starts_with(&format!("{{\"{kind}\":"))).expect("each kind is there")
        };
        let (customer, message, action, end) = (place("customer"), place("message"), place("action"), good.len() - 1);
        let (campaign, member) = (place("campaign"), place("campaign_member"));
        let changed = |at: usize, change: &dyn Fn(&mut Value)| {
            let mut lines = good.clone();
            let mut line: Value = serde_json::from_str(&lines[at]).unwrap();
            change(line.as_object_mut().unwrap().values_mut().next().unwrap());
            lines[at] = line.to_string();
            lines
        };
        let replaced = |at: usize, line: &str| {
            let mut lines = good.clone();
            lines[at] = line.to_owned();
            lines
        };
        let without =
            |at: usize| good.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, line)| line.clone()).collect();
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(5 << 20));
        let swapped = {
            let mut lines = good.clone();
            lines.swap(customer, action);
            lines
        };
        let cases: Vec<(&str, Vec<String>)> = vec![
            ("line 1: the file has format 2", changed(0, &|header| header["format"] = 2.into())),
            ("line 1: 'header' is expected", without(0)),
            ("line 2: the tenant's slug", changed(1, &|tenant| tenant["zone"] = "Nowhere".into())),
            ("line 2: the tenant's slug", changed(1, &|tenant| tenant["settings"] = json!({"x": 1}))),
            ("this is no line of an export", replaced(message, "{\"message\":")),
            ("this is no line of an export", replaced(message, "{\"message\":{},\"event\":{}}")),
            ("'gossip' is no kind of row", replaced(message, "{\"gossip\":{}}")),
            ("'\u{fffd}[2J' is no kind of row", replaced(message, "{\"\\u001b[2J\":{}}")),
            ("bytes at most", replaced(message, &long)),
            ("'at_us' is missing", changed(message, &|row| row["at_us"] = "noon".into())),
            ("'at_us' is missing", changed(message, &|row| drop(row.as_object_mut().unwrap().remove("at_us")))),
            ("'tenant_id' is no column", changed(message, &|row| row["tenant_id"] = 1.into())),
            ("'body' is missing", changed(message, &|row| row["body"] = "a\u{0}b".into())),
            ("'state' is missing", changed(action, &|row| row["state"] = "paid".into())),
            ("'payload' is missing", changed(action, &|row| row["payload"] = json!({}))),
            ("'name' is missing", changed(campaign, &|row| row["name"] = "a\u{1b}b".into())),
            ("'plan' is missing", changed(campaign, &|row| row["plan"] = "calls".into())),
            ("'state' is missing", changed(campaign, &|row| row["state"] = "trying".into())),
            ("'id' names", changed(campaign, &|row| row["id"] = "00000000-0000-7000-8000-000000000000".into())),
            ("'peer_key' is not that", changed(member, &|row| row["peer_key"] = "+34600000102".into())),
            ("'state' is missing", changed(member, &|row| row["state"] = "running".into())),
            ("'fields' is missing", changed(member, &|row| row["fields"] = json!({"a": 1}))),
            ("'phone_key' is not that", changed(customer, &|row| row["phone_key"] = "1".into())),
            (
                "which the tenant does not have",
                changed(message, &|row| {
                    row["contact_id"] = "00000000-0000-7000-8000-000000000000".into();
                }),
            ),
            ("may not come after", swapped),
            ("the counts are not those", without(message)),
            ("it was cut", good[..end].to_vec()),
            ("more follows the end", [&good[..], &good[end..]].concat()),
            ("taken already", [&good[..=message], &good[message..]].concat()),
        ];
        for (says, lines) in cases {
            let error = imported(&elsewhere, &lines, &How::default()).await.expect_err(says).to_string();
            assert!(error.contains(says), "{says:?} is not in {error:?}");
            let (_, tenants, senders) = elsewhere.directory().await.unwrap();
            assert_eq!((tenants.len(), senders.len()), (1, 0), "after {says}");
        }
        // Nothing was stored, so that the correct file can be imported.
        imported(&elsewhere, &good, &How { dry_run: true, ..How::default() }).await.expect("it is right");
        assert_ne!(elsewhere.directory().await.unwrap().1[0].id, bench.tenant.uuid(), "a dry run writes nothing");
        imported(&elsewhere, &good, &How::default()).await.expect("it is right");
        assert_eq!(elsewhere.directory().await.unwrap().1[0].id, bench.tenant.uuid());
    })
    .await;
}

#[tokio::test]
async fn an_import_overwrites_nobody() {
    on_both(|bench| async move {
        live(&bench).await;
        let lines = exported(&bench.store, "demo").await;
        let renamed = How { slug: Some("copia".to_owned()), ..How::default() };
        let error = imported(&bench.store, &lines, &renamed).await.unwrap_err().to_string();
        assert!(error.contains("the tenant's id") && error.contains("'demo'"), "{error}");

        let folder = TempDir::new().unwrap();
        let elsewhere = another(&in_folder(&folder, "b.db")).await;
        let (_, tenants, _) = elsewhere.directory().await.unwrap();
        let there = Bench { tenant: super::TenantId::new(tenants[0].id), store: elsewhere };
        let theirs = sender::Model {
            id: there.store.ids().next::<recado::domain::id::noun::Message>().uuid(),
            tenant_id: there.tenant.uuid(),
            channel: "sms".to_owned(),
            number: OURS.to_owned(),
            base_url: None,
            created_us: 0,
        };
        there.store.add_sender(theirs).await.unwrap();
        let error = imported(&there.store, &lines, &How::default()).await.unwrap_err().to_string();
        assert!(error.contains("the slug 'demo', by a tenant that is not empty"), "{error}");
        let error = imported(&there.store, &lines, &renamed).await.unwrap_err().to_string();
        assert!(error.contains(&format!("sms {OURS}, by the tenant 'demo'")), "{error}");
        assert!(there.store.remove_sender(there.tenant.uuid(), "sms", OURS).await.unwrap());
        assert_eq!(imported(&there.store, &lines, &renamed).await.unwrap().slug, "copia");
    })
    .await;
}

#[tokio::test]
async fn a_dead_import_is_hidden_and_can_be_restarted() {
    on_both(|bench| async move {
        live(&bench).await;
        let lines = exported(&bench.store, "demo").await;
        let folder = TempDir::new().unwrap();
        let elsewhere = another(&in_folder(&folder, "b.db")).await;
        // The state that a process leaves if it dies after its first rows.
        let mut row = recado::tenants::new_tenant(&elsewhere, "demo", "Demo");
        row.id = bench.tenant.uuid();
        elsewhere.begin_import(row, "demo").await.unwrap();
        let message = TABLES.iter().find(|table| table.kind == "opt_out").unwrap();
        let half: Value =
            lines.iter().find_map(|line| serde_json::from_str::<Value>(line).unwrap().get("opt_out").cloned()).unwrap();
        let values = message.values(half.as_object().unwrap().clone()).unwrap();
        elsewhere.import_rows(message, bench.tenant, vec![values]).await.unwrap();
        let (_, tenants, _) = elsewhere.directory().await.unwrap();
        assert_eq!(tenants.len(), 1, "nobody sees it");

        let error = imported(&elsewhere, &lines, &How::default()).await.unwrap_err().to_string();
        assert!(error.contains("--restart"), "{error}");
        imported(&elsewhere, &lines, &How { restart: true, ..How::default() }).await.expect("it begins anew");
    })
    .await;
}
