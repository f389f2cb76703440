//! Runs the migrations. The table `seaql_migrations` has the names of the migrations of a database.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;

use super::sql;
use crate::domain::Clock;
use crate::migrations::{MIGRATIONS, Migration};
use crate::store::error::StoreError;

const APPLIED: &str = "CREATE TABLE IF NOT EXISTS seaql_migrations \
                       (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)";

/// Runs the missing migrations in order. The caller's transaction is the lock: two processes never migrate at a time.
pub(in crate::store) async fn run(txn: &impl ConnectionTrait, clock: &Clock) -> Result<(), StoreError> {
    txn.execute_unprepared(APPLIED).await?;
    for migration in missing(txn).await? {
        for statement in migration.statements(txn.get_database_backend()) {
            txn.execute_unprepared(&statement).await?;
        }
        let at_s = clock.now().unix_us() / 1_000_000;
        let values = vec![migration.name.into(), at_s.into()];
        sql::execute(txn, "INSERT INTO seaql_migrations (version, applied_at) VALUES (?, ?)", values).await?;
    }
    Ok(())
}

/// Counts the migrations that a database lacks.
pub(in crate::store) async fn pending(db: &impl ConnectionTrait) -> Result<usize, StoreError> {
    let exists = match db.get_database_backend() {
        sea_orm::DatabaseBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
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
    if let Some(newer) = applied.iter().find(|name| MIGRATIONS.iter().all(|known| known.name != name.as_str())) {
        return Err(StoreError::Setup(format!(
            "the database has the migration {newer}, which this program does not know: start the newer version that made it"
        )));
    }
    Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(migration.name)).collect())
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
        for refused in [store.migrate().await.err(), store.pending_migrations().await.err()] {
            assert!(refused.unwrap().to_string().contains("m9999_newer"));
        }
    }
}
