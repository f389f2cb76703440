//! `recado phone` in a terminal, with typed keys and its screen read.

mod fake;
mod plain;
mod real;
mod voice;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::terminal::Terminal;
use crate::support::wait::eventually;
use fake::{Fake, Running};

const CUSTOMER: &str = "+34600111222";
const ENTER: &str = "\r";
const TAB: &str = "\t";
const ESC: &str = "\u{1b}";

fn ctrl(letter: char) -> String {
    char::from(letter as u8 & 0x1f).to_string()
}

/// The phone, at a carrier with a business that answers a few words.
struct Session {
    carrier: Running,
    terminal: Terminal,
    _folder: TempDir,
}

impl Session {
    async fn start(args: &[&str], columns: u16, rows: u16) -> Self {
        let carrier = Fake::new().run(0).await;
        let folder = TempDir::new().expect("a temporary folder can be made");
        let url = carrier.url();
        let args = [&["phone", "--carrier", &url], args].concat();
        let terminal = Terminal::start(folder.path(), &args, columns, rows);
        terminal.shows("Write a message").await;
        Self { carrier, terminal, _folder: folder }
    }

    fn press(&mut self, keys: &str) {
        self.terminal.press(keys);
    }

    /// Types a text and sends it.
    fn send(&mut self, text: &str) {
        self.terminal.press(text);
        self.terminal.press(ENTER);
    }

    /// Waits until the carrier has a message with these fields.
    async fn carried(&self, fields: Value) -> Value {
        let wanted = fields.as_object().expect("fields");
        eventually(std::time::Duration::from_secs(20), || {
            let messages = self.carrier.fake.messages();
            let found = messages.iter().find(|message| wanted.iter().all(|(name, value)| &message[name] == value));
            let found = found.cloned().ok_or(messages);
            async move { found }
        })
        .await
    }
}

/// True if a row of the screen has all these words.
fn row<'a>(words: &'a [&'a str]) -> impl Fn(&str) -> bool + 'a {
    move |text| text.lines().any(|row| words.iter().all(|word| row.contains(word)))
}

/// A new user's first steps, seen on the screen only, so that any carrier will do.
async fn greets_and_stops(terminal: &mut Terminal) {
    terminal.shows("You are the customer +34600111222.").await;
    terminal.press("HOLA\r");
    terminal.until(row(&["HOLA", "✓✓"])).await;
    let text = terminal.until(row(&["¡Hola! Somos Demo.", "✓✓"])).await;
    assert!(row(&["Enter send", "^S STOP", "F1 help", "^C quit"])(&text), "{text}");

    terminal.press(&ctrl('s'));
    terminal.until(row(&["STOP", "✓✓"])).await;
    terminal.until(|text| text.contains("You said STOP") && text.contains("^S START")).await;
    terminal.press(&ctrl('s'));
    terminal.until(row(&["START", "✓✓"])).await;
    terminal.until(|text| !text.contains("You said STOP") && text.contains("^S STOP")).await;

    terminal.press(&ctrl('c'));
    assert_eq!(terminal.ended().await, 0);
    terminal.given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_goes_in_the_rules_answer_comes_out_and_a_stop_is_kept() {
    let mut session = Session::start(&[], 80, 24).await;
    greets_and_stops(&mut session.terminal).await;
    for body in ["HOLA", "STOP", "START"] {
        session.carried(json!({"body": body, "from": CUSTOMER, "to": fake::SMS, "channel": "sms"})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_whatsapp_messages_are_read_answered_by_buttons_and_quoted() {
    let mut session = Session::start(&["--whatsapp"], 80, 24).await;
    session.press(&ctrl('n'));
    session.terminal.shows("The name in your profile").await;
    session.send("Ana Ruiz");
    session.terminal.until(row(&[CUSTOMER, "Ana Ruiz"])).await;
    session.send("CITA");
    let sent = json!({"body": "CITA", "channel": "whatsapp", "to": fake::WHATSAPP, "profile_name": "Ana Ruiz"});
    session.carried(sent).await;
    session.terminal.shows("[2] Cambiar").await;
    // Messages on the screen have been read.
    let asked = session.carried(json!({"direction": "outbound", "status": "read"})).await;

    session.press(&ctrl('g'));
    session.terminal.shows("Press which button?").await;
    session.press("2");
    let pressed = json!({"text": "Cambiar", "payload": "Cambiar"});
    session.carried(json!({"body": "Cambiar", "button": pressed, "reply_to": asked["sid"]})).await;
    session.terminal.shows("┃ ¿Confirma su cita?").await;
    // The text has arrived: besides the button's row there is one of ours.
    let ticked = |row: &&str| row.contains("Cambiar") && row.contains("✓✓");
    session.terminal.until(|text| text.lines().filter(ticked).count() == 2).await;

    session.press(&ctrl('r'));
    session.terminal.shows("reply to it").await;
    session.press("\u{1b}[A\r");
    session.terminal.shows("↩ replying to: ¿Confirma su cita?").await;
    session.send("sí");
    session.carried(json!({"body": "sí", "reply_to": asked["sid"], "button": null})).await;

    session.press(&ctrl('t'));
    session.terminal.shows("Attach what stands at").await;
    session.send("example.com/cat.jpg");
    session.terminal.shows("📎 https://example.com/cat.jpg").await;
    session.send("mira");
    session.carried(json!({"body": "mira", "media": ["https://example.com/cat.jpg"]})).await;
    session.send("FOTO");
    session.terminal.shows("📎 https://example.com/foto.jpg").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_customers_are_kept_apart() {
    let mut session = Session::start(&[], 80, 24).await;
    session.send("HOLA");
    session.terminal.shows("¡Hola! Somos Demo.").await;
    session.press(&ctrl('p'));
    session.terminal.shows("another number").await;
    session.press("n");
    session.terminal.shows("Another customer's number").await;
    session.press(ENTER);
    session.terminal.shows("You are the customer +34600111333.").await;
    // Meanwhile the first customer receives a message.
    let text = json!({"from": CUSTOMER, "to": fake::SMS, "channel": "sms"});
    session.carrier.fake.answer(&text, &json!({"body": "¿Sigue ahí?", "status": "delivered"}));
    session.terminal.until(row(&["+34600111222 ●1", "+34600111333"])).await;
    session.press(&format!("{}1", ctrl('p')));
    let text = session.terminal.shows("¿Sigue ahí?").await;
    assert!(!text.contains('●') || text.contains("● on"), "{text}");
    // The user switches to the other channel, and back.
    session.press(TAB);
    session.terminal.until(row(&["by WhatsApp"])).await;
    session.press(TAB);
    session.terminal.shows("¿Sigue ahí?").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_says_why() {
    let mut session = Session::start(&[], 80, 24).await;
    session.send("RECHAZO");
    session.terminal.until(row(&["RECHAZO", "✗"])).await;
    session.terminal.shows("the server answered 403: signature").await;
    session.send("FALLA");
    session.terminal.until(row(&["Esto no llega.", "✗"])).await;
    session.terminal.shows("error 30003: the handset cannot be reached").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_sequences_in_texts_are_shown_not_obeyed() {
    let mut session = Session::start(&[], 80, 24).await;
    session.send("HOSTIL");
    // The replacement character is not expected: the test's terminal drops U+FFFD.
    let text = session.terminal.until(row(&["本語 👨👩👧", "abc", "end"])).await;
    assert!(row(&["HOSTIL", "✓✓"])(&text) && row(&["Writing to"])(&text), "nothing was cleared: {text}");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{2066}'), "{text}");
    assert_eq!(session.terminal.titles(), Vec::<String>::new());
    // Pasted text is no command either: its line ends do not send.
    session.press("\u{1b}[200~uno\rdos\u{1b}[201~");
    session.terminal.until(|text| row(&["uno"])(text) && row(&["dos"])(text)).await;
    assert!(session.carrier.fake.messages().iter().all(|message| message["body"] != "uno"));
    session.press(ENTER);
    session.carried(json!({"body": "uno\ndos"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_size_is_drawn_anew() {
    let mut session = Session::start(&[], 80, 24).await;
    session.send("HOLA");
    session.terminal.shows("¡Hola! Somos Demo.").await;
    for (columns, rows) in [(200, 50), (40, 12), (80, 24)] {
        session.terminal.resize(columns, rows);
        let whole = |text: &str| {
            text.contains("¡Hola! Somos Demo.") && text.contains("Write a message") && text.contains("^C quit")
        };
        session.terminal.until(whole).await;
    }
    session.terminal.resize(20, 5);
    session.terminal.shows("The phone needs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_wait_while_the_server_is_away() {
    let mut session = Session::start(&[], 80, 24).await;
    let port = session.carrier.port;
    let fake = session.carrier.fake.clone();
    // Another carrier at another address, of which the phone was not told.
    drop(std::mem::replace(&mut session.carrier, Fake::new().run(0).await));
    session.terminal.shows("The server is away.").await;
    session.send("HOLA");
    session.terminal.until(row(&["HOLA", "◌"])).await;
    session.carrier = fake.run(port).await;
    session.terminal.shows("¡Hola! Somos Demo.").await;
    let text = session.terminal.until(|text| !text.contains("The server is away.")).await;
    assert!(text.contains("The server is back."), "{text}");
    assert_eq!(text.matches("HOLA").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_told_to_end_gives_the_terminal_back() {
    let mut session = Session::start(&[], 80, 24).await;
    assert!(!session.terminal.is_given_back());
    session.press(ESC);
    session.terminal.terminate();
    assert_eq!(session.terminal.ended().await, 0);
    session.terminal.given_back().await;
}
