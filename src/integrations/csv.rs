//! The one reader of tables that people import: CSV (RFC 4180) as spreadsheets write it.
//!
//! | kind | what is read |
//! |---|---|
//! | encoding | UTF-8, UTF-16 with or without a byte order mark, else Windows-1252, or Mac Roman with lines that end in CR |
//! | separator | that of a first line `sep=;`, else the one of `;`, `,`, tab and `\|` that parts the first line most often, outside quotes |
//! | lines | end with LF, CR LF or CR; a quoted cell may have some |
//! | columns | those at the end without a name are left out, if they are empty |
//!
//! A cell that a spreadsheet would read as a formula has a `'` before it: [`escape_formula`] puts it, the reader takes it off.

use csv::StringRecord;
use encoding_rs::{Encoding, MACINTOSH, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The longest row, in bytes.
pub const ROW_MAX_BYTES: usize = 16 << 10;
/// The bytes that tell the encoding.
const SAMPLE_BYTES: usize = 1_000;
/// The separators, in the order in which they win.
const SEPARATORS: [u8; 4] = *b";,\t|";
/// The first bytes of a workbook (a ZIP archive), and of an old one.
const WORKBOOKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];

/// Why a file cannot be read as a table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTable {
    #[error("the file is a workbook: save it as CSV, in Excel as 'CSV UTF-8 (comma delimited)', and import that")]
    Workbook,
    #[error("the file is no text: save it as CSV, in Excel as 'CSV UTF-8 (comma delimited)'")]
    NotText,
    #[error("line {line}: a quote is opened and never closed: close it, or write a quote within a cell twice")]
    OpenQuote { line: u64 },
    #[error("more than {0} rows: part the file")]
    TooManyRows(usize),
}

/// A table: the names of its columns, and its rows without empty ones.
#[derive(Debug, Default)]
pub struct Table {
    /// Trimmed; empty where a column between others has no name.
    pub titles: Vec<String>,
    pub rows: Vec<Row>,
}

/// A row, and the line of the file where an editor shows it.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    cells: Result<StringRecord, String>,
}

/// The cells of a row.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'r>(&'r StringRecord);

impl Row {
    /// The cells, or why the row has none that can be told apart.
    pub fn cells(&self) -> Result<Cells<'_>, String> {
        self.cells.as_ref().map(Cells).map_err(Clone::clone)
    }
}

impl<'r> Cells<'r> {
    /// The cell of a column, trimmed; empty where the row ends before it.
    pub fn get(self, column: usize) -> &'r str {
        self.0.get(column).map(content).unwrap_or_default()
    }
}

/// Reads a table of at most `rows_max` rows.
pub fn read(bytes: &[u8], rows_max: usize) -> Result<Table, BadTable> {
    let text = decode(bytes)?;
    let (first, declared) = declared_separator(&text);
    let separator = declared.unwrap_or_else(|| guess_separator(&text[first..]));
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(separator)
        .from_reader(&text.as_bytes()[first..]);
    let (mut table, mut record) = (Table::default(), StringRecord::new());
    let (mut lines, mut begins, mut has_titles, mut width) = (LineCount::default(), first, false, 0);
    // The text is UTF-8 and rows may have any length: the reader has no other errors.
    while reader.read_record(&mut record).map_err(|_| BadTable::NotText)? {
        begins = record.position().map_or(0, |position| position.byte() as usize) + first;
        let line = lines.count(text.as_bytes(), begins);
        if !has_titles {
            table.titles = titles(&record);
            (has_titles, width) = (true, record.len());
        } else if record.iter().any(|cell| !content(cell).is_empty()) {
            if table.rows.len() == rows_max {
                return Err(BadTable::TooManyRows(rows_max));
            }
            table.rows.push(Row { line, cells: check(&record, &table.titles, width) });
        }
    }
    let last = text[begins..].trim_matches(['\r', '\n']);
    if last.contains(['\r', '\n']) && last.matches('"').count() % 2 == 1 {
        return Err(BadTable::OpenQuote { line: lines.count(text.as_bytes(), begins) });
    }
    Ok(table)
}

fn titles(record: &StringRecord) -> Vec<String> {
    let mut titles: Vec<String> = record.iter().map(|title| content(title).to_owned()).collect();
    while titles.last().is_some_and(String::is_empty) {
        titles.pop();
    }
    titles
}

/// Refuses a value in a column that the first line leaves without a name. Cells beyond the first line's are left out.
fn check(record: &StringRecord, titles: &[String], width: usize) -> Result<StringRecord, String> {
    if record.as_slice().len() > ROW_MAX_BYTES {
        return Err(format!("the line is longer than {ROW_MAX_BYTES} bytes"));
    }
    let named = |column: usize| titles.get(column).is_some_and(|title| !title.is_empty());
    match record.iter().enumerate().take(width).find(|(column, cell)| !named(*column) && !content(cell).is_empty()) {
        Some((column, _)) => Err(format!(
            "there is a value in column {}, which has no name in the first line: name the column there, or empty it",
            column + 1
        )),
        None => Ok(record.clone()),
    }
}

/// The text of a file.
fn decode(bytes: &[u8]) -> Result<String, BadTable> {
    if WORKBOOKS.iter().any(|begin| bytes.starts_with(begin)) {
        return Err(BadTable::Workbook);
    }
    let marked = Encoding::for_bom(bytes).filter(|(encoding, _)| [UTF_16LE, UTF_16BE].contains(encoding));
    let bytes_of_text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let wide = marked.map(|(encoding, _)| encoding).or_else(|| unmarked_utf16(bytes));
    let (text, wrong) = match wide {
        Some(encoding) => encoding.decode_with_bom_removal(bytes),
        None => match std::str::from_utf8(bytes_of_text) {
            Ok(text) => return Ok(text.to_owned()),
            Err(_) => single_byte(bytes_of_text).decode_without_bom_handling(bytes_of_text),
        },
    };
    if wrong { Err(BadTable::NotText) } else { Ok(text.into_owned()) }
}

/// UTF-16 without a mark: of the characters of a table's first line, nearly every second byte is zero.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let most = |one: usize, other: usize| one * 4 > sample.len() && other * 10 < one;
    if most(odd, even) {
        Some(UTF_16LE)
    } else if most(even, odd) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The encoding of a text that is not UTF-8. Only Macs end lines with CR, and have their letters where Windows has signs.
fn single_byte(bytes: &[u8]) -> &'static Encoding {
    let ends_with_cr = bytes.contains(&b'\r') && !bytes.contains(&b'\n');
    let count = |range: std::ops::RangeInclusive<u8>| bytes.iter().filter(|byte| range.contains(byte)).count();
    if ends_with_cr && count(0x80..=0x9f) > count(0xa0..=0xff) { MACINTOSH } else { WINDOWS_1252 }
}

/// Where the table begins behind a first line such as `sep=;`, and the separator that it names.
fn declared_separator(text: &str) -> (usize, Option<u8>) {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let named = line.trim_matches('"').strip_prefix("sep=").or_else(|| line.trim_matches('"').strip_prefix("SEP="));
    match named.map(str::as_bytes) {
        Some([separator]) if separator.is_ascii() => (line.len(), Some(*separator)),
        // Some programs fill the row up with the separator.
        Some([separator, rest @ ..]) if separator.is_ascii() && rest.iter().all(|byte| byte == separator) => {
            (line.len(), Some(*separator))
        }
        _ => (0, None),
    }
}

/// The separator that parts the first row most often.
fn guess_separator(text: &str) -> u8 {
    let (mut counts, mut quoted) = ([0usize; SEPARATORS.len()], false);
    for byte in text.trim_start().bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = SEPARATORS.iter().position(|separator| *separator == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    let most = counts.iter().max().copied().filter(|most| *most > 0);
    most.and_then(|most| counts.iter().position(|count| *count == most)).map_or(b',', |at| SEPARATORS[at])
}

/// Counts lines as an editor does: LF, CR LF and CR each end one.
struct LineCount {
    at: usize,
    line: u64,
}

impl Default for LineCount {
    fn default() -> Self {
        Self { at: 0, line: 1 }
    }
}

impl LineCount {
    /// Returns the line of the record that begins at `byte`, or behind the line ends there. Calls must go forward.
    fn count(&mut self, text: &[u8], byte: usize) -> u64 {
        let ends = text.get(byte..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let to = byte + ends;
        while self.at < to {
            let end = text[self.at];
            let with_lf = end == b'\r' && text.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(matches!(end, b'\r' | b'\n'));
            self.at += if with_lf { 2 } else { 1 };
        }
        self.line
    }
}

/// The characters that begin a formula, or end the line before it; in full width, too, which Excel reads alike.
const FORMULA: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠'];

/// Puts a `'` before a cell that a spreadsheet would read as a formula, or that begins with `'` itself.
pub fn escape_formula(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

/// The content of a cell: trimmed, without the `'` of [`escape_formula`] and without `="…"`, by which spreadsheets are made
/// to keep a number as text.
fn content(cell: &str) -> &str {
    let invisible = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
    let bare = cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell);
    let text =
        cell.trim().strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).filter(|text| !text.contains('"'));
    text.unwrap_or(bare).trim_matches(invisible)
}

/// Whether a spreadsheet has shortened a number to this, such as `3.46E+10`: its last digits are lost.
pub fn is_shortened(cell: &str) -> bool {
    let parts = cell.split_once(['E', 'e']);
    parts.is_some_and(|(mantissa, exponent)| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or_default();
        let (whole, rest) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
        exponent.len() >= 2 && digits(exponent) && digits(whole) && digits(rest)
    })
}

#[cfg(test)]
mod tests;
