//! SIGKILL in the middle of a campaign, with answers of the provider lost: each member is called, and none twice for one try.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use recado::emulators::twilio::{Fault, FaultKind, On, Party, PicksUp};

use super::rig::{self, Dice, Look, customer, sigkill};
use crate::features::campaigns::{campaigns, list, options, provider};
use crate::support::server::Server;
use crate::support::wait::eventually;

const MEMBERS: usize = 12;
/// The longest run of a process that is killed.
const SHORT_LIFE: Duration = Duration::from_secs(3);
/// The server asks for the end of a call after a minute without report.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

/// The point at which a process is killed.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// At the nth pass of an abort point.
    Point(&'static str, usize),
    /// After this many calls.
    Calls(usize),
}

impl Ends {
    fn roll(dice: &Dice) -> Self {
        match dice.below(5) {
            0 => Self::Point("before-commit", dice.between(1, 4 * MEMBERS)),
            1 => Self::Point("after-commit", dice.between(1, 4 * MEMBERS)),
            2 => Self::Point("before-send", dice.between(1, MEMBERS)),
            3 => Self::Point("after-send", dice.between(1, MEMBERS)),
            _ => Self::Calls(dice.between(1, MEMBERS)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_campaign_nobody_is_called_twice_for_one_try() {
    let (mut calls, mut points, mut fired) = (0, 0, 0);
    for run in rig::one_seed_in(20, killed).await {
        calls += run.calls;
        points += run.points;
        fired += run.fired;
    }
    eprintln!("{calls} calls were made; killed at {fired} of {points} abort points");
    rig::assert_points_fired("campaigns", points, fired);
}

/// What a run met: the calls, the abort points that were asked for, and those that ended their process.
struct Run {
    calls: usize,
    points: usize,
    fired: usize,
}

async fn killed(seed: u64) -> Run {
    let dice = Dice::new(seed);
    let provider = provider(seed).await;
    if dice.percent(60) {
        let faults = [FaultKind::DropAfterAccept, FaultKind::DropBeforeAccept, FaultKind::Error500AfterAccept];
        let fault = Fault::times(*dice.pick(&faults), dice.between(1, 3) as u32);
        provider.order(Fault { on: On::Call, ..fault });
    }
    for n in 1..=MEMBERS {
        let how = *dice.pick(&[PicksUp::Answers, PicksUp::Answers, PicksUp::Busy, PicksUp::NoAnswer]);
        provider.carrier.set_party(&customer(n), Party::picks_up(how)).expect("a good party");
    }
    let mut server = Server::start(options(&provider).file("list.csv", list(MEMBERS))).await;
    let args = ["add", "c", "--say", "Hello", "--import", "list.csv", "--per-minute", "1200", "--tries", "2"];
    campaigns(&server, &[&args[..], &["--retry-after", "1s", "--start"]].concat());
    server.kill();
    let lives: Vec<Ends> = (0..dice.between(1, 3)).map(|_| Ends::roll(&dice)).collect();
    let (mut points, mut fired) = (0, 0);
    for end in &lives {
        server.unset_env("RECADO_ABORT_AT");
        if let Ends::Point(point, count) = end {
            server.set_env("RECADO_ABORT_AT", &format!("{point}:{count}"));
            points += 1;
        }
        let made = provider.carrier.calls().len();
        server.spawn();
        if let Err(status) = server.ready_or_ended().await {
            assert_eq!(status.signal(), Some(9), "{lives:?}: the server ended by itself: {status}");
            fired += 1;
            continue;
        }
        let id = server.id().expect("it is started");
        let enough = || async {
            let calls = provider.carrier.calls().len() - made;
            let Ends::Calls(count) = end else { return Err(calls) };
            if calls >= *count { Ok(()) } else { Err(calls) }
        };
        // A life that does not reach its end is killed.
        let _ = tokio::time::timeout(SHORT_LIFE, eventually(SHORT_LIFE * 10, enough)).await;
        fired += usize::from(!server.is_running());
        sigkill(id);
        server.kill();
    }
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    let shown = eventually(SETTLED_WITHIN, || async {
        let shown = campaigns(&server, &["show", "c"]);
        if shown["state"] == "done" { Ok(shown) } else { Err(shown) }
    })
    .await;
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    server.kill();
    look.assert_sound().await;
    let calls = provider.carrier.calls();
    let actions: Vec<_> = look.actions().await.into_iter().filter(|action| action.kind == "call").collect();
    for n in 1..=MEMBERS {
        let to = customer(n);
        let planned: Vec<_> = actions.iter().filter(|action| action.recipient.as_deref() == Some(&to)).collect();
        let made: Vec<_> = calls.iter().filter(|call| call.to == to).collect();
        assert_eq!(made.len(), planned.len(), "{lives:?}: {to} is called once for each try: {planned:?}");
        assert!((1..=2).contains(&made.len()), "{lives:?}: {to} is called {} times", made.len());
        for call in made {
            let of_it = planned.iter().filter(|action| action.provider_sid.as_deref() == Some(&call.sid)).count();
            assert_eq!(of_it, 1, "{lives:?}: {planned:?}");
        }
    }
    assert_eq!(shown["done"], MEMBERS, "{lives:?}: {shown}");
    assert_eq!(shown["tries"], calls.len(), "{lives:?}: {shown}");
    Run { calls: calls.len(), points, fired }
}
