//! Appointments as a spreadsheet: CSV with a header line, as [`csv`] reads it. An export is in UTF-8.

use std::collections::HashMap;

use chrono_tz::Tz;

use crate::domain::{AppointmentState, By, Country, Phone, TenantId};
use crate::engine::availability::parse_starts;
use crate::integrations::csv::{self, BadTable, escape_formula, is_shortened};
use crate::store::tables::appointments::{Appointment, IMPORT_MAX, NewAppointment, Row};
use crate::time::zone::to_wall;

/// The columns of an export. An import requires `customer`, `service` and `starts_at`.
pub const TITLES: [&str; 9] =
    ["external_id", "customer", "name", "service", "staff", "starts_at", "minutes", "state", "note"];
/// The largest file that is imported.
pub const FILE_MAX_BYTES: u64 = 4 << 20;

/// Why the whole file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSheet {
    #[error("the file has no column '{0}': its first line is to name customer, service and starts_at at least")]
    NoColumn(&'static str),
    #[error("the file has the column '{0}' twice: rename one")]
    Twice(String),
    #[error(transparent)]
    Table(#[from] BadTable),
}

/// A line of a file: an appointment, or why it is none.
#[derive(Debug)]
pub struct SheetRow {
    pub line: u64,
    pub row: Result<Row, String>,
}

/// Values that hold for all lines of a file.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    pub tenant: TenantId,
    pub zone: Tz,
    /// The country of numbers without a country code.
    pub home: Option<Country>,
    /// The staff member for lines that name none.
    pub staff: Option<&'c str>,
}

/// Reads a file. Column names are case-insensitive; unknown columns are ignored.
pub fn read(text: &[u8], context: Context<'_>) -> Result<Vec<SheetRow>, BadSheet> {
    let table = csv::read(text, IMPORT_MAX)?;
    let mut columns: HashMap<&'static str, usize> = HashMap::new();
    for (index, title) in table.titles.iter().enumerate() {
        let title = title.to_lowercase();
        if let Some(known) = TITLES.iter().find(|known| **known == title)
            && columns.insert(known, index).is_some()
        {
            return Err(BadSheet::Twice(title));
        }
    }
    if let Some(missing) = ["customer", "service", "starts_at"].iter().find(|title| !columns.contains_key(*title)) {
        return Err(BadSheet::NoColumn(missing));
    }
    let read = |row: &csv::Row| {
        row.cells().and_then(|cells| one(|title| columns.get(title).map_or("", |index| cells.get(*index)), context))
    };
    Ok(table.rows.iter().map(|row| SheetRow { line: row.line, row: read(row) }).collect())
}

fn one<'r>(cell: impl Fn(&str) -> &'r str, context: Context<'_>) -> Result<Row, String> {
    let or_none = |title: &str| Some(cell(title)).filter(|text| !text.is_empty());
    let minutes = or_none("minutes").map(|text| text.parse().map_err(|_| "the minutes are to be a whole number"));
    let state = or_none("state").map(|text| text.parse::<AppointmentState>().map_err(|bad| bad.to_string()));
    if is_shortened(cell("external_id")) {
        return Err(format!(
            "a spreadsheet has shortened the external_id to '{}': format the column as text there and enter it again",
            cell("external_id")
        ));
    }
    Ok(Row {
        new: NewAppointment {
            tenant: context.tenant,
            zone: context.zone,
            customer: Phone::parse_human(cell("customer"), context.home).map_err(|bad| bad.to_string())?,
            customer_name: cell("name").to_owned(),
            service: cell("service").to_owned(),
            new_service: true,
            minutes: minutes.transpose()?,
            staff: or_none("staff").or(context.staff).map(str::to_owned),
            starts: parse_starts(cell("starts_at")).map_err(|bad| bad.to_string())?,
            note: cell("note").to_owned(),
            uid: or_none("external_id").map(str::to_owned),
            by: By::Import,
        },
        state: state.transpose()?,
        calendar: None,
    })
}

/// Writes a file. Data of an erased customer is an empty cell.
pub fn write(appointments: &[Appointment]) -> String {
    let mut text = line(TITLES.map(str::to_owned));
    for one in appointments {
        let offset = chrono::TimeZone::offset_from_utc_datetime(&one.zone, &one.starts_at.to_utc().naive_utc());
        let offset = chrono::Offset::fix(&offset);
        let starts = format!("{}{offset}", to_wall(one.starts_at, one.zone).format("%Y-%m-%dT%H:%M:%S"));
        text += &line([
            one.uid.clone(),
            one.customer.clone().unwrap_or_default(),
            one.customer_name.clone(),
            one.service.clone(),
            one.staff.clone().unwrap_or_default(),
            starts,
            (one.lasts().as_secs() / 60).to_string(),
            one.state.to_string(),
            one.note.clone(),
        ]);
    }
    text
}

fn line(cells: [String; TITLES.len()]) -> String {
    let cells = cells.map(|cell| {
        let cell = escape_formula(&cell);
        let quoted = cell.contains([',', ';', '"', '\n', '\r', '\t', '\'']);
        if quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    });
    cells.join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tables::appointments::Starts;

    fn context() -> Context<'static> {
        Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::Europe__Madrid, home: None, staff: None }
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "\u{feff}Customer;Service;Starts_At;Note\r\n600;cut;2026-12-01 10:00;\r\n\r\n\
                    '+34600111222;'=cut;2026-12-01 10:00;\"two\nlines\"\r\n+34 600 111 222;cut;tomorrow;\r\n";
        let lines = read(text.as_bytes(), context()).unwrap();
        let said: Vec<_> = lines.iter().map(|line| (line.line, line.row.is_ok())).collect();
        assert_eq!(said, [(2, false), (4, true), (6, false)]);
        let row = lines[1].row.as_ref().unwrap();
        assert_eq!((row.new.service.as_str(), row.new.customer.as_str()), ("=cut", "+34600111222"));
        assert!(matches!(row.new.starts, Starts::Local(_)));
        assert!(matches!(read(b"customer,service\n", context()), Err(BadSheet::NoColumn("starts_at"))));
        assert!(matches!(read(b"customer,service,starts_at,Service\n", context()), Err(BadSheet::Twice(_))));
        let shortened = read(
            b"customer,service,starts_at,external_id
+34600111222,x,2026-12-01 10:00,1.2E+11
",
            context(),
        );
        assert!(shortened.unwrap()[0].row.as_ref().is_err_and(|why| why.contains("format the column as text")));
        let many = format!("customer,service,starts_at\n{}", "x,y,z\n".repeat(IMPORT_MAX + 1));
        assert!(matches!(read(many.as_bytes(), context()), Err(BadSheet::Table(BadTable::TooManyRows(IMPORT_MAX)))));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&[b"customer,service,starts_at,minutes,state\n", text.as_slice()].concat(), context());
            let _ = read(&text, context());
        }

        #[test]
        fn a_cell_of_any_kind_comes_back(note in "\\PC{0,40}", name in "[=+@'\"a-c,;\\-]{0,8}") {
            let cells = ["x", "+34600111222", &name, "cut", "", "2026-12-01T10:00:00+01:00", "30", "booked", &note];
            let text = [line(TITLES.map(str::to_owned)), line(cells.map(str::to_owned))].concat();
            let lines = read(text.as_bytes(), context()).unwrap();
            let row = lines[0].row.as_ref().unwrap();
            prop_assert_eq!(row.new.note.as_str(), note.trim());
            prop_assert_eq!(row.new.customer_name.as_str(), name.trim());
        }
    }
}
