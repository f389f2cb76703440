//! The phases of a run, each on a fresh server, and their report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use recado::domain::clock::Random;

use crate::client::{Pace, send};
use crate::ledger::{Ledger, Spread, Summary};
use crate::provider::Provider;
use crate::server::{Program, Server, Usage};
use crate::webhook::Requests;
use crate::{CLOCK, Failure, Options, ceilings};

/// The word that the rule answers; other messages are only stored.
pub const WORD: &str = "LOAD";
pub const ANSWER: &str = "got it";
pub const RULE: &str = r#"rule("load").on("inbound_sms").keyword("LOAD").then(|e| reply("got it"));
"#;

const IDLE_FOR: Duration = Duration::from_secs(2);
/// The backlog counts as stuck when nothing has reached the provider for this long.
const STUCK_AFTER: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the provider waits for what must not come: a second send of a message.
const LINGER: Duration = Duration::from_millis(500);
/// By then a server that has nothing to do any more has noticed it.
const REST_FOR: Duration = Duration::from_secs(25);
const SLOW_PROVIDER: Duration = Duration::from_millis(20);
const OPEN_LOOP_MAX_S: f64 = 20.0;

struct Phase {
    title: &'static str,
    word: &'static str,
    n: usize,
    connections: usize,
    pace: Pace,
    provider_delay: Duration,
    /// Whether it is looked at again when it has rested.
    rests: bool,
}

pub struct Outcome {
    pub summary: Summary,
    pub before: Usage,
    pub after: Usage,
}

/// State that all phases of a run share.
struct Bench<'a> {
    options: &'a Options,
    program: &'a Program,
    random: Random,
    /// The number of the next message: each message of a run has its own sender.
    next: usize,
}

/// Measures the binary under test, then the ceilings. False when a message was lost or doubled.
pub async fn run(options: &Options) -> Result<bool, Failure> {
    let database_url = options.database_url.clone();
    let program =
        Program { path: options.server.clone(), args: &["serve"], database_url, rules: RULE, settings: Vec::new() };
    let outcomes = measure(options, &program).await?;
    let (intake, answered) = outcomes.split_first().ok_or("no phase ran")?;
    let once = |summary: &Summary| summary.lost + summary.doubled + summary.strange + summary.callbacks_refused == 0;
    Ok(intake.summary.delivered == 0 && answered.iter().all(|outcome| once(&outcome.summary)))
}

/// Runs and prints all phases; the first outcome is that of the intake, which gets no answers.
pub async fn measure(options: &Options, program: &Program) -> Result<Vec<Outcome>, Failure> {
    let Options { n, connections, .. } = *options;
    println!("{} messages a phase, {connections} connections, seed {}", n, options.seed);
    let mut bench = Bench { options, program, random: Random::seeded(options.seed), next: 0 };
    bench.idle().await?;
    let fast = Duration::ZERO;
    let phase = |title, word, pace| Phase { title, word, n, connections, pace, provider_delay: fast, rests: false };
    let intake = bench.phase(phase("intake alone: no rule answers", "HELLO", Pace::Closed)).await?;
    let whole = bench.phase(phase("the whole way: one answer a message", WORD, Pace::Closed)).await?;

    let per_s = options.rate.unwrap_or(whole.summary.delivered_per_s / 2.0).max(1.0);
    let open = Phase {
        n: n.min((per_s * OPEN_LOOP_MAX_S) as usize).max(1),
        ..phase("open loop: latency from the intended time", WORD, Pace::Open { per_s })
    };
    println!("\n(open loop at {per_s:.0} messages a second)");
    let open = bench.phase(open).await?;
    let overload = Phase {
        connections: connections * 4,
        provider_delay: SLOW_PROVIDER,
        rests: true,
        ..phase("overload: four times the connections, the provider answers in 20 ms", WORD, Pace::Closed)
    };
    let overload = bench.phase(overload).await?;
    print_ceilings(options, &intake.summary, &whole.summary).await?;
    Ok(vec![intake, whole, open, overload])
}

impl Bench<'_> {
    async fn idle(&mut self) -> Result<(), Failure> {
        let provider = Provider::start(Arc::new(Ledger::new(0, 0)), Duration::ZERO)?;
        let server = Server::start(self.program, provider.address).await?;
        let before = server.usage()?;
        CLOCK.sleep(IDLE_FOR).await;
        let after = server.usage()?;
        println!("\n== idle ==");
        println!("ready in          {}", ms(server.ready));
        println!("memory            {}", mib(after.resident_kib));
        println!("processor         {} in {IDLE_FOR:?}", ms(after.cpu.saturating_sub(before.cpu)));
        Ok(())
    }

    async fn phase(&mut self, phase: Phase) -> Result<Outcome, Failure> {
        let first = self.next;
        self.next += phase.n;
        let ledger = Arc::new(Ledger::new(first, phase.n));
        let provider = Provider::start(Arc::clone(&ledger), phase.provider_delay)?;
        let server = Server::start(self.program, provider.address).await?;
        let app_url = format!("http://{}", server.address);
        let requests = Requests::build(&app_url, &self.options.path, &self.random, first, phase.n, phase.word);
        let before = server.usage()?;
        send(server.address, requests, Arc::clone(&ledger), phase.connections, phase.pace).await?;
        let backlog = ledger.acknowledged_count().saturating_sub(ledger.delivered());
        let answered = phase.word == WORD;
        if answered {
            drain(&ledger).await;
        }
        CLOCK.sleep(LINGER).await;
        let outcome = Outcome { summary: ledger.summary(), before, after: server.usage()? };
        print(&phase, &outcome, answered.then_some(backlog), &server.log());
        if outcome.summary.acknowledged == 0 {
            let status = outcome.summary.refusal;
            return Err(format!("no webhook was acknowledged (last status {status}): is --path right?").into());
        }
        if phase.rests {
            CLOCK.sleep(REST_FOR).await;
            println!("at rest           {}, {REST_FOR:?} later", mib(server.usage()?.resident_kib));
        }
        Ok(outcome)
    }
}

/// Waits until every acknowledged message has reached the provider and all callbacks are made, or nothing happens any more.
pub async fn drain(ledger: &Ledger) {
    let expected = ledger.acknowledged_count();
    let look = || (ledger.delivered(), ledger.callbacks());
    let (mut seen, mut since) = (look(), Instant::now());
    while (seen.0 < expected || seen.1.1 > 0) && since.elapsed() < STUCK_AFTER {
        CLOCK.sleep(LOOK_EVERY).await;
        if look() != seen {
            (seen, since) = (look(), Instant::now());
        }
    }
}

fn print(phase: &Phase, outcome: &Outcome, backlog: Option<usize>, log: &str) {
    let Outcome { summary, before, after } = outcome;
    println!("\n== {} ==", phase.title);
    println!("acknowledged      {:>9.0} /s    {}", summary.acknowledged_per_s, spread(summary.acknowledge));
    if let Some(backlog) = backlog {
        println!("at the provider   {:>9.0} /s    {}", summary.delivered_per_s, spread(summary.whole_way));
        println!(
            "                  {} of {} in {:.2} s; {backlog} waited when the last was acknowledged",
            summary.delivered,
            summary.acknowledged,
            summary.delivered_in.as_secs_f64()
        );
        println!("lost, doubled     {}, {}", summary.lost, summary.doubled);
        println!("callbacks         {}, {} of them refused", summary.callbacks, summary.callbacks_refused);
    }
    let cpu = after.cpu.saturating_sub(before.cpu);
    let each_us = cpu.as_secs_f64() * 1e6 / summary.acknowledged.max(1) as f64;
    println!("processor         {:.2} s, {each_us:.0} µs a message", cpu.as_secs_f64());
    println!(
        "memory            {} before, {} after, {} at most",
        mib(before.resident_kib),
        mib(after.resident_kib),
        mib(after.resident_max_kib)
    );
    if summary.refused > 0 {
        println!("WARNING           {} were refused, the last with status {}", summary.refused, summary.refusal);
    }
    if summary.strange > 0 {
        println!("WARNING           {} calls of the provider belong to no message", summary.strange);
    }
    if !log.is_empty() {
        let lines: Vec<&str> = log.lines().take(5).collect();
        println!("WARNING           the server logged {} lines:\n{}", log.lines().count(), lines.join("\n"));
    }
}

async fn print_ceilings(options: &Options, intake: &Summary, whole: &Summary) -> Result<(), Failure> {
    println!("\n== ceilings of this machine ==");
    let http = ceilings::http(options).await?;
    println!("HTTP stack alone  {:>9.0} /s    {}", http.acknowledged_per_s, spread(http.acknowledge));
    println!("                  intake is {}", percent(intake.acknowledged_per_s, http.acknowledged_per_s));
    for (word, ours, what) in
        [("HELLO", intake.acknowledged_per_s, "intake"), (WORD, whole.delivered_per_s, "the whole way")]
    {
        let bare = ceilings::bare(options, word).await?;
        let answered = word == WORD;
        let rate = if answered { bare.delivered_per_s } else { bare.acknowledged_per_s };
        println!(
            "bare program      {rate:>9.0} /s    {}, synchronous=FULL",
            if answered {
                "three rows, an outbox row, one call of the provider, three callbacks"
            } else {
                "three rows an event"
            }
        );
        println!("                  {what} is {}", percent(ours, rate));
    }
    for batch in ceilings::BATCHES {
        let events_per_s = ceilings::sqlite(options.n, batch)?;
        println!("SQLite by {batch:<6}  {events_per_s:>9.0} /s    three rows an event, synchronous=FULL");
        println!(
            "                  intake is {}, the whole way {}",
            percent(intake.acknowledged_per_s, events_per_s),
            percent(whole.delivered_per_s, events_per_s)
        );
        let both = both_per_s(http.acknowledged_per_s, events_per_s, processors());
        println!(
            "  with the HTTP   {both:>9.0} /s    at most, were there nothing else to do on {} processors",
            processors()
        );
        println!("                  intake is {}", percent(intake.acknowledged_per_s, both));
    }
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// The rate that both ceilings allow together: the HTTP stack and its client use all processors, SQLite one.
fn both_per_s(http_per_s: f64, sqlite_per_s: f64, processors: usize) -> f64 {
    let processors = processors as f64;
    let busy_s = processors / http_per_s.max(1.0) + 1.0 / sqlite_per_s.max(1.0);
    (processors / busy_s).min(sqlite_per_s)
}

pub fn spread(spread: Spread) -> String {
    format!("p50 {}  p99 {}  max {}", ms(spread.p50), ms(spread.p99), ms(spread.max))
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

pub fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole.max(1.0))
}
