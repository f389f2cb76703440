//! Rules for imports: modules only from above, siblings never from each other, no long cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::{assert_none, modules_in_order, rust_files_in};
use crate::support::source;

/// Folders whose children are siblings that never import each other.
const SIBLINGS: [&str; 2] = ["features", "http"];
/// Children that their siblings may use: the JSON of each noun.
const SHARED: [&str; 1] = ["views"];
/// The child of `http` that lists the routes of its siblings.
const LISTING: &str = "router";
/// The longest import cycle, in files.
const CYCLE_FILES_MAX: usize = 6;

#[test]
fn modules_import_only_modules_above_them() {
    let order = modules_in_order();
    assert!(!order.is_empty(), "src/lib.rs names its modules as `pub mod name;`");
    let place = |module: &str| order.iter().position(|name| name == module);
    let mut faults = Vec::new();
    for (file, parted) in rust_files_in("src").into_iter().chain(rust_files_in("migrations")) {
        let Some(here) = place(&module_path(&file.path)[0]) else { continue };
        for (at, path) in crate_paths(&parted.code) {
            if place(&path[0]).is_some_and(|there| there > here) {
                let line = parted.line(at);
                faults.push(format!(
                    "{}:{line} uses {}, which src/lib.rs lists below {}",
                    file.path, path[0], order[here]
                ));
            }
        }
    }
    assert_none("a module imports only modules listed above it in src/lib.rs", faults);
}

#[test]
fn siblings_never_import_each_other() {
    let mut faults = Vec::new();
    for family in SIBLINGS {
        let files = rust_files_in(&format!("src/{family}"));
        let children: BTreeSet<_> =
            files.iter().filter_map(|(file, _)| module_path(&file.path).get(1).cloned()).collect();
        assert!(
            children.len() > 1,
            "src/{family} has children: a rule about a folder that is not there guards nothing"
        );
        for (file, parted) in &files {
            let here = module_path(&file.path);
            // The family's own mod.rs and its list of routes name its children.
            let Some(child) = here.get(1).filter(|child| *child != LISTING) else { continue };
            let named = crate_paths(&parted.code).into_iter().chain(relative_paths(&parted.code, &here));
            for (at, path) in named {
                if path[0] == family
                    && path.get(1).is_some_and(|other| {
                        other != child && children.contains(other) && !SHARED.contains(&other.as_str())
                    })
                {
                    faults.push(format!("{}:{} uses {}", file.path, parted.line(at), path.join("::")));
                }
            }
        }
    }
    assert_none("siblings in features and in http meet through events, or share what stands above them", faults);
}

/// A cycle is a set of files each of which reaches each other by imports. An import is a path that begins with `crate::`,
/// `super::` or `self::`, in a `use` or in an expression; it leads to the file of the longest module path that it begins with, so
/// that a re-export leads to the file that re-exports. `mod` lines are no imports, paths in tests inside a file are.
#[test]
fn no_import_cycle_is_long() {
    let imports = imports_of_files();
    assert!(imports.len() > 100, "the files of src are read");
    let long = cycles(&imports).into_iter().filter(|cycle| cycle.len() > CYCLE_FILES_MAX);
    assert_none(
        &format!(
            "an import cycle has at most {CYCLE_FILES_MAX} files: import from the file that defines, or move what is shared up"
        ),
        long.map(|cycle| {
            let names: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
            format!("{} files: {}", names.len(), names.join(", "))
        }),
    );
}

type Module = Vec<String>;

/// The modules that each file of src imports from, by its own module.
fn imports_of_files() -> BTreeMap<Module, BTreeSet<Module>> {
    let files = rust_files_in("src");
    let modules: BTreeSet<Module> = files.iter().map(|(file, _)| module_path(&file.path)).collect();
    let mut imports = BTreeMap::new();
    for (file, parted) in &files {
        let here = module_path(&file.path);
        let named = crate_paths(&parted.code).into_iter().chain(relative_paths(&parted.code, &here));
        let targets = named.filter_map(|(_, path)| {
            let lengths = (1..=path.len()).rev();
            lengths.map(|length| &path[..length]).find(|module| modules.contains(*module)).map(<[String]>::to_vec)
        });
        imports.insert(here.clone(), targets.filter(|module| *module != here).collect());
    }
    imports
}

/// The strongly connected components of more than one module (Kosaraju: by a first walk in order of leaving, then against
/// the arrows).
fn cycles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let none = BTreeSet::new();
    let mut against: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for (module, targets) in imports {
        for target in targets {
            against.entry(target).or_default().insert(module);
        }
    }
    let mut left = Vec::new();
    let mut seen = BTreeSet::new();
    for start in imports.keys() {
        let mut walk = vec![(start, false)];
        while let Some((module, done)) = walk.pop() {
            if done {
                left.push(module);
            } else if seen.insert(module) {
                walk.push((module, true));
                walk.extend(imports.get(module).unwrap_or(&none).iter().map(|target| (target, false)));
            }
        }
    }
    let mut cycles = Vec::new();
    let mut taken = BTreeSet::new();
    for start in left.into_iter().rev() {
        let (mut cycle, mut walk) = (Vec::new(), vec![start]);
        while let Some(module) = walk.pop() {
            if taken.insert(module) {
                cycle.push(module.clone());
                walk.extend(against.get(module).into_iter().flatten());
            }
        }
        if cycle.len() > 1 {
            cycles.push(cycle);
        }
    }
    cycles
}

/// Returns a file's module path: `src/http/sms/webhook.rs` is `[http, sms, webhook]`, a `mod.rs` is its folder.
pub(super) fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Each path that code names from the crate's root, with its offset: `crate::{a::b, c}` are `[a, b]` and `[c]`.
fn crate_paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let starts = code
        .match_indices("crate::")
        .filter(|&(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'));
    starts.flat_map(|(at, word)| expand(&code[at + word.len()..]).into_iter().map(move |path| (at, path))).collect()
}

/// The same for paths that begin with `super::` or `self::`, in a file that stands `here`. Inside `mod tests { … }` one
/// `super` is the file itself.
fn relative_paths(code: &str, here: &[String]) -> Vec<(usize, Vec<String>)> {
    let inner = inline_modules(code);
    let mut paths = Vec::new();
    let starts = code.match_indices("super::").chain(code.match_indices("self::"));
    for (at, _) in starts.filter(|&(at, _)| begins_a_path(&code[..at])) {
        let mut rest = code[at..].strip_prefix("self::").unwrap_or(&code[at..]);
        let depth = inner.iter().filter(|range| range.contains(&at)).count();
        let mut base: Vec<_> = here.iter().cloned().chain(std::iter::repeat_n(String::new(), depth)).collect();
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            base.pop();
        }
        // Names of an inline module belong to the file.
        base.retain(|part| !part.is_empty());
        let found = expand(rest).into_iter().map(|path| base.iter().cloned().chain(path).collect());
        paths.extend(found.filter(|path: &Vec<String>| !path.is_empty()).map(|path| (at, path)));
    }
    paths
}

/// Whether a path may begin behind this code: not in the middle of one, nor of a name.
fn begins_a_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$'))
}

/// Returns the places of the bodies of `mod name { … }`.
fn inline_modules(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for (at, word) in code.match_indices("mod ") {
        let after = &code[at + word.len()..];
        let name = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
        if !begins_a_path(&code[..at]) || !after[name..].trim_start().starts_with('{') {
            continue;
        }
        let open = at + word.len() + name + after[name..].find('{').unwrap_or_default();
        let mut depth = 0_usize;
        let close = code[open..].char_indices().find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        found.push(open..open + close.map_or(code.len() - open, |(end, _)| end));
    }
    found
}

/// The paths that a use tree names: `a::{b, c::d}` are `[a, b]` and `[a, c, d]`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim_start();
    if let Some(inner) = tree.strip_prefix('{') {
        return split_group(inner).into_iter().flat_map(expand).collect();
    }
    let end = tree.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    if name.is_empty() {
        return Vec::new();
    }
    let below = rest.strip_prefix("::").map(expand).unwrap_or_default();
    if below.is_empty() {
        return vec![vec![name.to_owned()]];
    }
    below.into_iter().map(|path| [name.to_owned()].into_iter().chain(path).collect()).collect()
}

/// The members of a group, up to its closing brace.
fn split_group(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&inner[start..at]);
                return members;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

/// The readers above, tried on what they must not miss.
#[test]
fn the_readers_see_what_they_should() {
    let parted = source::part(
        "let a = 'x'; // crate::one\nlet b: &'a str = \"SELECT \\\" 1\"; /* /* */ todo!() */ r#\"two\"#; '\"'; c",
    );
    assert_eq!(parted.code, "let a = 'x'; \nlet b: &'a str = \"\";  \"\"; '\"'; c");
    assert_eq!(parted.strings, [(2, "SELECT \\\" 1".to_owned()), (2, "two".to_owned())]);

    let named = |code| crate_paths(code).into_iter().map(|(_, path)| path.join("::")).collect::<Vec<_>>();
    assert_eq!(named("use crate::{a::{b, c::*}, d as e};\ncrate::f::g(my_crate::h)"), ["a::b", "a::c", "d", "f::g"]);
    let here = module_path("src/http/sms/webhook.rs");
    let above = relative_paths("use super::super::whatsapp::Form; super::parse()", &here);
    let above: Vec<_> = above.into_iter().map(|(_, path)| path.join("::")).collect();
    assert_eq!(above, ["http::whatsapp::Form", "http::sms::parse"]);
    let own = relative_paths("mod tests { use super::parse; } use self::deep::x; fn f() { super::g() }", &here);
    let own: BTreeSet<_> = own.into_iter().map(|(_, path)| path.join("::")).collect();
    assert_eq!(
        own.into_iter().collect::<Vec<_>>(),
        ["http::sms::g", "http::sms::webhook::deep::x", "http::sms::webhook::parse"]
    );
    assert_eq!(module_path("src/http/webhooks/mod.rs"), ["http", "webhooks"]);
}

#[test]
fn cycles_are_found() {
    let module = |name: &str| vec![name.to_owned()];
    let arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d"), ("f", "a")];
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, to) in arrows {
        imports.entry(module(from)).or_default().insert(module(to));
    }
    let mut found: Vec<_> = cycles(&imports)
        .into_iter()
        .map(|cycle| cycle.concat())
        .map(|mut names| {
            names.sort();
            names.concat()
        })
        .collect();
    found.sort();
    assert_eq!(found, ["abc", "de"]);
}
