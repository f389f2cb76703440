//! One side does not keep up: the queues are bounded, and each direction keeps its rule.

use super::*;

/// A payload of half the frame limit, which soon fills the kernel's buffers.
const LARGE: usize = media_stream::TWILIO_FRAME_MAX_BYTES / 2;
/// Number of frames that kernel and bridge together cannot buffer.
const FLOOD: usize = 1_000;

fn large(number: usize) -> String {
    format!("{number:08}{}", "A".repeat(LARGE - 8))
}

fn number(payload: &Value) -> usize {
    payload.as_str().unwrap()[..8].parse().unwrap()
}

#[tokio::test]
async fn an_agent_that_does_not_listen_loses_the_oldest_audio() {
    const WAITING: usize = 20;
    let limits = Limits { caller_frames_max: WAITING, send_max: SOON, ..Limits::DEFAULT };
    let mut world = World::scripted(limits).await;
    let (mut caller, mut agent) = world.call().await;
    for number in 0..FLOOD {
        caller.speak(&large(number)).await;
    }
    // The bridge kept reading: the digit sent after the flood arrives.
    caller.press("1").await;
    assert_eq!(world.event().await, BridgeEvent::Digit { digit: "1".into() });
    let mut received = Vec::new();
    while received.last() != Some(&(FLOOD - 1)) {
        received.push(number(&soon(agent.receive()).await.unwrap()["user_audio_chunk"]));
    }
    assert!(received.is_sorted_by(|one, other| one < other), "nothing is doubled or out of order");
    let newest: Vec<_> = (FLOOD - WAITING..FLOOD).collect();
    assert!(received.ends_with(&newest), "the newest wait, the older are dropped");
    caller.stop().await;
    let stats = world.outcome().await.stats;
    assert_eq!(stats.caller_frames, FLOOD as u64);
    assert!(stats.caller_frames_dropped > 0);
    assert_eq!(received.len() as u64, stats.caller_frames - stats.caller_frames_dropped, "what is missing is counted");
}

/// Runs a call in which Twilio does not read while the agent keeps speaking; then reads what arrived.
async fn unread(limits: Limits) -> (Ended, Vec<usize>) {
    let mut world = World::scripted(limits).await;
    let (mut caller, agent) = world.call().await;
    let mut said = 0;
    while said < 4 * FLOOD && agent.say(audio(1, &large(said))).await {
        said += 1;
    }
    let ended = world.outcome().await.ended;
    let mut received = Vec::new();
    while let Some(message) = caller.receive().await {
        if message["event"] == "media" {
            received.push(number(&message["media"]["payload"]));
        }
    }
    (ended, received)
}

#[tokio::test]
async fn a_twilio_that_does_not_listen_ends_the_stream() {
    let waiting = Duration::from_secs(60);
    let limits = Limits { agent_audio_max: waiting, send_max: SOON, close_max: Duration::ZERO, ..Limits::DEFAULT };
    let (ended, received) = unread(limits).await;
    assert_eq!(ended, Ended::Overflow(waiting));
    assert!(received.iter().copied().eq(0..received.len()), "what arrived is whole and in order");

    let long = Duration::from_secs(24 * 3_600);
    let moment = Duration::from_millis(300);
    let limits = Limits { agent_audio_max: long, send_max: moment, close_max: Duration::ZERO, ..Limits::DEFAULT };
    let (ended, _) = unread(limits).await;
    assert_eq!(ended, Ended::Stalled(media_stream::Side::Twilio, moment));
}
