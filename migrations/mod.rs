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
    /// A program that knows this older step can run on the schema after this one, too. The database remembers it. `None`:
    /// no older program can.
    pub fits: Option<&'static str>,
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
    Migration {
        name: "m0011_lanes",
        script: include_str!("m0011_lanes.sql"),
        only: Some(DatabaseBackend::Sqlite),
        fits: None,
    },
    // The last message of a customer on each channel: rows instead of a column for each channel.
    Migration::new("m0012_contact_channels", include_str!("m0012_contact_channels.sql")),
    // Triggers between those rows and the old columns, so that the program before m0012 can run beside the new one; both
    // are dropped a release later. SQLite has one server at a time, which may run on after a newer command migrated.
    Migration {
        name: "m0013_channel_columns_sqlite",
        script: include_str!("m0013_channel_columns_sqlite.sql"),
        only: Some(DatabaseBackend::Sqlite),
        fits: None,
    },
    Migration {
        name: "m0014_channel_columns_postgres",
        script: include_str!("m0014_channel_columns_postgres.sql"),
        only: Some(DatabaseBackend::Postgres),
        fits: None,
    },
    // The event of a calendar file that an appointment comes from, and its version.
    Migration::new("m0015_calendar_versions", include_str!("m0015_calendar_versions.sql")),
    // Questions whose texts have not left yet.
    Migration::new("m0016_unsent_questions", include_str!("m0016_unsent_questions.sql")),
    // WhatsApp's ids of customers who hide their numbers.
    Migration::new("m0019_whatsapp_ids", include_str!("m0019_whatsapp_ids.sql")),
    // The look-up keys of Argentine numbers without the 9 of mobiles: that of the number with it. Of two opt-outs of one
    // customer the later stays.
    Migration::new("m0020_argentine_keys", include_str!("m0020_argentine_keys.sql")),
    // The heads of ordering keys, which alone may be claimed; events that cannot be decided. The column has a default, and
    // what an older program leaves without a head is found by the sweep.
    Migration::new("m0021_heads", include_str!("m0021_heads.sql")).fits("m0020_argentine_keys"),
    // What lists walk along, and the rows of a customer.
    Migration::new("m0022_lists", include_str!("m0022_lists.sql")).fits("m0020_argentine_keys"),
    // Expiry and use of API tokens, purchases of numbers, sends by the hour, the counters of campaigns.
    Migration::new("m0023_limits", include_str!("m0023_limits.sql")),
    // A call's id is unique within a tenant and an account, and triggers keep the counters of campaigns.
    Migration {
        name: "m0023_limits_sqlite",
        script: include_str!("m0023_limits_sqlite.sql"),
        only: Some(DatabaseBackend::Sqlite),
        fits: None,
    },
    Migration {
        name: "m0023_limits_postgres",
        script: include_str!("m0023_limits_postgres.sql"),
        only: Some(DatabaseBackend::Postgres),
        fits: None,
    },
];

impl Migration {
    const fn new(name: &'static str, script: &'static str) -> Self {
        Self { name, script, only: None, fits: None }
    }

    /// Marks a step that only adds: programs that know `older` can run after it.
    const fn fits(self, older: &'static str) -> Self {
        Self { fits: Some(older), ..self }
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
