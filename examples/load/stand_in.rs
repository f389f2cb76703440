//! The server's HTTP stack alone: an axum router, the form, the signature. Its rate is the ceiling of any server built
//! on it; with sending it stands in for the server in the self-test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::{Mutex, mpsc};

use crate::Failure;
use crate::phases::{ANSWER, WORD};
use crate::webhook::{ACCOUNT_SID, OURS, Signer};
use crate::wire::Connection;

/// Recipients that wait to be answered; more make the webhooks wait.
const QUEUE_MAX_ITEMS: usize = 1024;
const SENDERS: usize = 16;
const TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

struct StandIn {
    signer: Signer,
    app_url: String,
    sends: Option<mpsc::Sender<String>>,
}

/// Serves until it is killed, set up by the same environment as the server.
pub async fn serve(sends: bool) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    let sends = if sends { Some(sender(std::env::var("TWILIO_API_BASE")?)?) } else { None };
    let signer = Signer::new(&std::env::var("TWILIO_AUTH_TOKEN")?);
    let state = Arc::new(StandIn { signer, app_url: std::env::var("APP_URL")?, sends });
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
    if let Some(sends) = state.sends.as_ref().filter(|_| field("Body").starts_with(WORD)) {
        // It fails only where the sender has gone, which the count of what was lost then shows.
        let _ = sends.send(field("From").to_owned()).await;
    }
    ([(CONTENT_TYPE, "text/xml")], TWIML).into_response()
}

fn decode_pair(pair: &[u8]) -> (String, String) {
    let equals = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
    (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
}

fn decode(encoded: &[u8]) -> String {
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

/// A few connections to the provider, each answering one recipient after the other.
fn sender(api_base: String) -> Result<mpsc::Sender<String>, Failure> {
    let address: SocketAddr = api_base.trim_start_matches("http://").parse()?;
    let (sender, recipients) = mpsc::channel::<String>(QUEUE_MAX_ITEMS);
    let recipients = Arc::new(Mutex::new(recipients));
    for _ in 0..SENDERS {
        let recipients = Arc::clone(&recipients);
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let next = async || recipients.lock().await.recv().await;
            while let Some(recipient) = next().await {
                connection.call(send_request(&recipient).as_bytes()).await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
    Ok(sender)
}

/// A call of the provider that sends the answer.
pub fn send_request(recipient: &str) -> String {
    let form = format!(
        "To={}&From={}&Body={}",
        recipient.replace('+', "%2B"),
        OURS.replace('+', "%2B"),
        ANSWER.replace(' ', "+")
    );
    format!(
        "POST /2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json HTTP/1.1\r\nHost: provider\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}
