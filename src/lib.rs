//! Recado: a rule-driven messaging automation engine.
//!
//! Messages come in as signed webhooks; each becomes a durable event; rules written in Rhai decide; what they want sent
//! goes through a ledger that sends it once. Read [`engine::pipeline`] top to bottom for the way of a message.
//!
//! # Code map
//!
//! The modules below stand in the order of their dependencies: **a module imports only modules above it.** Only [`app`]
//! and [`cli`] name everything. Siblings in [`features`] and in [`http`] never import each other. Tests keep this true.
//!
//! | to change … | look in |
//! |---|---|
//! | what a word means: a phone number, a channel, a state, its arrows | [`domain`] |
//! | spans, zones, schedules, recurrence, opening hours, quiet hours | [`time`] |
//! | a setting; the secret key; links that we sign | [`config`] |
//! | what is logged and counted | [`telemetry`] |
//! | what Twilio, ElevenLabs, a chat model, a mail server or another provider says and means | [`integrations`] |
//! | the built-in carrier | [`emulators`] |
//! | a table or a query | `migrations/`, [`store`] |
//! | whose number or account it is; a tenant's settings | [`tenants`] |
//! | what rules can read and do, how they are loaded and evaluated | [`rules`] |
//! | the way of a message | [`engine::pipeline`] |
//! | how an event is decided, wherever that is asked | [`engine::decision`] |
//! | the facts that rules decide on; when who is free | [`engine::facts`], [`engine::availability`] |
//! | whether a send may leave, when, from which number, by which transport | [`engine::sending`] |
//! | what fires when it is due | [`engine::timers`] |
//! | what becomes of a send whose outcome is unknown | [`engine::reconcile`] |
//! | appointments in calendars and tables, campaigns, customers, numbers, calls, reviews | [`features`] |
//! | why something was sent or not | [`ops::explain`] |
//! | checks before going live, forecasts, exports and imports, retention | [`ops`] |
//! | the manual | [`docs`] |
//! | a webhook, the REST API, a page | [`http`] |
//! | the limits of connections; how much a token may ask | [`http::server`], [`http::api`] |
//! | which loop runs, which part gets which | [`app`] |
//! | a command | [`cli`] |
//!
//! # Invariants
//!
//! - **A webhook is answered after its event is committed.** No accepted event is lost.
//! - **The row is the truth, a wake-up only a hint.** A sweep finds what a lost wake-up leaves behind.
//! - **Deciding does no I/O.** [`rules::RuleSet::decide`] takes an event and facts, and gives actions: any event can be
//!   decided again, on any rules, at any time.
//! - **What is sent is sent once.** An action's identity is (event, rule, index). Its attempt is committed before the
//!   provider is called, the outcome after. Where the outcome is unknown the provider's list decides, never a guess.
//! - **A decision is checked when it is written**: the deciding transaction looks again at the open question it answers and at
//!   its rules' limits. What was decided on an older state is decided anew.
//! - **A timer fires once.** Its row goes and its event comes in one transaction.
//! - **One send at a time along an ordering key** (channel, sender, recipient), in planned order. Only the head of a key may be
//!   claimed; who ends or moves it makes the next one the head in the same transaction.
//! - **Every send passes the gate** in the transaction that claims it; a STOP holds from its commit on.
//! - **Statuses move forward only**, in whatever order they are reported.
//! - **Every query names its tenant**, or goes by an id that a row of the tenant holds, and checks it. The exceptions: queries
//!   for tenants with work and for what is due, by the provider's ids, and along an ordering key, which the tenants that send
//!   from one number share.
//! - **What one tenant's programs ask never takes what calls and messages need**: each has its own connections to the database.
//! - **Time comes from [`domain::Clock`], chance from [`domain::clock::Random`]**; clippy refuses other sources.
//! - Deliberately absent: TwiML replies to messages (a reply that skips the ledger could not be accounted for), retries
//!   inside the HTTP client (the ledger decides), configuration read after the start.
//!
//! # How to add …
//!
//! | what | the recipe stands in |
//! |---|---|
//! | a channel | [`domain::channel`] |
//! | a column or a table | [`store`] |
//! | a function for rules, an event kind | [`rules`] |
//! | an action | [`engine::sending`] |
//! | an endpoint | [`http::api`] |
//! | a topic of the manual | [`docs`] |
//!
//! # Decisions that may surprise
//!
//! - A wake-up carries a tenant, not an event's id: a stage reads the tenant's oldest rows by itself. This keeps the order of a
//!   contact's events without a memory of what was handed out, makes repeated wake-ups free, and shares the work fairly
//!   between tenants. A bus between machines can carry the same.
//! - Effects on our own rows (tags, fields, notes, emitted events) are done in the deciding transaction, not queued: they
//!   happen exactly once, and the customer's next event sees them.
//! - A STOP is applied while the message is ingested, not when its rules are decided: it holds from our answer on.
//! - On SQLite the writer calls the library itself, through `rusqlite`; everything else goes through sea-orm. A statement
//!   that travels to a driver's thread and back costs more than the statement: this halved the cost of a message. There the
//!   writer runs a prepared statement row by row; on PostgreSQL many rows go into one statement.
//! - On PostgreSQL the sessions have no full scans, and the writer forgets its plans every few seconds: a prepared statement
//!   keeps the plan of the small table that it was made for.
//! - An action's id is derived from (event, rule, index), so planning twice meets the primary key, without another index.
//! - Migrations are scripts in a list, run by forty lines of our own: the library for it forces features of sea-orm that
//!   nothing here uses, and they were a twentieth of the build.
//! - The bridge between a Twilio media stream and ElevenLabs is [`integrations::media_stream`], not a feature: it knows frames and
//!   no tenant. [`engine::availability`] is in the engine because rules, agents and the API all ask who is free when.

#[path = "../migrations/mod.rs"]
pub mod migrations;

pub mod domain;

pub mod time;

pub mod config;

pub mod telemetry;

pub mod integrations;

pub mod emulators;

pub mod store;

pub mod tenants;

pub mod rules;

pub mod engine;

pub mod features;

pub mod ops;

pub mod docs;

pub mod http;

pub mod app;

pub mod cli;
