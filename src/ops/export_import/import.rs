//! Imports a tenant's file into a database: all of it, or nothing that is visible.
//!
//! Rows are written in small transactions, so that a running server goes on. The tenant is invisible until the last one,
//! which gives it its slug and its senders (see `store/portability/snapshot.rs`). A failed import removes its rows again.
//!
//! **Two installations must not send the same message.** The installation that wrote the file may still do its open work.
//! So open sends (planned, in flight, of unknown outcome) come in as `held`, undecided events count as decided, and running
//! campaigns come in paused. Only with [`Options::resume`], after the other installation was stopped for good, do they go
//! on here.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{Counts, End, FORMAT, Header, TenantLine};
use crate::domain::{Address, CampaignState, Channel, Clock, Phone, TenantId, Timestamp};
use crate::store::rows::{sender, tenant};
use crate::store::{CUSTOMER_CHANNEL, NotARow, SET_ASIDE, Store, StoreError, TABLES, Table, ordering_key};
use crate::tenants::TenantSettings;
use crate::tenants::fields::sender_of;

/// The longest line, with its end.
const LINE_MAX_BYTES: usize = 4 << 20;
/// Rows in one transaction at most, and the bytes of their lines together.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// The pause between two transactions, for other writers.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest description of a faulty line, in characters.
const WHY_MAX_CHARS: usize = 300;
/// Senders of one tenant at most. They are kept in memory until the end.
const SENDERS_MAX: usize = 1_000;

/// The options of an import.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A slug to use instead of the file's.
    pub slug: Option<String>,
    /// Checks every line and writes nothing.
    pub dry_run: bool,
    /// Open work continues here. The other installation must have stopped for good.
    pub resume: bool,
    /// First removes the rows that a killed import of this slug left.
    pub restart: bool,
}

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    pub slug: String,
    pub rows: Counts,
    /// Sends that were open in the file and are held now.
    pub held: u64,
    /// Campaigns that ran in the file and are paused now.
    pub paused: u64,
    /// The tenant's own account, whose token is not in the file.
    pub account_sid: Option<String>,
}

/// The reason why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("line {line}: {why}")]
    Line { line: u64, why: String },
    #[error("lines {first} to {last}: {cause}")]
    Rows { first: u64, last: u64, cause: StoreError },
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}; what had come in could not be removed ({1}): it is invisible, and --restart removes it")]
    NotUndone(Box<Self>, StoreError),
}

/// Imports a tenant. `pace` is the clock by which it pauses for other writers.
pub async fn import(
    store: &Store,
    pace: &Clock,
    from: impl BufRead,
    options: &Options,
) -> Result<Imported, ImportError> {
    let mut lines = Lines { from, line: 0, bytes: Vec::new() };
    let (tenant, slug) = beginning(&mut lines, options)?;
    if options.restart && !options.dry_run {
        store.undo_import(&slug).await?;
    }
    let mut work = Work {
        store,
        pace,
        options,
        tenant: TenantId::new(tenant.id),
        now: store.clock().now(),
        rows: TABLES.iter().map(|table| (table.kind.to_owned(), 0)).collect(),
        channels: Vec::new(),
        senders: Vec::new(),
        batch: Batch::default(),
        held: 0,
        paused: 0,
    };
    let account_sid = tenant.account_sid.clone();
    if !options.dry_run {
        store.begin_import(tenant, &slug).await?;
    }
    let ended = match work.take_in(&mut lines).await {
        Ok(()) if options.dry_run => Ok(store.could_import(work.tenant.uuid(), &slug, &work.senders).await?),
        Ok(()) => store.finish_import(work.tenant, &slug, std::mem::take(&mut work.senders)).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        if !options.dry_run
            && let Err(why) = store.undo_import(&slug).await
        {
            return Err(ImportError::NotUndone(Box::new(error), why));
        }
        return Err(error);
    }
    Ok(Imported { slug, rows: work.rows, held: work.held, paused: work.paused, account_sid })
}

/// Reads the header and the tenant. Returns the tenant's row and its slug.
fn beginning(lines: &mut Lines<impl BufRead>, options: &Options) -> Result<(tenant::Model, String), ImportError> {
    let header: Header = lines.named("header")?;
    if header.format != FORMAT {
        return Err(lines.wrong(format!(
            "the file has format {}, this Recado reads {FORMAT}: import it with the version that wrote it, {}, or later",
            header.format, header.version
        )));
    }
    let line: TenantLine = lines.named("tenant")?;
    let slug = options.slug.clone().unwrap_or_else(|| line.slug.clone());
    let texts = [(&line.slug, 40), (&line.name, 400), (&line.zone, 100), (&line.language, 35)];
    let is_slug = |slug: &str| !slug.is_empty() && slug.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let is_text = |(text, max): (&String, usize)| text.len() <= max && !text.chars().any(char::is_control);
    if !is_slug(&line.slug)
        || !texts.into_iter().all(is_text)
        || line.zone.parse::<chrono_tz::Tz>().is_err()
        || line.account_sid.as_ref().is_some_and(|sid| sid.len() != 34 || !sid.starts_with("AC"))
        || serde_json::from_value::<TenantSettings>(line.settings.clone())
            .map_or(true, |settings| !settings.unknown.is_empty())
    {
        return Err(lines.wrong("the tenant's slug, name, zone, language, account or settings are not such".to_owned()));
    }
    let row = tenant::Model {
        id: line.id,
        slug: slug.clone(),
        name: line.name,
        zone: line.zone,
        language: line.language,
        account_sid: line.account_sid,
        auth_token: None,
        auth_token_secondary: None,
        settings: line.settings.to_string(),
        created_us: line.created_us,
    };
    Ok((row, slug))
}

/// Gives the look-up keys of numbers the form of this version: an older one kept the forms of some countries apart.
fn renew_keys(row: &mut Map<String, Json>) {
    let key = |number: &str| Phone::parse(number).ok().map(|phone| phone.key());
    for name in ["phone_key", "peer_key"] {
        if let Some(key) = row.get(name).and_then(Json::as_str).and_then(key) {
            row.insert(name.to_owned(), key.into());
        }
    }
    if let Some((queue, number)) = row.get("lane").and_then(Json::as_str).and_then(|lane| lane.rsplit_once('>'))
        && let Some(key) = key(number)
    {
        row.insert("lane".to_owned(), format!("{queue}>{key}").into());
    }
}

/// Rows of one table that are written together.
#[derive(Default)]
struct Batch {
    table: Option<&'static Table>,
    rows: Vec<Vec<sea_orm::Value>>,
    first: u64,
    bytes: usize,
}

struct Work<'w> {
    store: &'w Store,
    pace: &'w Clock,
    options: &'w Options,
    tenant: TenantId,
    now: Timestamp,
    rows: Counts,
    senders: Vec<sender::Model>,
    /// Rows of [`CUSTOMER_CHANNEL`] of the customers in the batch, from a file of an older form.
    channels: Vec<Vec<sea_orm::Value>>,
    batch: Batch,
    held: u64,
    paused: u64,
}

impl Work<'_> {
    async fn take_in(&mut self, lines: &mut Lines<impl BufRead>) -> Result<(), ImportError> {
        let mut place = 0;
        loop {
            let (kind, row) = lines.next()?;
            if kind == "end" {
                self.flush(lines.line).await?;
                return self.end(lines, row);
            }
            let (at, table) =
                Table::from_kind(&kind).ok_or_else(|| lines.wrong(format!("'{kind}' is no kind of row")))?;
            if at < place {
                return Err(lines.wrong(format!("a {kind} may not come after a {}", TABLES[place].kind)));
            }
            place = at;
            *self.rows.entry(kind.clone()).or_default() += 1;
            let Json::Object(mut row) = row else { return Err(lines.wrong(format!("a {kind} is an object"))) };
            renew_keys(&mut row);
            self.check(&kind, &mut row).map_err(|why| lines.wrong(why))?;
            if kind == "sender" {
                let sender = self.sender(table, row).map_err(|why| lines.wrong(why))?;
                self.senders.push(sender);
                continue;
            }
            let table = self.table_of(table, &mut row);
            let full = self.batch.rows.len() >= BATCH_ROWS || self.batch.bytes >= BATCH_BYTES;
            if full || self.batch.table.is_some_and(|batched| batched.kind != table.kind) {
                self.flush(lines.line - 1).await?;
            }
            if kind == "customer" {
                self.split_channels(&mut row).map_err(|why| lines.wrong(why))?;
            }
            let values = table.values(row).map_err(|why| lines.wrong(format!("a {kind}: {why}")))?;
            if self.batch.rows.is_empty() {
                self.batch = Batch { table: Some(table), first: lines.line, ..Batch::default() };
            }
            self.batch.rows.push(values);
            self.batch.bytes += lines.bytes.len();
        }
    }

    fn end(&self, lines: &mut Lines<impl BufRead>, end: Json) -> Result<(), ImportError> {
        let end: End = serde_json::from_value(end).map_err(|error| lines.wrong(error.to_string()))?;
        // A file that was made before a kind of row was added does not count it.
        let of_file = |(kind, count): (&String, &u64)| *count == end.rows.get(kind).copied().unwrap_or_default();
        if !self.rows.iter().all(of_file) || end.rows.keys().any(|kind| !self.rows.contains_key(kind)) {
            return Err(
                lines.wrong("the counts are not those of the lines before: the file was changed or cut".to_owned())
            );
        }
        if lines.from.fill_buf()?.is_empty() { Ok(()) } else { Err(lines.wrong("more follows the end".to_owned())) }
    }

    /// Checks the parts of a row that belong together, and holds work that must not go on by itself.
    fn check(&mut self, kind: &str, row: &mut Map<String, Json>) -> Result<(), String> {
        let text = |row: &Map<String, Json>, name: &str| row.get(name).and_then(Json::as_str).map(str::to_owned);
        match kind {
            "customer" | "campaign_member" => {
                let name = if kind == "customer" { "phone_key" } else { "peer_key" };
                let given = text(row, "phone").filter(|phone| !phone.is_empty()).or_else(|| text(row, "whatsapp_id"));
                let key = given.and_then(|given| Address::parse(&given).ok()).map(|address| address.key());
                if key.is_none() || key != text(row, name) {
                    return Err(format!("'{name}' is not that of 'phone'"));
                }
            }
            "campaign" if !self.options.resume && row.get("state") == Some(&CampaignState::Running.as_str().into()) => {
                row.insert("state".to_owned(), CampaignState::Paused.as_str().into());
                self.paused += 1;
            }
            "event" if !self.options.resume && row.get("handled_us").is_some_and(Json::is_null) => {
                row.insert("handled_us".to_owned(), self.now.unix_us().into());
            }
            "action" => {
                // Ordering keys are shared by all tenants: a wrong one could hold up another tenant's sends.
                if let Some(given) = text(row, "lane") {
                    let action = row.get("payload").and_then(|payload| serde_json::from_value(payload.clone()).ok());
                    let contact = text(row, "contact_id").and_then(|contact| contact.parse().ok());
                    let own = text(row, "sender").zip(action);
                    if own.and_then(|(sender, action)| ordering_key(self.tenant, contact, &sender, &action))
                        != Some(given)
                    {
                        return Err("'lane' is not that of 'sender' and 'payload'".to_owned());
                    }
                }
                let state = text(row, "state").unwrap_or_default();
                if self.options.resume && state == "sending" {
                    // Its process is not here. The provider's list tells the outcome.
                    row.insert("state".to_owned(), "unknown".into());
                    row.insert("due_us".to_owned(), self.now.unix_us().into());
                } else if !self.options.resume && matches!(state.as_str(), "planned" | "sending" | "unknown") {
                    row.insert("state".to_owned(), "held".into());
                    let reason = format!("it was {state} where this tenant was exported, and may have been sent there");
                    row.insert("reason".to_owned(), reason.into());
                    self.held += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the last messages out of a customer that an older version exported: there each channel was a column.
    fn split_channels(&mut self, row: &mut Map<String, Json>) -> Result<(), String> {
        let Some((_, table)) = Table::from_kind(CUSTOMER_CHANNEL) else { return Ok(()) };
        for (column, channel) in [("last_sms_us", Channel::Sms), ("last_whatsapp_us", Channel::WhatsApp)] {
            let last = row.remove(column).filter(|last| !last.is_null());
            let Some((last, contact)) = last.zip(row.get("id").cloned()) else { continue };
            let object = [("contact_id", contact), ("channel", channel.as_str().into()), ("last_us", last)];
            let object = object.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            self.channels.push(table.values(object).map_err(|why| format!("'{column}' of a customer: {why}"))?);
        }
        Ok(())
    }

    /// Sets a timer aside that the other installation may still fire, until a person releases it.
    fn table_of(&self, table: &'static Table, row: &mut Map<String, Json>) -> &'static Table {
        let aside = Table::from_kind(SET_ASIDE).map(|(_, table)| table);
        let of_timers = ["timer", SET_ASIDE].contains(&table.kind);
        let Some(aside) = aside.filter(|_| of_timers && !self.options.resume) else { return table };
        row.insert("tries".to_owned(), 0.into());
        row.insert("retry_us".to_owned(), Json::Null);
        let why = "it was pending where this tenant was exported, and may fire there";
        row.insert("error".to_owned(), why.into());
        aside
    }

    fn sender(&self, table: &Table, row: Map<String, Json>) -> Result<sender::Model, String> {
        if self.senders.len() >= SENDERS_MAX {
            return Err(format!("a tenant has {SENDERS_MAX} senders at most"));
        }
        table.values(row.clone()).map_err(|why: NotARow| format!("a sender: {why}"))?;
        let text = |name: &str| row.get(name).and_then(Json::as_str).map(str::to_owned);
        let id = text("id").and_then(|id| id.parse().ok()).ok_or("a sender has an id")?;
        let number = text("number").unwrap_or_default();
        let channel = text("channel").and_then(|name| name.parse().ok()).ok_or("a sender has a channel")?;
        if sender_of(channel, &number)? != number {
            return Err(format!("'{number}' is no sender as it is stored: E.164, a Messaging Service or a name"));
        }
        Ok(sender::Model {
            id,
            tenant_id: self.tenant.uuid(),
            channel: text("channel").unwrap_or_default(),
            number,
            base_url: text("base_url"),
            created_us: row.get("created_us").and_then(Json::as_i64).unwrap_or_default(),
        })
    }

    async fn flush(&mut self, last: u64) -> Result<(), ImportError> {
        let Batch { table, rows, first, .. } = std::mem::take(&mut self.batch);
        let channels = std::mem::take(&mut self.channels);
        let Some(table) = table.filter(|_| !self.options.dry_run) else { return Ok(()) };
        let of_channels = Table::from_kind(CUSTOMER_CHANNEL).map(|(_, table)| (table, channels));
        for (table, rows) in [(table, rows)].into_iter().chain(of_channels).filter(|(_, rows)| !rows.is_empty()) {
            let written = self.store.import_rows(table, self.tenant, rows).await;
            written.map_err(|cause| ImportError::Rows { first, last, cause })?;
        }
        self.pace.sleep(PAUSE).await;
        Ok(())
    }
}

/// The lines of the file, with their numbers.
struct Lines<R> {
    from: R,
    line: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Describes a faulty line. The text goes to a terminal and may quote the file, so it is short and has no control characters.
    fn wrong(&self, why: String) -> ImportError {
        let tame = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        ImportError::Line { line: self.line, why: why.chars().take(WHY_MAX_CHARS).map(tame).collect() }
    }

    /// The kind and the content of the next line.
    fn next(&mut self) -> Result<(String, Json), ImportError> {
        self.bytes.clear();
        self.line += 1;
        self.from.by_ref().take(LINE_MAX_BYTES as u64).read_until(b'\n', &mut self.bytes)?;
        if self.bytes.is_empty() {
            return Err(self.wrong("the file ends before its 'end' line: it was cut".to_owned()));
        }
        if self.bytes.len() == LINE_MAX_BYTES && !self.bytes.ends_with(b"\n") {
            return Err(self.wrong(format!("a line has {LINE_MAX_BYTES} bytes at most")));
        }
        let object: Map<String, Json> = serde_json::from_slice(&self.bytes)
            .map_err(|error| self.wrong(format!("this is no line of an export ({error})")))?;
        let mut fields = object.into_iter();
        match (fields.next(), fields.next()) {
            (Some(line), None) => Ok(line),
            _ => Err(self.wrong("this is no line of an export: write {\"kind\": {…}}".to_owned())),
        }
    }

    fn named<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T, ImportError> {
        let (kind, json) = self.next()?;
        if kind != name {
            return Err(self.wrong(format!("'{name}' is expected here, not '{kind}'")));
        }
        serde_json::from_value(json).map_err(|error| self.wrong(error.to_string()))
    }
}
