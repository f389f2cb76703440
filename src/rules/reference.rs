//! The reference of the rule language, generated from the registry.
//!
//! [`markdown`] is the output of `recado reference`; the manual's page has the same [`sections`]. [`definitions`] is a file for
//! editors that know Rhai, the output of `recado reference --definitions`.

use std::fmt::Write as _;

use strum::VariantArray;

use crate::domain::event_kinds::EVENT_KINDS;
use crate::rules::load::builder::METHODS;
use crate::rules::script::functions::FUNCTIONS;
use crate::rules::script::functions::forbidden::FORBIDDEN;
use crate::rules::script::registry::{Function, Group, Kind, Signature, View};
use crate::rules::script::views::VIEWS;

/// Returns the reference of the rule language as Markdown: one page, whose first line is its heading.
pub fn markdown() -> String {
    let intro = "This page is generated from the program, as is the definition file for editors that `recado reference \
                 --definitions` writes. `recado check` checks names and arguments against the same lists.";
    format!("# Rule reference\n\n{intro}\n{}", sections())
}

/// Returns the sections of [`markdown`] without its heading. The manual's page `reference` in `src/docs` includes them.
pub fn sections() -> String {
    let mut page = Page(String::new());
    page.group(Group::Rule, METHODS);
    page.heading(2, "What `e` has");
    page.paragraph("A field that is missing is `()`: ask first, or write `?.` instead of `.`.");
    for view in VIEWS {
        page.view(view);
    }
    page.heading(2, "Functions");
    for group in Group::VARIANTS.iter().filter(|group| !matches!(group, Group::Rule | Group::View)) {
        page.group(*group, FUNCTIONS);
    }
    page.language();
    page.event_kinds();
    page.0
}

/// Returns the functions as a Rhai definition file, which editors read for completion and help.
pub fn definitions() -> String {
    let mut text = String::from("module static;\n");
    let methods = VIEWS.iter().flat_map(|view| view.methods);
    for function in METHODS.iter().chain(FUNCTIONS).chain(methods) {
        for signature in function.signatures {
            let _ = write!(text, "\n/// {}\n///\n/// ```rhai\n", function.about);
            function.example.lines().for_each(|line| {
                let _ = writeln!(text, "/// {line}");
            });
            let _ = write!(text, "/// ```\nfn {}({})", function.name, typed_parameters(function, signature));
            let _ = writeln!(text, " -> {};", signature.gives.rhai_type());
        }
    }
    for view in VIEWS.iter().filter(|view| view.kind.rhai_type() != "Map") {
        for field in (view.fields)() {
            let _ = write!(text, "\n/// {}\n", field.about);
            let (of, gives) = (view.kind.rhai_type(), field.kind.rhai_type());
            let _ = writeln!(text, "fn get {}(this: {of}) -> {gives};", field.name);
        }
    }
    text
}

struct Page(String);

impl Page {
    // Writing to a string cannot fail.

    fn heading(&mut self, level: usize, title: &str) {
        let _ = write!(self.0, "\n{} {title}\n", "#".repeat(level));
    }

    fn paragraph(&mut self, text: &str) {
        let _ = write!(self.0, "\n{text}\n");
    }

    fn group(&mut self, group: Group, functions: &[&Function]) {
        self.heading(if group == Group::Rule { 2 } else { 3 }, group.title());
        self.paragraph(group.about());
        for function in functions.iter().filter(|function| function.group == group) {
            self.function(function);
        }
    }

    fn function(&mut self, function: &Function) {
        let name = function.name;
        let dot = if function.receiver.is_some() { "." } else { "" };
        self.heading(if function.group == Group::Rule { 3 } else { 4 }, &format!("`{dot}{name}`"));
        let _ = write!(self.0, "\n{}\n\n", function.about);
        for signature in function.signatures {
            let _ = writeln!(self.0, "- `{dot}{name}({})`", parameters(signature));
        }
        let _ = match function.example.starts_with("rule(") {
            true => write!(self.0, "\n```rhai\n{}\n```\n", function.example),
            false => write!(self.0, "\nExample: ``{}``\n", function.example),
        };
    }

    fn view(&mut self, view: &View) {
        let paths: Vec<String> = view.paths.iter().map(|path| path_of(path)).collect();
        let title = if view.paths.is_empty() { "`e.question`".to_owned() } else { paths.join(", ") };
        self.heading(3, &title);
        self.paragraph(view.about);
        self.table(["Field", "Type", "Meaning"]);
        for field in (view.fields)() {
            self.row([&format!("`{}`", field.name), field.kind.label(), field.about]);
        }
        for method in view.methods {
            self.function(method);
        }
    }

    fn language(&mut self) {
        self.heading(3, "Of the language");
        self.paragraph(
            "The language's own functions for text, numbers, arrays and maps can be used, such as `len`, `trim`, `split`, \
             `filter`, `map`, `some` and `contains`: see <https://rhai.rs/book>. These are not available in rules:",
        );
        self.table(["Function", "Instead"]);
        for (name, instead) in FORBIDDEN {
            self.row([&format!("`{name}`"), instead]);
        }
    }

    fn event_kinds(&mut self) {
        self.heading(2, "Event kinds");
        self.paragraph(
            "Rules listen to these kinds with `.on(…)`. A rule can make kinds of its own with `emit(…)`, and a program with \
             the API. The data is `e.data`; a field may be absent.",
        );
        for info in EVENT_KINDS {
            self.heading(3, &format!("`{}`", info.kind));
            self.paragraph(info.about);
            if !info.data.is_empty() {
                self.table(["Data", "Meaning"]);
            }
            for (name, about) in info.data {
                self.row([&format!("`{name}`"), about]);
            }
        }
    }

    fn table<const N: usize>(&mut self, titles: [&str; N]) {
        let _ = writeln!(self.0);
        self.row(titles);
        self.row(["---"; N]);
    }

    fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }
}

fn path_of(path: &str) -> String {
    if path.is_empty() { "`e`".to_owned() } else { format!("`e.{path}`") }
}

/// The parameters with their types for people.
fn parameters(signature: &Signature) -> String {
    let parameter = |(name, kind): &(&str, Kind)| format!("{name}: {}", kind.label());
    let more = if signature.repeats > 1 { ", …" } else { "" };
    signature.parameters.iter().map(parameter).collect::<Vec<_>>().join(", ") + more
}

/// The parameters with their types for editors, the value before the dot first.
fn typed_parameters(function: &Function, signature: &Signature) -> String {
    let receiver = function.receiver.map(|kind| format!("this: {}", kind.rhai_type()));
    let parameter = |(name, kind): &(&str, Kind)| format!("{}: {}", name.replace(' ', "_"), kind.rhai_type());
    receiver.into_iter().chain(signature.parameters.iter().map(parameter)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_everything_of_the_registry() {
        let page = markdown();
        assert!(page.starts_with("# Rule reference\n"));
        let methods = VIEWS.iter().flat_map(|view| view.methods);
        for function in METHODS.iter().chain(FUNCTIONS).chain(methods) {
            let in_block = page.matches(&format!("```rhai\n{}\n```", function.example)).count();
            let in_line = page.matches(&format!("``{}``\n", function.example)).count();
            assert_eq!(in_block + in_line, 1, "{}", function.name);
        }
        for info in EVENT_KINDS {
            assert!(page.contains(&format!("### `{}`\n", info.kind)), "{}", info.kind);
        }
        assert!(page.contains("| `first_name` | text |"));
    }

    #[test]
    fn the_definitions_have_every_signature() {
        let text = definitions();
        assert!(text.starts_with("module static;\n"));
        assert!(text.contains("fn reply(text: String) -> PlannedAction;"), "{text}");
        assert!(text.contains("fn in(this: PlannedAction, span: String) -> PlannedAction;"));
        assert!(text.contains("fn get first_name(this: ContactView) -> String;"));
    }
}
