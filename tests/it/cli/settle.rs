//! `recado settle`.

use super::{CUSTOMER, Ran, beside, delivered, options};
use crate::support::server::Server;
use crate::support::wait::eventually;

fn settle(server: &Server, args: &[&str]) -> Ran {
    beside(server, &[&["settle"], args].concat())
}

#[tokio::test]
async fn a_person_lets_a_held_send_go_on() {
    let server = Server::start(options().env("LOOP_GUARD_MESSAGES", "1")).await;
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    let sent = delivered(&server).await[0]["id"].as_str().expect("an id").to_owned();
    beside(&server, &["webhook", "--from", CUSTOMER, "HOLA"]).ok();
    let held = eventually(std::time::Duration::from_secs(20), || {
        let messages = beside(&server, &["messages", "--json"]).json();
        let held = messages.as_array().expect("an array").iter().find(|one| one["status"] == "held").cloned();
        async move { held.ok_or(messages) }
    })
    .await;
    let held = held["id"].as_str().expect("an id");

    // A decision that does not fit changes nothing and says which do.
    settle(&server, &[held, "--not-sent"]).fails(1, &["is held", "--release for held ones"]);
    settle(&server, &[&sent, "--release"]).fails(1, &["is sent"]);
    settle(&server, &["0199f3c2-0000-7000-8000-000000000000", "--give-up"]).fails(1, &["no send", "recado messages"]);
    settle(&server, &[held]).fails(2, &["--release"]);
    settle(&server, &[held, "--release", "--sid", "SM1"]).fails(2, &["--sid"]);

    let settled = settle(&server, &[held, "--release", "--json"]).json();
    assert_eq!(settled["state"], "planned");
    let messages = delivered(&server).await;
    assert_eq!(messages.iter().filter(|one| one["status"] == "delivered").count(), 2, "{messages:?}");
}
