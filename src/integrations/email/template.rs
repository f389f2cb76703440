//! Templates of e-mails: `templates/<name>.txt` in the rules folder, and, if there is one, `<name>.html` beside it.
//!
//! ```text
//! Subject: Your visit on {{day}}
//!
//! Hello {{name}}, we expect you on {{day}}.
//! ```
//! The first line of the `.txt` is the subject, the rest the text; the `.html` is HTML only. `templates/<slug>/<name>.txt`
//! takes the place of the general one for that tenant. `{{name}}` stands for a value that the rule gives. In HTML values
//! are escaped, and may stand only where that makes them text: between tags, or in a quoted attribute. Where an attribute
//! is a link that begins with a value, that value must be one to the web, a mailbox or a telephone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{BODY_BYTES, SUBJECT_CHARS};

/// The folder of templates, below that of the rules.
pub const FOLDER: &str = "templates";
/// The most templates, those of tenants counted in.
pub const TEMPLATES_MAX: usize = 2_000;
/// The longest name of a template or a value, in characters.
pub const NAME_CHARS: usize = 80;
/// The most values in one template.
const VALUES_MAX: usize = 200;

const SUBJECT: &str = "Subject:";
/// Elements whose content is no HTML.
const RAW_ELEMENTS: [&str; 2] = ["script", "style"];
const LINK_ATTRIBUTES: [&str; 7] = ["href", "src", "action", "formaction", "background", "cite", "data"];
/// What a link may begin with.
const LINKS: [&str; 4] = ["https://", "http://", "mailto:", "tel:"];

/// A template's values by their names.
pub type Values = BTreeMap<String, String>;

/// All templates of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(BTreeMap<String, ByTenant>);

/// By the tenant's slug; the general one under the empty one.
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
    /// A value that begins an attribute which is a link.
    Link(String),
}

/// A template with its values in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
}

/// What is wrong with a template, which is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TemplateFault {
    /// Relative to the rules folder.
    pub file: String,
    /// From 1; 0 where no line is to blame.
    pub line: usize,
    pub message: String,
}

impl Templates {
    /// Reads the templates below `rules`; `seen` is given each file's name and text, in the order of the names.
    /// Without the folder there are none.
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

    /// The names of all, those that only some tenants have too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values that a template needs, whichever tenant's it is; none where there is no such template.
    pub fn values(&self, name: &str) -> Option<BTreeSet<&str>> {
        let templates = self.0.get(name)?.values();
        Some(templates.flat_map(Template::pieces).filter_map(Piece::value).collect())
    }

    /// The template of this name as the tenant has it, with its values in place.
    ///
    /// # Errors
    /// There is no such template, a value is missing or no link, or the result is too long; for the rule's author.
    pub fn render(&self, slug: &str, name: &str, values: &Values) -> Result<Rendered, String> {
        let of_name = self.0.get(name).ok_or_else(|| format!("there is no template '{name}' in {FOLDER}/"))?;
        let template = of_name.get(slug).or_else(|| of_name.get(""));
        let template = template.ok_or_else(|| format!("the template '{name}' is other tenants', and this has none"))?;
        let plain =
            |pieces: &[Piece]| render(pieces, values, |text| text.into()).map_err(|why| format!("{name}: {why}"));
        let subject = plain(&template.subject)?;
        if subject.chars().count() > SUBJECT_CHARS {
            return Err(format!("{name}: the subject gets more than {SUBJECT_CHARS} characters"));
        }
        let html = template.html.as_ref().map(|pieces| render(pieces, values, escaped));
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

fn render(pieces: &[Piece], values: &Values, write: fn(&str) -> Cow<'_, str>) -> Result<String, String> {
    let mut out = String::new();
    for piece in pieces {
        let value = |name: &String| values.get(name).ok_or_else(|| format!("the value {{{{{name}}}}} is missing"));
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Value(name) => out.push_str(&write(value(name)?)),
            Piece::Link(name) => {
                let link = value(name)?;
                if !LINKS
                    .iter()
                    .any(|scheme| link.get(..scheme.len()).is_some_and(|is| is.eq_ignore_ascii_case(scheme)))
                {
                    return Err(format!("the value {{{{{name}}}}} is a link there, and must begin with https://"));
                }
                out.push_str(&write(link));
            }
        }
        if out.len() > BODY_BYTES {
            return Err(format!("it gets longer than {BODY_BYTES} bytes"));
        }
    }
    Ok(out)
}

/// As text within HTML, between tags and in quoted attributes (OWASP's rule 1 and 2).
pub fn escaped(text: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out.into()
}

/// Lists the files of templates; those of tenants are one folder deeper.
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

/// Whether the HTML is to blame, the line, and why.
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

/// Follows what is read, and says what a value there would be.
trait Place {
    fn read(&mut self, text: &str);
    fn value(&self, name: String) -> Result<Piece, &'static str>;
}

/// Text is the same everywhere.
struct Plain;

impl Place for Plain {
    fn read(&mut self, _: &str) {}
    fn value(&self, name: String) -> Result<Piece, &'static str> {
        Ok(Piece::Value(name))
    }
}

/// Where in HTML a value would stand. Where a reader could take it otherwise, it is the stricter.
enum Html {
    Text,
    /// In a tag or a comment; what it holds so far.
    Tag(String),
    Quoted(Attribute),
    /// In an element whose content is no HTML, until its end.
    Raw(&'static str, String),
}

/// A quoted attribute while it is read.
struct Attribute {
    tag: String,
    /// In lower case; empty where no name stands before the quote.
    name: String,
    quote: char,
    /// Nothing but spaces so far.
    empty: bool,
}

impl Place for Html {
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

/// Parts a text at its values; a fault comes with its line.
fn parse(source: &str, first_line: usize, place: &mut dyn Place) -> Result<Vec<Piece>, (usize, String)> {
    let (mut pieces, mut rest) = (Vec::new(), source);
    while let Some((before, after)) = rest.split_once("{{") {
        let line = first_line + source[..source.len() - after.len()].matches('\n').count();
        let fault = |message: String| (line, message);
        place.read(before);
        let (name, after) = after.split_once("}}").ok_or_else(|| fault("{{ has no }} to end it".to_owned()))?;
        let name = name.trim();
        if !is_name(name) {
            let shown: String = name.chars().take(NAME_CHARS).collect();
            return Err(fault(format!("'{shown}' is no name of a value: use a-z, 0-9, - and _")));
        }
        if pieces.len() >= 2 * VALUES_MAX {
            return Err(fault(format!("a template may have {VALUES_MAX} values")));
        }
        pieces.push(Piece::Literal(before.to_owned()));
        pieces.push(place.value(name.to_owned()).map_err(|why| fault(why.to_owned()))?);
        rest = after;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests;
