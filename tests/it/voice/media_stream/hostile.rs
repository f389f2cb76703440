//! Invalid frames: each ends the stream cleanly, closes both sockets and names the side that sent it.

use media_stream::Side;

use super::*;

/// Runs a stream in which Twilio sends only `said`; returns how it ended.
async fn of_caller(said: Vec<Said>) -> Ended {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let mut caller = world.dial().await;
    for message in said {
        // Fails if the bridge has closed the socket already.
        let _ = soon(caller.0.send(message)).await;
    }
    let ended = world.outcome().await.ended;
    soon(world.api.wait_open(0)).await;
    ended
}

/// Runs a valid call whose agent performs `steps`; returns how it ended.
async fn of_agent(steps: Vec<Step>) -> Ended {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let mut caller = world.dial().await;
    caller.begin().await;
    let agent = soon(world.api.conversation()).await.unwrap();
    for step in steps {
        agent.say(step).await;
    }
    let ended = world.outcome().await.ended;
    soon(world.api.wait_open(0)).await;
    while caller.receive().await.is_some() {}
    ended
}

fn text(message: &Value) -> Said {
    Said::Text(message.to_string().into())
}

#[tokio::test]
async fn of_twilio() {
    let connected = || text(&json!({"event": "connected"}));
    let begun = |last: Said| vec![connected(), text(&start()), last];
    for said in [
        vec![text(&start())],
        vec![text(&media(SILENCE))],
        vec![connected(), connected()],
        vec![connected(), text(&media(SILENCE))],
        vec![Said::Binary(vec![0; 16].into())],
        vec![Said::Text("not JSON".into())],
        vec![text(&json!(["connected"]))],
        vec![connected(), text(&json!({"event": "start", "start": {"callSid": CALL}}))],
        begun(text(&start())),
        begun(connected()),
        begun(Said::Binary(vec![0; 160].into())),
        begun(Said::Text("{\"event\":\"media\"".into())),
        begun(text(&media("\"},{"))),
        begun(text(&json!({"event": "media", "media": {"track": "inbound", "timestamp": "-1", "payload": ""}}))),
        begun(text(&json!({"event": "media", "media": 7}))),
    ] {
        let shown = format!("{said:.300?}");
        let ended = of_caller(said).await;
        assert!(matches!(ended, Ended::Garbled(Side::Twilio, _)), "{shown}: {ended:?}");
    }
    let large = of_caller(begun(text(&media(&"A".repeat(media_stream::TWILIO_FRAME_MAX_BYTES))))).await;
    assert!(matches!(large, Ended::Lost(Side::Twilio, _)), "{large:?}");
}

#[tokio::test]
async fn of_elevenlabs() {
    let metadata = || Step::Metadata { format: ULAW.into() };
    for steps in [
        vec![audio(1, SILENCE)],
        vec![metadata(), metadata()],
        vec![Step::Binary(vec![0; 16])],
        vec![Step::Raw("not JSON".into())],
        vec![Step::Raw("{}".into())],
        vec![metadata(), Step::Raw(r#"["ping",{"event_id":1}]"#.into())],
        vec![metadata(), Step::Raw(r#"{"type":"audio"}"#.into())],
        vec![metadata(), audio(1, "no base64!")],
        vec![metadata(), Step::Raw(r#"{"type":"ping","ping_event":{"event_id":1e99}}"#.into())],
    ] {
        let shown = format!("{steps:.300?}");
        let ended = of_agent(steps).await;
        assert!(matches!(ended, Ended::Garbled(Side::ElevenLabs, _)), "{shown}: {ended:?}");
    }
    let large =
        of_agent(vec![metadata(), audio(1, &"A".repeat(recado::integrations::elevenlabs::FRAME_MAX_BYTES))]).await;
    assert!(matches!(large, Ended::Lost(Side::ElevenLabs, _)), "{large:?}");
}

#[tokio::test]
async fn a_wrong_call_and_a_wrong_format_are_named() {
    let mut other = start();
    other["start"]["callSid"] = "CA2".into();
    assert_eq!(of_caller(vec![text(&json!({"event": "connected"})), text(&other)]).await, Ended::WrongCall);
    let mut wide = start();
    wide["start"]["mediaFormat"]["sampleRate"] = 16_000.into();
    let ended = of_caller(vec![text(&json!({"event": "connected"})), text(&wide)]).await;
    assert!(matches!(ended, Ended::Garbled(Side::Twilio, _)), "{ended:?}");
    let ended = of_agent(vec![Step::Metadata { format: "pcm_16000".into() }]).await;
    assert_eq!(ended, Ended::WrongFormat { output: "pcm_16000".into(), input: "pcm_16000".into() });
    assert!(ended.to_string().contains("μ-law 8000 Hz in the agent's settings"));
}
