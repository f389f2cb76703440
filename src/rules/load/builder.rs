//! `rule("name").on(…).keyword(…).when(…).then(…)`: what a file says while it is being loaded.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rhai::{Dynamic, Engine, FnPtr, NativeCallContext};
use serde_json::Value;

use super::error::Place;
use super::timing;
use crate::domain::EventKind;
use crate::rules::eval::limit::Limit;
use crate::rules::limits::{NAME_CHARS, WORDS_PER_RULE};
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::values::{kind_of, text_of, to_json};

/// A rule as its file tells it, before it is checked.
#[derive(Clone, Default)]
pub(in crate::rules) struct Draft {
    pub name: String,
    pub place: Place,
    pub kinds: Vec<(EventKind, Place)>,
    pub keywords: Vec<String>,
    pub blueprint: bool,
    pub params: BTreeMap<String, Value>,
    pub whens: Vec<(String, Closure)>,
    pub thens: Vec<Closure>,
    pub limit: Option<Limit>,
    /// By the question's name.
    pub answers: Vec<(String, Closure)>,
    pub silences: Vec<(String, Closure)>,
    /// By the step's name, in a call.
    pub inputs: Vec<(String, Closure)>,
    pub calls: Vec<(String, Closure)>,
    pub timing: timing::Spoken,
    /// What it listens to by what it says of time.
    pub implied: Vec<EventKind>,
    /// What is wrong with it, and a hint. It is left out then, and the file goes on.
    pub faults: Vec<(Place, String, String)>,
    /// Its statement failed half way, which has been said.
    pub unfinished: bool,
}

#[derive(Clone)]
pub(in crate::rules) struct Closure {
    pub function: String,
    pub curried: bool,
    pub place: Place,
}

/// The engine's tag while a file is loaded.
pub(in crate::rules) type Drafts = Arc<Mutex<Vec<Draft>>>;

/// What `rule(…)` gives, to which the rest is chained.
#[derive(Clone)]
pub(in crate::rules) struct RuleBuilder {
    drafts: Drafts,
    at: usize,
}

impl RuleBuilder {
    pub fn edit(&self, change: impl FnOnce(&mut Draft)) -> Self {
        // A poisoned lock holds drafts that are complete but for the one being written.
        let mut drafts = self.drafts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(draft) = drafts.get_mut(self.at) {
            change(draft);
        }
        drop(drafts);
        self.clone()
    }

    pub fn fault(&self, context: &NativeCallContext<'_>, message: impl Into<String>, hint: &str) -> Self {
        let place = context.call_position().into();
        self.edit(|draft| draft.faults.push((place, message.into(), hint.to_owned())))
    }
}

/// The most arguments that `.on` and `.keyword` take one by one; an array takes more.
const ARGUMENTS: usize = 12;

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<RuleBuilder>("Rule");
    engine.register_fn("rule", rule);
    for count in 1..=ARGUMENTS {
        let mut types = vec![TypeId::of::<Dynamic>(); count + 1];
        types[0] = TypeId::of::<RuleBuilder>();
        engine.register_raw_fn("on", &types, |context, args| texts(&context, args, "on", add_kind));
        engine.register_raw_fn("keyword", &types, |context, args| texts(&context, args, "keyword", add_keyword));
    }
    engine.register_fn("blueprint", |rule: &mut RuleBuilder| rule.edit(|draft| draft.blueprint = true));
    engine.register_fn("param", param);
    timing::register(engine);
    engine.register_fn(
        "when",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, text: Dynamic, closure: Dynamic| {
            let Some(text) = text_of(&text).filter(|_| closure.is_fnptr()) else {
                return rule.fault(&context, "when takes a text and a closure", WHEN_HINT);
            };
            let closure = closure_of(&closure, &context);
            rule.edit(|draft| draft.whens.extend(closure.map(|closure| (text, closure))))
        },
    );
    engine.register_fn("when", |context: NativeCallContext<'_>, rule: &mut RuleBuilder, _: Dynamic| {
        rule.fault(&context, "when takes a text and a closure", WHEN_HINT)
    });
    engine.register_fn("then", |context: NativeCallContext<'_>, rule: &mut RuleBuilder, closure: Dynamic| {
        match closure_of(&closure, &context) {
            Some(closure) => rule.edit(|draft| draft.thens.push(closure)),
            None => rule.fault(&context, "then takes a closure", "write .then(|e| reply(\"…\"))"),
        }
    });
}

const WHEN_HINT: &str =
    "write .when(\"is new\", |e| e.contact.is_new): the text is what the trace says when it is not so";

fn rule(context: NativeCallContext<'_>, name: Dynamic) -> Result<RuleBuilder, ScriptError> {
    let at = context.call_position();
    let drafts = context.tag().and_then(|tag| tag.read_lock::<Drafts>().map(|drafts| Arc::clone(&drafts)));
    let Some(drafts) = drafts else {
        return Err(error("rule(…) belongs at the top of a file, not inside a closure", at));
    };
    let name = text_of(&name).ok_or_else(|| error("rule: its name must be text", at))?;
    if name.trim() != name || name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control)
    {
        return Err(error(
            format!("rule: its name must have 1 to {NAME_CHARS} characters, no line breaks and no blanks around it"),
            at,
        ));
    }
    let mut list = drafts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    list.push(Draft { name, place: at.into(), ..Draft::default() });
    let at = list.len() - 1;
    drop(list);
    Ok(RuleBuilder { drafts, at })
}

/// Takes texts, one by one or in arrays, and gives each to `add`, which may refuse it.
fn texts(
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
    function: &str,
    add: fn(&mut Draft, &str, Place) -> Result<(), String>,
) -> Result<RuleBuilder, ScriptError> {
    let place: Place = context.call_position().into();
    let (rule, words) = args.split_first_mut().ok_or_else(|| error("there is no rule", context.call_position()))?;
    let rule = rule.read_lock::<RuleBuilder>().map(|rule| rule.clone());
    let rule = rule.ok_or_else(|| error(format!("{function} belongs to a rule"), context.call_position()))?;
    let mut flat = Vec::new();
    for word in words {
        match word.as_array_ref() {
            Ok(many) => flat.extend(many.iter().cloned()),
            Err(_) => flat.push((**word).clone()),
        }
    }
    if flat.len() > WORDS_PER_RULE {
        return Ok(rule.fault(
            context,
            format!("{function} takes at most {WORDS_PER_RULE} words"),
            "make two rules of it",
        ));
    }
    for word in flat {
        let refused = match text_of(&word) {
            Some(word) => {
                let mut refused = Ok(());
                rule.edit(|draft| refused = add(draft, &word, place));
                refused
            }
            None => Err(format!("{function} takes texts, and this is a {}", kind_of(&word))),
        };
        if let Err(message) = refused {
            rule.fault(context, message, "");
        }
    }
    Ok(rule)
}

fn add_kind(draft: &mut Draft, kind: &str, place: Place) -> Result<(), String> {
    let kind = EventKind::parse(kind).map_err(|bad| bad.to_string())?;
    if !draft.kinds.iter().any(|(known, _)| *known == kind) {
        draft.kinds.push((kind, place));
    }
    Ok(())
}

fn add_keyword(draft: &mut Draft, word: &str, _: Place) -> Result<(), String> {
    if word.trim().is_empty() || word.chars().count() > NAME_CHARS {
        return Err(format!("a keyword must have 1 to {NAME_CHARS} characters"));
    }
    draft.keywords.push(word.trim().to_owned());
    Ok(())
}

fn param(context: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, default: Dynamic) -> RuleBuilder {
    let Some(name) = text_of(&name).filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS) else {
        return rule.fault(&context, "param takes a name and a default", "write .param(\"hours\", \"9 to 18\")");
    };
    match to_json(&default) {
        Ok(default) => rule.edit(|draft| {
            draft.params.insert(name, default);
        }),
        Err(message) => rule.fault(&context, format!("param '{name}': {message}"), ""),
    }
}

pub(in crate::rules) fn closure_of(value: &Dynamic, context: &NativeCallContext<'_>) -> Option<Closure> {
    let pointer = value.clone().try_cast::<FnPtr>()?;
    Some(Closure {
        function: pointer.fn_name().to_owned(),
        curried: pointer.is_curried(),
        place: context.call_position().into(),
    })
}
