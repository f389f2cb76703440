//! The migrations, oldest first: data only. `src/store/db/migrate.rs` runs them; `README.md` beside this file says how to add
//! one.

use sea_orm::DatabaseBackend;

/// One step of the schema.
pub struct Migration {
    /// The name by which a database remembers that it has this step. Never changed once released.
    pub name: &'static str,
    /// Statements that end with `;` at a line's end, written once for both databases.
    script: &'static str,
    /// The database it is for; `None` for both.
    only: Option<DatabaseBackend>,
}

/// Every step, in order.
pub const MIGRATIONS: &[Migration] = &[
    // Tenants, senders, contacts, messages, events, actions and attempts, opt-outs, traces.
    Migration::new("m0001_spine", include_str!("m0001_spine.sql")),
    // Refused webhooks, counted by the hour.
    Migration::new("m0002_refusals", include_str!("m0002_refusals.sql")),
    // Timers, firings of rules with a limit, open questions.
    Migration::new("m0003_timers", include_str!("m0003_timers.sql")),
    // Services, staff, appointments and the minutes they occupy.
    Migration::new("m0004_appointments", include_str!("m0004_appointments.sql")),
    // Tokens of the REST API and idempotency keys.
    Migration::new("m0005_api", include_str!("m0005_api.sql")),
    // The subjects that timers hang on.
    Migration::new("m0006_subjects", include_str!("m0006_subjects.sql")),
    // Calls and their turns.
    Migration::new("m0007_calls", include_str!("m0007_calls.sql")),
    // Campaigns and their members.
    Migration::new("m0008_campaigns", include_str!("m0008_campaigns.sql")),
    // Legs of calls, and an index of calls by number.
    Migration::new("m0009_legs", include_str!("m0009_legs.sql")),
    // Scopes of API tokens.
    Migration::new("m0010_scopes", include_str!("m0010_scopes.sql")),
    // The index of ordering keys. SQLite built a list at every write for the old wording; PostgreSQL reads both alike.
    Migration { name: "m0011_lanes", script: include_str!("m0011_lanes.sql"), only: Some(DatabaseBackend::Sqlite) },
    // The last message of a customer on each channel: rows instead of a column for each channel.
    Migration::new("m0012_contact_channels", include_str!("m0012_contact_channels.sql")),
    // Triggers between those rows and the old columns, so that the program before m0012 can run beside the new one; both
    // are dropped a release later. SQLite has one server at a time, which may run on after a newer command migrated.
    Migration {
        name: "m0013_channel_columns_sqlite",
        script: include_str!("m0013_channel_columns_sqlite.sql"),
        only: Some(DatabaseBackend::Sqlite),
    },
    Migration {
        name: "m0014_channel_columns_postgres",
        script: include_str!("m0014_channel_columns_postgres.sql"),
        only: Some(DatabaseBackend::Postgres),
    },
    // Expiry and use of API tokens, purchases of numbers, sends by the hour, the counters of campaigns.
    Migration::new("m0018_limits", include_str!("m0018_limits.sql")),
    // A call's id is unique within a tenant and an account, and triggers keep the counters of campaigns.
    Migration {
        name: "m0018_limits_sqlite",
        script: include_str!("m0018_limits_sqlite.sql"),
        only: Some(DatabaseBackend::Sqlite),
    },
    Migration {
        name: "m0018_limits_postgres",
        script: include_str!("m0018_limits_postgres.sql"),
        only: Some(DatabaseBackend::Postgres),
    },
];

impl Migration {
    const fn new(name: &'static str, script: &'static str) -> Self {
        Self { name, script, only: None }
    }

    /// The statements for a database: `{id}` becomes its type of an identity, `{clustered}` keeps a table in the order of
    /// its primary key where the database can.
    pub fn statements(&self, backend: DatabaseBackend) -> Vec<String> {
        if self.only.is_some_and(|only| only != backend) {
            return Vec::new();
        }
        let (id, clustered) = match backend {
            DatabaseBackend::Sqlite => ("blob", "WITHOUT ROWID"),
            _ => ("uuid", ""),
        };
        let script = self.script.replace("{id}", id).replace("{clustered}", clustered);
        script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
    }
}
