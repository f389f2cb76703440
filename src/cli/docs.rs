//! `recado docs`: the manual.

use super::{CliError, Outcome, print};
use crate::docs::{self, PARTS};

/// Show the manual: its topics, or one of them
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado docs\n  recado docs first-rule\n\nA running server shows the same at /docs/."
)]
pub struct Args {
    /// The topic's name
    topic: Option<String>,
}

pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let text = match &args.topic {
        None => contents(),
        Some(name) => match docs::topic(name) {
            Some(topic) => topic.markdown(),
            None => return Err(CliError::Refused(format!("there is no topic '{name}': 'recado docs' lists them"))),
        },
    };
    print(text.trim_end())?;
    Ok(Outcome::Done)
}

/// The names of all topics, each with what it is about.
fn contents() -> String {
    let width = docs::topics().map(|topic| topic.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for part in PARTS {
        text += &format!("{}\n", part.title);
        for topic in part.topics {
            text += &format!("  {:width$}  {}\n", topic.name, topic.summary);
        }
        text += "\n";
    }
    text + "Show one: recado docs first-rule"
}
