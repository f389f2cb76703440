//! A row that the database refuses fails the request that brought it, and no other of its batch.

use futures_util::future::join_all;
use recado::domain::DeliveryStatus;
use recado::store::{AttemptOutcome, AttemptResult, StatusReport};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection};

use super::Bench;
use super::ordering_keys::with_rows;

const MANY: usize = 40;
const BAD: usize = 17;

/// Makes the database refuse new rows of a table for which this holds.
async fn refuse(db: &DatabaseConnection, table: &str, when: &str) {
    let statements = match db.get_database_backend() {
        DatabaseBackend::Postgres => vec![
            format!(
                "CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$"
            ),
            format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when})
                   EXECUTE FUNCTION refuse_{table}()"
            ),
        ],
        _ => vec![format!(
            "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN {when}
               BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
        )],
    };
    for statement in statements {
        db.execute_unprepared(&statement).await.expect("it can be made");
    }
}

fn only_the_bad_one_failed<T>(results: Vec<Result<T, recado::store::StoreError>>) {
    for (number, result) in results.into_iter().enumerate() {
        match result.err() {
            Some(error) => {
                assert!(number == BAD && error.to_string().contains("refused by the test"), "{number}: {error}")
            }
            None => assert_ne!(number, BAD, "it was refused"),
        }
    }
}

#[tokio::test]
async fn one_message_that_is_refused_fails_alone() {
    with_rows(|bench, db| async move {
        refuse(&db, "messages", "NEW.body = 'poison'").await;
        let of = |number: usize| if number == BAD { "poison" } else { "hola" };
        let new = |number: usize| bench.text(&format!("SM{number}"), &format!("+34600{number:06}"), of(number));
        let writer = bench.store.writer();
        only_the_bad_one_failed(join_all((0..MANY).map(|number| writer.ingest(new(number)))).await);
        assert_eq!(bench.messages().await.len(), MANY - 1);
    })
    .await;
}

#[tokio::test]
async fn one_outcome_and_one_status_that_are_refused_fail_alone() {
    with_rows(|bench, db| async move {
        let mut sends = Vec::new();
        for number in 0..MANY {
            bench.planned(&format!("SM{number}"), &format!("+34600{number:06}"), "hola").await;
        }
        sends.extend(bench.claim().await);
        assert_eq!(sends.len(), MANY);
        refuse(&db, "attempts", "NEW.detail = 'poison'").await;
        let bad = sends[BAD].send.id;
        refuse(&db, "events", &format!("NEW.dedupe_key = 'status:{bad}:delivered'")).await;
        let writer = bench.store.writer();
        let outcome = |number: usize| AttemptOutcome {
            send: sends[number].send.clone(),
            attempt: sends[number].attempt,
            result: AttemptResult::Sent { sid: format!("SMo{number}"), status: DeliveryStatus::Queued },
            http_status: Some(201),
            error_code: None,
            detail: if number == BAD { "poison" } else { "" }.to_owned(),
        };
        only_the_bad_one_failed(join_all((0..MANY).map(|number| writer.outcome(outcome(number)))).await);
        let report = |number: usize| StatusReport {
            tenant: bench.tenant,
            action: sends[number].send.id,
            sid: format!("SMo{number}"),
            status: DeliveryStatus::Delivered,
            error_code: None,
            unmatched: true,
            at: bench.now(),
        };
        only_the_bad_one_failed(join_all((0..MANY).map(|number| writer.settle(report(number)))).await);
        for (number, one) in sends.iter().enumerate() {
            assert_eq!(bench.state(one.send.id).await, if number == BAD { "sending" } else { "sent" }, "{number}");
        }
    })
    .await;
}

/// What a batch is split for is not lost: the bench's own rows are there, once.
#[tokio::test]
async fn a_split_batch_stores_each_row_once() {
    with_rows(|bench: Bench, db| async move {
        refuse(&db, "messages", "NEW.body = 'poison'").await;
        let writer = bench.store.writer();
        // Each text comes twice, and one between them is bad.
        let new = |number: usize| match number {
            BAD => bench.text("SMbad", "+34600999999", "poison"),
            _ => bench.text(&format!("SM{}", number / 2), &format!("+34600{:06}", number / 2), "hola"),
        };
        let results = join_all((0..MANY).map(|number| writer.ingest(new(number)))).await;
        assert!(results[BAD].is_err());
        assert_eq!(results.iter().filter(|result| result.as_ref().is_ok_and(|new| !new.duplicate)).count(), MANY / 2);
        assert_eq!(bench.messages().await.len(), MANY / 2);
    })
    .await;
}
