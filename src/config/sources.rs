//! The sources of values, and the reader that merges them.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::mem::discriminant;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use toml::de::{DeTable, DeValue};

use super::keys::{self, DEFAULTS, KEYS, Key};
use super::{ConfigError, Explained};

const DOT_ENV: &str = ".env";
const FILE: &str = "recado.toml";

/// The source of a value. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Environment,
    DotEnv {
        line: usize,
    },
    File {
        line: usize,
    },
    Default,
    /// Not set, but derived from the named key.
    From(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::DotEnv { line } => write!(f, ".env line {line}"),
            Self::File { line } => write!(f, "recado.toml line {line}"),
            Self::Default => f.write_str("the defaults"),
            Self::From(what) => write!(f, "from {what}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value in one source.
struct SourceValue {
    key: &'static Key,
    /// The source uses the key's alias.
    alias: bool,
    value: String,
    source: Source,
}

impl SourceValue {
    fn new(key: &'static Key, written: &str, value: impl Into<String>, source: Source) -> Self {
        Self { key, alias: !key.name.eq_ignore_ascii_case(written), value: value.into(), source }
    }

    /// True if both values are set with equal strength, or under different names, so that a person must choose.
    fn contradicts(&self, other: &Self) -> bool {
        let one_level = discriminant(&self.source) == discriminant(&other.source);
        self.value != other.value && (one_level || self.alias != other.alias)
    }
}

/// All sources, merged.
pub struct Reader {
    /// The effective value of each key that is set.
    in_force: Vec<SourceValue>,
    pub errors: Vec<ConfigError>,
    pub warnings: Vec<String>,
}

impl Reader {
    /// Reads every source. Faults are left in `errors` and `warnings`.
    pub fn open(dir: &Path, environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut reader = Self { in_force: Vec::new(), errors: Vec::new(), warnings: Vec::new() };
        // Sources from strongest to weakest.
        let mut entries: Vec<SourceValue> = environment
            .filter_map(|(name, value)| {
                Some(SourceValue::new(in_environment(&name)?, &name, value, Source::Environment))
            })
            .collect();
        if let Some(text) = reader.file(dir, DOT_ENV) {
            entries.extend(reader.dot_env(&text));
        }
        if let Some(text) = reader.file(dir, FILE) {
            entries.extend(reader.toml(&text, |line| Source::File { line }));
        }
        entries.extend(reader.toml(DEFAULTS, |_| Source::Default));
        reader.lay(entries);
        reader
    }

    /// Reads an optional key. `None` also stands for a wrong value, which is then among the errors.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let SourceValue { key, value, source, .. } = self.entry(name)?;
        let parsed = parse(value);
        if parsed.is_none() {
            let wrong = ConfigError::Wrong { name, found_in: *source, value: key.show_wrong(value), expected };
            self.errors.push(wrong);
        }
        parsed
    }

    /// True if some source sets the key.
    pub fn is_set(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Adds an error about values that contradict each other.
    pub fn refuse(&mut self, reason: String) {
        self.errors.push(ConfigError::Together(reason));
    }

    /// Every key. `derived` lists values that a key without one takes from another key.
    pub fn explained(&self, derived: &[(&str, Option<&str>, &'static str)]) -> Vec<Explained> {
        let explain = |key: &Key| {
            let (value, source) = match (self.entry(key.name), derived.iter().find(|(name, ..)| *name == key.name)) {
                (Some(entry), _) => (Some(entry.value.as_str()), entry.source),
                (None, Some((_, value, from))) => (*value, Source::From(from)),
                (None, None) => (None, Source::Default),
            };
            Explained { name: key.name, value: value.map(|value| key.show(value)), source, doc: key.doc() }
        };
        KEYS.iter().map(explain).collect()
    }

    fn entry(&self, name: &str) -> Option<&SourceValue> {
        self.in_force.iter().find(|entry| entry.key.name == name)
    }

    /// Keeps the first value of each key, which is from the strongest source. An empty value counts as not set.
    fn lay(&mut self, entries: Vec<SourceValue>) {
        for mut entry in entries {
            entry.value = entry.value.trim().to_owned();
            if entry.value.is_empty() {
                continue;
            }
            match self.entry(entry.key.name) {
                None => self.in_force.push(entry),
                Some(first) if first.contradicts(&entry) => {
                    let error =
                        ConfigError::TwoValues { name: entry.key.name, first: first.source, second: entry.source };
                    self.errors.push(error);
                }
                Some(_) => {}
            }
        }
    }

    /// Reads a file; `None` if it does not exist.
    fn file(&mut self, dir: &Path, name: &'static str) -> Option<String> {
        match std::fs::read_to_string(dir.join(name)) {
            Ok(text) => Some(text.trim_start_matches('\u{feff}').to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.errors.push(ConfigError::Unreadable { file: name, line: None, reason: error.to_string() });
                None
            }
        }
    }

    fn dot_env(&mut self, text: &str) -> Vec<SourceValue> {
        let mut entries = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for pair in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = match pair {
                Ok(pair) => pair,
                Err(error) => {
                    self.errors.push(unreadable_dot_env(text, &error));
                    continue;
                }
            };
            let nth = seen.entry(name.clone()).or_default();
            let line = line_of_assignment(text, &name, *nth);
            *nth += 1;
            if let Some(key) = in_environment(&name) {
                entries.push(SourceValue::new(key, &name, value, Source::DotEnv { line }));
            } else if let Some(near) = keys::nearest(&name) {
                // Other programs may use the same file, so this is no error.
                self.warnings.push(format!(".env line {line}: {name} is not used; did you mean {near}?"));
            }
        }
        entries
    }

    fn toml(&mut self, text: &str, source: impl Fn(usize) -> Source) -> Vec<SourceValue> {
        let line_at = |offset: usize| text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                // The error's full text quotes the line, which may hold a secret, so only the message is shown.
                let line = error.span().map(|span| line_at(span.start));
                self.errors.push(ConfigError::Unreadable { file: FILE, line, reason: error.message().to_owned() });
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for (name, value) in table {
            let line = line_at(name.span().start);
            let name = name.into_inner().into_owned();
            let Some(key) = keys::find(&name).filter(|_| name == name.to_ascii_lowercase()) else {
                let suggestion = keys::nearest(&name).map(str::to_ascii_lowercase);
                self.errors.push(ConfigError::UnknownKey { key: name, line, suggestion });
                continue;
            };
            let value = match value.into_inner() {
                DeValue::String(text) => text.into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(truth) => truth.to_string(),
                other => {
                    self.errors.push(ConfigError::WrongType { key: name, line, found: other.type_str() });
                    continue;
                }
            };
            entries.push(SourceValue::new(key, &name, value, source(line)));
        }
        entries
    }
}

/// The variables of the environment and of `.env`, for files that refer to them by name. The environment wins.
pub struct Variables(HashMap<String, SecretString>);

impl Variables {
    /// Reads the variables. [`super::Config::load`] has reported faults in `.env`.
    pub fn read(dir: &Path, environment: impl Iterator<Item = (String, String)>) -> Self {
        let text = std::fs::read_to_string(dir.join(DOT_ENV)).unwrap_or_default();
        let dot_env = dotenvy::from_read_iter(text.trim_start_matches('\u{feff}').as_bytes()).flatten();
        Self(dot_env.chain(environment).map(|(name, value)| (name, value.into())).collect())
    }

    /// The value of a variable. An empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<SecretString> {
        self.0.get(name).filter(|value| !value.expose_secret().trim().is_empty()).cloned()
    }
}

/// The key with this name, in upper case as in an environment.
fn in_environment(name: &str) -> Option<&'static Key> {
    keys::find(name).filter(|_| name == name.to_ascii_uppercase())
}

/// The line of the `nth` assignment of `name`, from 0. `dotenvy` does not report it.
fn line_of_assignment(text: &str, name: &str, nth: usize) -> usize {
    let assigns = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().enumerate().filter(|(_, line)| assigns(line)).nth(nth).map_or(0, |(index, _)| index + 1)
}

/// Names the line without quoting it, because it may hold a secret.
fn unreadable_dot_env(text: &str, error: &dotenvy::Error) -> ConfigError {
    let line = match error {
        dotenvy::Error::LineParse(line, _) => {
            text.find(line.as_str()).map(|offset| text[..offset].matches('\n').count() + 1)
        }
        _ => None,
    };
    let reason = "write NAME=value; a value with blanks, quotes, # or $ goes in single quotes: NAME='value'".to_owned();
    ConfigError::Unreadable { file: DOT_ENV, line, reason }
}
