//! The dialogue over a pipe, with a server that stops at any point.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, duplex};
use tokio::net::TcpListener;

use super::*;
use crate::integrations::provider::FailureKind;

/// Smaller than the message, so that unread content cannot have been written.
const PIPE_BYTES: usize = 1024;
const MESSAGE_BYTES: usize = 40_000;

fn mime() -> MimeMessage {
    let line = format!("{}\r\n", "x".repeat(70)).into_bytes();
    MimeMessage {
        from: "hola@sol.example".parse().unwrap(),
        to: "ana@example.com".parse().unwrap(),
        id: "1@sol.example".into(),
        bytes: line.into_iter().cycle().take(MESSAGE_BYTES).collect(),
    }
}

/// Answers each line by `answer` until that returns `None`: then the server hangs up, or, if `silent`, keeps the pipe
/// open.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    pipe: S,
    silent: bool,
    answer: impl Fn(&str) -> Option<&'static str>,
) -> S {
    let mut pipe = BufReader::new(pipe);
    let mut next = Some("220 here\r\n");
    loop {
        match next {
            Some(reply) => pipe.write_all(reply.as_bytes()).await.unwrap(),
            None if silent => return pipe.into_inner(),
            None => break,
        }
        let mut line = String::new();
        if pipe.read_line(&mut line).await.unwrap() == 0 {
            break;
        }
        next = answer(&line);
    }
    drop(pipe);
    std::future::pending().await
}

/// Runs a dialogue with such a server; returns the stage and its meaning, or `Ok` if the mail was accepted.
async fn outcome(silent: bool, answer: impl Fn(&str) -> Option<&'static str>) -> Result<(), (Stage, FailureKind)> {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let mut stage = Stage::Connect;
    let dialogue = async {
        let stream = Box::new(Bounded::new(ours, ([127, 0, 0, 1], 25).into()));
        let hello = ClientId::Domain("sol.example".into());
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await?;
        stage = Stage::Envelope;
        converse(&mut connection, &mime(), &mut stage).await
    };
    let fault = tokio::select! {
        biased;
        ended = dialogue => match ended {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        },
        // Like the end of the deadline: the dialogue is dropped where it waits.
        _open = serve(theirs, silent, answer) => Fault::Silent(DEADLINE),
    };
    Err((stage, send_failure(stage, &fault).kind))
}

/// A server that accepts everything, but answers `odd` to lines that begin with `at`.
fn but(at: &'static str, odd: Option<&'static str>) -> impl Fn(&str) -> Option<&'static str> {
    move |line| match line {
        line if line.starts_with(at) => odd,
        line if line.starts_with("DATA") => Some("354 go\r\n"),
        // The content gets no answer.
        line if line.starts_with('x') || line == "\r\n" => Some(""),
        _ => Some("250 fine\r\n"),
    }
}

#[tokio::test]
async fn what_is_known_depends_on_the_dot() {
    let later = |outcome: Result<(), (Stage, FailureKind)>, at| {
        assert!(matches!(outcome, Err((stage, FailureKind::Later { .. })) if stage == at), "{at:?}: {outcome:?}");
    };
    assert_eq!(outcome(false, but("nothing", None)).await, Ok(()));
    for silent in [false, true] {
        let busy = FailureKind::Busy { retry_after: None };
        assert_eq!(outcome(silent, but("EHLO", None)).await, Err((Stage::Connect, busy)));
        for command in ["MAIL", "RCPT", "DATA"] {
            later(outcome(silent, but(command, None)).await, Stage::Envelope);
        }
        later(outcome(silent, but("x", None)).await, Stage::Content);
        assert_eq!(outcome(silent, but(".", None)).await, Err((Stage::End, FailureKind::Unknown)));
    }
    for odd in ["354 more?\r\n", "999 what\r\n", "garbage\r\n"] {
        assert_eq!(outcome(true, but(".", Some(odd))).await, Err((Stage::End, FailureKind::Unknown)), "{odd}");
    }
    later(outcome(false, but("DATA", Some("250 fine\r\n"))).await, Stage::Envelope);
    later(outcome(false, but(".", Some("451 4.3.0 later\r\n"))).await, Stage::End);
    assert_eq!(outcome(false, but(".", Some("554 5.6.0 no\r\n"))).await, Err((Stage::End, FailureKind::Refused)));
    assert_eq!(
        outcome(false, but("RCPT", Some("550 5.1.1 no\r\n"))).await,
        Err((Stage::Envelope, FailureKind::Refused))
    );
}

#[tokio::test]
async fn a_server_that_never_ends_a_line_is_cut_off() {
    let endless: &'static str = "250-".to_owned().leak();
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let chatter = async move {
        theirs.write_all(b"220 here\r\n").await.unwrap();
        // Ends when the other side hangs up.
        while theirs.write_all(endless.as_bytes()).await.is_ok() {}
    };
    let stream = Box::new(Bounded::new(ours, ([127, 0, 0, 1], 25).into()));
    let hello = ClientId::Domain("sol.example".into());
    let (opened, ()) = tokio::join!(AsyncSmtpConnection::connect_with_transport(stream, &hello), chatter);
    assert!(opened.err().unwrap().to_string().contains("network error"));
}

#[tokio::test]
async fn answers_injected_behind_that_to_starttls_are_not_believed() {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let injector = serve(theirs, true, |line| match line {
        line if line.starts_with("EHLO") => Some("250-here\r\n250 STARTTLS\r\n"),
        _ => Some("220 go\r\n250-here\r\n250 AUTH PLAIN\r\n235 fine\r\n"),
    });
    let stream = Box::new(Bounded::new(ours, ([127, 0, 0, 1], 25).into()));
    let hello = ClientId::Domain("sol.example".into());
    let upgrade = async {
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.unwrap();
        connection.starttls(tls("sol.example", None).unwrap(), &hello).await
    };
    let failed = tokio::select! {
        upgraded = upgrade => upgraded.unwrap_err().to_string(),
        _open = injector => unreachable!("it always answers"),
    };
    // The first injected bytes reached the TLS handshake, which rejects them.
    assert!(failed.contains("corrupt message") || failed.contains("InvalidContentType"), "{failed}");
}

/// The outcome at the end of the deadline, with a server that falls silent at lines that begin with `at`.
async fn given_up(at: &'static str) -> SendFailure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let smtp = Smtp { host: "127.0.0.1".into(), port, security: Security::None, login: None };
    let from = Mailbox::new(None, "hola@sol.example".parse().unwrap());
    let server = Server { deadline: Duration::from_secs(3), ..Server::new(&smtp, &from, None).unwrap() };
    let silence = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _open = serve(stream, true, but(at, None)).await;
        std::future::pending().await
    };
    let mime = mime();
    tokio::select! {
        sent = server.send(&mime) => sent.unwrap_err(),
        () = silence => unreachable!("never ends"),
    }
}

#[tokio::test]
async fn no_server_is_waited_for_longer_than_the_deadline() {
    let (greeted, ended) = tokio::join!(given_up("EHLO"), given_up("."));
    assert!(
        matches!(greeted.kind, FailureKind::Busy { .. }) && greeted.detail.contains("no answer within 3 s"),
        "{greeted:?}"
    );
    assert!(ended.kind == FailureKind::Unknown && ended.detail.contains("no answer within 3 s"), "{ended:?}");
}
