//! Exports a tenant: writes its rows into a file, as they were at one moment, one at a time.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::{Counts, End, FORMAT, Header, LEFT_OUT, TenantLine};
use crate::domain::TenantId;
use crate::store::{Store, StoreError, TABLES};

/// The reason why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("no tenant has the slug '{0}'")]
    NoTenant(String),
    #[error("the export cannot be written ({0}): is there room?")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes all lines. Returns the number of rows of each kind.
pub async fn export(store: &Store, slug: &str, to: &mut impl Write) -> Result<Counts, ExportError> {
    let frozen = store.freeze().await?;
    let tenant = frozen.tenant(slug).await?.ok_or_else(|| ExportError::NoTenant(slug.to_owned()))?;
    let header = Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exported_at: store.clock().now(),
        tenant: slug.to_owned(),
        left_out: LEFT_OUT.to_owned(),
    };
    line(to, "header", &header)?;
    let id = TenantId::new(tenant.id);
    let settings = serde_json::from_str(&tenant.settings).map_err(|error| StoreError::Stored(error.to_string()))?;
    let tenant = TenantLine {
        id: tenant.id,
        slug: tenant.slug,
        name: tenant.name,
        zone: tenant.zone,
        language: tenant.language,
        account_sid: tenant.account_sid,
        settings,
        created_us: tenant.created_us,
    };
    line(to, "tenant", &tenant)?;
    let mut rows = Counts::new();
    for table in &TABLES {
        let count = frozen.each_row(table, id, |row| Ok::<_, ExportError>(line(to, table.kind, &row)?)).await?;
        rows.insert(table.kind.to_owned(), count);
    }
    line(to, "end", &End { rows: rows.clone() })?;
    to.flush()?;
    Ok(rows)
}

fn line(to: &mut impl Write, kind: &str, row: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, &json!({ kind: row }))?;
    to.write_all(b"\n")
}
