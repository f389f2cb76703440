//! Tables that people open in a spreadsheet: no cell is a formula there, whatever somebody wrote.

use crate::cli::{command, run};

/// What begins a formula in a spreadsheet, or a cell behind which one begins.
const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

#[test]
fn cells_that_begin_like_a_formula_are_neutralised() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let recado = |args: &[&str]| run(&mut command(folder.path(), args));
    recado(&["migrate"]).ok();
    for (n, begins) in BEGINNINGS.iter().enumerate() {
        let [name, note] = ["name", "note"].map(|cell| format!("--{cell}={begins}HYPERLINK(\"http://example.com\")"));
        let (customer, at) =
            (format!("--customer=+346001112{n:02}"), format!("--starts-at=2036-12-01T{:02}:00", n + 8));
        recado(&["appointments", "add", "--service=cut", &customer, &at, &note]).ok();
        // A name has no line breaks and tabs.
        recado(&["appointments", "add", "--service=cut", &customer, &at.replace("12-01", "12-02"), &name]);
    }
    let exported = recado(&["appointments", "export"]).ok();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(exported.as_bytes());
    let rows = reader.records().map(|row| row.expect("a row"));
    let cells: Vec<String> = rows.flat_map(|row| row.iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(cells.iter().filter(|cell| cell.contains("HYPERLINK")).count() > BEGINNINGS.len(), "{exported}");
    let formulas: Vec<&String> = cells.iter().filter(|cell| cell.starts_with(BEGINNINGS)).collect();
    assert!(formulas.is_empty(), "{formulas:?}");
}
