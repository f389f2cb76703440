//! Reserved words of the language that rules use as names: `.in("2h")`, and `call(…)`, which calls a customer.

use std::cell::{Cell, RefCell};

use rhai::{Engine, Token};

/// The name of `call` inside the engine. The engine's own `call` calls a function pointer.
pub(in crate::rules) const PLACE_CALL: &str = "place_call";

thread_local! {
    static BEFORE: Cell<Before> = const { Cell::new(Before::Other) };
    /// For each open bracket, whether it is a map's.
    static MAPS: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
}

/// The place of a word in the source.
#[derive(Clone, Copy)]
enum Before {
    /// After a dot.
    Dot,
    /// At a map's key.
    Key,
    Other,
}

/// Lets `in` and `call` be names where the language does not use them: both after a dot, `call` as a key of a map. A
/// plain `call` becomes [`PLACE_CALL`].
pub(in crate::rules) fn register(engine: &mut Engine) {
    // A file is read from its beginning to its end on one thread, token by token, each token once.
    #[allow(deprecated, reason = "marked so by the crate to say that its shape may change, not that it will go")]
    engine.on_parse_token(|token, at, _| {
        if matches!(token, Token::Comment(_)) {
            return token;
        }
        if (at.line(), at.position()) == (Some(1), Some(1)) {
            MAPS.take();
        }
        MAPS.with_borrow_mut(|maps| match token {
            Token::MapStart => maps.push(true),
            Token::LeftBrace | Token::LeftParen | Token::LeftBracket => maps.push(false),
            Token::RightBrace | Token::RightParen | Token::RightBracket => drop(maps.pop()),
            _ => {}
        });
        let in_map = || MAPS.with_borrow(|maps| maps.last().copied().unwrap_or_default());
        let now = match token {
            Token::Period | Token::Elvis => Before::Dot,
            Token::MapStart => Before::Key,
            Token::Comma if in_map() => Before::Key,
            _ => Before::Other,
        };
        let before = BEFORE.replace(now);
        let name = match (before, &token) {
            (Before::Dot, Token::In) => "in",
            (Before::Dot | Before::Key, Token::Reserved(word)) if **word == "call" => "call",
            (Before::Other, Token::Identifier(word) | Token::Reserved(word)) if **word == "call" => PLACE_CALL,
            _ => return token,
        };
        Token::Identifier(Box::new(name.into()))
    });
}
