//! The server was down, or a webhook or a callback never came: the server catches up from the provider's lists.

use std::time::Duration;

use recado::domain::{Clock, DeliveryStatus, Timestamp};
use recado::emulators::twilio::{CarrierConfig, Fault, FaultKind, Inbound};
use recado::engine::catch_up;
use recado::integrations::twilio::form::Params;
use recado::integrations::twilio::signature;
use recado::store::Listed;

use super::inside::{Inside, PUBLIC_URL, posted};
use super::rig::{self, ACCOUNT, ECHO, Look, OURS, Provider, TOKEN, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid};

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_came_meanwhile_are_taken_in_once_and_marked_late() {
    const TEXTS: usize = 25;
    let provider = Provider::start(5).await;
    let mut server = Server::start(rig::options(&provider.url)).await;
    let look = Look::into(server.folder()).await;
    // The first round only notes its start.
    let cursor = format!("settings WHERE name = 'catch_up:{ACCOUNT}'");
    eventually(WITHIN, || async {
        if look.count(&cursor).await == 1 { Ok(()) } else { Err("the catch-up has not begun") }
    })
    .await;
    server.stop().await;
    for number in 0..TEXTS {
        provider.carrier.add_inbound(Inbound {
            sid: Some(message_sid(number as u128)),
            from: customer(number % 5),
            to: OURS.to_owned(),
            body: format!("missed {number}"),
            ..Inbound::default()
        });
    }
    server.start_again().await;
    provider.carrier.wait_taken(TEXTS as u64).await;
    // The provider posts one of them after all, as a retry.
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(3), &customer(3), OURS, "missed 3");
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
    eventually(WITHIN, || look.open()).await;
    let messages = look.messages().await;
    let inbound: Vec<_> = messages.iter().filter(|message| message.direction == "in").collect();
    assert_eq!(inbound.len(), TEXTS);
    assert!(inbound.iter().all(|message| message.late), "{inbound:?}");
    assert_eq!(inbound.iter().map(|message| message.repeats).sum::<i32>(), 1);
    let answers = provider.sent().into_iter().filter(|message| message.status != DeliveryStatus::Received).count();
    assert_eq!(answers, TEXTS, "each is answered once");
}

/// The server asks for the status of a send an hour after it, if its callbacks are lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_no_callback_brought_is_asked_for() {
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let mut config = CarrierConfig::new(ACCOUNT, TOKEN, clock.clone());
    config.seed = 6;
    let provider = Provider::with(config).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    let inside = Inside::at(&provider.url, clock.clone(), ECHO).await;
    let loops = recado::app::start_loops(&inside.engine);
    let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(1), &customer(1), OURS, "hola");
    let target = "/api/twilio/demo/sms";
    let params: Params = form.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let signature = signature::sign(TOKEN, &format!("{PUBLIC_URL}{target}"), &params);
    assert_eq!(inside.answer(posted(target, params.encode(), Some(&signature))).await.0, 200);
    let store = &inside.installation.store;
    let tenant = inside.installation.directory.now().by_slug("demo").expect("it is made").id;
    let status = || async {
        let messages = store.messages(tenant, None, 10).await.expect("they can be listed");
        messages.into_iter().find_map(|one| match one {
            Listed::Message(message) if message.direction == "out" => Some(message.status),
            _ => None,
        })
    };
    let becomes = |expect: &'static str| {
        eventually(WITHIN, move || async move {
            let found = status().await;
            if found.as_deref() == Some(expect) { Ok(()) } else { Err(format!("{found:?}")) }
        })
    };
    becomes("queued").await;
    provider.carrier.wait_callbacks().await;
    clock.advance(Duration::from_secs(30 * 60));
    catch_up::round(&inside.engine).await.expect("the database is there");
    assert_eq!(status().await.as_deref(), Some("queued"), "it is not overdue yet");
    clock.advance(Duration::from_secs(31 * 60));
    becomes("delivered").await;
    assert_eq!(provider.sent().len(), 1, "asked for, not sent again");
    drop(loops);
}
