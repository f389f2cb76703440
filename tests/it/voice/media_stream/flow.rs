//! The traffic of the bridge: audio, interruptions, marks, pings, tools, transcripts.

use super::*;

#[tokio::test]
async fn audio_passes_both_ways_unchanged_and_in_order() {
    const FRAMES: usize = 200;
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (mut caller, mut agent) = world.call().await;
    for number in 0..FRAMES {
        caller.speak(&numbered(number)).await;
        agent.say(audio(number as i64, &numbered(FRAMES + number))).await;
        assert_eq!(soon(agent.receive()).await.unwrap(), json!({"user_audio_chunk": numbered(number)}));
    }
    for number in 0..FRAMES {
        let (payload, mark) = caller.hear_audio().await;
        assert_eq!((payload, mark), (numbered(FRAMES + number), (number + 1).to_string()));
    }
    caller.stop().await;
    let outcome = world.outcome().await;
    assert_eq!(outcome.ended, Ended::Stopped);
    let stats = outcome.stats;
    assert_eq!((stats.caller_frames, stats.caller_frames_dropped), (FRAMES as u64, 0));
    assert_eq!((stats.agent_frames, stats.agent_audio_ms), (FRAMES as u64, 20 * FRAMES as u64));
    assert_eq!((stats.agent_frames_interrupted, stats.agent_played_ms, stats.events_dropped), (0, 0, 0));
    assert!(outcome.conversation_id.unwrap().starts_with("conv_"));
}

#[tokio::test]
async fn an_interruption_clears_and_what_comes_late_is_dropped() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (mut caller, agent) = world.call().await;
    for event_id in 1..=3 {
        agent.say(audio(event_id, SILENCE)).await;
    }
    let mut marks = Vec::new();
    for _ in 0..3 {
        marks.push(caller.hear_audio().await.1);
    }
    caller.mark(&marks[0]).await;
    assert_eq!(world.event().await, BridgeEvent::Played { event_id: 1, ms: 20 });

    agent.say(Step::Interrupt { event_id: 4 }).await;
    assert_eq!(caller.receive().await.unwrap(), json!({"event": "clear", "streamSid": STREAM}));
    assert_eq!(world.event().await, BridgeEvent::Interrupted);
    // Twilio returns the marks of cleared audio as well.
    caller.mark(&marks[1]).await;
    caller.mark(&marks[2]).await;
    agent.say(audio(3, &numbered(3))).await;
    agent.say(audio(4, &numbered(4))).await;
    agent.say(audio(5, &numbered(5))).await;
    let (payload, mark) = caller.hear_audio().await;
    assert_eq!(payload, numbered(5), "3 and 4 were interrupted");
    caller.mark("no mark of ours").await;
    caller.mark(&mark).await;
    assert_eq!(world.event().await, BridgeEvent::Played { event_id: 5, ms: 20 });
    caller.stop().await;
    let stats = world.outcome().await.stats;
    assert_eq!((stats.interruptions, stats.agent_frames, stats.agent_frames_interrupted), (1, 6, 2));
    assert_eq!(stats.agent_played_ms, 40);
}

#[tokio::test]
async fn pings_are_answered_and_what_is_unknown_is_ignored() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (mut caller, mut agent) = world.call().await;
    agent.say(Step::Raw(r#"{"type":"vad_score","vad_score_event":{"vad_score":0.9}}"#.into())).await;
    caller.say(json!({"event": "weather", "weather": {"sunny": true}})).await;
    caller.say(json!({"event": "media", "media": {"track": "outbound", "timestamp": "1", "payload": SILENCE}})).await;
    agent.say(Step::Ping { event_id: 7 }).await;
    assert_eq!(soon(agent.receive()).await.unwrap(), json!({"type": "pong", "event_id": 7}));
    caller.raw(Said::Ping(vec![1].into())).await;
    caller.speak(SILENCE).await;
    assert_eq!(soon(agent.receive()).await.unwrap(), json!({"user_audio_chunk": SILENCE}));
    caller.stop().await;
    assert_eq!(world.outcome().await.ended, Ended::Stopped);
}

#[tokio::test]
async fn the_transcript_comes_out_as_it_is_told() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let mut caller = world.dial().await;
    caller.begin().await;
    let mut agent = soon(world.api.conversation()).await.unwrap();
    let first = soon(agent.receive()).await.unwrap();
    assert_eq!(first["conversation_config_override"]["agent"], json!({"first_message": "Clínica Sol."}));
    agent.say(Step::Metadata { format: ULAW.into() }).await;
    let BridgeEvent::Started { call_sid, stream_sid, parameters } = world.event().await else { panic!("it starts") };
    assert_eq!((call_sid.as_str(), stream_sid.as_str(), parameters["agent"].as_str()), (CALL, STREAM, "ana"));
    assert!(matches!(world.event().await, BridgeEvent::Conversation { id } if id.starts_with("conv_")));
    agent.say(Step::Agent("  Clínica Sol, dígame. ".into())).await;
    assert_eq!(world.event().await, BridgeEvent::Agent { text: "Clínica Sol, dígame.".into() });
    agent.say(Step::Caller("Quería una cita".into())).await;
    assert_eq!(world.event().await, BridgeEvent::Caller { text: "Quería una cita".into() });
    agent.say(Step::Corrected { original: "Tenemos el martes".into(), text: "Tenemos".into() }).await;
    let corrected = BridgeEvent::AgentCorrected { original: "Tenemos el martes".into(), text: "Tenemos".into() };
    assert_eq!(world.event().await, corrected);
    caller.press("5").await;
    assert_eq!(world.event().await, BridgeEvent::Digit { digit: "5".into() });
}

#[tokio::test]
async fn tools_answer_fail_and_run_late_while_the_voice_goes_on() {
    let limits = Limits { tool_max: Duration::from_millis(100), ..Limits::DEFAULT };
    let mut world = World::scripted(limits).await;
    let (mut caller, mut agent) = world.call().await;
    let tool =
        |id: &str, name: &str| Step::Tool { id: id.into(), name: name.into(), parameters: json!({"day": "tue"}) };
    for (name, result, is_error) in [
        ("free_slots", "10:00 on tue", false),
        ("dance", "there is no tool dance", true),
        ("hang", "the tool did not answer in time", true),
        ("panic", "the tool failed", true),
    ] {
        agent.say(tool(name, name)).await;
        let answer = soon(agent.receive()).await.unwrap();
        let expect =
            json!({"type": "client_tool_result", "tool_call_id": name, "result": result, "is_error": is_error});
        assert_eq!(answer, expect);
        assert_eq!(world.event().await, BridgeEvent::Tool { name: name.into(), ok: !is_error });
    }
    caller.stop().await;
    assert_eq!(world.outcome().await.stats.tool_calls, 4);

    let mut world = World::scripted(Limits { tools_max: 2, ..Limits::DEFAULT }).await;
    let (mut caller, mut agent) = world.call().await;
    agent.say(tool("1", "hang")).await;
    agent.say(tool("2", "hang")).await;
    agent.say(tool("3", "free_slots")).await;
    assert_eq!(soon(agent.receive()).await.unwrap()["is_error"], true, "two hang, a third is one too many");
    caller.speak(SILENCE).await;
    assert_eq!(soon(agent.receive()).await.unwrap(), json!({"user_audio_chunk": SILENCE}));
    agent.say(audio(1, SILENCE)).await;
    assert_eq!(caller.hear_audio().await.0, SILENCE);
}

#[tokio::test]
async fn a_request_of_a_caller_is_carried_out_even_if_they_hang_up() {
    let mut world = World::scripted(Limits::DEFAULT).await;
    let (mut caller, mut agent) = world.call().await;
    agent.say(Step::Tool { id: "1".into(), name: "linger".into(), parameters: json!({}) }).await;
    agent.say(Step::Ping { event_id: 1 }).await;
    assert_eq!(soon(agent.receive()).await.unwrap()["type"], "pong");
    caller.stop().await;
    assert_eq!(world.outcome().await.ended, Ended::Stopped);
    world.tools.release.notify_one();
    soon(world.tools.done.notified()).await;
}

#[tokio::test]
async fn an_agent_that_echoes_needs_nobody() {
    let opening =
        vec![Step::Ping { event_id: 1 }, Step::Play { event_id: 0, payloads: vec![numbered(1), numbered(2)] }];
    let mut world = World::new(Behavior::Echo { opening }, Limits::DEFAULT).await;
    let mut caller = world.dial().await;
    caller.begin().await;
    assert_eq!(caller.hear_audio().await.0, numbered(1));
    assert_eq!(caller.hear_audio().await.0, numbered(2));
    caller.speak(&numbered(3)).await;
    assert_eq!(caller.hear_audio().await.0, numbered(3));
    caller.stop().await;
    assert_eq!(world.outcome().await.ended, Ended::Stopped);
    soon(world.api.wait_open(0)).await;
    let received: Vec<_> = world.api.received().iter().map(|message| message["type"].clone()).collect();
    assert_eq!(received, ["conversation_initiation_client_data", "pong"]);
    assert!(matches!(world.event().await, BridgeEvent::Started { .. }));
    assert!(matches!(world.event().await, BridgeEvent::Conversation { .. }));
    assert_eq!(world.event().await, BridgeEvent::Agent { text: "Clínica Sol.".into() });
    assert_eq!(world.event().await, BridgeEvent::Caller { text: "(audio)".into() });
}
