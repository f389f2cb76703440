//! A customer's last message on each channel: stored by ingest, moved by its migration, imported from older files.

use std::collections::BTreeMap;
use std::sync::Arc;

use recado::domain::{Action, Channel, Origin};
use recado::migrations::MIGRATIONS;
use recado::store::{Gate, NewInbound};
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::portable::{another, exported, imported, in_folder, resumed};
use super::{ANA, Bench, LUIS, START, on_both};
use crate::support::postgres::Database;

#[tokio::test]
async fn each_channel_keeps_its_last_message_whatever_the_order() {
    on_both(|bench| async move {
        let on = |sid: &str, channel, seconds| NewInbound {
            channel,
            at: START.plus(super::Duration::from_secs(seconds)),
            ..bench.text(sid, ANA, "hola")
        };
        let (_, contact) = bench.take_in(on("SM1", Channel::Sms, 60)).await;
        bench.take_in(on("SM2", Channel::WhatsApp, 20)).await;
        // The catch-up brings an older message late.
        bench.take_in(on("SM3", Channel::Sms, 30)).await;
        bench.take_in(on("SM4", Channel::WhatsApp, 40)).await;
        bench.received("SM5", LUIS, "hola").await;
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        let after = |seconds| START.plus(super::Duration::from_secs(seconds));
        let last = BTreeMap::from([(Channel::Sms, after(60)), (Channel::WhatsApp, after(40))]);
        assert_eq!(facts[&contact].last_inbound_at, last);
        assert_eq!(facts[&contact].inbound_count, 4);

        bench.store.erase_contact(bench.tenant, ANA).await.unwrap();
        let left = exported(&bench.store, "demo").await;
        assert_eq!(left.iter().filter(|line| line.starts_with("{\"customer_channel\"")).count(), 1, "of another");
    })
    .await;
}

#[tokio::test]
async fn messages_of_one_batch_leave_the_last_of_them() {
    on_both(|bench| async move {
        let at = |seconds| START.plus(super::Duration::from_secs(seconds));
        let all = [30, 60, 10]
            .map(|seconds| NewInbound { at: at(seconds), ..bench.text(&format!("SM{seconds}"), ANA, "hola") });
        let writer = bench.store.writer();
        for ingested in futures_util::future::join_all(all.map(|inbound| writer.ingest(inbound))).await {
            assert!(!ingested.unwrap().duplicate);
        }
        let contact = bench.store.contact_by_key(bench.tenant, ANA).await.unwrap().expect("a customer");
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert_eq!(facts[&contact].last_inbound_at, BTreeMap::from([(Channel::Sms, at(60))]));
    })
    .await;
}

#[tokio::test]
async fn the_gate_learns_when_a_whatsapp_session_began() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let plan = |index, channel| {
            let mut new = bench.send(event, contact, index, ANA, "hola");
            if let Action::Send(send) = &mut new.action {
                send.channel = channel;
            }
            (new.origin, new.rule) = (Origin::Manual, channel.to_string());
            new
        };
        bench.decide(event, contact, vec![plan(0, Channel::WhatsApp)]).await;
        let shown = || async {
            let [one] = &bench.claim_if(Arc::new(|_, _| Gate::Pass)).await[..] else { panic!("one is due") };
            let ended = recado::store::AttemptResult::Failed;
            assert!(bench.end(one, ended, None).await);
            one.facts.session_from
        };
        assert_eq!(shown().await, None, "a text message opens no session");
        let at = bench.now();
        let inbound = NewInbound { channel: Channel::WhatsApp, ..bench.text("SM2", ANA, "hola") };
        let (event, _) = bench.take_in(inbound).await;
        let new = bench.send(event, contact, 0, ANA, "hola");
        let Action::Send(mut send) = new.action.clone() else { panic!("it is a message") };
        send.channel = Channel::WhatsApp;
        let new = recado::store::NewAction { action: Action::Send(send), ..new };
        bench.decide(event, contact, vec![new]).await;
        assert_eq!(shown().await, Some(at));
    })
    .await;
}

#[derive(Debug, FromQueryResult)]
struct Last {
    contact_id: Uuid,
    channel: String,
    last_us: i64,
}

/// Runs all migrations before `m0012`, stores customers in the old columns, and runs `m0012`.
async fn moved(db: DatabaseConnection) {
    let backend = db.get_database_backend();
    let place = MIGRATIONS.iter().position(|step| step.name == "m0012_contact_channels").expect("it is a step");
    let run = async |steps: &[recado::migrations::Migration]| {
        for text in steps.iter().flat_map(|step| step.statements(backend)) {
            db.execute_unprepared(&text).await.expect("the step can be applied");
        }
    };
    run(&MIGRATIONS[..place]).await;
    let execute = async |text: &str, values: Vec<sea_orm::Value>| {
        let text = match backend {
            sea_orm::DatabaseBackend::Postgres => (1..).zip(text.split('?')).fold(String::new(), |all, (n, part)| {
                if n == 1 { part.to_owned() } else { format!("{all}${}{part}", n - 1) }
            }),
            _ => text.to_owned(),
        };
        db.execute_raw(Statement::from_sql_and_values(backend, text, values)).await.expect("it can be written");
    };
    let tenant = Uuid::from_u128(1);
    let insert = "INSERT INTO tenants (id, slug, name, zone, language, settings, created_us)
        VALUES (?, 'demo', 'Demo', 'UTC', 'es', '{}', 0)";
    execute(insert, vec![tenant.into()]).await;
    for (n, sms, whatsapp) in [(2, Some(7i64), Some(9i64)), (3, None, Some(5)), (4, None, None)] {
        let insert = "INSERT INTO contacts (id, tenant_id, phone, phone_key, name, profile_name, tags, fields,
            inbound_count, last_sms_us, last_whatsapp_us, created_us) VALUES (?, ?, ?, ?, '', '', '[]', '{}', 1, ?, ?, 0)";
        let phone = format!("+3460000000{n}");
        let id = Uuid::from_u128(n);
        let values = [id.into(), tenant.into(), phone.clone().into(), phone.into(), sms.into(), whatsapp.into()];
        execute(insert, values.to_vec()).await;
    }
    run(&MIGRATIONS[place..]).await;
    let kept = async || {
        let text = "SELECT contact_id, channel, last_us FROM contact_channels ORDER BY contact_id, channel";
        let rows = Last::find_by_statement(Statement::from_string(backend, text)).all(&db).await.expect("rows");
        let of = |row: Last| (row.contact_id.as_u128(), row.channel, row.last_us);
        rows.into_iter().map(of).collect::<Vec<_>>()
    };
    let is = |expect: &[(u128, &str, i64)]| {
        expect.iter().map(|(id, on, at)| (*id, (*on).to_owned(), *at)).collect::<Vec<_>>()
    };
    assert_eq!(kept().await, is(&[(2, "sms", 7), (2, "whatsapp", 9), (3, "whatsapp", 5)]));

    // The program before this step runs on beside the new one, and writes the columns: for old customers and new.
    execute("UPDATE contacts SET last_sms_us = ?, last_whatsapp_us = 8", vec![11i64.into()]).await;
    let insert =
        "INSERT INTO contacts (id, tenant_id, phone, phone_key, name, profile_name, tags, fields, inbound_count,
        last_whatsapp_us, created_us) VALUES (?, ?, '+34600000005', '+34600000005', '', '', '[]', '{}', 1, 6, 0)";
    execute(insert, vec![Uuid::from_u128(5).into(), tenant.into()]).await;
    let both = |id, whatsapp| [(id, "sms", 11), (id, "whatsapp", whatsapp)];
    let after = [both(2, 9), both(3, 8), both(4, 8)].concat();
    assert_eq!(kept().await, is(&[&after[..], &[(5, "whatsapp", 6)]].concat()), "the newest of both stays");

    // Several servers run on PostgreSQL alone: one of the program before reads what a new one wrote.
    if backend == sea_orm::DatabaseBackend::Postgres {
        execute("UPDATE contact_channels SET last_us = 20 WHERE channel = 'sms'", vec![]).await;
        execute("UPDATE contact_channels SET last_us = 30 WHERE channel = 'whatsapp'", vec![]).await;
        let text = "SELECT id AS contact_id, coalesce(last_sms_us, 0)::text AS channel, last_whatsapp_us AS last_us
            FROM contacts ORDER BY id";
        let rows = Last::find_by_statement(Statement::from_string(backend, text)).all(&db).await.expect("rows");
        let columns: Vec<_> = rows.iter().map(|row| (row.channel.as_str(), row.last_us)).collect();
        assert_eq!(columns, [("20", 30), ("20", 30), ("20", 30), ("0", 30)]);
    }
}

#[tokio::test]
async fn the_migration_moves_the_columns_of_old_customers() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = format!("{}?mode=rwc", in_folder(&folder, "old.db"));
    moved(sea_orm::Database::connect(file).await.expect("the file can be made")).await;
    let database = Database::fresh().await;
    moved(database.connect().await).await;
}

/// The lines of an older version, in which each channel was a column of the customer.
fn as_written_before(lines: &[String]) -> Vec<String> {
    let parse = |line: &String| serde_json::from_str::<Map<String, Json>>(line).expect("a line of an export");
    let mut last: BTreeMap<(String, String), Json> = BTreeMap::new();
    for row in lines.iter().map(parse).filter_map(|line| line.get("customer_channel").cloned()) {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        last.insert((text("contact_id"), text("channel")), row["last_us"].clone());
    }
    assert!(!last.is_empty());
    let mut before = Vec::new();
    for mut line in lines.iter().map(parse).filter(|line| !line.contains_key("customer_channel")) {
        if let Some(customer) = line.get_mut("customer") {
            for (column, channel) in [("last_sms_us", "sms"), ("last_whatsapp_us", "whatsapp")] {
                let key = (customer["id"].as_str().expect("an id").to_owned(), channel.to_owned());
                customer[column] = last.get(&key).cloned().unwrap_or(Json::Null);
            }
        }
        if let Some(end) = line.get_mut("end") {
            end["rows"].as_object_mut().expect("counts").remove("customer_channel");
        }
        before.push(json!(line).to_string());
    }
    before
}

#[tokio::test]
async fn a_file_of_an_older_version_still_imports() {
    on_both(|bench| async move {
        for n in 0..300 {
            bench.received(&format!("SM{n}"), &format!("+34600{n:06}"), "hola").await;
        }
        bench.take_in(NewInbound { channel: Channel::WhatsApp, ..bench.text("SMw", ANA, "hola") }).await;
        let lines = exported(&bench.store, "demo").await;
        let folder = tempfile::TempDir::new().unwrap();
        let elsewhere = another(&in_folder(&folder, "b.db")).await;
        imported(&elsewhere, &as_written_before(&lines), &resumed()).await.expect("it can come in");
        assert_eq!(lines[1..], exported(&elsewhere, "demo").await[1..]);
        let there = Bench { store: elsewhere, tenant: bench.tenant };
        there.received("SMagain", ANA, "hola").await;
    })
    .await;
}
