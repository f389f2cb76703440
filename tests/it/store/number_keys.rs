//! The look-up keys of numbers with two forms: of old rows, of old exports, and of what customers do in either form.

use recado::migrations::MIGRATIONS;
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, FromQueryResult, Statement};

use super::portable::in_folder;
use crate::support::postgres::Database;

const MIGRATION: &str = "m0020_argentine_keys";

#[derive(FromQueryResult)]
struct Row {
    text: String,
}

async fn texts(db: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = Row::find_by_statement(Statement::from_string(db.get_database_backend(), query)).all(db).await;
    rows.expect("rows").into_iter().map(|row| row.text).collect()
}

/// Stores rows as the version before the step did, and runs the step.
async fn renewed(db: DatabaseConnection) {
    let backend = db.get_database_backend();
    let place = MIGRATIONS.iter().position(|step| step.name == MIGRATION).expect("it is a step");
    let run = async |text: &str| {
        db.execute_unprepared(text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
    };
    for text in MIGRATIONS[..place].iter().flat_map(|step| step.statements(backend)) {
        run(&text).await;
    }
    let id = |n: u8| match backend {
        DatabaseBackend::Postgres => format!("'00000000-0000-0000-0000-0000000000{n:02x}'"),
        _ => format!("x'000000000000000000000000000000{n:02x}'"),
    };
    run(&format!(
        "INSERT INTO tenants (id, slug, name, zone, language, settings, created_us)
         VALUES ({}, 'demo', 'Demo', 'UTC', 'es', '{{}}', 0)",
        id(1)
    ))
    .await;
    for (n, phone) in [(2, "+541123456789"), (3, "+541143215678"), (4, "+5491143215678"), (5, "+34600111222")] {
        run(&format!(
            "INSERT INTO contacts (id, tenant_id, phone, phone_key, name, profile_name, tags, fields, inbound_count, created_us)
             VALUES ({}, {}, '{phone}', '{phone}', '', '', '[]', '{{}}', 0, 0)",
            id(n),
            id(1)
        ))
        .await;
    }
    // The one customer opted out in one form, the other in both, later without the 9, the third in both, later in again.
    for (key, active, at) in [
        ("+541123456789", "true", 1),
        ("+541143215678", "true", 9),
        ("+5491143215678", "false", 2),
        ("+541150000000", "true", 1),
        ("+5491150000000", "false", 2),
        ("+34600111222", "true", 1),
    ] {
        run(&format!(
            "INSERT INTO opt_outs (tenant_id, channel, peer_key, sender, active, word, at_us)
             VALUES ({}, 'sms', '{key}', '', {active}, 'STOP', {at})",
            id(1)
        ))
        .await;
    }
    for text in MIGRATIONS[place].statements(backend) {
        run(&text).await;
    }
    assert_eq!(
        texts(&db, "SELECT phone_key AS text FROM contacts ORDER BY phone_key").await,
        ["+34600111222", "+541143215678", "+5491123456789", "+5491143215678"],
        "a second customer of the same number keeps their row"
    );
    let out = "SELECT peer_key || ' ' || at_us AS text FROM opt_outs WHERE active ORDER BY peer_key";
    assert_eq!(texts(&db, out).await, ["+34600111222 1", "+5491123456789 1", "+5491143215678 9"]);
    assert_eq!(
        texts(&db, "SELECT peer_key AS text FROM opt_outs WHERE NOT active").await,
        ["+5491150000000"],
        "the later word of both stays"
    );
}

#[tokio::test]
async fn old_rows_of_argentine_numbers_get_the_key_of_both_forms() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = format!("{}?mode=rwc", in_folder(&folder, "old.db"));
    renewed(sea_orm::Database::connect(file).await.expect("the file can be made")).await;
    let database = Database::fresh().await;
    renewed(database.connect().await).await;
}
