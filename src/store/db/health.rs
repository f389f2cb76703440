//! The health of the database, for operators.

use super::sql;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// The most faults that a check of the file lists.
const FAULTS_MAX: usize = 10;

impl Store {
    /// Lists the faults of the database file; reads all of it. PostgreSQL checks its files itself.
    pub async fn faults_in_file(&self) -> Result<Vec<String>, StoreError> {
        if !self.is_sqlite() {
            return Ok(Vec::new());
        }
        let rows = sql::query(&self.read, &format!("PRAGMA quick_check({FAULTS_MAX})"), vec![]).await?;
        let mut faults = Vec::with_capacity(rows.len());
        for row in rows {
            faults.push(row.try_get_by_index::<String>(0)?);
        }
        faults.retain(|fault| fault != "ok");
        Ok(faults)
    }

    /// Counts the held sends of all tenants, up to `cap`. They wait for a person.
    pub async fn held(&self, cap: usize) -> Result<i64, StoreError> {
        let text = "SELECT count(*) FROM (SELECT 1 FROM actions WHERE state = 'held' LIMIT ?) AS counted";
        let row = sql::query_one(&self.read, text, vec![(cap as i64).into()]).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
    }
}
