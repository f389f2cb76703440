//! The lanes' index, in words that SQLite need not make a list of at every write.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // PostgreSQL knows both wordings for the same, and would lock the table for nothing.
        match manager.get_database_backend() {
            sea_orm_migration::sea_orm::DatabaseBackend::Sqlite => {
                super::run(manager, include_str!("m0011_lanes.sql")).await
            }
            _ => Ok(()),
        }
    }
}
