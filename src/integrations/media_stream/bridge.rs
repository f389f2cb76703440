//! The bridge: reads and writes both sockets, runs the tools, and enforces the time limits.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::message::{Named, Payload, Received, Sent, Start};
use super::outcome::{Ended, Outcome, Side};
use super::session::{FrameQueues, Session, read_twilio};
use super::socket::{Frame, Socket, SocketError};
use super::{BridgeEvent, Limits, Opening, ToolHandler};
use crate::integrations::elevenlabs::message as elevenlabs;
use crate::integrations::elevenlabs::message::ToolCall;
use crate::integrations::media_stream::frame_queue::{FrameQueue, Spoken, ToAgent, ToCaller};

/// Extra wait for the last marks, beyond the length of the unplayed audio.
const FAREWELL_SLACK: Duration = Duration::from_secs(2);

type Read = Option<Result<Frame, SocketError>>;

/// Runs a call until it ends or `cancel` completes; then closes both sockets. The bridge never waits for `events`:
/// events that do not fit are dropped and counted.
pub async fn bridge<T: Socket, E: Socket, H: ToolHandler>(
    twilio: T,
    eleven: E,
    opening: Opening,
    tools: Arc<H>,
    events: mpsc::Sender<BridgeEvent>,
    cancel: impl Future<Output = ()> + Send,
) -> Outcome {
    let begun = Instant::now();
    let queues = FrameQueues::default();
    let mut session = Session::new(opening.limits, &queues, events);
    let (mut to_twilio, mut from_twilio) = twilio.split();
    let (mut to_agent_socket, mut from_eleven) = eleven.split();
    let carried = async {
        let start = match start(&mut from_twilio, &opening).await {
            Continue(start) => start,
            Break(ended) => return ended,
        };
        let begin = elevenlabs::Sent::ConversationInitiationClientData(&opening.initiation).to_json();
        if let Err(ended) = send(&mut to_agent_socket, [begin], Side::ElevenLabs, opening.limits.send_max).await {
            return ended;
        }
        let stream_sid = start.stream_sid.clone();
        session.start(start);
        let speak = speak(&mut to_twilio, &queues.to_caller, &stream_sid, opening.limits.send_max);
        let hear = hear(&mut to_agent_socket, &queues.to_agent, opening.limits.send_max);
        let calls = Calls::new(tools, opening.limits);
        let mut carrying = Carrying { session: &mut session, calls, limits: opening.limits, begun };
        carrying.run(&mut from_twilio, &mut from_eleven, speak, hear).await
    };
    let ended = tokio::select! {
        ended = carried => ended,
        () = cancel => Ended::Cancelled,
    };
    let close = async { tokio::join!(to_twilio.close(), to_agent_socket.close()) };
    // A socket that does not accept the close frame in time is dropped.
    let _ = timeout(opening.limits.close_max, close).await;
    let Session { conversation_id, stats, .. } = session;
    Outcome { ended, duration: begun.elapsed(), conversation_id, stats }
}

/// Reads up to Twilio's `start`: first `connected`, and nothing in between.
async fn start(
    from_twilio: &mut (impl Stream<Item = Result<Frame, SocketError>> + Unpin),
    opening: &Opening,
) -> ControlFlow<Ended, Start> {
    let within = opening.limits.start_max;
    let deadline = Instant::now() + within;
    let mut connected = false;
    loop {
        let Ok(read) = timeout_at(deadline, from_twilio.next()).await else { return Break(Ended::NotStarted(within)) };
        let frame = frame_of(read, Side::Twilio)?;
        match read_twilio(&frame)? {
            Received::Connected if !connected => connected = true,
            Received::Start { start } if connected => {
                if opening.call_sid.as_ref().is_some_and(|expected| *expected != start.call_sid) {
                    return Break(Ended::WrongCall);
                }
                if !start.media_format.is_telephone() {
                    return Break(Ended::Garbled(Side::Twilio, "the audio is not μ-law at 8 kHz"));
                }
                return Continue(start);
            }
            Received::Stop => return Break(Ended::Stopped),
            Received::Unknown => {}
            _ => return Break(Ended::Garbled(Side::Twilio, "the stream does not begin with connected and start")),
        }
    }
}

fn frame_of(read: Read, side: Side) -> ControlFlow<Ended, Frame> {
    match read {
        Some(Ok(frame)) => Continue(frame),
        Some(Err(broken)) => Break(Ended::Lost(side, broken.to_string())),
        None => Continue(Frame::Closed),
    }
}

/// A stream that has started.
struct Carrying<'a, 'b, H> {
    session: &'a mut Session<'b>,
    calls: Calls<H>,
    limits: Limits,
    begun: Instant,
}

impl<H: ToolHandler> Carrying<'_, '_, H> {
    /// Runs until the stream ends. `speak` and `hear` write the two queues and end only by a failure.
    async fn run(
        &mut self,
        from_twilio: &mut (impl Stream<Item = Result<Frame, SocketError>> + Unpin),
        from_eleven: &mut (impl Stream<Item = Result<Frame, SocketError>> + Unpin),
        speak: impl Future<Output = Ended>,
        hear: impl Future<Output = Ended>,
    ) -> Ended {
        let (mut speak, mut hear) = (pin!(speak), pin!(hear));
        // The latest end of the stream and its reason; earlier once the agent is gone.
        let longest = self.begun + self.limits.duration_max;
        let mut last = (longest, Ended::TooLong);
        let (mut agent_there, mut agent_hears) = (true, true);
        let mut silent_at = Instant::now() + self.limits.silence_max;
        loop {
            let step = tokio::select! {
                read = timeout_at(silent_at, from_twilio.next()) => match read {
                    Ok(read) => {
                        silent_at = Instant::now() + self.limits.silence_max;
                        self.on_twilio(read)
                    }
                    Err(_) => Break(Ended::Silent(self.limits.silence_max)),
                },
                read = from_eleven.next(), if agent_there => match self.on_elevenlabs(read) {
                    Break(why @ (Ended::AgentGone | Ended::Lost(..))) => {
                        agent_there = false;
                        last = ((Instant::now() + self.farewell()).min(longest), why);
                        Continue(())
                    }
                    step => step,
                },
                why = &mut speak => Break(why),
                why = &mut hear, if agent_there && agent_hears => {
                    // The agent's last messages, and the reason of its end, are still to be read.
                    agent_hears = false;
                    last = ((Instant::now() + self.limits.close_max).min(longest), why);
                    Continue(())
                }
                (call, result) = self.calls.next() => self.session.on_tool(call.tool_name, &call.tool_call_id, result),
                _ = timeout_at(last.0, pending::<()>()) => Break(last.1.clone()),
            };
            match step {
                Break(ended) => return ended,
                Continue(()) if !agent_there && self.session.unplayed_ms() == 0 => return last.1,
                Continue(()) => {}
            }
        }
    }

    fn on_twilio(&mut self, read: Read) -> ControlFlow<Ended> {
        let frame = frame_of(read, Side::Twilio)?;
        self.session.on_twilio(&frame)
    }

    fn on_elevenlabs(&mut self, read: Read) -> ControlFlow<Ended> {
        let frame = frame_of(read, Side::ElevenLabs)?;
        match self.session.on_elevenlabs(&frame)? {
            Some(call) if self.calls.is_full() => {
                let why = Err("too many tools are being called: wait for their answers".to_owned());
                self.session.on_tool(call.tool_name, &call.tool_call_id, why)
            }
            Some(call) => {
                self.calls.begin(call);
                Continue(())
            }
            None => Continue(()),
        }
    }

    /// How long the bridge waits for the agent's last words to be played.
    fn farewell(&self) -> Duration {
        let unplayed = Duration::from_millis(self.session.unplayed_ms());
        (unplayed + FAREWELL_SLACK).min(self.limits.farewell_max)
    }
}

/// The running tools, each on its own task.
struct Calls<H> {
    handler: Arc<H>,
    limits: Limits,
    tasks: JoinSet<Result<String, String>>,
    /// The call of each task.
    asked: HashMap<task::Id, ToolCall>,
}

impl<H: ToolHandler> Calls<H> {
    fn new(handler: Arc<H>, limits: Limits) -> Self {
        Self { handler, limits, tasks: JoinSet::new(), asked: HashMap::new() }
    }

    fn is_full(&self) -> bool {
        self.tasks.len() >= self.limits.tools_max
    }

    fn begin(&mut self, call: ToolCall) {
        let (handler, within, asked) = (self.handler.clone(), self.limits.tool_max, call.clone());
        let task = self.tasks.spawn(async move {
            let late = Err("the tool did not answer in time".to_owned());
            timeout(within, handler.call(call)).await.unwrap_or(late)
        });
        self.asked.insert(task.id(), asked);
    }

    /// Waits for the next result; forever if no tool runs.
    async fn next(&mut self) -> (ToolCall, Result<String, String>) {
        loop {
            let (id, result) = match self.tasks.join_next_with_id().await {
                Some(Ok(done)) => done,
                // The task caught a panic, and the log has it.
                Some(Err(error)) => (error.id(), Err("the tool failed".to_owned())),
                None => return pending().await,
            };
            if let Some(call) = self.asked.remove(&id) {
                return (call, result);
            }
        }
    }
}

impl<H> Drop for Calls<H> {
    /// A call that has begun is completed even if the caller hangs up; each task has its own time limit.
    fn drop(&mut self) {
        self.tasks.detach_all();
    }
}

/// Writes the agent's audio to Twilio.
async fn speak(
    to_twilio: &mut (impl Sink<String, Error = SocketError> + Unpin),
    queue: &FrameQueue<ToCaller>,
    stream_sid: &str,
    within: Duration,
) -> Ended {
    loop {
        let sent = match queue.next().await {
            Spoken::Audio(piece) => {
                let media = Sent::Media { stream_sid, media: Payload { payload: &piece.payload } };
                let name = piece.mark.to_string();
                let mark = Sent::Mark { stream_sid, mark: Named { name: &name } };
                send(to_twilio, [media.to_json(), mark.to_json()], Side::Twilio, within).await
            }
            Spoken::Clear => send(to_twilio, [Sent::Clear { stream_sid }.to_json()], Side::Twilio, within).await,
        };
        if let Err(ended) = sent {
            return ended;
        }
    }
}

/// Writes the caller's audio and the control messages to the agent.
async fn hear(
    to_agent_socket: &mut (impl Sink<String, Error = SocketError> + Unpin),
    queue: &FrameQueue<ToAgent>,
    within: Duration,
) -> Ended {
    loop {
        let message = queue.next().await;
        if let Err(ended) = send(to_agent_socket, [message], Side::ElevenLabs, within).await {
            return ended;
        }
    }
}

async fn send<const N: usize>(
    sink: &mut (impl Sink<String, Error = SocketError> + Unpin),
    messages: [String; N],
    side: Side,
    within: Duration,
) -> Result<(), Ended> {
    let sent = async {
        for message in messages {
            sink.feed(message).await?;
        }
        sink.flush().await
    };
    match timeout(within, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(broken)) => Err(Ended::Lost(side, broken.to_string())),
        Err(_) => Err(Ended::Stalled(side, within)),
    }
}
