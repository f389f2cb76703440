//! E-mail templates: `templates/<name>.txt` in the rules folder, and optionally `<name>.html` beside it.
//!
//! ```text
//! Subject: Your visit on {{day}}
//!
//! Hello {{name}}, we expect you on {{day}}.
//! ```
//! The first line of the `.txt` is the subject, the rest the text; the `.html` has the HTML. For one tenant,
//! `templates/<slug>/<name>.txt` replaces the general template. `{{name}}` is a value from the rule. Values in HTML are
//! escaped, and are allowed only where escaping works: between tags, or in a quoted attribute. A value at the start of
//! a link attribute must be a link to the web, a mailbox or a telephone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{BODY_BYTES, SUBJECT_CHARS};
use crate::domain::placeholders;
use crate::domain::placeholders::{Escaping, Segment, Unclosed};

/// The folder of the templates, below the rules folder.
pub const FOLDER: &str = "templates";
/// Limit of templates, including those of tenants.
pub const TEMPLATES_MAX: usize = 2_000;
/// Limit of the name of a template or a value, in characters.
pub const NAME_CHARS: usize = 80;
/// Limit of values in one template.
const VALUES_MAX: usize = 200;

const SUBJECT: &str = "Subject:";
/// Elements whose content is not HTML.
const RAW_ELEMENTS: [&str; 2] = ["script", "style"];
const LINK_ATTRIBUTES: [&str; 7] = ["href", "src", "action", "formaction", "background", "cite", "data"];
/// Allowed beginnings of a link.
const LINKS: [&str; 4] = ["https://", "http://", "mailto:", "tel:"];

/// A template's values by name.
pub type Values = BTreeMap<String, String>;

/// All templates of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(BTreeMap<String, ByTenant>);

/// By the tenant's slug; the general template has an empty one.
type ByTenant = BTreeMap<String, Template>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    subject: Vec<Piece>,
    text: Vec<Piece>,
    html: Option<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(String),
    /// A value at the start of a link attribute.
    Link(String),
}

/// A template with its values filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
}

/// A mistake in a template, which is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TemplateFault {
    /// Relative to the rules folder.
    pub file: String,
    /// From 1; 0 if no line is to blame.
    pub line: usize,
    pub message: String,
}

impl Templates {
    /// Reads the templates below `rules`; without the folder there are none. Calls `seen` with each file's name and
    /// text, in the order of the names.
    pub fn load(rules: &Path, mut seen: impl FnMut(&str, &str)) -> (Self, Vec<TemplateFault>) {
        let (mut templates, mut faults) = (Self::default(), Vec::new());
        let mut files = Vec::new();
        list(&rules.join(FOLDER), FOLDER, true, &mut files, &mut faults);
        files.sort();
        let mut texts = BTreeMap::new();
        for file in files {
            match read(&rules.join(&file)) {
                Ok(text) => {
                    seen(&file, &text);
                    texts.insert(file, text);
                }
                Err(message) => faults.push(TemplateFault { file, line: 0, message }),
            }
        }
        for (file, text) in &texts {
            let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
            if ending == "html" {
                if !texts.contains_key(&format!("{stem}.txt")) {
                    let message = format!(
                        "there is no {stem}.txt beside it: write one, for the subject and for those who see no HTML"
                    );
                    faults.push(TemplateFault { file: file.clone(), line: 1, message });
                }
                continue;
            }
            let html_file = format!("{stem}.html");
            let made = template(text, texts.get(&html_file).map(String::as_str));
            let mut parts = stem.split('/').skip(1);
            match (made, parts.next(), parts.next()) {
                (Ok(template), Some(name), None) => templates.insert("", name, template),
                (Ok(template), Some(slug), Some(name)) => templates.insert(slug, name, template),
                (Ok(_), None, _) => {}
                (Err((in_html, line, message)), _, _) => {
                    let file = if in_html { html_file } else { file.clone() };
                    faults.push(TemplateFault { file, line, message });
                }
            }
        }
        (templates, faults)
    }

    fn insert(&mut self, slug: &str, name: &str, template: Template) {
        self.0.entry(name.to_owned()).or_default().insert(slug.to_owned(), template);
    }

    /// Returns all names, including those that only some tenants have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the values that a template needs for any tenant; `None` if there is no such template.
    pub fn values(&self, name: &str) -> Option<BTreeSet<&str>> {
        let templates = self.0.get(name)?.values();
        Some(templates.flat_map(Template::pieces).filter_map(Piece::value).collect())
    }

    /// Fills in the tenant's template of this name.
    ///
    /// # Errors
    /// For the rule's author: there is no such template, a value is missing or is no link, or the result is too long.
    pub fn render(&self, slug: &str, name: &str, values: &Values) -> Result<Rendered, String> {
        let of_name = self.0.get(name).ok_or_else(|| format!("there is no template '{name}' in {FOLDER}/"))?;
        let template = of_name.get(slug).or_else(|| of_name.get(""));
        let template = template.ok_or_else(|| format!("the template '{name}' is other tenants', and this has none"))?;
        let plain = |pieces: &[Piece]| render(pieces, values, Escaping::Plain).map_err(|why| format!("{name}: {why}"));
        let subject = plain(&template.subject)?;
        if subject.chars().count() > SUBJECT_CHARS {
            return Err(format!("{name}: the subject gets more than {SUBJECT_CHARS} characters"));
        }
        let html = template.html.as_ref().map(|pieces| render(pieces, values, Escaping::Html));
        let html = html.transpose().map_err(|why| format!("{name}.html: {why}"))?;
        Ok(Rendered { subject, text: plain(&template.text)?, html })
    }
}

impl Template {
    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.subject.iter().chain(&self.text).chain(self.html.iter().flatten())
    }
}

impl Piece {
    fn value(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Value(name) | Self::Link(name) => Some(name),
        }
    }
}

fn render(pieces: &[Piece], values: &Values, escaping: Escaping) -> Result<String, String> {
    let mut out = String::new();
    for piece in pieces {
        let value = |name: &String| values.get(name).ok_or_else(|| format!("the value {{{{{name}}}}} is missing"));
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Value(name) => out.push_str(&escaping.escape(value(name)?)),
            Piece::Link(name) => {
                let link = value(name)?;
                if !LINKS
                    .iter()
                    .any(|scheme| link.get(..scheme.len()).is_some_and(|is| is.eq_ignore_ascii_case(scheme)))
                {
                    return Err(format!("the value {{{{{name}}}}} is a link there, and must begin with https://"));
                }
                out.push_str(&escaping.escape(link));
            }
        }
        if out.len() > BODY_BYTES {
            return Err(format!("it gets longer than {BODY_BYTES} bytes"));
        }
    }
    Ok(out)
}

/// Lists the template files; those of tenants are one folder deeper.
fn list(dir: &Path, name: &str, tenants: bool, files: &mut Vec<String>, faults: &mut Vec<TemplateFault>) {
    let mut fault =
        |file: &str, message: String| faults.push(TemplateFault { file: file.to_owned(), line: 0, message });
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if tenants && error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return fault(name, format!("the folder cannot be read ({error}): make it readable")),
    };
    let mut folders = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(own) = path.file_name().map(|own| own.to_string_lossy().into_owned()) else { continue };
        let full = format!("{name}/{own}");
        let stem = own.strip_suffix(".txt").or_else(|| own.strip_suffix(".html"));
        if own.starts_with('.') {
            continue;
        } else if path.is_dir() && tenants {
            folders.push((path, full));
        } else if files.len() >= TEMPLATES_MAX {
            return fault(&full, format!("there may be {TEMPLATES_MAX} files of templates: this one was not read"));
        } else if stem.is_some_and(is_name) {
            files.push(full);
        } else {
            fault(&full, "a template is a file <name>.txt or <name>.html, the name of a-z, 0-9, - and _".to_owned());
        }
    }
    for (path, full) in folders {
        list(&path, &full, false, files, faults);
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| format!("the file cannot be read: {error}"))?.len();
    if size > BODY_BYTES as u64 {
        return Err(format!("the file has {size} bytes, and {BODY_BYTES} is the most"));
    }
    fs::read_to_string(path).map_err(|error| format!("the file cannot be read: {error}"))
}

fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=NAME_CHARS).contains(&text.len()) && text.bytes().all(good)
}

/// True if the HTML is to blame, the line, and the reason.
type Fault = (bool, usize, String);

fn template(text: &str, html: Option<&str>) -> Result<Template, Fault> {
    let of_text = |(line, message)| (false, line, message);
    let (first, rest) = text.trim_start_matches('\u{feff}').split_once('\n').unwrap_or((text, ""));
    let subject = first.trim_end().strip_prefix(SUBJECT).map(str::trim).filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| (false, 1, format!("the first line must be the subject: {SUBJECT} …")))?;
    let subject = parse(subject, 1, &mut Plain).map_err(of_text)?;
    let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    let line = 2 + rest[..blank].matches('\n').count();
    if rest[blank..].trim().is_empty() {
        return Err((false, 2, "the text below the subject is empty".to_owned()));
    }
    let text = parse(&rest[blank..], line, &mut Plain).map_err(of_text)?;
    let html = html.map(|html| parse(html, 1, &mut Html::Text).map_err(|(line, message)| (true, line, message)));
    Ok(Template { subject, text, html: html.transpose()? })
}

/// Tracks the syntax of a template, and decides what a value may be at each place.
trait ValueContext {
    fn read(&mut self, text: &str);
    fn value(&self, name: String) -> Result<Piece, &'static str>;
}

/// Plain text: values may be anywhere.
struct Plain;

impl ValueContext for Plain {
    fn read(&mut self, _: &str) {}
    fn value(&self, name: String) -> Result<Piece, &'static str> {
        Ok(Piece::Value(name))
    }
}

/// The position of a value in HTML. If browsers may differ, the stricter reading applies.
enum Html {
    Text,
    /// In a tag or a comment, with its text so far.
    Tag(String),
    Quoted(Attribute),
    /// In an element whose content is not HTML, until its end.
    Raw(&'static str, String),
}

/// A quoted attribute that is being read.
struct Attribute {
    tag: String,
    /// In lower case; empty if no name precedes the quote.
    name: String,
    quote: char,
    /// Only spaces so far.
    empty: bool,
}

impl ValueContext for Html {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            *self = std::mem::replace(self, Self::Text).after(c);
        }
    }

    fn value(&self, name: String) -> Result<Piece, &'static str> {
        let Self::Quoted(attribute) = self else {
            return match self {
                Self::Text => Ok(Piece::Value(name)),
                Self::Raw(..) => Err("a value may not stand in a script or a style: escaping does not help there"),
                _ => Err("a value in a tag must stand in a quoted attribute, such as href=\"{{name}}\""),
            };
        };
        match attribute.name.as_str() {
            "" => Err("there is no attribute before the quote: write name=\"{{name}}\""),
            "style" | "srcdoc" | "srcset" => {
                Err("a value may not stand in this attribute: escaping does not help there")
            }
            script if script.starts_with("on") => {
                Err("a value may not stand in a script: escaping does not help there")
            }
            link if attribute.empty && LINK_ATTRIBUTES.contains(&link) => Ok(Piece::Link(name)),
            _ => Ok(Piece::Value(name)),
        }
    }
}

impl Html {
    fn after(self, c: char) -> Self {
        match self {
            Self::Text if c == '<' => Self::Tag(String::new()),
            Self::Text => Self::Text,
            Self::Tag(tag) if c == '>' && (!tag.starts_with("!--") || tag.ends_with("--")) => {
                let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
                let raw = RAW_ELEMENTS.into_iter().find(|raw| raw.eq_ignore_ascii_case(name));
                raw.map_or(Self::Text, |raw| Self::Raw(raw, String::new()))
            }
            Self::Tag(tag) if matches!(c, '"' | '\'') && !tag.starts_with("!--") => {
                let before = tag.trim_end().strip_suffix('=').unwrap_or_default().trim_end();
                let name = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''));
                let name = name.map(str::to_ascii_lowercase).next().unwrap_or_default();
                Self::Quoted(Attribute { tag, name, quote: c, empty: true })
            }
            Self::Tag(mut tag) => {
                tag.push(c);
                Self::Tag(tag)
            }
            Self::Quoted(mut attribute) if c == attribute.quote => {
                attribute.tag.push(c);
                Self::Tag(attribute.tag)
            }
            Self::Quoted(attribute) => {
                let empty = attribute.empty && (c.is_whitespace() || c.is_control());
                Self::Quoted(Attribute { empty, ..attribute })
            }
            Self::Raw(name, mut text) => {
                text.push(c.to_ascii_lowercase());
                let ended = c == '>' && text.rsplit_once("</").is_some_and(|(_, end)| end.starts_with(name));
                if ended { Self::Text } else { Self::Raw(name, text) }
            }
        }
    }
}

/// Splits a text at its values; errors have a line.
fn parse(source: &str, first_line: usize, context: &mut dyn ValueContext) -> Result<Vec<Piece>, (usize, String)> {
    let mut pieces = Vec::new();
    let line = |at: usize| first_line + source[..at].matches('\n').count();
    for segment in placeholders::split(source) {
        let (name, line) = match segment {
            Err(Unclosed(at)) => return Err((line(at), "{{ has no }} to end it".to_owned())),
            Ok(Segment::Literal(text)) => {
                context.read(text);
                pieces.push(Piece::Literal(text.to_owned()));
                continue;
            }
            Ok(Segment::Placeholder { name, at }) => (name, line(at)),
        };
        if !is_name(name) {
            let shown: String = name.chars().take(NAME_CHARS).collect();
            return Err((line, format!("'{shown}' is no name of a value: use a-z, 0-9, - and _")));
        }
        if pieces.len() > 2 * VALUES_MAX {
            return Err((line, format!("a template may have {VALUES_MAX} values")));
        }
        pieces.push(context.value(name.to_owned()).map_err(|why| (line, why.to_owned()))?);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
