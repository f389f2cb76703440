//! Configuration errors. Their texts say what to do.

use std::fmt;

use super::sources::Source;

/// All errors, one per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `value` is masked already if the key is secret.
    #[error("{name} in {found_in}: '{value}' does not do; expected {expected}")]
    Wrong { name: &'static str, found_in: Source, value: String, expected: &'static str },
    #[error("{name} is set to different values in {first} and in {second}: remove one")]
    TwoValues { name: &'static str, first: Source, second: Source },
    #[error("recado.toml line {line}: there is no key '{key}'{}; `recado config` lists them all", did_you_mean(.suggestion.as_deref()))]
    UnknownKey { key: String, line: usize, suggestion: Option<String> },
    #[error("recado.toml line {line}: {key} holds {found}; write a text, a whole number, or true or false")]
    WrongType { key: String, line: usize, found: &'static str },
    #[error("{file}{} cannot be read: {reason}", at_line(*.line))]
    Unreadable { file: &'static str, line: Option<usize>, reason: String },
    /// Values that contradict each other.
    #[error("{0}")]
    Together(String),
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration has to be corrected:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!(", did you mean '{key}'?")).unwrap_or_default()
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}
