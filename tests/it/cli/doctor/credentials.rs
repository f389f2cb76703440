//! `recado tenant credentials`: tokens are checked with Twilio, stored encrypted and never shown.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rustix::pty;
use serde_json::Value;

use super::Rig;
use super::twilio::{OTHER, OTHER_TOKEN};
use crate::cli::Ran;

const WRONG: &str = "wr0ngwr0ngwr0ngwr0ngwr0ngwr0ngwr";

async fn rig() -> Rig {
    let rig = Rig::start(&[], &[]).await;
    rig.run(&["tenant", "add", "sol"]).ok();
    rig
}

fn account(rig: &Rig) -> Value {
    rig.run(&["tenant", "show", "sol", "--json"]).json()["account_sid"].clone()
}

/// Neither the output nor any file of the database contains a token.
fn shows_no_token(rig: &Rig, ran: &Ran) {
    for token in [OTHER_TOKEN, WRONG] {
        assert!(!ran.out.contains(token) && !ran.err.contains(token), "{ran:?}");
        for file in std::fs::read_dir(rig.server.folder().join("data")).expect("it is there").flatten() {
            let bytes = std::fs::read(file.path()).expect("it can be read");
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found, "{} holds a token", file.path().display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_kept_only_when_twilio_takes_them() {
    let rig = rig().await;
    let command = ["tenant", "credentials", "sol"];
    let wrong = rig.run_fed(&command, &format!("{OTHER}\n{WRONG}\n"));
    shows_no_token(&rig, &wrong);
    wrong.fails(1, &["error 20003", "nothing was changed", "Account Info"]);
    assert_eq!(account(&rig), Value::Null);

    let right = rig.run_fed(&command, &format!("{OTHER}\n  {OTHER_TOKEN}\n"));
    assert!(right.err.contains("Twilio knows them: \"Sol\", active"), "{right:?}");
    shows_no_token(&rig, &right);
    right.ok();
    assert_eq!(account(&rig), OTHER);
    // A wrong later value leaves the correct earlier one in place.
    let with_sid = ["tenant", "credentials", "sol", "--account-sid", OTHER];
    rig.run_fed(&with_sid, WRONG).fails(1, &["error 20003"]);
    rig.doctor(&[], &[]).has(recado::ops::doctor::Severity::Ok, OTHER, "active");
    rig.run_fed(&with_sid, "too short\n").fails(1, &["32 letters and digits"]);
    rig.run_fed(&command, "AC1\n").fails(1, &["AC and 32 hex digits"]);
    rig.run_fed(&with_sid, "").fails(2, &["nothing was given"]);

    // The other command that sets an account asks Twilio, too.
    let set = ["tenant", "set", "sol", "--account-sid", OTHER];
    rig.run_with(&set, &[("RECADO_TENANT_AUTH_TOKEN", WRONG)]).fails(1, &["error 20003", "nothing was changed"]);
    let unchecked = rig.run_with(&[&set[..], &["--no-check"]].concat(), &[("RECADO_TENANT_AUTH_TOKEN", WRONG)]);
    assert!(unchecked.err.contains("warning: Twilio was not asked"), "{unchecked:?}");
    unchecked.ok();
    rig.doctor(&[], &[]).has(recado::ops::doctor::Severity::Error, OTHER, "refuses the credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_token_comes_and_goes_by_itself() {
    let rig = rig().await;
    let second = ["tenant", "credentials", "sol", "--secondary", "--no-check"];
    rig.run_fed(&second, WRONG).fails(1, &["no account of its own"]);
    std::fs::write(rig.server.folder().join("token.txt"), format!("{OTHER_TOKEN}\n")).expect("a file can be written");
    let file = ["tenant", "credentials", "sol", "--account-sid", OTHER, "--token-file", "token.txt"];
    rig.run(&file).ok();
    rig.run(&["tenant", "credentials", "sol", "--token-file", "token.txt", "--secondary", "--remove"]).fails(2, &[]);
    rig.run(&["tenant", "credentials", "sol", "--secondary", "--remove"]).fails(1, &["no secondary token"]);
    let outcome = rig.run_fed(&second, WRONG);
    shows_no_token(&rig, &outcome);
    outcome.ok();
    let found = rig.doctor(&[], &[]);
    found.has(recado::ops::doctor::Severity::Ok, OTHER, "the token is right");
    let stale = found.has(recado::ops::doctor::Severity::Warning, OTHER, "second token");
    assert!(stale["remedy"].as_str().expect("what to do").contains("--secondary --remove"), "{stale}");
    rig.run(&["tenant", "credentials", "sol", "--secondary", "--remove"]).ok();
    assert!(!format!("{:?}", rig.doctor(&[], &[])).contains("second token"));
    assert_eq!(account(&rig), OTHER);
    rig.run(&["tenant", "credentials", "sol", "--remove"]).ok();
    assert_eq!(account(&rig), Value::Null);
    rig.run(&["tenant", "credentials", "sol", "--remove"]).fails(1, &["no account of its own"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_typed_is_not_shown() {
    let rig = rig().await;
    let answers = [("Account SID: ", OTHER), ("Auth Token (it is not shown): ", OTHER_TOKEN)];
    let (shown, code) = at_terminal(&mut rig.command(&["tenant", "credentials", "sol"]), &answers);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(OTHER) && shown.contains("Twilio knows them"), "{shown}");
    assert!(!shown.contains(OTHER_TOKEN), "{shown}");
    assert_eq!(account(&rig), OTHER);
}

/// Runs a command in a pseudo-terminal and answers its prompts. Returns what the terminal showed.
fn at_terminal(command: &mut Command, answers: &[(&str, &str)]) -> (String, Option<i32>) {
    let master = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).expect("there are terminals");
    pty::grantpt(&master).and_then(|()| pty::unlockpt(&master)).expect("it is ours");
    let name = pty::ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("UTF-8");
    let open = || File::options().read(true).write(true).open(&name).expect("it can be opened");
    let terminal = open();
    let mut child = command
        .stdin(terminal.try_clone().expect("a handle can be cloned"))
        .stderr(terminal)
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    // These are our own handles of the command's side; while they are open, its end would not show.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let (mut master, mut shown) = (File::from(master), Vec::new());
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut part = [0u8; 256];
    // When the last handle is closed, reading ends with an error.
    while let Ok(length @ 1..) = master.read(&mut part) {
        shown.extend_from_slice(&part[..length]);
        if let Some((_, answer)) = next.filter(|(asks, _)| shown.ends_with(asks.as_bytes())) {
            writeln!(master, "{answer}").expect("it listens");
            next = answers.next();
        }
    }
    (String::from_utf8_lossy(&shown).into_owned(), child.wait().expect("it ends").code())
}
