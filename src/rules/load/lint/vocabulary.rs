//! The functions that a rule may call: those of the language, and those of the registry.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::rules::load::builder::METHODS;
use crate::rules::script::engine;
use crate::rules::script::functions::FUNCTIONS;
use crate::rules::script::functions::forbidden::FORBIDDEN;
use crate::rules::script::registry::Function;
use crate::rules::script::tokens::PLACE_CALL;
use crate::rules::script::views::VIEWS;

/// Functions that the language handles without registering them.
const BUILT_IN: &[&str] = &[
    "call",
    "curry",
    "Fn",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "print",
    "debug",
    "type_of",
    "eval",
    "in",
    "contains",
];

/// Every function by name, with the numbers of arguments it takes, the value before the dot counted in.
pub(in crate::rules) struct Vocabulary(HashMap<String, BTreeSet<usize>>);

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::new);

impl Vocabulary {
    /// The vocabulary, which is the same for every folder.
    pub fn get() -> &'static Self {
        &VOCABULARY
    }

    fn new() -> Self {
        let mut names: HashMap<String, BTreeSet<usize>> = HashMap::new();
        let language = engine::language().collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        for (name, arity) in language {
            names.entry(name).or_default().insert(arity);
        }
        for function in functions() {
            names.entry(function.name.to_owned()).or_default().extend(function.arities());
        }
        // The builder refuses a `.when` without its text, with a better hint.
        names.entry("when".to_owned()).or_default().insert(2);
        Self(names)
    }

    /// Returns whether the language, also where it is forbidden, or the registry has a function of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name) || FORBIDDEN.iter().any(|(forbidden, _)| *forbidden == name)
    }

    /// Returns the numbers of arguments that a function takes; `None` if there is no such function.
    pub fn arities(&self, name: &str) -> Option<&BTreeSet<usize>> {
        self.0.get(name)
    }

    /// The names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether the language handles the function by itself, with any number of arguments.
    pub fn is_built_in(name: &str) -> bool {
        BUILT_IN.contains(&name)
    }
}

/// Everything of the registry that can be called.
pub(in crate::rules) fn functions() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().chain(METHODS).copied().chain(VIEWS.iter().flat_map(|view| view.methods.iter().copied()))
}

/// Returns the registry's function of a call: of a method if something stands before the dot.
pub(in crate::rules) fn called(name: &str, is_method: bool) -> Option<&'static Function> {
    let mut named = functions().filter(|function| function.name == name);
    named.find(|function| function.receiver.is_some() == is_method)
}

/// Returns the name that the author wrote for a function's name in the syntax tree.
pub(in crate::rules) fn written_name(name: &str) -> &str {
    if name == PLACE_CALL { "call" } else { name }
}
