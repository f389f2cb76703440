//! Reading the rules folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rules::limits::Limits;
use crate::rules::load::error::{RuleError, SourcePosition};

/// The ending of rules files.
const ENDING: &str = "rhai";

/// Finds every rules file below `dir`, each by its relative name, in the order of the names.
pub(in crate::rules) fn files(dir: &Path, limits: &Limits, errors: &mut Vec<RuleError>) -> Vec<(String, PathBuf)> {
    let mut search = Search { root: dir, limits, files: Vec::new(), errors };
    search.folder(dir, limits.folder_depth);
    let mut files = search.files;
    files.sort();
    files
}

struct Search<'a> {
    root: &'a Path,
    limits: &'a Limits,
    files: Vec<(String, PathBuf)>,
    errors: &'a mut Vec<RuleError>,
}

impl Search<'_> {
    fn folder(&mut self, dir: &Path, depth: usize) {
        let name = relative(self.root, dir);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                let name = if name.is_empty() { dir.display().to_string() } else { name };
                let message = format!("the folder cannot be read: {error}");
                let error = RuleError::new(&name, SourcePosition::default(), message);
                return self.errors.push(error.hint("make it readable, or point RULES_DIR elsewhere"));
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                match depth.checked_sub(1) {
                    Some(depth) => self.folder(&path, depth),
                    None => self.refuse(&path, format!("folders may be {} deep", self.limits.folder_depth)),
                }
            } else if path.extension().is_some_and(|extension| extension == ENDING) {
                if self.files.len() >= self.limits.files {
                    let most = self.limits.files;
                    return self.refuse(&path, format!("a folder may hold {most} files: this one was not read"));
                }
                self.files.push((relative(self.root, &path), path));
            }
        }
    }

    fn refuse(&mut self, path: &Path, message: String) {
        self.errors.push(RuleError::new(&relative(self.root, path), SourcePosition::default(), message));
    }
}

/// Reads a rules file.
pub(in crate::rules) fn read(name: &str, path: &Path, limits: &Limits) -> Result<String, RuleError> {
    let most = limits.file_bytes;
    let problem = match fs::metadata(path) {
        Err(error) => format!("the file cannot be read: {error}"),
        Ok(about) if about.len() > most => format!("the file has {} bytes, and {most} is the most", about.len()),
        Ok(_) => match fs::read_to_string(path) {
            Ok(source) => return Ok(source),
            Err(error) => format!("the file cannot be read: {error}"),
        },
    };
    Err(RuleError::new(name, SourcePosition::default(), problem))
}

/// Returns the path relative to the root, with `/`.
pub(in crate::rules) fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}
