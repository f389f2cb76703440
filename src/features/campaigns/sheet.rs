//! Members from a spreadsheet: CSV with a header line, as [`csv`] reads it. `phone` is required, `name` is optional; every
//! other column is a field.

use std::collections::BTreeMap;

use crate::domain::{Country, Phone};
use crate::integrations::csv::{self, BadTable};
use crate::store::tables::campaigns::NewMember;

/// The largest file.
pub const FILE_MAX_BYTES: u64 = 16 << 20;
/// The most lines of a file.
pub const LINES_MAX: usize = 100_000;
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
    #[error("the name of the column '{0}' has more than {NAME_CHARS} characters, or a line break: shorten it")]
    Title(String),
    #[error("besides phone and name a file has at most {FIELDS_MAX} columns")]
    Columns,
    #[error(transparent)]
    Table(#[from] BadTable),
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
    /// The names of the columns that have one.
    pub columns: Vec<String>,
    /// The members, each with its line.
    pub members: Vec<(u64, NewMember)>,
    pub refused: Vec<RefusedLine>,
}

/// Reads a file. Of a repeated number the first line counts. Numbers without a country code are of the `home` country.
pub fn read(bytes: &[u8], home: Option<Country>) -> Result<Sheet, BadSheet> {
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(BadSheet::TooLarge);
    }
    let table = csv::read(bytes, LINES_MAX)?;
    let titles = titles(&table.titles)?;
    let columns = titles.iter().filter(|title| !title.is_empty()).cloned().collect();
    let mut sheet = Sheet { columns, ..Sheet::default() };
    let mut seen = std::collections::HashSet::new();
    for row in &table.rows {
        let line = row.line;
        match row.cells().and_then(|cells| one(&titles, cells, home)) {
            Ok(member) if seen.insert(member.phone.key()) => sheet.members.push((line, member)),
            Ok(_) => sheet.refused.push(RefusedLine { line, reason: "the number stands in a line before".to_owned() }),
            Err(reason) => sheet.refused.push(RefusedLine { line, reason }),
        }
    }
    Ok(sheet)
}

/// The names of the columns; empty for a column without a name, which has no values either.
fn titles(given: &[String]) -> Result<Vec<String>, BadSheet> {
    let mut titles: Vec<String> = Vec::new();
    for title in given {
        let known = title.to_lowercase();
        let title = if known == "phone" || known == "name" { known } else { title.to_owned() };
        if title.chars().count() > NAME_CHARS || title.chars().any(char::is_control) {
            return Err(BadSheet::Title(title.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect()));
        }
        if !title.is_empty() && titles.contains(&title) {
            return Err(BadSheet::Twice(title));
        }
        titles.push(title);
    }
    if !titles.iter().any(|title| title == "phone") {
        return Err(BadSheet::NoPhone);
    }
    if titles.iter().filter(|title| !title.is_empty()).count() > FIELDS_MAX + 2 {
        return Err(BadSheet::Columns);
    }
    Ok(titles)
}

fn one(titles: &[String], cells: csv::Cells<'_>, home: Option<Country>) -> Result<NewMember, String> {
    let (mut phone, mut name, mut fields) = ("", String::new(), BTreeMap::new());
    for (column, title) in titles.iter().enumerate() {
        let cell = cells.get(column);
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
    let phone = Phone::parse_human(phone, home).map_err(|bad| bad.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_hostile_ones_are_named() {
        let text = "\u{feff}Phone;Name;city\r\n+34 600 11 12 22;Ana;Jaén\r\n'+34600111333;;\r\nnobody;X;\r\n\
            +34600111222;Ana again;\r\n+34600111444;\"a\u{7}b\";\r\n\r\n";
        let sheet = read(text.as_bytes(), None).unwrap();
        let phones: Vec<&str> = sheet.members.iter().map(|(_, member)| member.phone.as_str()).collect();
        assert_eq!(phones, ["+34600111222", "+34600111333"]);
        assert_eq!(sheet.members[0].1.name, "Ana");
        assert_eq!(sheet.members[0].1.fields["city"], "Jaén");
        assert!(sheet.members[1].1.fields.is_empty());
        let lines: Vec<u64> = sheet.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [4, 5, 6], "{:?}", sheet.refused);
    }

    #[test]
    fn a_file_that_is_no_table_of_numbers_is_refused() {
        assert!(matches!(read(b"name,city\nAna,X\n", None), Err(BadSheet::NoPhone)));
        assert!(matches!(read(b"phone,Name,name\n", None), Err(BadSheet::Twice(_))));
        assert!(matches!(read(format!("phone,{}\n", "x".repeat(81)).as_bytes(), None), Err(BadSheet::Title(_))));
        assert!(matches!(read(b"PK\x03\x04", None), Err(BadSheet::Table(BadTable::Workbook))));
        let many: String = (0..30).map(|n| format!(",c{n}")).collect();
        assert!(matches!(read(format!("phone{many}\n").as_bytes(), None), Err(BadSheet::Columns)));
        let long = format!("phone\n{}", "+34600111222\n".repeat(LINES_MAX + 1));
        assert!(matches!(read(long.as_bytes(), None), Err(BadSheet::Table(BadTable::TooManyRows(LINES_MAX)))));
    }
}
