//! The engine keeps the promises of a forecast. Random businesses run through months on a copy and a simulated clock. Each
//! send must be in the last forecast before it, and each foreseen send must be sent.
//!
//! `FORESIGHT_SEEDS` sets the number of seeds. `FORESIGHT_SEED` runs one alone.

mod promises;

use std::time::Duration;

use recado::app::rehearsal::Rehearsal;
use recado::app::{self, Installation};
use recado::config::Config;
use recado::domain::clock::Random;
use recado::domain::event::InboundData;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{AppointmentId, By, Change, Channel, Clock, Effect, Phone, TenantId, Timestamp};
use recado::engine::timers;
use recado::ops::forecast;
use recado::ops::forecast::{Forecast, ForecastInputs};
use recado::store::tables::appointments::{Moved, NewAppointment, Order, Starts};
use recado::store::{CustomerChange, NewInbound, OptOutKeyword};
use recado::tenants::new_tenant;
use tempfile::TempDir;

use crate::support::replace_tenant;

const SEEDS: u64 = 2;
const DAYS: u64 = 92;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const INSTANT: Duration = Duration::from_micros(1);
/// Customers of each business. The last ones get no events during the run.
const CUSTOMERS: usize = 8;
const LEFT_ALONE: usize = 3;

/// A number without a customer at first: the business's own message to it creates one.
const NOBODY: &str = "+34600999888";

/// Rules with every kind of waiting, and their consequences.
const RULES: &str = r#"
rule("booked").on("appointment_booked", "appointment_moved").then(|e| send_sms(e.contact, `Booked: ${e.data.appointment.starts_at}`));
rule("day before").before("1d", "appointment.starts_at")
    .then(|e| send_sms(e.contact, if e.contact.language == "es" { `Hasta mañana, ${e.contact.first_name}.` } else { `Until tomorrow, ${e.contact.first_name}.` }));
rule("hours before").before("2h", "appointment.starts_at")
    .then(|e| { send_sms(e.contact, "Soon."); send_whatsapp(e.contact, "Soon, on WhatsApp."); });
rule("on request").before("5h", "appointment.starts_at").blueprint().then(|e| send_sms(e.contact, "In five hours."));
rule("done").on("appointment_completed").after("90m").then(|e| emit("over", #{ service: e.data.appointment.service }));
rule("review").on("over").after("1d").limit(1, "30d").then(|e| send_sms(e.contact, `How was ${e.data.service}?`).in("1h"));
rule("news").cron("0 9 * * MON").for_each("contacts", |c| c.tag("member") || c.name == "").then(|e| send_sms(e.contact, `News, ${e.contact.first_name}.`));
rule("nightly").cron("30 2 * * SUN,WED").then(|e| send_sms("+34600999888", `Night of ${e.business.name}`));
rule("joins").cron("15 12 10 * *").for_each("contacts", |c| !c.tag("member")).then(|e| { tag("member"); send_sms(e.contact, "You are a member now.").in("3d") });
rule("asks").cron("0 17 20 * *").for_each("contacts", |c| c.tag("member")).then(|e| ask("well", "Is all well?", "26h", "sms"))
    .on_answer("well", |e, answer| { set_field("said", answer); reply(`${answer}: noted.`) })
    .on_silence("well", |e| { set_field("silent", true); send_sms(e.contact, "We have not heard of you.") })
    .on_unsent("well", |e| send_sms("+34600999888", `Not asked: ${e.data.unsent}`));
rule("cancels").on("inbound_sms").keyword("X").when("has one", |e| e.next_appointment != ()).then(|e| { reply("As you like."); cancel_appointment() });
rule("sorry").on("appointment_cancelled").then(|e| send_sms(e.contact, `Cancelled by the ${e.data.by}.`).in("40m"));
rule("doubts").before("4h", "appointment.starts_at").when("is doubtful", |e| e.contact.tag("doubtful"))
    .then(|e| { cancel_appointment(); send_sms(e.contact, "We have given your place away.") });
rule("chats").on("inbound_whatsapp").then(|e| notify(e.contact, "You wrote yesterday.").in("25h"));
rule("instead").on("fallback_wanted").then(|e| send_sms(e.contact, `By text message: ${e.data.text}`));
rule("offers").cron("20 10 3 * *").for_each("contacts", |c| c.tag("member"))
    .then(|e| emit("offered", #{ ends: `${local(e.now, "%Y-%m")}-14T12:00:00Z` }));
rule("offer ends").on("offered").before("1d", "data.ends").then(|e| send_sms(e.contact, "It ends tomorrow."));
"#;

/// Rules of a file that changes. They do not touch the customers that are left alone.
fn varying(dice: &Random) -> String {
    let mut text = String::new();
    let hour = 1 + below(dice, 30);
    let rules = [
        format!(r#"rule("varies before").before("{hour}h", "appointment.starts_at")"#),
        format!(r#"rule("varies after").on("appointment_booked").after("{hour}h")"#),
        format!(r#"rule("varies weekly").cron("{hour} 11 * * TUE").for_each("contacts", |c| c.tag("met"))"#),
        format!(r#"rule("varies on").on("appointment_moved", "over").before("{hour}h", "appointment.starts_at")"#),
    ];
    for rule in rules.iter().filter(|_| below(dice, 3) > 0) {
        text += &format!(
            "{rule}.when(\"has been met\", |e| e.contact.tag(\"met\")).then(|e| send_sms(e.contact, \"{hour}\"));\n"
        );
    }
    text
}

/// The part of a send that the forecast and the engine both know.
type SendRecord = (Timestamp, String, String, String, String, String, String);

fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_us(at.unix_us().div_euclid(1_000_000) * 1_000_000)
}

struct Business {
    id: TenantId,
    zone: chrono_tz::Tz,
    customers: Vec<Phone>,
}

struct Run {
    dice: Random,
    rehearsal: Rehearsal,
    businesses: Vec<Business>,
    appointments: Vec<(TenantId, AppointmentId)>,
    folder: TempDir,
}

/// Changes that the engine learns only after the forecast is made.
#[derive(Default)]
struct Unannounced {
    /// Tenants with events that wait in their rows.
    events: Vec<TenantId>,
    /// The rules' files have changed.
    rules: bool,
}

fn below(dice: &Random, end: usize) -> usize {
    (dice.next_u64() % end as u64) as usize
}

fn settings(folder: &TempDir) -> impl Iterator<Item = (String, String)> {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = [
        ("DATABASE_URL", format!("sqlite://{}", path("recado.db"))),
        ("RULES_DIR", path("rules")),
        ("METRICS_LISTEN", "off".to_owned()),
        ("FREQUENCY_CAP_PER_DAY", "3".to_owned()),
        ("PRICES", "EUR +34=0.08, +1=0.0083".to_owned()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value))
}

const WHERE: [(&str, &str, &str, &str); 4] = [
    ("sol", "Europe/Madrid", "es", "+34600111"),
    ("hudson", "America/New_York", "en", "+1212555"),
    ("sakura", "Asia/Tokyo", "en", "+8190111122"),
    ("lord-howe", "Australia/Lord_Howe", "en", "+6141111"),
];

async fn seeded(seed: u64) -> Run {
    let dice = Random::seeded(seed);
    let folder = TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("rules")).expect("the folder is ours");
    std::fs::write(folder.path().join("rules/all.rhai"), RULES).expect("the folder is ours");
    let config = || Config::load(folder.path(), settings(&folder)).expect("the settings are good");
    // Before a change of clocks in most of these zones.
    let begin = Timestamp::parse(["2026-09-20T07:13:00Z", "2027-02-20T19:47:11Z"][below(&dice, 2)]).expect("a time");
    let clock = Clock::simulated(begin.minus(DAY));
    let installation = Installation::with(config(), clock, folder.path()).await.expect("it can be opened");
    let store = &installation.store;
    let mut businesses = Vec::new();
    for (slug, zone, language, prefix) in WHERE {
        let mut row = new_tenant(store, slug, slug);
        (row.zone, row.language) = (zone.to_owned(), language.to_owned());
        row.settings =
            [r#"{}"#, r#"{"quiet":{"all":"20:30-10:15"}}"#, r#"{"quiet":{"all":"off"}}"#][below(&dice, 3)].to_owned();
        let id = TenantId::new(row.id);
        store.add_tenant(row).await.expect("the slug is free");
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let missing = 12usize.saturating_sub(prefix.len()).max(3);
            let phone = Phone::parse(&format!("{prefix}{:0missing$}", number + 10)).expect("a number");
            let mut effects =
                vec![Effect::SetField { field: "name".to_owned(), value: format!("Ana{number} Ruiz").into() }];
            if below(&dice, 2) == 0 {
                effects.push(Effect::Tag { tag: "member".to_owned() });
            }
            if below(&dice, 3) == 0 {
                effects.push(Effect::SetField { field: "language".to_owned(), value: "es".into() });
            }
            if below(&dice, 4) == 0 {
                effects.push(Effect::SetField { field: "zone".to_owned(), value: "Asia/Kolkata".into() });
            }
            effects.push(Effect::SetField { field: "prefers".to_owned(), value: "whatsapp".into() });
            if number < CUSTOMERS - LEFT_ALONE {
                effects.push(Effect::Tag { tag: "met".to_owned() });
            }
            let change = CustomerChange {
                event: store.ids().next(),
                tenant: id,
                by: "api".to_owned(),
                effects,
                do_not_call: None,
            };
            store.add_customer(&phone, change).await.expect("it can be written").expect("it is new");
            customers.push(phone);
        }
        businesses.push(Business { id, zone: zone.parse().expect("a zone"), customers });
    }
    drop(installation);
    let rehearsal = Rehearsal::begin(config(), folder.path(), begin).await.expect("a rehearsal can begin");
    Run { dice, rehearsal, businesses, appointments: Vec::new(), folder }
}

impl Run {
    fn below(&self, end: usize) -> usize {
        below(&self.dice, end)
    }

    /// Makes a forecast by the rules as they are in their files.
    async fn foresee(&self, until: Timestamp) -> Forecast {
        let installation = &self.rehearsal.installation;
        let inputs = ForecastInputs {
            store: &installation.store,
            directory: &installation.directory,
            rules: &installation.load_rules(),
            gate: app::gate(installation),
            prices: &installation.config.prices,
        };
        forecast::forecast(&inputs, None, until).await.expect("the database answers")
    }

    /// Tells the engine of the changes.
    async fn announce(&self, unannounced: Unannounced) {
        let pipeline = &self.rehearsal.engine.pipeline;
        if unannounced.rules {
            pipeline.replace_rules(self.rehearsal.installation.load_rules());
            // As at a start, before anything falls due.
            timers::plan(&self.rehearsal.engine).await.expect("the database answers");
        }
        unannounced.events.into_iter().for_each(|tenant| pipeline.wake_for_rows(tenant));
    }

    /// The sends that left or were stopped after `from`, until `until`.
    async fn settled_sends(&self, from: Timestamp, until: Timestamp) -> Vec<SendRecord> {
        let mut records = Vec::new();
        let store = &self.rehearsal.installation.store;
        for tenant in self.rehearsal.installation.directory.now().tenants() {
            for send in store.settled_sends(tenant.id, from, until).await.expect("the database answers") {
                let outcome = match send.state.as_str() {
                    "blocked" | "held" => send.state.clone(),
                    _ => "send".to_owned(),
                };
                let text = send.send.message().expect("it is a message").body.summary();
                records.push((
                    seconds(send.due),
                    tenant.slug.clone(),
                    send.send.recipient,
                    send.send.channel.expect("it is a message").to_string(),
                    send.rule,
                    text,
                    outcome,
                ));
            }
        }
        records.sort();
        records
    }

    /// The same without the sends that were seen before.
    async fn new_sends(&self, before: Vec<SendRecord>, from: Timestamp, until: Timestamp) -> Vec<SendRecord> {
        let mut records = self.settled_sends(from, until).await;
        for one in before {
            records.remove(records.iter().position(|other| *other == one).expect("what has left stays"));
        }
        records
    }

    fn customer(&self) -> (&Business, &Phone) {
        let business = &self.businesses[self.below(self.businesses.len())];
        (business, &business.customers[self.below(CUSTOMERS - LEFT_ALONE)])
    }

    async fn book(&self, business: &Business, customer: &Phone) -> (TenantId, AppointmentId) {
        let ahead = Duration::from_secs(60 * (30 + self.below(20 * 24 * 60) as u64));
        let zone = [business.zone, business.zone, chrono_tz::America::St_Johns][self.below(3)];
        self.book_at(business, customer, zone, self.rehearsal.now().plus(ahead)).await
    }

    async fn book_at(
        &self,
        business: &Business,
        customer: &Phone,
        zone: chrono_tz::Tz,
        starts: Timestamp,
    ) -> (TenantId, AppointmentId) {
        let new = NewAppointment {
            tenant: business.id,
            zone,
            customer: customer.clone(),
            customer_name: String::new(),
            service: "cut".to_owned(),
            new_service: true,
            minutes: None,
            staff: None,
            starts: Starts::At(starts),
            note: String::new(),
            uid: None,
            by: By::Staff,
        };
        let booked = self.rehearsal.installation.store.book(&new).await.expect("nobody is occupied");
        (business.id, booked.id)
    }

    async fn surprises(&mut self) -> Unannounced {
        let mut unannounced = Unannounced::default();
        for _ in 0..=self.below(4) {
            let one = self.surprise().await;
            unannounced.events.extend(one.events);
            unannounced.rules |= one.rules;
        }
        unannounced
    }

    /// Makes an unforeseeable change. The engine does not learn of it yet.
    async fn surprise(&mut self) -> Unannounced {
        let (business, customer) = self.customer();
        let unannounced = |tenant| Unannounced { events: vec![tenant], rules: false };
        match self.below(16) {
            0..=3 => {
                let booked = self.book(business, customer).await;
                self.appointments.push(booked);
                unannounced(booked.0)
            }
            4..=7 if !self.appointments.is_empty() => unannounced(self.change_appointment().await),
            8 | 9 => {
                self.change_customer(business, customer).await;
                Unannounced::default()
            }
            10 | 11 => {
                let file = self.folder.path().join("rules/varying.rhai");
                std::fs::write(file, varying(&self.dice)).expect("the folder is ours");
                Unannounced { events: Vec::new(), rules: true }
            }
            12 => {
                self.change_business().await;
                Unannounced { events: Vec::new(), rules: true }
            }
            _ => {
                self.write_to(business, customer).await;
                unannounced(business.id)
            }
        }
    }

    async fn change_appointment(&self) -> TenantId {
        let (tenant, id) = self.appointments[self.below(self.appointments.len())];
        let change = [Change::Move, Change::Cancel, Change::Complete, Change::Confirm][self.below(4)];
        let starts = self.rehearsal.now().plus(Duration::from_secs(3_600 * (1 + self.below(300) as u64)));
        let to = (change == Change::Move).then(|| Moved { starts: Some(Starts::At(starts)), ..Moved::default() });
        let order = Order { tenant, id, change, to, version: None, by: By::Staff };
        // An appointment that has ended stays as it is.
        let _ = self.rehearsal.installation.store.change_appointment(&order).await;
        tenant
    }

    async fn change_customer(&self, business: &Business, customer: &Phone) {
        let store = &self.rehearsal.installation.store;
        let (contact, _) = store.whose(business.id, &customer.clone().into()).await.expect("the database answers");
        let field = |field: &str, values: [&str; 2]| Effect::SetField {
            field: field.to_owned(),
            value: values[self.below(2)].into(),
        };
        let tag = ["member", "doubtful"][self.below(2)].to_owned();
        let effect = match self.below(6) {
            0 => field("language", ["es", "en"]),
            1 => field("zone", ["America/Los_Angeles", "Pacific/Auckland"]),
            2 => field("name", ["Otra Persona", ""]),
            3 => field("prefers", ["whatsapp", "sms"]),
            4 => Effect::Tag { tag },
            _ => Effect::Untag { tag },
        };
        let change = CustomerChange {
            event: store.ids().next(),
            tenant: business.id,
            by: "api".to_owned(),
            effects: vec![effect],
            do_not_call: None,
        };
        store.change_customer(contact.expect("it is a customer"), change).await.expect("it can be written");
    }

    /// The last business changes its quiet hours, its zone, or what it has enabled.
    async fn change_business(&self) {
        let installation = &self.rehearsal.installation;
        let (_, rows, _) = installation.store.directory().await.expect("the database answers");
        let id = self.businesses.last().expect("there are some").id;
        let mut row = rows.into_iter().find(|row| row.id == id.uuid()).expect("it is there");
        let quiet = [r#""all":"20:30-10:15""#, r#""all":"off""#, r#""all":"13:00-18:00""#][self.below(3)];
        let blueprints = [r#""on request":{}"#, ""][self.below(2)];
        row.settings = format!(r#"{{"quiet":{{{quiet}}},"blueprints":{{{blueprints}}}}}"#);
        row.zone = [row.zone, "Australia/Lord_Howe".to_owned(), "Europe/Lisbon".to_owned()][self.below(3)].clone();
        replace_tenant(&installation.store, row).await.expect("it can be changed");
        installation.directory.refresh().await.expect("the database answers");
    }

    async fn write_to(&self, business: &Business, customer: &Phone) {
        let text = ["hello", "X", "STOP", "START", "X"][self.below(5)];
        self.write_text(business, customer, [Channel::Sms, Channel::WhatsApp][self.below(2)], text).await;
    }

    async fn write_text(&self, business: &Business, customer: &Phone, channel: Channel, text: &str) {
        let word = match text {
            "STOP" => Some(OptOutWord::Stop),
            "START" => Some(OptOutWord::Start),
            _ => None,
        };
        let keyword = word.map(|word| OptOutKeyword {
            word,
            text: text.to_lowercase(),
            only_if_opted_out: false,
            confirmation: None,
        });
        let data = InboundData {
            from: customer.to_string(),
            to: app::CARRIER_NUMBER.to_owned(),
            body: text.to_owned(),
            provider_sid: format!("SM{:032x}", self.dice.next_u64()),
            ..InboundData::default()
        };
        let now = self.rehearsal.now();
        let inbound = NewInbound::new(business.id, channel, Some(customer.clone().into()), data, now, 1, keyword);
        // The pipeline would decide it at once, so the store takes it.
        self.rehearsal.installation.store.writer().ingest(inbound).await.expect("it can be stored");
    }
}
