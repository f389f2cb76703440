//! Tests of tables: encodings, separators, line ends, lines.

use proptest::prelude::*;

use super::*;

/// The rows of a table with the columns `a` and `b`, with their lines.
fn rows(bytes: &[u8]) -> Vec<(u64, String, String)> {
    let table = read(bytes, 100).unwrap_or_else(|why| panic!("{why}: {:?}", String::from_utf8_lossy(bytes)));
    assert_eq!(table.titles, ["a", "b"], "{:?}", String::from_utf8_lossy(bytes));
    let one = |row: &Row| {
        let cells = row.cells().unwrap_or_else(|why| panic!("line {}: {why}", row.line));
        (row.line, cells.get(0).to_owned(), cells.get(1).to_owned())
    };
    table.rows.iter().map(one).collect()
}

fn check(bytes: &[u8], expected: &[(u64, &str, &str)]) {
    let found = rows(bytes);
    let found: Vec<_> = found.iter().map(|(line, a, b)| (*line, a.as_str(), b.as_str())).collect();
    assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(bytes));
}

fn utf16(text: &str, byte: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(byte).collect()
}

#[test]
fn every_encoding_of_a_spreadsheet_is_read() {
    let text = "a;b\r\nNúñez;“año” €\r\n";
    let expected: &[_] = &[(2, "Núñez", "“año” €")];
    check(text.as_bytes(), expected);
    check(format!("\u{feff}{text}").as_bytes(), expected);
    check(b"a;b\r\nN\xfa\xf1ez;\x93a\xf1o\x94 \x80\r\n", expected);
    check(b"a;b\rN\x9c\x96ez;\xd2a\x96o\xd3\r", &[(2, "Núñez", "“año”")]);
    check(b"a;b\rN\xfa\xf1ez;\x93a\xf1o\x94\r", &[(2, "Núñez", "“año”")]);
    for byte in [u16::to_le_bytes, u16::to_be_bytes] {
        check(&utf16(text, byte), expected);
        check(&utf16(&format!("\u{feff}{text}"), byte), expected);
    }
}

#[test]
fn the_separator_is_found_beside_quoted_ones() {
    for text in [
        "a;b\nuno, dos;2\n",
        "\"a\";b\n\"uno, dos\";2\n",
        "a\tb\nuno, dos\t2\n",
        "a|b\nuno, dos|2\n",
        "a,b\n\"uno, dos\",2\n",
        "sep=;\na;b\nuno, dos;2\n",
        "\"sep=;\"\r\na;b\nuno, dos;2\n",
        "sep=,,\na,b\n\"uno, dos\",2\n",
        "sep=\t\na\tb\nuno, dos\t2\n",
        "a;b;;;\nuno, dos;2;;;\n",
    ] {
        let found = rows(text.as_bytes());
        assert_eq!((found[0].1.as_str(), found[0].2.as_str()), ("uno, dos", "2"), "{text:?}");
    }
    let table = read(b"\"name, first\";phone;city\nx;y;z\n", 9).unwrap();
    assert_eq!(table.titles, ["name, first", "phone", "city"]);
}

#[test]
fn lines_are_those_of_an_editor() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["a,b", "1,2", "", "\"two", "lines\",x", ",", "3,4", "5,6"].join(end);
        let two = format!("two{end}lines");
        check(text.as_bytes(), &[(2, "1", "2"), (4, &two, "x"), (7, "3", "4"), (8, "5", "6")]);
        let declared = format!("sep=,{end}{text}");
        check(declared.as_bytes(), &[(3, "1", "2"), (5, &two, "x"), (8, "3", "4"), (9, "5", "6")]);
    }
    check(b"\"a\",\"b\"\n1,2\r\n3,4\r5,6\n\n\r\r\n7,8", &[(2, "1", "2"), (3, "3", "4"), (4, "5", "6"), (8, "7", "8")]);
}

#[test]
fn nothing_is_lost_in_columns_without_a_name() {
    check(b"a,b,,\r\n1,2,,\r\n3\r\n4,5,,,,\r\n", &[(2, "1", "2"), (3, "3", ""), (4, "4", "5")]);
    let table = read(b"a,,b,\n1,,2,\n1,x,2,\n1,,2,3\n1,,2,,,4\n", 9).unwrap();
    let said: Vec<_> = table.rows.iter().map(|row| row.cells().map(|cells| cells.get(2).to_owned())).collect();
    assert_eq!(said[0], Ok("2".to_owned()));
    assert_eq!(said[3], Ok("2".to_owned()), "cells beyond the first line's are left out");
    for (row, column) in [(1, 2), (2, 4)] {
        assert!(said[row].as_ref().is_err_and(|why| why.contains(&format!("column {column},"))), "{:?}", said[row]);
    }
}

#[test]
fn what_is_no_table_says_what_to_do() {
    assert_eq!(read(b"PK\x03\x04xlsx", 9).unwrap_err(), BadTable::Workbook);
    assert_eq!(read(b"\xff\xfea\0b\0c", 9).unwrap_err(), BadTable::NotText);
    assert_eq!(read(b"a,b\n1,2\n\"x,2\n3,4\n5,6\n", 9).unwrap_err(), BadTable::OpenQuote { line: 3 });
    assert_eq!(read(b"a\n1\n2\n", 1).unwrap_err(), BadTable::TooManyRows(1));
    assert!(read(b"a,b\n1,5\" x\n", 9).is_ok(), "a quote within a cell opens nothing");
    let long = format!("a,b\n{},x\n1,2\n", "x".repeat(ROW_MAX_BYTES));
    let table = read(long.as_bytes(), 9).unwrap();
    assert!(table.rows[0].cells().is_err() && table.rows[1].cells().is_ok());
    assert!(read(b"", 9).unwrap().titles.is_empty());
}

#[test]
fn formulas_are_escaped_and_come_back() {
    for cell in [
        "=1+1",
        "+34600111222",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\n=1",
        "＝1+1",
        "＋34",
        "－1",
        "＠x",
        "'quoted",
        "''",
        "plain",
        "",
    ] {
        let written = escape_formula(cell);
        assert!(!written.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']), "{written:?}");
        assert_eq!(content(&written), cell.trim(), "{written:?}");
    }
    assert_eq!(content("'t Hooft"), "'t Hooft");
    assert_eq!(content("=\"+34600111222\""), "+34600111222");
    assert_eq!(content("\u{feff} x\u{a0}"), "x");
}

#[test]
fn shortened_numbers_are_known() {
    for shortened in ["3.46E+10", "3,46E+10", "3E+10", "3.46e+10", "1.2E-05"] {
        assert!(is_shortened(shortened), "{shortened}");
    }
    for other in ["34600111222", "12E5", "E+10", "3.E+10", "a3.4E+10", "3.46E+1x", ""] {
        assert!(!is_shortened(other), "{other}");
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[a;,\"\r\n\t=|']{0,60}") {
        let _ = read(&bytes, 20);
        let _ = read(text.as_bytes(), 20);
        let _ = read(format!("sep={text}").as_bytes(), 20);
    }

    #[test]
    fn a_row_stands_on_its_line(blank in prop::collection::vec(0usize..3, 1..8), end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let (mut text, mut line, mut expected) = (format!("a,b{end}"), 2, Vec::new());
        for (n, blanks) in blank.iter().enumerate() {
            text += &end.repeat(*blanks);
            line += *blanks as u64;
            text += &format!("\"x{end}y\",{n}{end}");
            expected.push(line);
            line += 2;
        }
        let lines: Vec<u64> = rows(text.as_bytes()).into_iter().map(|row| row.0).collect();
        prop_assert_eq!(lines, expected);
    }
}
