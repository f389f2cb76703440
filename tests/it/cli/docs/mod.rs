//! The manual: its links, its commands, its rules, and its examples, run as a reader would run them.

mod blocks;
mod run;

use std::collections::BTreeSet;
use std::fs;

use clap::error::ErrorKind;
use recado::cli::commands;
use recado::docs;
use recado::rules::{Limits, RuleSet, Severity};

use self::blocks::Page;
use self::run::Reader;
use super::alone;
use crate::support::source::top;

const README: &str = "README.md";
/// Stands for the id of anything.
const ID: &str = "0199a1b2-0000-7000-8000-000000000001";
/// Files of `src/docs` that are no topic.
const NO_TOPIC: [&str; 1] = ["links.md"];

fn readme() -> Page {
    blocks::parse(README, &fs::read_to_string(top().join(README)).expect("there is a README"))
}

/// Every topic, and the README.
fn pages() -> Vec<Page> {
    docs::topics().map(|topic| blocks::parse(topic.name, &topic.markdown())).chain([readme()]).collect()
}

fn page(name: &str) -> Page {
    pages().into_iter().find(|page| page.name == name).unwrap_or_else(|| panic!("there is no topic {name}"))
}

#[track_caller]
fn assert_none(rule: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn each_file_is_a_topic_and_the_readme_links_to_each() {
    let files = fs::read_dir(top().join("src/docs")).expect("there is src/docs").flatten();
    let files = files.map(|file| file.file_name().to_string_lossy().into_owned()).filter(|name| name.ends_with(".md"));
    let files: BTreeSet<String> = files.filter(|name| !NO_TOPIC.contains(&name.as_str())).collect();
    let topics: BTreeSet<String> = docs::topics().map(|topic| format!("{}.md", topic.name)).collect();
    assert_eq!(files, topics);
    let linked: BTreeSet<String> = readme().links.into_iter().collect();
    let unlinked = topics.iter().map(|name| format!("src/docs/{name}")).filter(|path| !linked.contains(path));
    assert_none("README.md does not link to these", unlinked.collect());

    let rustdoc = fs::read_to_string(top().join("src/docs/mod.rs")).expect("there is a module");
    let links = fs::read_to_string(top().join("src/docs/links.md")).expect("there are links");
    let missing = docs::topics().flat_map(|topic| {
        let module = topic.name.replace('-', "_");
        let shown = format!(
            "pub mod {module} {{\n    #![doc = include_str!(\"links.md\")]\n    #![doc = include_str!(\"{}.md\")]",
            topic.name
        );
        let link = format!("[{}]: super::{module}\n", topic.name);
        [(&rustdoc, shown), (&links, link)].into_iter().filter(|(text, wanted)| !text.contains(wanted.as_str()))
    });
    assert_none("rustdoc does not have these", missing.map(|(_, wanted)| wanted).collect());
}

#[test]
fn each_topic_begins_with_its_title() {
    for topic in docs::topics() {
        assert!(topic.markdown().starts_with(&format!("# {}\n\n", topic.title)), "{}", topic.name);
        assert!(topic.summary.ends_with('.') && topic.summary.len() <= 90, "{}", topic.name);
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    for page in pages() {
        faults.extend(page.broken.iter().map(|name| format!("{}: [{name}] is not defined", page.name)));
        if page.has_html {
            faults.push(format!("{}: there is HTML in it", page.name));
        }
        for link in page.links.iter().filter(|link| !link.starts_with("https://") && !link.starts_with("http://127.")) {
            let good = if page.name == README {
                top().join(link).exists()
            } else {
                link.strip_suffix(".md").is_some_and(|name| docs::topic(name).is_some())
            };
            if !good {
                faults.push(format!("{}: {link} leads nowhere", page.name));
            }
        }
    }
    assert_none("mend these links", faults);
}

#[test]
fn every_command_is_one_that_there_is() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for page in pages() {
        for command in page.commands() {
            count += 1;
            let words = command.iter().map(|word| concrete(word));
            if let Err(error) = commands::definition().try_get_matches_from(words)
                && matches!(
                    error.kind(),
                    ErrorKind::UnknownArgument
                        | ErrorKind::InvalidSubcommand
                        | ErrorKind::ValueValidation
                        | ErrorKind::ArgumentConflict
                )
            {
                faults.push(format!("{}: {}: {error}", page.name, command.join(" ")));
            }
        }
    }
    assert!(count > 100, "{count}");
    assert_none("these commands are wrong", faults);
}

/// A word with something in the place of what is left out.
fn concrete(word: &str) -> String {
    match word {
        "ID" | "0199…" => ID.to_owned(),
        "SLUG" | "{slug}" => "demo".to_owned(),
        "AC…" => format!("AC{:032x}", 1),
        word => word.trim_end_matches('…').to_owned(),
    }
}

/// Those that name a file are checked where their page is read.
#[test]
fn every_rule_compiles() {
    let mut count = 0;
    for page in pages() {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let rules = page.blocks.iter().filter(|block| block.language == "rhai" && block.file().is_none());
        for (at, block) in rules.enumerate() {
            fs::write(folder.path().join(format!("block{at}.rhai")), &block.text).expect("a file can be written");
            count += 1;
        }
        let errors = RuleSet::load(folder.path(), Limits::default()).1;
        let errors = errors.into_iter().filter(|error| error.severity == Severity::Error);
        assert_none(&page.name, errors.map(|error| error.to_string()).collect());
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn every_json_block_is_json() {
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.language == "json" && !block.example) {
            let read = serde_json::from_str::<serde_json::Value>(&block.text);
            assert!(read.is_ok(), "{}: {read:?}\n{}", page.name, block.text);
        }
    }
}

#[tokio::test]
async fn start_and_the_first_rule_work_in_an_empty_folder() {
    let mut reader = Reader::in_an_empty_folder().await;
    reader.read(&page("start")).await;
    reader.read(&page("first-rule")).await;
    assert!(reader.scripts() >= 8, "{}", reader.scripts());
}

#[tokio::test]
async fn the_readme_works_in_an_empty_folder() {
    let mut page = readme();
    page.blocks.retain(|block| !block.text.starts_with("tests/run.sh"));
    let mut reader = Reader::in_an_empty_folder().await;
    reader.read(&page).await;
    assert!(reader.scripts() >= 3, "{}", reader.scripts());
}

/// Reads some topics, each in a folder of its own.
async fn works(names: &[&str]) {
    for name in names {
        Reader::with_the_rules().await.read(&page(name)).await;
    }
}

#[tokio::test]
async fn the_topics_about_rules_work() {
    works(&["phone", "rules", "questions", "timers", "requests", "email", "forecast"]).await;
}

#[tokio::test]
async fn the_topics_about_customers_work() {
    works(&["appointments", "reminders", "campaigns", "hours"]).await;
}

#[tokio::test]
async fn the_topics_about_calls_work() {
    works(&["calls", "voice-agents", "outbound-calls", "numbers"]).await;
}

#[tokio::test]
async fn the_topics_about_operation_work() {
    works(&["going-live", "tenants", "providers", "backup", "api"]).await;
}

/// A topic with commands is among those that are tried above.
#[test]
fn no_topic_is_left_untried() {
    let source = include_str!("mod.rs");
    let runnable = pages().into_iter().filter(|page| page.blocks.iter().any(|block| block.is_run()));
    let untried = runnable.filter(|page| page.name != README && !source.contains(&format!("\"{}\"", page.name)));
    assert_none("try these", untried.map(|page| page.name).collect());
}

#[test]
fn the_program_shows_the_manual() {
    let contents = alone(&[], &["docs"]).ok();
    for topic in docs::topics() {
        assert!(contents.contains(topic.name) && contents.contains(topic.summary), "{}", topic.name);
        assert_eq!(alone(&[], &["docs", topic.name]).ok().trim_end(), topic.markdown().trim_end());
    }
    alone(&[], &["docs", "nothing"]).fails(1, &["there is no topic 'nothing'"]);
}
