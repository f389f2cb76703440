//! Reads the repository's source: files, and Rust text split into code and string literals.

use std::fs;
use std::path::{Path, PathBuf};

/// The top folder of the repository.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub struct SourceFile {
    /// Relative to the top folder, for example `src/domain/id.rs`.
    pub path: String,
    pub text: String,
}

/// Returns all text files below `folder` with one of `endings`, ordered by path; empty if there is no such folder.
pub fn files(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(&top().join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| (relative(&path), path))
        .filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)))
        .map(|(name, path)| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} cannot be read: {error}"));
            SourceFile { path: name, text }
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(top()).expect("collected below the top");
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Rust text without comments, with its string literals separate.
pub struct Parted {
    /// The code without comments; each string literal is `""`. Line numbers are unchanged.
    pub code: String,
    /// Each string literal with its first line, counted from one; escapes stay as written.
    pub strings: Vec<(usize, String)>,
}

impl Parted {
    /// Returns the line of a byte offset in `code`, counted from one.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.code[..offset].matches('\n').count()
    }
}

/// Splits Rust text. Handles nested comments, strings, raw strings and characters; expects valid text otherwise.
pub fn part(text: &str) -> Parted {
    let mut parted = Parted { code: String::with_capacity(text.len()), strings: Vec::new() };
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, token) = token(rest, parted.code.chars().next_back());
        match token {
            Token::Code => parted.code.push_str(&rest[..length]),
            Token::Comment => parted.code.extend(rest[..length].chars().filter(|&c| c == '\n')),
            Token::String(content) => {
                parted.strings.push((line, content.to_owned()));
                parted.code.push_str("\"\"");
                parted.code.extend(content.chars().filter(|&c| c == '\n'));
            }
        }
        debug_assert!(length >= first.len_utf8());
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    parted
}

enum Token<'a> {
    Code,
    Comment,
    String(&'a str),
}

/// Returns the length of the token at the start of `rest`, and the token; `before` is the previous character.
fn token(rest: &str, before: Option<char>) -> (usize, Token<'_>) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Token::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment_length(rest), Token::Comment);
    }
    if rest.starts_with('"') {
        let length = quoted_length(rest, b'"');
        return (length, Token::String(&rest[1..(length - 1).max(1)]));
    }
    if rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br\"") || rest.starts_with("br#") {
        let marks = rest[rest.find('r').unwrap_or(0) + 1..].chars().take_while(|&c| c == '#').count();
        let open = rest.find('r').unwrap_or(0) + 1 + marks;
        if !in_word && rest[open..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(marks));
            let close = rest[open + 1..].find(&end).map_or(rest.len(), |at| open + 1 + at);
            return ((close + end.len()).min(rest.len()), Token::String(&rest[open + 1..close]));
        }
    }
    if rest.starts_with("'\\") {
        return (quoted_length(rest, b'\''), Token::Code);
    }
    // A character such as '"', but not a lifetime.
    let mut chars = rest.chars();
    if let (Some('\''), Some(inner), Some('\'')) = (chars.next(), chars.next(), chars.next()) {
        return (2 + inner.len_utf8(), Token::Code);
    }
    (rest.chars().next().map_or(0, char::len_utf8), Token::Code)
}

/// Returns the length of a literal between two `quote`s, both included.
fn quoted_length(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}
