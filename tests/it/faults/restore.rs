//! Yesterday's copy is put back beside a provider that knows better: nothing is sent twice, and nobody is answered again.

use std::time::Duration;

use recado::emulators::twilio::{Fault, FaultKind, Inbound};

use super::rig::{self, ACCOUNT, ECHO, Look, OURS, Provider, customer, recado};
use crate::cli;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(60);
const COPY: &str = "copy.db";

/// A text that the provider has in its list, and posts if the server is to know of it.
async fn text(provider: &Provider, server: Option<&Server>, number: usize, body: &str) {
    let (sid, from) = (message_sid(number as u128), customer(number % 10));
    provider.carrier.add_inbound(Inbound {
        sid: Some(sid.clone()),
        from: from.clone(),
        to: OURS.to_owned(),
        body: body.to_owned(),
        ..Inbound::default()
    });
    if let Some(server) = server {
        let twilio = rig::twilio(server);
        assert_eq!(rig::post(&twilio, &twilio.inbound(&sid, &from, OURS, body)).await, Some(200));
    }
}

async fn command(server: &Server, args: &[&str]) -> cli::Ran {
    let mut command = recado(server, args);
    tokio::task::spawn_blocking(move || cli::run(&mut command)).await.expect("it runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_after_the_copy_is_not_sent_again() {
    let provider = Provider::start(7).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    let mut server = Server::start(rig::options(&provider.url)).await;
    let look = Look::into(server.folder()).await;
    let cursor = format!("settings WHERE name = 'catch_up:{ACCOUNT}'");
    eventually(WITHIN, || async {
        if look.count(&cursor).await == 1 { Ok(()) } else { Err("the catch-up has not begun") }
    })
    .await;
    text(&provider, Some(&server), 1, "before").await;
    provider.wait_taken(1).await;
    eventually(WITHIN, || look.open()).await;
    // Three answers are planned when the copy is made, and leave after it. The third meets other rules then.
    provider.order(Fault::always(FaultKind::Throttle));
    for number in 2..5 {
        text(&provider, Some(&server), number, &format!("open {number}")).await;
    }
    eventually(WITHIN, || async {
        let planned = look.count("actions WHERE state = 'planned'").await;
        if planned == 3 { Ok(()) } else { Err(planned) }
    })
    .await;
    command(&server, &["backup", COPY]).await.ok();
    provider.carrier.clear_faults();
    provider.order(Fault::always(FaultKind::CallbacksLost));
    for number in 5..8 {
        text(&provider, Some(&server), number, &format!("late {number}")).await;
    }
    provider.wait_taken(7).await;
    eventually(WITHIN, || look.open()).await;
    drop(look);
    command(&server, &["restore", COPY]).await.fails(1, &["another 'recado serve' runs"]);
    server.stop().await;
    // A text that nobody has answered.
    text(&provider, None, 8, "missed").await;
    command(&server, &["restore"]).await.fails(2, &["recado restore"]);
    command(&server, &["restore", "nothing.db"]).await.fails(1, &["nothing.db"]);
    let restored = command(&server, &["restore", COPY, "--json"]).await.json();
    assert_eq!(restored["open_sends"], 3, "{restored}");
    let kept = restored["kept"].as_str().expect("the database is kept");
    assert!(server.folder().join(kept).exists(), "{kept}");

    server.start_again().await;
    provider.wait_taken(8).await;
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        look.open().await?;
        let inbound = look.count("messages WHERE direction = 'in'").await;
        if inbound == 8 { Ok(()) } else { Err(format!("{inbound} messages")) }
    })
    .await;
    assert_eq!(provider.carrier.taken(), 8, "the missed one is answered, and no other again");
    for (number, body) in [(2, "open 2"), (5, "late 5"), (7, "late 7"), (8, "missed")] {
        let answers = provider.sent().into_iter().filter(|sent| sent.body == format!("re {body}")).count();
        assert_eq!((answers, provider.carrier.count_to(&customer(number))), (1, 1), "{body}");
    }
    let mut sids: Vec<_> = look.actions().await.into_iter().filter_map(|action| action.provider_sid).collect();
    let mut taken: Vec<_> =
        provider.sent().into_iter().filter(|sent| sent.body.starts_with("re ")).map(|sent| sent.sid).collect();
    sids.sort();
    taken.sort();
    assert_eq!(sids, taken, "each answer is known by its own message");
}

/// The rules have changed since, so that the answer has other words.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_answered_in_other_words_is_not_answered_again() {
    let provider = Provider::start(8).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    let mut server = Server::start(rig::options(&provider.url)).await;
    let look = Look::into(server.folder()).await;
    let cursor = format!("settings WHERE name = 'catch_up:{ACCOUNT}'");
    eventually(WITHIN, || async {
        if look.count(&cursor).await == 1 { Ok(()) } else { Err("the catch-up has not begun") }
    })
    .await;
    command(&server, &["backup", COPY]).await.ok();
    text(&provider, Some(&server), 1, "hola").await;
    provider.wait_taken(1).await;
    eventually(WITHIN, || look.open()).await;
    drop(look);
    server.stop().await;
    text(&provider, None, 2, "hola").await;
    command(&server, &["restore", COPY]).await.ok();
    let other = ECHO.replace("re ${e.body}", "otherwise ${e.body}");
    std::fs::write(server.folder().join("rules/echo.rhai"), other).expect("the folder is ours");
    server.start_again().await;
    provider.wait_taken(2).await;
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        look.open().await?;
        let decided = look.count("actions").await;
        if decided == 2 { Ok(()) } else { Err(format!("{decided} actions")) }
    })
    .await;
    assert_eq!(provider.carrier.taken(), 2);
    assert_eq!((provider.carrier.count_to(&customer(1)), provider.carrier.count_to(&customer(2))), (1, 1));
    let actions = look.actions().await;
    let blocked = actions.iter().find(|action| action.state == "blocked").expect("the first is answered");
    assert!(blocked.reason.as_deref().is_some_and(|reason| reason.contains("answered before")), "{blocked:?}");
}
