//! The provider: takes messages like its REST API, as cheaply as possible, and records the time. Its ids are random, as
//! Twilio's are, and it calls back three times for each message, where it was asked to.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use recado::domain::clock::Random;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::ledger::Ledger;
use crate::stand_in::decode;
use crate::webhook::{ACCOUNT_SID, AUTH_TOKEN, OURS, Signer, post};
use crate::wire::{Connection, field};
use crate::{CLOCK, Failure, phases::ANSWER};

/// The statuses of a message, each with a callback, in this order
/// (<https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>).
pub const STATUSES: [&str; 3] = ["queued", "sent", "delivered"];
/// Connections for callbacks. The callbacks of a message use one, so that they keep their order.
const CALLBACK_CONNECTIONS: usize = 16;

/// A message whose statuses are to be reported.
struct Callbacks {
    /// The URL that the create named.
    url: String,
    sid: String,
    /// The digits of E.164.
    to: String,
}

/// What all connections of the provider share.
struct Shared {
    ledger: Arc<Ledger>,
    delay: Duration,
    random: Random,
    callbacks: mpsc::UnboundedSender<Callbacks>,
}

/// A provider on its own thread, which ends when this is dropped.
pub struct Provider {
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Provider {
    /// Answers each call after `delay`.
    pub fn start(ledger: Arc<Ledger>, delay: Duration) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (callbacks, waiting) = mpsc::unbounded_channel();
        // Not the seed of the messages, so that no id comes twice.
        let seed = u64::MAX - ledger.first_number() as u64;
        let calls_back = Arc::clone(&ledger);
        let shared = Arc::new(Shared { ledger, delay, random: Random::seeded(seed), callbacks });
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("provider".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    () = call_back(waiting, calls_back) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, _stop: stop })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A broken connection is the server's problem: its message counts as not answered.
            let _ = answer(stream, &shared).await;
        });
    }
}

/// Reports the statuses of messages, over a few connections, until the provider ends.
async fn call_back(waiting: mpsc::UnboundedReceiver<Callbacks>, ledger: Arc<Ledger>) {
    let waiting = Arc::new(Mutex::new(waiting));
    let signer = Signer::new(AUTH_TOKEN);
    let line = || {
        let (waiting, ledger, signer) = (Arc::clone(&waiting), Arc::clone(&ledger), signer.clone());
        async move {
            let mut open = None;
            let next = async || waiting.lock().await.recv().await;
            while let Some(message) = next().await {
                for status in STATUSES {
                    let answered = report(&mut open, &signer, &message, status).await;
                    ledger.called_back(answered.is_ok_and(|status| (200..300).contains(&status)));
                }
            }
        }
    };
    futures_util::future::join_all((0..CALLBACK_CONNECTIONS).map(|_| line())).await;
}

async fn report(
    open: &mut Option<Connection>,
    signer: &Signer,
    message: &Callbacks,
    status: &str,
) -> Result<u16, Failure> {
    let rest = message.url.strip_prefix("http://").ok_or("the callback's URL is not of this machine")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let to = format!("+{}", message.to);
    let fields = [
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", "2010-04-01"),
        ("From", OURS),
        ("MessageSid", &message.sid),
        ("MessageStatus", status),
        ("SmsSid", &message.sid),
        ("SmsStatus", status),
        ("To", &to),
    ];
    let request = post(signer, &format!("http://{host}"), path, &fields);
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(Connection::open(host.parse()?).await?),
    };
    let answered = connection.call(request.as_bytes()).await;
    if answered.is_err() {
        *open = None;
    }
    Ok(answered?)
}

async fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let mut response = Vec::with_capacity(1024);
    while let Some(request) = connection.next().await? {
        response.clear();
        if request.first_line.starts_with("POST ") && request.first_line.contains("/Messages.json") {
            take(request.body, shared, &mut response)?;
        } else if request.first_line.starts_with("GET ") {
            write_response(&mut response, "200 OK", r#"{"messages":[],"next_page_uri":null,"page":0,"page_size":50}"#)?;
        } else {
            write_response(&mut response, "404 Not Found", r#"{"code":20404,"message":"not found","status":404}"#)?;
        }
        if !shared.delay.is_zero() {
            CLOCK.sleep(shared.delay).await;
        }
        connection.write(&response).await?;
    }
    Ok(())
}

fn take(form: &[u8], shared: &Shared, response: &mut Vec<u8>) -> std::io::Result<()> {
    let to = field(form, "To").unwrap_or_default();
    let to = to.strip_prefix(b"%2B").or_else(|| to.strip_prefix(b"+")).unwrap_or(to);
    let to = std::str::from_utf8(to).unwrap_or_default();
    let body = field(form, "Body").unwrap_or_default();
    let body = String::from_utf8_lossy(body).replace("%20", " ").replace('+', " ");
    shared.ledger.arrived(to, body == ANSWER);
    let sid = format!("SM{:016x}{:016x}", shared.random.next_u64(), shared.random.next_u64());
    if let Some(url) = field(form, "StatusCallback").map(decode).filter(|url| !url.is_empty()) {
        // This fails only when the provider ends.
        let _ = shared.callbacks.send(Callbacks { url, sid: sid.clone(), to: to.to_owned() });
        shared.ledger.callbacks_due(STATUSES.len());
    }
    let json = format!(
        r#"{{"sid":"{sid}","account_sid":"{ACCOUNT_SID}","api_version":"2010-04-01","body":"{ANSWER}","date_created":"Sat, 21 Nov 2026 09:00:00 +0000","date_sent":null,"date_updated":"Sat, 21 Nov 2026 09:00:00 +0000","direction":"outbound-api","error_code":null,"error_message":null,"from":"{OURS}","messaging_service_sid":null,"num_media":"0","num_segments":"1","price":null,"price_unit":"USD","status":"queued","to":"+{to}","uri":"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json"}}"#
    );
    write_response(response, "201 Created", &json)
}

fn write_response(response: &mut Vec<u8>, status: &str, json: &str) -> std::io::Result<()> {
    write!(
        response,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )
}
