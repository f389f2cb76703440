//! The HTTP stack of the server alone: an axum router, the form, the signature. Its rate is the ceiling of every server built
//! on it. With sending it takes the place of the server in the self-test; with a database it is a bare program for comparison.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::{Mutex, mpsc};

use crate::Failure;
use crate::bare::Store;
use crate::ceilings::Rows;
use crate::phases::{ANSWER, WORD};
use crate::webhook::{ACCOUNT_SID, OURS, Signer};
use crate::wire::Connection;

/// Recipients that may wait for their answer; further webhooks wait.
const QUEUE_MAX_ITEMS: usize = 1024;
const SENDERS: usize = 16;
const TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

struct StandIn {
    signer: Signer,
    app_url: String,
    store: Option<Store>,
    /// Messages so far.
    count: AtomicUsize,
    sends: Option<mpsc::Sender<Answer>>,
}

/// The recipient of an answer, and the number of the answer in the outbox.
struct Answer {
    recipient: String,
    number: usize,
}

/// The treatment of a message after its signature is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Nothing,
    Answers,
    StoresAndAnswers,
}

/// Serves until it is killed. Its settings come from the same environment as the server's.
pub async fn serve(does: Does) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    let store = match does {
        Does::StoresAndAnswers => {
            let url = std::env::var("DATABASE_URL")?;
            Some(Store::open(Path::new(url.strip_prefix("sqlite://").ok_or("the bare program is for SQLite")?))?)
        }
        Does::Nothing | Does::Answers => None,
    };
    let sends = match does {
        Does::Nothing => None,
        Does::Answers | Does::StoresAndAnswers => Some(sender(
            std::env::var("TWILIO_API_BASE")?,
            format!("{}/status", std::env::var("APP_URL")?),
            store.clone(),
        )?),
    };
    let signer = Signer::new(&std::env::var("TWILIO_AUTH_TOKEN")?);
    let state =
        Arc::new(StandIn { signer, app_url: std::env::var("APP_URL")?, store, count: AtomicUsize::new(0), sends });
    let routes = Router::new().route("/health", get(|| async { "ok" })).fallback(webhook).with_state(state);
    Ok(axum::serve(listener, routes).await?)
}

async fn webhook(State(state): State<Arc<StandIn>>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let mut fields: Vec<(String, String)> = body.split(|b| *b == b'&').map(decode_pair).collect();
    fields.sort_unstable();
    let expected = state.signer.sign(&format!("{}{uri}", state.app_url), &fields);
    if headers.get("x-twilio-signature").is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    if !field("MessageStatus").is_empty() {
        let known = match &state.store {
            Some(store) => store.reported(field("MessageSid").to_owned(), field("MessageStatus").to_owned()).await,
            None => true,
        };
        return if known { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }.into_response();
    }
    let number = state.count.fetch_add(1, Relaxed);
    let sends = state.sends.as_ref().filter(|_| field("Body").starts_with(WORD));
    if let Some(store) = &state.store {
        let row = Rows::new(number, field("From").to_owned(), field("Body").to_owned(), field("MessageSid").to_owned());
        if !store.take(row, sends.map(|_| field("From").to_owned())).await {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    if let Some(sends) = sends {
        // This fails only when the sender is gone, which the count of lost messages then shows.
        let _ = sends.send(Answer { recipient: field("From").to_owned(), number }).await;
    }
    ([(CONTENT_TYPE, "text/xml")], TWIML).into_response()
}

fn decode_pair(pair: &[u8]) -> (String, String) {
    let equals = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
    (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
}

/// Decodes a value of a form.
pub fn decode(encoded: &[u8]) -> String {
    let digit = |at: usize| encoded.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(&byte) = encoded.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A few connections to the provider, each for one recipient after the other.
fn sender(api_base: String, callback: String, store: Option<Store>) -> Result<mpsc::Sender<Answer>, Failure> {
    let address: SocketAddr = api_base.trim_start_matches("http://").parse()?;
    let (sender, answers) = mpsc::channel::<Answer>(QUEUE_MAX_ITEMS);
    let answers = Arc::new(Mutex::new(answers));
    for _ in 0..SENDERS {
        let (answers, store, callback) = (Arc::clone(&answers), store.clone(), callback.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let next = async || answers.lock().await.recv().await;
            while let Some(Answer { recipient, number }) = next().await {
                let (_, answer) = connection.ask(send_request(&recipient, &callback).as_bytes()).await?;
                if let Some(store) = &store {
                    let sid = serde_json::from_slice::<serde_json::Value>(answer).unwrap_or_default();
                    store.sent(number as i64, sid["sid"].as_str().unwrap_or_default().to_owned()).await;
                }
            }
            Ok::<_, std::io::Error>(())
        });
    }
    Ok(sender)
}

/// The provider call that sends the answer, with the URL for its statuses.
pub fn send_request(recipient: &str, callback: &str) -> String {
    let form = format!(
        "To={}&From={}&Body={}&StatusCallback={}",
        recipient.replace('+', "%2B"),
        OURS.replace('+', "%2B"),
        ANSWER.replace(' ', "+"),
        callback.replace(':', "%3A").replace('/', "%2F")
    );
    format!(
        "POST /2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json HTTP/1.1\r\nHost: provider\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}
