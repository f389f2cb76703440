//! Every way in which a stream ends, and that nothing stays open after it.

use super::*;

/// Runs a call that `end` ends; returns how it ended, after the agent's socket is closed as well.
async fn ended(limits: Limits, end: impl AsyncFnOnce(&World, &mut Caller, &mut Conversation)) -> Ended {
    let mut world = World::scripted(limits).await;
    let (mut caller, mut agent) = world.call().await;
    end(&world, &mut caller, &mut agent).await;
    let ended = world.outcome().await.ended;
    soon(world.api.wait_open(0)).await;
    assert!(closed(&mut caller).await, "the socket is closed, not dropped: {ended}");
    ended
}

/// Reads to the end; true if the socket was closed with a close frame (RFC 6455, 5.5.1).
async fn closed(caller: &mut Caller) -> bool {
    loop {
        match soon(caller.0.next()).await {
            Some(Ok(Said::Close(_))) => return true,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return false,
        }
    }
}

#[tokio::test]
async fn either_side_ends_it() {
    let with = Limits::DEFAULT;
    assert_eq!(ended(with, async |_, caller, _| caller.stop().await).await, Ended::Stopped);
    assert_eq!(ended(with, async |_, caller, _| caller.raw(Said::Close(None)).await).await, Ended::CallerGone);
    assert_eq!(ended(with, async |_, _, agent| assert!(agent.say(Step::Close).await)).await, Ended::AgentGone);
    let vanished = ended(with, async |_, _, agent| assert!(agent.say(Step::Vanish).await)).await;
    assert!(matches!(vanished, Ended::Lost(media_stream::Side::ElevenLabs, _) | Ended::AgentGone), "{vanished:?}");
    let cancelled = ended(with, async |world, _, _| world.cancel.send(true).unwrap()).await;
    assert_eq!(cancelled, Ended::Cancelled);
}

#[tokio::test]
async fn a_twilio_that_vanishes_ends_it() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (caller, _agent) = world.call().await;
    drop(caller);
    let ended = world.outcome().await.ended;
    assert!(matches!(ended, Ended::Lost(media_stream::Side::Twilio, _) | Ended::CallerGone), "{ended:?}");
    soon(world.api.wait_open(0)).await;
}

#[tokio::test]
async fn time_ends_it() {
    let moment = Duration::from_millis(200);
    let with = Limits { duration_max: moment, ..Limits::DEFAULT };
    assert_eq!(ended(with, async |_, _, _| {}).await, Ended::TooLong);
    let with = Limits { silence_max: moment, ..Limits::DEFAULT };
    assert_eq!(ended(with, async |_, _, _| {}).await, Ended::Silent(moment));

    let mut world = World::scripted(Limits { start_max: moment, ..Limits::DEFAULT }).await;
    let mut caller = world.dial().await;
    caller.say(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
    let outcome = world.outcome().await;
    assert_eq!((outcome.ended, outcome.conversation_id), (Ended::NotStarted(moment), None));
}

#[tokio::test]
async fn what_the_agent_said_last_is_heard_out() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (mut caller, agent) = world.call().await;
    agent.say(audio(1, SILENCE)).await;
    agent.say(Step::Close).await;
    let (_, mark) = caller.hear_audio().await;
    soon(world.api.wait_open(0)).await;
    // The agent is gone and its goodbye still plays; the caller goes on speaking.
    caller.speak(SILENCE).await;
    caller.press("1").await;
    assert_eq!(world.event().await, BridgeEvent::Digit { digit: "1".into() });
    assert!(world.outcomes.try_recv().is_err());
    caller.mark(&mark).await;
    let outcome = world.outcome().await;
    assert_eq!((outcome.ended, outcome.stats.agent_played_ms), (Ended::AgentGone, 20));

    // The bridge does not wait for Twilio forever.
    let mut world = World::scripted(Limits { farewell_max: Duration::from_millis(200), ..Limits::DEFAULT }).await;
    let (mut caller, agent) = world.call().await;
    agent.say(audio(1, SILENCE)).await;
    agent.say(Step::Close).await;
    caller.hear_audio().await;
    assert_eq!(world.outcome().await.ended, Ended::AgentGone);
}

#[tokio::test]
async fn conversations_are_for_those_with_the_key() {
    let api = ElevenLabsEmulator::new(KEY, AGENT, Behavior::Scripted);
    let base = format!("http://{}", serve(api.router()).await);
    let client = |key: Option<&str>| ElevenLabs::new(http::client().unwrap(), &base, key.map(Into::into)).unwrap();
    let error = async |client: ElevenLabs, agent| client.open(agent, SOON).await.err();
    assert_eq!(error(client(None), AGENT).await, Some(ElevenLabsError::NotConfigured));
    assert_eq!(error(client(Some("sk_wrong")), AGENT).await, Some(ElevenLabsError::Unauthorized));
    assert_eq!(error(client(Some(KEY)), "agent_2").await, Some(ElevenLabsError::NoAgent));
    let nobody = ElevenLabs::new(http::client().unwrap(), "http://127.0.0.1:9", Some(KEY.into())).unwrap();
    assert!(matches!(error(nobody, AGENT).await, Some(ElevenLabsError::Lost(_))));
    let unsigned = format!("{}/v1/convai/conversation?agent_id={AGENT}", base.replace("http", "ws"));
    assert!(connect_async(unsigned).await.is_err(), "the agent is private");
    assert!(client(Some(KEY)).open(AGENT, SOON).await.is_ok());
}
