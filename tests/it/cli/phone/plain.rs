//! `recado phone` without a terminal: lines in, lines out.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::fake::Fake;
use crate::support::ports::free_port;

/// Runs the phone with this standard input; returns its exit code, output and errors.
pub(super) async fn plain(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_recado"));
    command.arg("phone").args(args).current_dir(folder.path()).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be started");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    let output = ended.expect("no panic").expect("the child can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_go_in_and_the_chat_comes_out() {
    let carrier = Fake::new().run(0).await;
    let url = carrier.url();
    let input = "HOLA\nCITA\nConfirmo\nHOSTIL\nSTOP\n";
    let (code, out, err) = plain(&["--carrier", &url, "--whatsapp", "--wait", "1s"], input).await;
    let expect = "> HOLA ✓✓\n< ¡Hola! Somos Demo.\n> CITA ✓✓\n< ¿Confirma su cita? [1 Confirmo] [2 Cambiar]\n\
                  > Confirmo ✓✓\n> HOSTIL ✓✓\n\
                  < \u{fffd}[2J\u{fffd}]0;owned\u{fffd}\u{fffd}31m日本語 👨‍👩‍👧 \u{fffd}abc\u{fffd} end\n\
                  > STOP ✓✓\n< You have been unsubscribed.\n";
    assert_eq!((code, out.as_str()), (Some(0), expect), "{err}");
    let pressed = carrier.fake.messages().into_iter().find(|message| message["body"] == "Confirmo");
    assert_eq!(pressed.expect("it was sent")["button"]["payload"], "Confirmo");

    // Earlier messages are not printed again.
    let (code, out, _) = plain(&["--carrier", &url, "--wait", "1s"], "RECHAZO\n").await;
    assert_eq!((code, out.as_str()), (Some(1), "> RECHAZO ✗\n! the server answered 403: signature\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_it_says_what_to_do() {
    let away = format!("http://127.0.0.1:{}", free_port());
    let (code, out, err) = plain(&["--carrier", &away], "HOLA\n").await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("recado serve") && err.contains("cargo run --release"), "{err}");
    let (code, _, err) = plain(&["--carrier", "http://example.com"], "").await;
    assert!(code == Some(2) && err.contains("on this machine"), "{err}");
}
