//! The provider: takes messages like its REST API, as cheaply as possible, and records the time.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::ledger::Ledger;
use crate::webhook::{ACCOUNT_SID, OURS};
use crate::wire::{Connection, field};
use crate::{CLOCK, Failure, phases::ANSWER};

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
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("provider".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, ledger, delay) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, _stop: stop })
    }
}

async fn accept(listener: TcpListener, ledger: Arc<Ledger>, delay: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            // A broken connection is the server's problem: its message counts as not answered.
            let _ = answer(stream, &ledger, delay).await;
        });
    }
}

async fn answer(stream: TcpStream, ledger: &Ledger, delay: Duration) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let mut response = Vec::with_capacity(1024);
    while let Some(request) = connection.next().await? {
        response.clear();
        if request.first_line.starts_with("POST ") && request.first_line.contains("/Messages.json") {
            take(request.body, ledger, &mut response)?;
        } else if request.first_line.starts_with("GET ") {
            write_response(&mut response, "200 OK", r#"{"messages":[],"next_page_uri":null,"page":0,"page_size":50}"#)?;
        } else {
            write_response(&mut response, "404 Not Found", r#"{"code":20404,"message":"not found","status":404}"#)?;
        }
        if !delay.is_zero() {
            CLOCK.sleep(delay).await;
        }
        connection.write(&response).await?;
    }
    Ok(())
}

fn take(form: &[u8], ledger: &Ledger, response: &mut Vec<u8>) -> std::io::Result<()> {
    let to = field(form, "To").unwrap_or_default();
    let to = to.strip_prefix(b"%2B").or_else(|| to.strip_prefix(b"+")).unwrap_or(to);
    let to = std::str::from_utf8(to).unwrap_or_default();
    let body = field(form, "Body").unwrap_or_default();
    let body = String::from_utf8_lossy(body).replace("%20", " ").replace('+', " ");
    ledger.arrived(to, body == ANSWER);
    let json = format!(
        r#"{{"sid":"SM{to:0>32}","account_sid":"{ACCOUNT_SID}","api_version":"2010-04-01","body":"{ANSWER}","date_created":"Sat, 21 Nov 2026 09:00:00 +0000","date_sent":null,"date_updated":"Sat, 21 Nov 2026 09:00:00 +0000","direction":"outbound-api","error_code":null,"error_message":null,"from":"{OURS}","messaging_service_sid":null,"num_media":"0","num_segments":"1","price":null,"price_unit":"USD","status":"queued","to":"+{to}","uri":"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM{to:0>32}.json"}}"#
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
