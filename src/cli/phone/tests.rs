//! Tests of the phone: keys and updates go in, the screen is in memory.

use chrono::NaiveDateTime;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::chat_message::Mark;
use super::handset::{CUSTOMERS_MAX, Command, Handset, Mode};
use super::net::Update;
use super::view;
use super::wire::Text;
use crate::domain::{Channel, Clock, Phone, Timestamp};

const ME: &str = "+34600111222";
const SMS: &str = "+15005550006";
const WHATSAPP: &str = "+14155238886";

fn phone() -> Handset {
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T10:00:00Z").unwrap());
    let mut phone = Handset::new(vec![Phone::parse(ME).unwrap()], clock);
    let numbers = json!([
        {"number": SMS, "label": "demo", "sms_url": "http://x", "whatsapp_url": null},
        {"number": WHATSAPP, "label": "demo", "sms_url": null, "whatsapp_url": "http://x"}
    ]);
    phone.update_numbers(&serde_json::from_value::<Vec<_>>(numbers).unwrap(), Channel::Sms);
    phone
}

/// Delivers a message with these fields.
fn receive(phone: &mut Handset, fields: Value) {
    let mut message = json!({"seq": 1, "sid": "SM1", "direction": "outbound", "channel": "sms", "from": SMS, "to": ME,
        "status": "delivered", "created_at": "2026-11-21T10:00:01Z"});
    for (name, value) in fields.as_object().unwrap() {
        message[name] = value.clone();
    }
    let messages = vec![serde_json::from_value(message).unwrap()];
    phone.update(Update::Messages { customer: Phone::parse(ME).unwrap(), messages, history: false });
}

fn key(phone: &mut Handset, code: KeyCode, modifiers: KeyModifiers) -> Vec<Command> {
    phone.event(Event::Key(KeyEvent::new(code, modifiers)))
}

fn ctrl(phone: &mut Handset, letter: char) -> Vec<Command> {
    key(phone, KeyCode::Char(letter), KeyModifiers::CONTROL)
}

/// Types a text and Enter; returns the commands that follow.
fn enter(phone: &mut Handset, text: &str) -> Vec<Command> {
    for letter in text.chars() {
        assert_eq!(key(phone, KeyCode::Char(letter), KeyModifiers::NONE), []);
    }
    key(phone, KeyCode::Enter, KeyModifiers::NONE)
}

fn sent(commands: Vec<Command>) -> (u64, Text) {
    match commands.into_iter().next() {
        Some(Command::Send(id, text)) => (id, text),
        other => panic!("nothing is sent: {other:?}"),
    }
}

fn utc(at: Timestamp) -> NaiveDateTime {
    at.to_utc().naive_utc()
}

/// Draws a screen of this size, as the program does; returns the rows and the commands that follow.
fn screen(phone: &mut Handset, columns: u16, rows: u16) -> (Vec<String>, Vec<Command>) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let mut commands = Vec::new();
    // The second drawing shows what the first has marked as seen.
    for _ in 0..2 {
        let mut drawn = None;
        terminal.draw(|frame| drawn = Some(view::draw(frame, phone, utc))).unwrap();
        commands.extend(phone.drawn(drawn.unwrap()));
    }
    let buffer = terminal.backend().buffer();
    let row = |y| {
        let mut text = String::new();
        let mut x = 0;
        while x < columns {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            x += super::wrap::width(symbol).max(1) as u16;
        }
        text.trim_end().to_owned()
    };
    ((0..rows).map(row).collect(), commands)
}

#[test]
fn the_screen_is_a_chat() {
    let mut phone = phone();
    let (id, text) = sent(enter(&mut phone, "HOLA"));
    assert_eq!((text.body.as_str(), text.to.as_str(), text.channel), ("HOLA", SMS, Channel::Sms));
    assert_eq!(phone.entry(id).unwrap().mark, Mark::Pending);
    let mine = json!({"sid": "SM0", "direction": "inbound", "channel": "sms", "from": ME, "to": SMS, "body": "HOLA",
        "status": "received", "created_at": "2026-11-21T10:00:00Z", "webhook": {"status": 200}});
    receive(&mut phone, mine.clone());
    receive(&mut phone, json!({"body": "¡Hola! Somos Demo. ¿En qué podemos ayudarte hoy?", "status": "sent"}));
    // The response to the send comes second and changes nothing.
    let taken = Box::new(serde_json::from_value(with(mine, "seq", json!(1))).unwrap());
    phone.update(Update::Taken(id, taken));
    let (rows, _) = screen(&mut phone, 60, 16);
    let expect = [
        " You are  +34600111222                                 ● on",
        " Writing to  SMS demo +15005550006  WhatsApp demo +14155238…",
        "",
        "",
        "",
        "",
        "                   ─── Sat 21 Nov 2026 ───",
        "                                           HOLA  10:00 ✓✓ ▌",
        "",
        " ▐ ¡Hola! Somos Demo. ¿En qué podemos ayudarte",
        " ▐ hoy?                                10:00 ✓",
        "",
        "╭──────────────────────────────────────────────────────────╮",
        "│ Write a message …                                        │",
        "╰──────────────────────────────────────────────────────────╯",
        " Enter send  Tab WhatsApp  ^S STOP  F1 help  ^C quit",
    ];
    let shown: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(shown.join("\n"), expect.join("\n"));
}

fn with(mut message: Value, name: &str, value: Value) -> Value {
    message[name] = value;
    message
}

#[test]
fn visible_messages_are_read_once_and_only_on_whatsapp() {
    let mut phone = phone();
    let message =
        json!({"channel": "whatsapp", "from": format!("whatsapp:{WHATSAPP}"), "body": "Hola", "status": "sent"});
    receive(&mut phone, message.clone());
    receive(&mut phone, json!({"sid": "SM2", "body": "SMS"}));
    assert_eq!(screen(&mut phone, 80, 24).1, [], "a text message knows no reading");
    assert_eq!(phone.unread_of(0), 1, "the other is in another chat");
    key(&mut phone, KeyCode::Tab, KeyModifiers::NONE);
    assert_eq!(screen(&mut phone, 80, 24).1, [], "it is not delivered yet");
    receive(&mut phone, with(message.clone(), "status", json!("delivered")));
    assert_eq!(screen(&mut phone, 80, 24).1, [Command::Read("SM1".to_owned())]);
    assert_eq!((screen(&mut phone, 80, 24).1, phone.unread_of(0)), (vec![], 0));
}

#[test]
fn a_stop_turns_the_key_to_start() {
    let mut phone = phone();
    key(&mut phone, KeyCode::Char('x'), KeyModifiers::NONE);
    assert_eq!(sent(ctrl(&mut phone, 's')).1.body, "STOP");
    assert_eq!(phone.editor.text(), "x", "what is being written stays");
    assert!(phone.opted_out());
    assert_eq!(sent(ctrl(&mut phone, 's')).1.body, "START");
    assert!(!phone.opted_out());
}

#[test]
fn buttons_replies_and_media_go_along() {
    let mut phone = phone();
    key(&mut phone, KeyCode::Tab, KeyModifiers::NONE);
    let template = json!({"name": "cita", "body": "¿Confirma?", "buttons": ["Sí", "No"]});
    receive(&mut phone, json!({"channel": "whatsapp", "from": WHATSAPP, "template": template}));
    assert_eq!(ctrl(&mut phone, 'g'), []);
    let pressed = sent(key(&mut phone, KeyCode::Char('2'), KeyModifiers::NONE)).1;
    assert_eq!((pressed.body.as_str(), pressed.reply_to.as_deref()), ("No", Some("SM1")));
    assert_eq!(pressed.button.unwrap().payload, "No");
    let pressed = sent(key(&mut phone, KeyCode::Char('1'), KeyModifiers::ALT)).1;
    assert_eq!(pressed.body, "Sí");

    ctrl(&mut phone, 'r');
    key(&mut phone, KeyCode::Enter, KeyModifiers::NONE);
    ctrl(&mut phone, 't');
    ctrl(&mut phone, 'u');
    phone.event(Event::Paste("ftp://example.com\nnot this\n".to_owned()));
    assert_eq!(enter(&mut phone, "/cat.jpg"), []);
    assert!(matches!(&phone.mode, Mode::Ask { wrong: Some(_), .. }), "that is no address of a picture");
    ctrl(&mut phone, 'u');
    enter(&mut phone, "https://example.com/cat.jpg");
    let replied = sent(enter(&mut phone, "mira")).1;
    assert_eq!(
        (replied.reply_to.as_deref(), replied.media),
        (Some("SM1"), vec!["https://example.com/cat.jpg".to_owned()])
    );
    assert_eq!(sent(enter(&mut phone, "otra")).1.reply_to, None);
}

#[test]
fn customers_are_added_up_to_the_last_digit() {
    let mut phone = phone();
    for at in 1..CUSTOMERS_MAX {
        ctrl(&mut phone, 'p');
        key(&mut phone, KeyCode::Char('n'), KeyModifiers::NONE);
        let commands = key(&mut phone, KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(commands.as_slice(), [Command::Watch(_)]), "{at}: {commands:?}");
    }
    assert_eq!(phone.customer, CUSTOMERS_MAX - 1);
    ctrl(&mut phone, 'p');
    assert_eq!(key(&mut phone, KeyCode::Char('n'), KeyModifiers::NONE), []);
    assert!(matches!(phone.mode, Mode::Pick(..)), "there is no room for another");
    key(&mut phone, KeyCode::Char('1'), KeyModifiers::NONE);
    assert_eq!(phone.me().number.as_str(), ME);
}

#[test]
fn texts_are_called_up_again() {
    let mut phone = phone();
    enter(&mut phone, "uno");
    enter(&mut phone, "dos");
    for letter in "tr".chars() {
        key(&mut phone, KeyCode::Char(letter), KeyModifiers::NONE);
    }
    let mut press = |code| {
        key(&mut phone, code, KeyModifiers::NONE);
        phone.editor.text().to_owned()
    };
    let seen = [KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Down].map(&mut press);
    assert_eq!(seen, ["dos", "uno", "uno", "dos", "tr"]);
}

#[test]
fn the_conversation_stays_where_it_was_scrolled_to() {
    let mut phone = phone();
    for number in 0..30 {
        let at = format!("2026-11-21T10:{number:02}:00Z");
        receive(
            &mut phone,
            json!({"sid": format!("SM{number}"), "body": format!("message {number:02}"), "created_at": at}),
        );
    }
    let (rows, _) = screen(&mut phone, 60, 16);
    assert!(rows.concat().contains("message 29") && !rows.concat().contains("message 20"));
    key(&mut phone, KeyCode::PageUp, KeyModifiers::NONE);
    let (before, _) = screen(&mut phone, 60, 16);
    assert!(!before.concat().contains("message 29") && before.concat().contains("more rows"), "{before:?}");
    receive(&mut phone, json!({"sid": "SM99", "body": "the newest", "created_at": "2026-11-21T11:00:00Z"}));
    let (after, _) = screen(&mut phone, 60, 16);
    assert_eq!(before[2..8], after[2..8]);
    assert_eq!(phone.unread_of(0), 1, "it has not been on the screen");
    for _ in 0..9 {
        key(&mut phone, KeyCode::PageDown, KeyModifiers::NONE);
    }
    assert!(screen(&mut phone, 60, 16).0.concat().contains("the newest"));
    assert_eq!(phone.unread_of(0), 0);
}

#[test]
fn a_text_that_is_not_taken_says_why() {
    let mut phone = phone();
    let (id, _) = sent(enter(&mut phone, "HOLA"));
    phone.update(Update::Away);
    assert!(screen(&mut phone, 80, 24).0.concat().contains("The server is away."));
    phone.update(Update::NotTaken(id, "the carrier answered 400: no such number".to_owned()));
    let (rows, _) = screen(&mut phone, 80, 24);
    assert!(rows.concat().contains("✗") && rows.concat().contains("the carrier answered 400"), "{rows:?}");
    assert_eq!(phone.update(Update::Back), [Command::Numbers]);
    assert!(screen(&mut phone, 80, 24).0.concat().contains("The server is back."));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_size_or_key_breaks_it(
        bodies in proptest::collection::vec(any::<String>(), 0..4),
        typed in any::<String>(),
        keys in proptest::collection::vec((0usize..18, any::<bool>()), 0..30),
        columns in 1u16..130,
        rows in 1u16..50,
    ) {
        let mut phone = phone();
        for (at, body) in bodies.iter().enumerate() {
            receive(&mut phone, json!({"sid": format!("SM{at}"), "body": body, "media": [body],
                "template": {"name": body, "body": body, "buttons": [body]}, "reply_to": "SM0"}));
        }
        phone.event(Event::Paste(typed));
        for (at, ctrl) in keys {
            let codes = [
                KeyCode::Char('p'), KeyCode::Char('b'), KeyCode::Char('g'), KeyCode::Char('r'), KeyCode::Char('t'),
                KeyCode::Char('n'), KeyCode::Char('s'), KeyCode::Char('1'), KeyCode::Enter, KeyCode::Tab, KeyCode::Esc,
                KeyCode::Up, KeyCode::Down, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Backspace, KeyCode::F(1),
                KeyCode::Left,
            ];
            key(&mut phone, codes[at], if ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE });
            for row in screen(&mut phone, columns, rows).0 {
                prop_assert!(!row.chars().any(|c| c.is_control() || c == '\u{202e}'), "{row:?}");
            }
        }
    }
}
