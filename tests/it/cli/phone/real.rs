//! The phone beside a real server without an account: a new user's first minute.

use super::greets_and_stops;
use crate::support::server::{Server, ServerOptions};
use crate::support::terminal::Terminal;

const HELLO: &str = "rule(\"hello\").on(\"inbound_sms\").keyword(\"HOLA\").then(|e| reply(\"¡Hola! Somos Demo.\"));\n";

#[tokio::test]
async fn a_newcomer_texts_and_is_answered() {
    let options = ServerOptions::default().env("METRICS_LISTEN", "off").env("CARRIER_LISTEN", "127.0.0.1:0");
    let server = Server::start(options.file("rules/hello.rhai", HELLO)).await;
    // No option names the carrier: the phone finds it in the database.
    let mut terminal = Terminal::start(server.folder(), &["phone"], 80, 24);
    greets_and_stops(&mut terminal).await;
}
