//! Tests of the test support.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::support::postgres::{Cluster, Database};
use crate::support::wait::eventually;
use crate::support::webhook::{fields, sign};

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = (Database::fresh().await, Database::fresh().await);
    one.connect().await.execute_unprepared("CREATE TABLE note (id INT)").await.unwrap();
    other.connect().await.execute_unprepared("CREATE TABLE note (id INT)").await.unwrap();
}

#[tokio::test]
async fn a_dropped_database_is_gone() {
    let database = Database::fresh().await;
    let url = database.url();
    let connection = database.connect().await;
    drop(database);
    assert!(connection.execute_unprepared("SELECT 1").await.is_err());
    assert!(sea_orm::Database::connect(url).await.is_err());
}

#[tokio::test]
async fn a_cluster_comes_back_from_a_crash_with_its_data() {
    let mut cluster = Cluster::start();
    let database = Database::fresh_on(&cluster.url).await;
    let before = database.connect().await;
    before.execute_unprepared("CREATE TABLE note (id INT)").await.unwrap();
    cluster.crash();
    assert!(before.execute_unprepared("INSERT INTO note VALUES (1)").await.is_err());
    cluster.start_again();
    database.connect().await.execute_unprepared("INSERT INTO note VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn eventually_gives_what_came_late() {
    let mut calls = 0;
    let value = eventually(Duration::from_secs(5), || {
        calls += 1;
        let calls = calls;
        async move { if calls < 3 { Err("not yet") } else { Ok(calls) } }
    })
    .await;
    assert_eq!(value, 3);
}

#[tokio::test]
#[should_panic(expected = "last state: \"still empty\"")]
async fn eventually_gives_up_with_the_last_state() {
    eventually(Duration::from_millis(50), || async { Err::<(), _>("still empty") }).await;
}

#[tokio::test]
#[should_panic(expected = "did not end within")]
async fn eventually_does_not_wait_for_a_probe_that_hangs() {
    eventually(Duration::from_millis(50), std::future::pending::<Result<(), ()>>).await;
}

/// The example from Twilio's own test suites.
#[test]
fn webhooks_are_signed_as_twilio_signs() {
    let form = fields(&[
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]);
    let signature = sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &form);
    assert_eq!(signature, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}
