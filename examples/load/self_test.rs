//! The generator runs against a stand-in: it must find no fault there, and find the faults that are injected.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::clock::Random;

use crate::client::{Pace, send};
use crate::ledger::Ledger;
use crate::provider::{Provider, STATUSES};
use crate::server::{Program, Server};
use crate::stand_in::send_request;
use crate::webhook::Requests;
use crate::wire::Connection;
use crate::{Failure, Options, phases};

pub async fn run(options: &Options) -> Result<bool, Failure> {
    let program = Program { path: std::env::current_exe()?, args: &["--role", "stand-in"], ..Program::default() };
    let outcomes = phases::measure(options, &program).await?;
    let (intake, answered) = outcomes.split_first().ok_or("no phase ran")?;
    println!("\n== self-test ==");
    let checks = [
        (
            "intake is acknowledged and not answered",
            intake.summary.acknowledged == options.n && intake.summary.delivered == 0,
        ),
        (
            "every message reaches the provider once, and is reported three times",
            answered.iter().all(|outcome| {
                let summary = &outcome.summary;
                summary.acknowledged == summary.delivered
                    && summary.lost + summary.doubled + summary.strange + summary.refused == 0
                    && summary.callbacks == summary.delivered * STATUSES.len()
                    && summary.callbacks_refused == 0
            }),
        ),
        ("memory and processor time are read", intake.after.resident_kib > 0 && !intake.after.cpu.is_zero()),
        ("a wrong signature is refused", refuses_wrong_signatures(options, &program).await?),
        ("lost, doubled and strange messages are counted", counts_what_is_wrong().await?),
    ];
    for (name, good) in checks {
        println!("{}  {name}", if good { "ok    " } else { "FAILED" });
    }
    Ok(checks.iter().all(|(_, good)| *good))
}

async fn refuses_wrong_signatures(options: &Options, program: &Program) -> Result<bool, Failure> {
    let ledger = Arc::new(Ledger::new(0, 3));
    let provider = Provider::start(Arc::clone(&ledger), Duration::ZERO)?;
    let server = Server::start(program, provider.address).await?;
    let requests = Requests::build("http://elsewhere", &options.path, &Random::seeded(1), 0, 3, phases::WORD);
    send(server.address, requests, Arc::clone(&ledger), 1, Pace::Closed).await?;
    let summary = ledger.summary();
    Ok((summary.refused, summary.refusal, summary.delivered) == (3, 403, 0))
}

/// Three messages are acknowledged; the provider gets the first never, the second once, the third twice.
async fn counts_what_is_wrong() -> Result<bool, Failure> {
    let ledger = Arc::new(Ledger::new(10, 3));
    let provider = Provider::start(Arc::clone(&ledger), Duration::ZERO)?;
    let mut connection = Connection::open(provider.address).await?;
    for index in 0..3 {
        ledger.sent(index, std::time::Instant::now());
        ledger.acknowledged(index);
    }
    for number in [11, 12, 12, 13] {
        let status = connection.call(send_request(&Ledger::sender(number), "").as_bytes()).await?;
        if status != 201 {
            return Ok(false);
        }
    }
    let list = connection.call(b"GET /2010-04-01/Accounts/AC/Messages.json?To=x HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    let summary = ledger.summary();
    Ok(list == 200 && (summary.lost, summary.doubled, summary.strange, summary.delivered) == (1, 1, 1, 2))
}
