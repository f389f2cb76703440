//! Statements of many rows, in the words of both databases.
//!
//! SQL is written with `?`; PostgreSQL gets `$1…`. Statement texts come in few sizes, so that the prepared-statement
//! cache holds them all: one statement for many rows costs a tenth of one statement a row.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, QueryResult, Statement, Value};

/// Row counts that statements are made for, largest first.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A statement with its values.
pub fn statement(backend: DatabaseBackend, sql: &str, values: Vec<Value>) -> Statement {
    let sql = if backend == DatabaseBackend::Postgres { dollars(sql) } else { sql.to_owned() };
    Statement::from_sql_and_values(backend, sql, values)
}

/// Runs one statement; gives the number of rows it touched.
pub async fn execute(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<u64, DbErr> {
    Ok(db.execute_raw(statement(db.get_database_backend(), sql, values)).await?.rows_affected())
}

pub async fn query(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(statement(db.get_database_backend(), sql, values)).await
}

pub async fn query_one(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>, DbErr> {
    db.query_one_raw(statement(db.get_database_backend(), sql, values)).await
}

/// Runs `sql` with `{rows}` filled by `(?,…),(?,…)`: an `INSERT … VALUES {rows}` or an `UPDATE … FROM (VALUES {rows})`.
/// `values` holds the rows one after another, `columns` each. Gives what `RETURNING` returned.
pub async fn rows(
    db: &impl ConnectionTrait,
    sql: &str,
    columns: usize,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut returned = Vec::new();
    let mut values = values.into_iter();
    let mut left = values.len() / columns;
    let one = format!("({})", vec!["?"; columns].join(","));
    while left > 0 {
        let size = SIZES.into_iter().find(|size| *size <= left).unwrap_or(1);
        let text = sql.replace("{rows}", &vec![one.as_str(); size].join(","));
        let part: Vec<Value> = values.by_ref().take(size * columns).collect();
        left -= size;
        if text.contains("RETURNING") {
            returned.extend(query(db, &text, part).await?);
        } else {
            execute(db, &text, part).await?;
        }
    }
    Ok(returned)
}

/// As [`rows`], in one statement where [`rows`] takes several: the last row is repeated up to one of the few sizes.
///
/// For statements that a repeated row does no harm: `UPDATE … FROM (VALUES {rows})` and `INSERT … ON CONFLICT DO NOTHING`.
/// Each statement is a journey to the database and back, which costs more than some rows too many.
pub async fn rows_padded(
    db: &impl ConnectionTrait,
    sql: &str,
    columns: usize,
    mut values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let count = values.len() / columns;
    if let Some(size) = SIZES.into_iter().rev().find(|size| *size >= count && count > 0) {
        let last = values[values.len() - columns..].to_vec();
        values.extend(std::iter::repeat_n(last, size - count).flatten());
    }
    rows(db, sql, columns, values).await
}

/// Queries with `{list}` filled by `?,?,…`: padded to one of the few sizes by repeating the last value, which is harmless in an `IN`.
/// `before` are the values of the `?` that stand before the list.
pub async fn query_in(
    db: &impl ConnectionTrait,
    sql: &str,
    before: &[Value],
    list: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut found = Vec::new();
    for part in list.chunks(SIZES[0]) {
        let (text, values) = padded(sql, before, part);
        found.extend(query(db, &text, values).await?);
    }
    Ok(found)
}

fn padded(sql: &str, before: &[Value], part: &[Value]) -> (String, Vec<Value>) {
    let size = SIZES.into_iter().rev().find(|size| *size >= part.len()).unwrap_or(SIZES[0]);
    let text = sql.replace("{list}", &vec!["?"; size].join(","));
    let mut values = Vec::with_capacity(before.len() + size);
    values.extend_from_slice(before);
    values.extend_from_slice(part);
    if let Some(last) = part.last() {
        values.resize(before.len() + size, last.clone());
    }
    (text, values)
}

/// `?` to `$1`, `$2`, …; our SQL has no `?` inside literals.
fn dollars(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    let mut n = 0;
    for c in sql.chars() {
        if c == '?' {
            n += 1;
            text.push('$');
            text.push_str(&n.to_string());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_numbers() {
        assert_eq!(dollars("a = ? AND b IN (?,?)"), "a = $1 AND b IN ($2,$3)");
    }

    #[test]
    fn lists_are_padded_with_their_last_value() {
        let (text, values) = padded("x = ? AND id IN ({list})", &[1.into()], &[2.into(), 3.into()]);
        assert_eq!(text, "x = ? AND id IN (?,?)");
        assert_eq!(values, vec![Value::from(1), 2.into(), 3.into()]);
        let (text, values) = padded("id IN ({list})", &[], &[1.into(), 2.into(), 3.into()]);
        assert_eq!(text, "id IN (?,?,?,?)");
        assert_eq!(values, vec![Value::from(1), 2.into(), 3.into(), 3.into()]);
    }
}
