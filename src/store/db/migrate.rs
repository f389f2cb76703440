//! Runs the migrations. The table `seaql_migrations` has the names of the migrations of a database, and for each which
//! older programs can run on the schema after it.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseBackend};

use super::sql;
use crate::domain::Clock;
use crate::migrations::{MIGRATIONS, Migration};
use crate::store::error::StoreError;

const APPLIED: &str = "CREATE TABLE IF NOT EXISTS seaql_migrations \
                       (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)";

/// Runs the missing migrations in order. The caller's transaction is the lock: two processes never migrate at a time.
pub(in crate::store) async fn run(txn: &impl ConnectionTrait, clock: &Clock) -> Result<(), StoreError> {
    txn.execute_unprepared(APPLIED).await?;
    add_fits(txn).await?;
    for migration in missing(txn).await? {
        for statement in migration.statements(txn.get_database_backend()) {
            txn.execute_unprepared(&statement).await?;
        }
        let at_s = clock.now().unix_us() / 1_000_000;
        let values = vec![migration.name.into(), at_s.into()];
        sql::execute(txn, "INSERT INTO seaql_migrations (version, applied_at) VALUES (?, ?)", values).await?;
        if let Some(fits) = migration.fits {
            let text = "UPDATE seaql_migrations SET fits = ? WHERE version = ?";
            sql::execute(txn, text, vec![fits.into(), migration.name.into()]).await?;
        }
    }
    Ok(())
}

/// Adds the column that an older program left out of its table.
async fn add_fits(txn: &impl ConnectionTrait) -> Result<(), StoreError> {
    let add = "ALTER TABLE seaql_migrations ADD COLUMN";
    if txn.get_database_backend() == DatabaseBackend::Postgres {
        txn.execute_unprepared(&format!("{add} IF NOT EXISTS fits varchar")).await?;
        return Ok(());
    }
    let exists = "SELECT 1 FROM pragma_table_info('seaql_migrations') WHERE name = 'fits'";
    if sql::query_one(txn, exists, vec![]).await?.is_none() {
        txn.execute_unprepared(&format!("{add} fits varchar")).await?;
    }
    Ok(())
}

/// Counts the migrations that a database lacks.
pub(in crate::store) async fn pending(db: &impl ConnectionTrait) -> Result<usize, StoreError> {
    let exists = match db.get_database_backend() {
        DatabaseBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
        _ => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
    };
    if sql::query_one(db, exists, vec![]).await?.is_none() {
        return Ok(MIGRATIONS.len());
    }
    Ok(missing(db).await?.len())
}

async fn missing(db: &impl ConnectionTrait) -> Result<Vec<&'static Migration>, StoreError> {
    let rows = sql::query(db, "SELECT version FROM seaql_migrations", vec![]).await?;
    let applied = rows.iter().map(|row| row.try_get::<String>("", "version")).collect::<Result<HashSet<_>, _>>()?;
    if applied.iter().any(|name| !is_known(name)) {
        check_newer(db).await?;
    }
    Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(migration.name)).collect())
}

fn is_known(name: &str) -> bool {
    MIGRATIONS.iter().any(|known| known.name == name)
}

/// Checks that this program can run on the schema that a newer one has made.
async fn check_newer(db: &impl ConnectionTrait) -> Result<(), StoreError> {
    for row in sql::query(db, "SELECT * FROM seaql_migrations ORDER BY version", vec![]).await? {
        // A table without the column is older than it: nothing in it is marked.
        let (newer, fits): (String, Option<String>) =
            (row.try_get("", "version")?, row.try_get("", "fits").unwrap_or_default());
        if !is_known(&newer) && !fits.is_some_and(|older| is_known(&older)) {
            return Err(StoreError::Setup(format!(
                "the database has the migration {newer}, which this program does not know: start the newer version that \
                 made it, or restore a backup"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::config::Synchronous;
    use crate::domain::clock::Random;
    use crate::domain::{Clock, Ids};
    use crate::migrations::MIGRATIONS;
    use crate::store::Options;
    use crate::store::handle::Store;

    use super::sql;

    async fn open(folder: &std::path::Path) -> Store {
        let url = format!("sqlite://{}", folder.join("recado.db").display()).into();
        let (clock, random) = (Clock::system(), Random::seeded(1));
        let ids = Arc::new(Ids::new(clock.clone(), random));
        Store::open(&Options { url, synchronous: Synchronous::Normal }, clock, ids).await.unwrap()
    }

    #[tokio::test]
    async fn each_migration_runs_once_and_an_unknown_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        assert_eq!(store.pending_migrations().await.unwrap(), MIGRATIONS.len());
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(store.pending_migrations().await.unwrap(), 0);

        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_newer', 0)";
        sql::execute(&store.write, newer, vec![]).await.unwrap();
        let fits = |older: &str| {
            let values = vec![older.into()];
            sql::execute(&store.write, "UPDATE seaql_migrations SET fits = ? WHERE version = 'm9999_newer'", values)
        };
        fits(MIGRATIONS[0].name).await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(store.pending_migrations().await.unwrap(), 0, "the newer step only added something");
        fits("m9998_between").await.unwrap();
        for refused in [store.migrate().await.err(), store.pending_migrations().await.err()] {
            assert!(refused.unwrap().to_string().contains("m9999_newer"));
        }
    }
}
