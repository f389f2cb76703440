//! Pages that are made of what the program knows.

use crate::config::{self, Setting};
use crate::rules::reference;

/// The settings, each with its default and its meaning, as `recado.default.toml` has them.
pub(super) fn configuration() -> String {
    let sections: String = config::settings().iter().map(section).collect();
    include_str!("configuration.md").to_owned() + sections.as_str()
}

fn section(setting: &Setting) -> String {
    let Setting { name, default, doc } = setting;
    let default = default.map_or_else(|| "Not set by default.".to_owned(), |value| format!("Default: `{value}`."));
    format!("\n## `{name}`\n\n{default}\n\n{doc}\n")
}

/// The rule reference: an introduction, and the sections that the rules' registry gives.
pub(super) fn reference() -> String {
    include_str!("reference.md").to_owned() + reference::sections().as_str()
}
