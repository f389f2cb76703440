//! Recado: a rule-driven messaging automation engine.
//!
//! Messages come in as signed webhooks; each becomes a durable event; rules written in Rhai decide; what they want sent
//! goes through a ledger that sends it once. Read [`pipeline`] top to bottom for the way of a message.
//!
//! # Code map
//!
//! The modules below stand in the order of their dependencies: **a module imports only modules above it.** Only [`app`]
//! and the commands in `cli` name everything. A test keeps this true.
//!
//! | to change … | look in |
//! |---|---|
//! | what a word means: a phone number, a channel, a state, its arrows | [`domain`] |
//! | spans, zones, schedules, opening hours, quiet hours | [`time`] |
//! | a setting | [`config`], `src/recado.default.toml` |
//! | a table or a query | `migrations/`, [`store`] |
//! | whose number or account it is | [`directory`] |
//! | what any provider answers to a send | [`provider`] |
//! | a backup, a tenant's export and import | [`archive`] |
//! | how long what happened is kept | [`retention`] |
//! | appointments: booking, free slots, their import and export | [`appointments`], [`store::appointments`] |
//! | how e-mail leaves, its templates | [`email`] |
//! | the conversation model | [`chat`]; its stand-in: [`carrier::chat`] |
//! | a live call: the sockets, the bridge between them | [`eleven`], [`stream`]; the stand-in: [`carrier::eleven`] |
//! | another provider, `http_request`, what may be called at all | [`outbound`], `src/providers.default.toml` |
//! | what Twilio says and means | [`twilio`]; its stand-in for tests and for trying out: [`carrier`] |
//! | what rules can read and do; how they ask back, wait, and how often they run | [`rules`] (`talk`, `later`, `limit`) |
//! | whether a send may leave, when, from which number | [`actions`] |
//! | what a customer says of a visit: the link, its pages | [`reviews`], `src/web/review.rs` |
//! | what goes out where a message came to nothing | `rules/notify.rs`, `src/store/fallback.rs` |
//! | when a rule runs that waits; what fires when it is due | `rules/timing.rs`, [`schedule`], `src/store/fire.rs` |
//! | the order of the stages, batches, what happens after a crash | [`pipeline`], [`reconcile`] |
//! | what is foreseen, and how it is found out | [`forecast`]; the rehearsal on a copy: `src/app/rehearsal.rs` |
//! | what is checked before going live, and what each finding says | [`doctor`] |
//! | numbers: found, bought, set up, given back; how many a tenant may own | [`numbers`], `src/api/numbers.rs` |
//! | a webhook, whose it is, who may call it | [`web`], [`intake`] |
//! | what a caller hears next; the words where nobody chose any | [`voice`], `src/domain/voice_words.rs` |
//! | calls: what is kept of them and their legs, how they are listed | `src/store/calls`, `src/api/calls.rs` |
//! | voice agents: what is checked of one, how it is kept | `src/voice/agents.rs`, `src/api/agents.rs` |
//! | a call whose end nobody has told | `src/channels/voice/lost.rs` |
//! | campaigns: whom they call or write to, at what pace, how often | [`campaigns`], [`store::campaigns`] |
//! | a channel, its routes and service, catching up | [`channels`] |
//! | the REST API, its description | [`api`] |
//! | a command | `cli` |
//!
//! # Invariants
//!
//! - **A webhook is answered after its event is committed.** No accepted event is lost.
//! - **The row is the truth, the bus only a wake-up.** A sweep finds what a lost wake-up leaves behind.
//! - **Deciding does no I/O.** [`rules::RuleSet::decide`] takes an event and facts, and gives actions: any event can be
//!   decided again, on any rules, at any time.
//! - **What is sent is sent once.** An action's identity is (event, rule, index). Its attempt is committed before the
//!   provider is called, the outcome after. Where the outcome is unknown the provider's list decides, never a guess.
//! - **What stands between a customer's events holds when it is written**: an open question that is answered, a limit, are
//!   looked at again in the deciding transaction; what was decided on an older state is decided anew.
//! - **A promise for later is a row, kept once.** A timer's row goes and its event comes in one transaction.
//! - **One send at a time along a lane** (channel, sender, recipient), in planned order.
//! - **Every send passes the gate** in the transaction that claims it; a STOP holds from its commit on.
//! - **Statuses move forward only**, in whatever order they are told.
//! - **Every query names its tenant**, or goes by an id that a row of the tenant holds and is checked against; but for those
//!   that look which tenants have work or what is due, by the provider's ids, and along a lane, which all who send from a number share.
//! - **Time comes from [`domain::Clock`], chance from [`domain::clock::Random`]**; clippy refuses other sources.
//! - Deliberately absent: TwiML replies to messages (a reply that skips the ledger could not be accounted for), retries
//!   inside the HTTP client (the ledger decides), configuration read after the start.
//!
//! # Where this differs from what one might expect
//!
//! - The bus carries tenants, not event ids: a stage reads a tenant's oldest rows by itself, which keeps the order of a
//!   contact's events without any memory of what was handed out, makes repeats of a wake-up free, and shares the work
//!   fairly between tenants. A bus between machines can carry the same.
//! - Effects on our own rows (tags, fields, notes, emitted events) are done in the deciding transaction, not queued: they
//!   are exactly once by nature, and the customer's next event sees them.
//! - STOP is obeyed while a message is taken in, not when its rules are decided: from our answer on it holds.
//! - On SQLite the writer calls the library itself, through `rusqlite`; everything else goes through sea-orm. A statement
//!   that travels to a driver's thread and back costs more than the statement: this halved what a message costs. There it
//!   runs a prepared statement for row after row; on PostgreSQL many rows go into one statement.
//! - Action ids are derived from (event, rule, index), so planning twice meets the primary key, without another index.

#[path = "../migrations/mod.rs"]
pub mod migrations;

pub mod domain;

pub mod time;

pub mod secret;

pub mod config;

pub mod telemetry;

pub mod provider;

pub mod outbound;

pub mod store;

pub mod directory;

pub mod archive;

pub mod retention;

pub mod appointments;

pub mod twilio;

pub mod email;

pub mod chat;

pub mod eleven;

pub mod stream;

pub mod carrier;

pub mod reviews;

pub mod bus;

pub mod rules;

pub mod actions;

pub mod pipeline;

pub mod campaigns;

pub mod schedule;

pub mod forecast;

pub mod reconcile;

pub mod voice;

pub mod doctor;

pub mod numbers;

pub mod web;

pub mod intake;

pub mod channels;

pub mod api;

pub mod app;

pub mod cli;
