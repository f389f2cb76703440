//! `send_sms(…).in("2h")` and `.at(…)`: an action that leaves later than now.
//!
//! ```rhai
//! send_sms(e.contact, "How was it?").in("2h");              // elapsed; "1d" is the same time of day tomorrow
//! reply("We are open now.").at("2026-12-01T10:00:00+01:00"); // or a moment, such as time(e.data.starts_at)
//! ```

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, Engine, NativeCallContext, Token};

use crate::domain::Timestamp;
use crate::rules::limits::AHEAD_DAYS;
use crate::rules::script::context::{Call, ScriptError, error};
use crate::rules::script::functions::place_call::FUNCTION;
use crate::rules::script::values::{Moment, kind_of, text_of};
use crate::time::Span;

/// What a send or a request gives back: the actions just written down.
#[derive(Clone)]
pub(in crate::rules) struct PlannedAction {
    pub call: Arc<Call>,
    /// Their places among the rule's actions.
    pub which: Range<usize>,
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<PlannedAction>("PlannedAction");
    engine.register_fn("in", |ctx: NativeCallContext<'_>, planned: &mut PlannedAction, span: Dynamic| {
        postpone(&ctx, planned, "in", |call| after(call, &span))
    });
    engine.register_fn("at", |ctx: NativeCallContext<'_>, planned: &mut PlannedAction, moment: Dynamic| {
        postpone(&ctx, planned, "at", |_| instant(&moment))
    });
    words_of_the_language(engine);
}

/// `in` and `call` are words of the language; after a dot they cannot be that, and are taken for names. Elsewhere `call`
/// rings a customer, but for the key of a map.
fn words_of_the_language(engine: &mut Engine) {
    use std::cell::{Cell, RefCell};
    thread_local! {
        static BEFORE: Cell<Before> = const { Cell::new(Before::Other) };
        /// Of the brackets that are open, whether each is a map's.
        static MAPS: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    }
    // A file is read from its beginning to its end on one thread, token by token, each of them once.
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
            (Before::Other, Token::Identifier(word) | Token::Reserved(word)) if **word == "call" => FUNCTION,
            _ => return token,
        };
        Token::Identifier(Box::new(name.into()))
    });
}

/// What a word stands behind.
#[derive(Clone, Copy)]
enum Before {
    Dot,
    /// Where a map's key is.
    Key,
    Other,
}

fn postpone(
    context: &NativeCallContext<'_>,
    planned: &PlannedAction,
    function: &str,
    due: impl FnOnce(&Call) -> Result<Timestamp, String>,
) -> Result<PlannedAction, ScriptError> {
    let at = context.call_position();
    let call = &planned.call;
    let due = due(call).and_then(|due| within_reach(call.facts.as_of, due));
    let due = due.map_err(|message| error(format!("{function}: {message}"), at))?;
    for one in call.frame().actions.get_mut(planned.which.clone()).into_iter().flatten() {
        // What has passed already leaves at once.
        one.due = Some(due).filter(|due| *due > call.facts.as_of);
    }
    Ok(planned.clone())
}

/// So much later than the rules' now, on the business's wall clock.
pub(in crate::rules) fn after(call: &Call, span: &Dynamic) -> Result<Timestamp, String> {
    Ok(span_of(span)?.after(call.facts.as_of, call.zone))
}

pub(in crate::rules) fn span_of(span: &Dynamic) -> Result<Span, String> {
    let text = text_of(span).ok_or_else(|| {
        format!("a span is a text such as \"90s\", \"2h\" or \"1d\", and this is a {}", kind_of(span))
    })?;
    text.parse::<Span>().map_err(|bad| bad.to_string())
}

pub(in crate::rules) fn instant(moment: &Dynamic) -> Result<Timestamp, String> {
    if let Some(moment) = moment.read_lock::<Moment>() {
        return Ok(moment.at);
    }
    let hint = "write it as 2026-12-01T10:00:00+01:00, or give a moment such as time(…)";
    let text = text_of(moment).ok_or_else(|| format!("a {} is no moment: {hint}", kind_of(moment)))?;
    Timestamp::parse(&text)
        .map_err(|_| format!("'{}' is no moment: {hint}", crate::rules::script::values::shortened(&text)))
}

/// A bound on how far ahead anything is planned.
pub(in crate::rules) fn within_reach(now: Timestamp, due: Timestamp) -> Result<Timestamp, String> {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    if due > now.plus(DAY * AHEAD_DAYS) {
        return Err(format!("{due} is more than {AHEAD_DAYS} days ahead, which is the most"));
    }
    Ok(due)
}
