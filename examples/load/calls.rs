//! Many callers at once, with a conversation model that is quick, slow, hanging or failing.
//!
//! Each call is six webhooks: the call is answered, rules answer three inputs, the model answers one, and the call ends.
//! While the model thinks, the caller hears hold responses, each one more webhook. Callers speak as soon as they are
//! answered, which no person does: all of them are in the same queue all the time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection as Database, OpenFlags};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::chat_model::{ChatModelEmulator, Reply};
use crate::ledger::{Ledger, spread as spread_of};
use crate::phases::{mib, spread};
use crate::provider::Provider;
use crate::server::{Program, Server, Usage};
use crate::webhook::{ACCOUNT_SID, AUTH_TOKEN, OURS, Signer, post};
use crate::wire::Connection;
use crate::{CLOCK, Failure, Options};

const RULES: &str = r#"rule("desk").on("call_input").keyword(["HOURS", "PRICE", "PLACE"])
    .then(|e| gather(#{ say: "From nine to five, for ten euros, in the high street. What else?", input: "speech" }));
"#;
const SAID: [&str; 4] = ["hours", "price", "place", "Do you know a good joke?"];
const KEY: &str = "sk-of-the-benchmark";
/// The longest time that an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a caller listens to a hold response and the pause after it.
const HOLD_RESPONSE_TIME: Duration = Duration::from_secs(1);
/// Hold responses until a caller counts as forgotten: more than a minute of them.
const HOLD_RESPONSES_MAX: usize = 60;
/// The delay of the slow model.
const SLOW: Duration = Duration::from_secs(5);
/// Time for the summaries of all calls, with a model that hangs.
const COMPLETED_WITHIN: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The experience of one caller.
#[derive(Default)]
struct Met {
    waits_ns: Vec<u64>,
    hold_response: usize,
    /// The first error.
    fault: Option<String>,
}

/// Measures the binary under test with each behaviour of the model. False when an answer was late, wrong or lost.
pub async fn run(options: &Options) -> Result<bool, Failure> {
    println!("{} calls at once, six webhooks each and the words of hold_response", options.calls);
    let quick = Reply::Text("None that is fit for the telephone.".to_owned());
    let broken = Reply::Status { status: 500, code: "server_error", retry_after_s: None };
    let moods = [
        ("the model answers at once", Duration::ZERO, quick.clone()),
        ("the model takes 5 s", SLOW, quick),
        ("the model hangs", Duration::ZERO, Reply::Hang),
        ("the model fails", Duration::ZERO, broken),
    ];
    let mut well = true;
    for (title, delay, reply) in moods {
        println!("\n== {title} ==");
        well &= mood(options, delay, reply).await?;
    }
    Ok(well)
}

async fn mood(options: &Options, delay: Duration, reply: Reply) -> Result<bool, Failure> {
    let provider = Provider::start(Arc::new(Ledger::new(0, 0)), Duration::ZERO)?;
    let model = Model::start(delay, reply)?;
    let program = Program {
        path: options.server.clone(),
        args: &["serve"],
        rules: RULES,
        settings: vec![
            ("OPENAI_API_KEY", KEY.to_owned()),
            ("OPENAI_BASE_URL", format!("http://{}/v1", model.address)),
            // The server logs each failure of the model.
            ("LOG_LEVEL", "error".to_owned()),
        ],
        ..Program::default()
    };
    let server = Server::start(&program, provider.address).await?;
    let before = server.usage()?;
    let mut lines = Vec::with_capacity(options.calls);
    for _ in 0..options.calls {
        lines.push(Connection::open(server.address).await?);
    }
    let begun = Instant::now();
    let mut callers: JoinSet<Met> = JoinSet::new();
    for (number, line) in lines.into_iter().enumerate() {
        callers.spawn(Caller::new(server.address, number, line).calls());
    }
    let met = callers.join_all().await;
    let took = begun.elapsed();
    let lost = lost(&server, options.calls).await?;
    Ok(print(&met, took, before, server.usage()?, &lost, &server.log()))
}

/// A caller who says four things.
struct Caller {
    line: Connection,
    app_url: String,
    signer: Signer,
    sid: String,
    from: String,
    met: Met,
}

impl Caller {
    fn new(server: SocketAddr, number: usize, line: Connection) -> Self {
        Self {
            line,
            app_url: format!("http://{server}"),
            signer: Signer::new(AUTH_TOKEN),
            sid: format!("CA{number:032x}"),
            from: Ledger::sender(number),
            met: Met::default(),
        }
    }

    async fn calls(mut self) -> Met {
        if let Err(fault) = self.talk().await {
            self.met.fault = Some(fault.to_string());
        }
        self.met
    }

    async fn talk(&mut self) -> Result<(), Failure> {
        let mut heard = self.webhook("/api/twilio/demo/answer", &[]).await?;
        for said in SAID {
            let Some(next) = self.url(&heard, "action=\"", '"') else {
                return Err(format!("nothing was asked: {heard}").into());
            };
            heard = self.webhook(&next, &[("SpeechResult", said)]).await?;
            if said != SAID[3] && !heard.contains("high street") {
                return Err(format!("the rule's words are missing: {heard}").into());
            }
        }
        while let Some(wait) = self.url(&heard, ">", '<').filter(|url| url.contains("/wait?")) {
            self.met.hold_response += 1;
            if self.met.hold_response > HOLD_RESPONSES_MAX {
                return Err("the caller was forgotten".into());
            }
            CLOCK.sleep(HOLD_RESPONSE_TIME).await;
            heard = self.webhook(&wait, &[]).await?;
        }
        self.webhook("/api/twilio/demo/status", &[("CallStatus", "completed"), ("CallDuration", "30")]).await?;
        Ok(())
    }

    /// Sends a webhook and returns what the caller hears.
    async fn webhook(&mut self, path: &str, more: &[(&'static str, &str)]) -> Result<String, Failure> {
        let mut fields = vec![
            ("AccountSid", ACCOUNT_SID),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.sid),
            ("Direction", "inbound"),
            ("From", &self.from),
            ("To", OURS),
        ];
        fields.extend_from_slice(more);
        if !more.iter().any(|(name, _)| *name == "CallStatus") {
            fields.push(("CallStatus", "in-progress"));
        }
        fields.sort_unstable();
        let request = post(&self.signer, &self.app_url, path, &fields);
        let begun = Instant::now();
        let (status, document) = self.line.ask(request.as_bytes()).await?;
        self.met.waits_ns.push(begun.elapsed().as_nanos() as u64);
        if !matches!(status, 200 | 204) || (status == 200 && !document.starts_with(b"<?xml")) {
            return Err(format!("{path} was answered with {status}: {}", String::from_utf8_lossy(document)).into());
        }
        Ok(String::from_utf8_lossy(document).into_owned())
    }

    /// The first URL of the server between these, as a path.
    fn url(&self, document: &str, before: &str, after: char) -> Option<String> {
        let start = document.find(&format!("{before}{}", self.app_url))? + before.len() + self.app_url.len();
        let url = &document[start..];
        Some(url[..url.find(after)?].replace("&amp;", "&"))
    }
}

/// A conversation model on its own thread, which ends when this is dropped.
struct Model {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Model {
    fn start(delay: Duration, reply: Reply) -> Result<Self, Failure> {
        let api = ChatModelEmulator::new(KEY, CLOCK);
        api.always(delay, reply);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("model".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    served = axum::serve(listener, api.router()) => served,
                    _ = stopped => Ok(()),
                }
            })
        })?;
        Ok(Self { address, _stop: stop })
    }
}

/// The stored calls, and how long the last report took.
struct StoredCalls {
    expected: usize,
    completed: usize,
    turns: usize,
    unanswered: usize,
    completed_events: usize,
    last_event_after: Duration,
}

async fn lost(server: &Server, expected: usize) -> Result<StoredCalls, Failure> {
    let database = Database::open_with_flags(server.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count =
        |what: &str| database.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, i64>(0));
    let begun = Instant::now();
    while count("events WHERE kind = 'call_completed'")? < expected as i64 && begun.elapsed() < COMPLETED_WITHIN {
        CLOCK.sleep(LOOK_EVERY).await;
    }
    let as_usize = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(StoredCalls {
        expected,
        completed: as_usize(count("calls WHERE status = 'completed'")?),
        turns: as_usize(count("call_turns")?),
        unanswered: as_usize(count("call_turns WHERE answer IS NULL")?),
        completed_events: as_usize(count("events WHERE kind = 'call_completed'")?),
        last_event_after: begun.elapsed(),
    })
}

fn print(met: &[Met], took: Duration, before: Usage, after: Usage, stored: &StoredCalls, log: &str) -> bool {
    let waits: Vec<u64> = met.iter().flat_map(|met| met.waits_ns.iter().copied()).collect();
    let late = waits.iter().filter(|ns| u128::from(**ns) > ANSWER_MAX.as_nanos()).count();
    let (webhooks, hold_response) = (waits.len(), met.iter().map(|met| met.hold_response).sum::<usize>());
    let faults: Vec<&String> = met.iter().filter_map(|met| met.fault.as_ref()).collect();
    let cpu = after.cpu.saturating_sub(before.cpu);
    println!("webhooks          {webhooks}, {hold_response} of them hold_response, in {:.2} s", took.as_secs_f64());
    println!("answered in       {}; {late} later than {ANSWER_MAX:?}", spread(spread_of(waits)));
    println!(
        "calls             {} of {} ended well, {} kept as completed",
        met.len() - faults.len(),
        met.len(),
        stored.completed
    );
    println!("turns             {}, {} of them without an answer", stored.turns, stored.unanswered);
    println!(
        "told of           {} of {}, the last {:.1} s after the last caller",
        stored.completed_events,
        stored.expected,
        stored.last_event_after.as_secs_f64()
    );
    println!(
        "processor         {:.2} s, {:.0} µs a webhook",
        cpu.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / webhooks.max(1) as f64
    );
    println!("memory            {} before, {} at most", mib(before.resident_kib), mib(after.resident_max_kib));
    for fault in faults.iter().take(3) {
        println!("WARNING           {fault}");
    }
    if !faults.is_empty() {
        println!(
            "WARNING           the server logged {} lines:\n{}",
            log.lines().count(),
            log.lines().take(5).collect::<Vec<_>>().join("\n")
        );
    }
    let all = stored.expected;
    late == 0
        && faults.is_empty()
        && (stored.completed, stored.completed_events, stored.turns, stored.unanswered) == (all, all, all * 5, 0)
}
