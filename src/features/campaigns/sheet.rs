//! Members from a spreadsheet: CSV (RFC 4180) in UTF-8 with a header line. `phone` is required, `name` is optional;
//! every other column is a field.

use std::collections::BTreeMap;

use crate::domain::Phone;
use crate::integrations::csv::LineCount;
use crate::store::tables::campaigns::NewMember;

/// The largest file.
pub const FILE_MAX_BYTES: u64 = 16 << 20;
/// The most lines of a file.
pub const LINES_MAX: usize = 100_000;
const LINE_MAX_BYTES: usize = 16 << 10;
/// The most columns besides `phone` and `name`.
const FIELDS_MAX: usize = 20;
const NAME_CHARS: usize = 80;
const VALUE_CHARS: usize = 200;

/// Why the whole file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSheet {
    #[error("the file has more than {FILE_MAX_BYTES} bytes: part it")]
    TooLarge,
    #[error("the file has no column 'phone': its first line is to name the columns, phone among them")]
    NoPhone,
    #[error("the file has the column '{0}' twice: rename one")]
    Twice(String),
    #[error("the column '{0}' has no name of 1 to {NAME_CHARS} characters")]
    Title(String),
    #[error("besides phone and name a file has at most {FIELDS_MAX} columns")]
    Columns,
    #[error("line {line}: {why}")]
    Csv { line: u64, why: String },
    #[error("more than {LINES_MAX} lines: part the file")]
    TooMany,
}

/// A line without a member, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    pub line: u64,
    pub reason: String,
}

/// The content of a file.
#[derive(Debug, Default)]
pub struct Sheet {
    pub members: Vec<NewMember>,
    pub refused: Vec<RefusedLine>,
}

/// Reads a file. Of a repeated number the first line counts.
pub fn read(bytes: &[u8]) -> Result<Sheet, BadSheet> {
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(BadSheet::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Spreadsheets in many countries separate cells by semicolons.
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(bytes);
    let titles = titles(reader.headers().map_err(of_csv)?)?;
    let mut sheet = Sheet::default();
    let mut seen = std::collections::HashSet::new();
    let mut lines_to = LineCount::default();
    for (index, record) in reader.records().enumerate() {
        if index == LINES_MAX {
            return Err(BadSheet::TooMany);
        }
        let record = record.map_err(of_csv)?;
        let line = lines_to.count(bytes, record.position().map_or(0, |position| position.byte() as usize));
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match one(&titles, &record) {
            Ok(member) if seen.insert(member.phone.key()) => sheet.members.push(member),
            Ok(_) => sheet.refused.push(RefusedLine { line, reason: "the number stands in a line before".to_owned() }),
            Err(reason) => sheet.refused.push(RefusedLine { line, reason }),
        }
    }
    Ok(sheet)
}

fn titles(record: &csv::StringRecord) -> Result<Vec<String>, BadSheet> {
    let mut titles: Vec<String> = Vec::new();
    for title in record {
        let title = title.trim();
        let known = title.to_lowercase();
        let title = if known == "phone" || known == "name" { known } else { title.to_owned() };
        if title.is_empty() || title.chars().count() > NAME_CHARS || title.chars().any(char::is_control) {
            return Err(BadSheet::Title(title.chars().take(NAME_CHARS).collect()));
        }
        if titles.contains(&title) {
            return Err(BadSheet::Twice(title));
        }
        titles.push(title);
    }
    if !titles.iter().any(|title| title == "phone") {
        return Err(BadSheet::NoPhone);
    }
    if titles.len() > FIELDS_MAX + 2 {
        return Err(BadSheet::Columns);
    }
    Ok(titles)
}

fn one(titles: &[String], record: &csv::StringRecord) -> Result<NewMember, String> {
    if record.as_slice().len() > LINE_MAX_BYTES {
        return Err(format!("the line is longer than {LINE_MAX_BYTES} bytes"));
    }
    let (mut phone, mut name, mut fields) = ("", String::new(), BTreeMap::new());
    for (title, cell) in titles.iter().zip(record) {
        // A cell that a spreadsheet would read as a formula has a ' before it.
        let cell = cell.trim().strip_prefix('\'').unwrap_or(cell.trim());
        if cell.chars().count() > VALUE_CHARS || cell.chars().any(char::is_control) {
            return Err(format!("'{title}' has at most {VALUE_CHARS} characters and no line breaks"));
        }
        match title.as_str() {
            "phone" => phone = cell,
            "name" if cell.chars().count() > NAME_CHARS => {
                return Err(format!("a name has at most {NAME_CHARS} characters"));
            }
            "name" => name = cell.to_owned(),
            _ if cell.is_empty() => {}
            _ => drop(fields.insert(title.clone(), cell.to_owned())),
        }
    }
    let phone = Phone::parse_human(phone).map_err(|bad| bad.to_string())?;
    Ok(NewMember { phone, name, fields })
}

/// Checks the same limits for a member from another source.
pub fn check(member: &NewMember) -> Result<(), String> {
    let fits = |text: &str, chars: usize| text.chars().count() <= chars && !text.chars().any(char::is_control);
    if !fits(&member.name, NAME_CHARS) {
        return Err(format!("a name has at most {NAME_CHARS} characters and no line breaks"));
    }
    if member.fields.len() > FIELDS_MAX {
        return Err(format!("a member has at most {FIELDS_MAX} fields"));
    }
    let bad = member
        .fields
        .iter()
        .find(|(name, value)| name.is_empty() || !fits(name, NAME_CHARS) || !fits(value, VALUE_CHARS));
    match bad {
        Some(_) => Err(format!("a field has at most {VALUE_CHARS} characters, its name {NAME_CHARS}, no line breaks")),
        None => Ok(()),
    }
}

fn of_csv(error: csv::Error) -> BadSheet {
    let line = error.position().map_or(1, csv::Position::line);
    BadSheet::Csv { line, why: error.to_string().chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_hostile_ones_are_named() {
        let text = "\u{feff}Phone;Name;city\r\n+34 600 11 12 22;Ana;Jaén\r\n'+34600111333;;\r\nnobody;X;\r\n\
            +34600111222;Ana again;\r\n+34600111444;\"a\u{7}b\";\r\n\r\n";
        let sheet = read(text.as_bytes()).unwrap();
        let phones: Vec<&str> = sheet.members.iter().map(|member| member.phone.as_str()).collect();
        assert_eq!(phones, ["+34600111222", "+34600111333"]);
        assert_eq!(sheet.members[0].name, "Ana");
        assert_eq!(sheet.members[0].fields["city"], "Jaén");
        assert!(sheet.members[1].fields.is_empty());
        let lines: Vec<u64> = sheet.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [4, 5, 6], "{:?}", sheet.refused);
    }

    #[test]
    fn a_file_that_is_no_table_of_numbers_is_refused() {
        assert!(matches!(read(b"name,city\nAna,X\n"), Err(BadSheet::NoPhone)));
        assert!(matches!(read(b"phone,Name,name\n"), Err(BadSheet::Twice(_))));
        assert!(matches!(read(b"phone,\n"), Err(BadSheet::Title(_))));
        assert!(matches!(read(b"phone\n\xff\xfe\n"), Err(BadSheet::Csv { line: 2, .. })));
        let many: String = (0..30).map(|n| format!(",c{n}")).collect();
        assert!(matches!(read(format!("phone{many}\n").as_bytes()), Err(BadSheet::Columns)));
        let long = format!("phone\n{}", "+34600111222\n".repeat(LINES_MAX + 1));
        assert!(matches!(read(long.as_bytes()), Err(BadSheet::TooMany)));
    }
}
