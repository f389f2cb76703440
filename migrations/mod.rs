//! The migrations, oldest first. How to add one: `README.md` beside this file.

use sea_orm_migration::prelude::*;

mod m0001_spine;
mod m0002_refusals;
mod m0003_timers;
mod m0004_appointments;
mod m0005_api;
mod m0006_subjects;
mod m0007_calls;
mod m0008_campaigns;
mod m0009_legs;
mod m0010_scopes;
mod m0011_lanes;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_spine::Migration),
            Box::new(m0002_refusals::Migration),
            Box::new(m0003_timers::Migration),
            Box::new(m0004_appointments::Migration),
            Box::new(m0005_api::Migration),
            Box::new(m0006_subjects::Migration),
            Box::new(m0007_calls::Migration),
            Box::new(m0008_campaigns::Migration),
            Box::new(m0009_legs::Migration),
            Box::new(m0010_scopes::Migration),
            Box::new(m0011_lanes::Migration),
        ]
    }
}

/// Runs a script of statements that end with `;` at a line's end, in the words of the database it meets.
///
/// The scripts are written once for both: `{id}` is an identity's type, `{clustered}` keeps a table in the order
/// of its primary key where the database can.
async fn run(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let sqlite = manager.get_database_backend() == sea_orm_migration::sea_orm::DatabaseBackend::Sqlite;
    let script = script
        .replace("{id}", if sqlite { "blob" } else { "uuid" })
        .replace("{clustered}", if sqlite { "WITHOUT ROWID" } else { "" });
    for statement in script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
