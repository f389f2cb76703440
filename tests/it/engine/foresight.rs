//! The engine keeps what a forecast promises. Random businesses run through months on a copy and a simulated clock. Each
//! send must be in the last forecast before it, and each foreseen send must be sent.
//!
//! `FORESIGHT_SEEDS` sets the number of seeds. `FORESIGHT_SEED` runs one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::replace_tenant;
use recado::app::rehearsal::Rehearsal;
use recado::app::{self, Installation};
use recado::config::Config;
use recado::domain::clock::Random;
use recado::domain::event::InboundData;
use recado::domain::opt_out::Word;
use recado::domain::{AppointmentId, By, Change, Channel, Clock, Effect, Phone, TenantId, Timestamp};
use recado::engine::timers;
use recado::ops::forecast;
use recado::ops::forecast::{Forecast, ForecastInputs, Outcome};
use recado::store::tables::appointments::{Moved, NewAppointment, Order, Starts};
use recado::store::{CustomerChange, NewInbound, Wish};
use recado::tenants::new_tenant;
use tempfile::TempDir;

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
    .on_silence("well", |e| { set_field("silent", true); send_sms(e.contact, "We have not heard of you.") });
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
type Told = (Timestamp, String, String, String, String, String, String);

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
struct Untold {
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
            let change =
                CustomerChange { event: store.ids().next(), tenant: id, by: "api", effects, do_not_call: None };
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
    async fn tell(&self, untold: Untold) {
        let pipeline = &self.rehearsal.engine.pipeline;
        if untold.rules {
            pipeline.replace_rules(self.rehearsal.installation.load_rules());
            // As at a start, before anything falls due.
            timers::plan(&self.rehearsal.engine).await.expect("the database answers");
        }
        untold.events.into_iter().for_each(|tenant| pipeline.wake_for_rows(tenant));
    }

    /// The sends that left or were stopped after `from`, until `until`.
    async fn told(&self, from: Timestamp, until: Timestamp) -> Vec<Told> {
        let mut told = Vec::new();
        let store = &self.rehearsal.installation.store;
        for tenant in self.rehearsal.installation.directory.now().tenants() {
            for send in store.settled_sends(tenant.id, from, until).await.expect("the database answers") {
                let outcome = match send.state.as_str() {
                    "blocked" | "held" => send.state.clone(),
                    _ => "send".to_owned(),
                };
                let text = send.send.message().expect("it is a message").body.shown();
                told.push((
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
        told.sort();
        told
    }

    /// The same without the sends that were seen before.
    async fn told_but(&self, before: Vec<Told>, from: Timestamp, until: Timestamp) -> Vec<Told> {
        let mut told = self.told(from, until).await;
        for one in before {
            told.remove(told.iter().position(|other| *other == one).expect("what has left stays"));
        }
        told
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

    async fn surprises(&mut self) -> Untold {
        let mut untold = Untold::default();
        for _ in 0..=self.below(4) {
            let one = self.surprise().await;
            untold.events.extend(one.events);
            untold.rules |= one.rules;
        }
        untold
    }

    /// Makes an unforeseeable change. The engine does not learn of it yet.
    async fn surprise(&mut self) -> Untold {
        let (business, customer) = self.customer();
        let untold = |tenant| Untold { events: vec![tenant], rules: false };
        match self.below(16) {
            0..=3 => {
                let booked = self.book(business, customer).await;
                self.appointments.push(booked);
                untold(booked.0)
            }
            4..=7 if !self.appointments.is_empty() => untold(self.change_appointment().await),
            8 | 9 => {
                self.change_customer(business, customer).await;
                Untold::default()
            }
            10 | 11 => {
                let file = self.folder.path().join("rules/varying.rhai");
                std::fs::write(file, varying(&self.dice)).expect("the folder is ours");
                Untold { events: Vec::new(), rules: true }
            }
            12 => {
                self.change_business().await;
                Untold { events: Vec::new(), rules: true }
            }
            _ => {
                self.write_to(business, customer).await;
                untold(business.id)
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
        let (contact, _) = store.whose(business.id, customer).await.expect("the database answers");
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
            by: "api",
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
            "STOP" => Some(Word::Stop),
            "START" => Some(Word::Start),
            _ => None,
        };
        let wish =
            word.map(|word| Wish { word, text: text.to_lowercase(), only_if_opted_out: false, confirmation: None });
        let data = InboundData {
            from: customer.to_string(),
            to: app::CARRIER_NUMBER.to_owned(),
            body: text.to_owned(),
            provider_sid: format!("SM{:032x}", self.dice.next_u64()),
            ..InboundData::default()
        };
        let now = self.rehearsal.now();
        let inbound = NewInbound::new(business.id, channel, Some(customer.clone()), data, now, 1, wish);
        // The pipeline would decide it at once, so the store takes it.
        self.rehearsal.installation.store.writer().ingest(inbound).await.expect("it can be stored");
    }
}

fn foretold(forecast: &Forecast, from: Timestamp, until: Timestamp) -> Vec<Told> {
    let within = forecast.sends.iter().filter(|send| send.at > from && send.at <= until);
    let told = |send: &forecast::Foreseen| {
        let outcome = match send.outcome {
            Outcome::Send => "send",
            Outcome::Blocked => "blocked",
            Outcome::Held => "held",
            Outcome::Waits => "waits",
        };
        let (to, channel) = (send.to.clone(), send.channel.to_string());
        (seconds(send.at), send.tenant.clone(), to, channel, send.rule.clone(), send.text.clone(), outcome.to_owned())
    };
    let mut told: Vec<Told> = within.map(told).collect();
    told.sort();
    told
}

#[track_caller]
fn assert_same(foretold: &[Told], told: &[Told], what: &str) {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (foretold.iter().collect(), told.iter().collect());
    let missing: Vec<_> = one.difference(&other).take(5).collect();
    let unforeseen: Vec<_> = other.difference(&one).take(5).collect();
    assert!(
        foretold == told,
        "{what}: foreseen and not sent so: {missing:#?}\nsent and not foreseen so: {unforeseen:#?}\n{} foreseen, {} told",
        foretold.len(),
        told.len()
    );
}

async fn a_season(seed: u64) -> (usize, BTreeMap<String, usize>) {
    let mut run = seeded(seed).await;
    run.rehearsal.settle().await.expect("the database answers");
    // Customers that are left alone have appointments, too.
    for number in 0..run.businesses.len() {
        for customer in run.businesses[number].customers.clone() {
            let booked = run.book(&run.businesses[number], &customer).await;
            if run.businesses[number].customers[..CUSTOMERS - LEFT_ALONE].contains(&customer) {
                run.appointments.push(booked);
            }
        }
    }
    run.businesses.iter().for_each(|one| run.rehearsal.engine.pipeline.wake_for_rows(one.id));
    run.rehearsal.settle().await.expect("the database answers");
    let begin = run.rehearsal.now();
    let end = begin.plus(DAY * DAYS as u32);
    let first = run.foresee(end).await;
    assert_eq!(first.cut, None);
    let (mut forecasts, mut outcomes) = (0, BTreeMap::new());
    let mut untold = Untold::default();
    while run.rehearsal.now() < end {
        let from = run.rehearsal.now();
        let until = from.plus(Duration::from_secs(60 * (1 + run.below(5 * 24 * 60) as u64))).min(end);
        // A send of this very instant may have left before.
        let before = run.told(from.minus(INSTANT), from).await;
        let forecast = run.foresee(until.plus(DAY)).await;
        run.tell(untold).await;
        run.rehearsal.go_to(until).await.expect("the database answers");
        let told = run.told_but(before, from.minus(INSTANT), until).await;
        let foretold = foretold(&forecast, from.minus(INSTANT), until);
        assert_same(&foretold, &told, &format!("seed {seed}, from {from} until {until}"));
        for one in told {
            *outcomes.entry(format!("{} {}", one.6, one.4)).or_default() += 1;
        }
        forecasts += 1;
        untold = run.surprises().await;
        // Half of it has been dealt with before the next forecast is made.
        if run.below(2) == 0 {
            run.tell(std::mem::take(&mut untold)).await;
            run.rehearsal.settle().await.expect("the database answers");
        }
    }
    let left_alone: BTreeSet<String> = run
        .businesses
        .iter()
        .take(WHERE.len() - 1)
        .flat_map(|one| &one.customers[CUSTOMERS - LEFT_ALONE..])
        .map(ToString::to_string)
        .chain([NOBODY.to_owned()])
        .collect();
    let changes = WHERE[WHERE.len() - 1].0;
    let is_theirs = |one: &Told| left_alone.contains(&one.2) && one.1 != changes;
    let of_them = |told: Vec<Told>| told.into_iter().filter(is_theirs).collect::<Vec<_>>();
    let told = of_them(run.told(begin, end).await);
    assert!(told.len() > 50, "seed {seed}: {} sends", told.len());
    assert_same(
        &of_them(foretold(&first, begin, end)),
        &told,
        &format!("seed {seed}, {DAYS} days of the first forecast"),
    );
    (forecasts, outcomes)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_send_is_the_one_foreseen_and_what_is_foreseen_is_sent() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("FORESIGHT_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("FORESIGHT_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        eprintln!("seed {seed}: FORESIGHT_SEED={seed} runs it alone");
        let (forecasts, outcomes) = a_season(seed).await;
        eprintln!("seed {seed}: {DAYS} days, {forecasts} forecasts, all kept: {outcomes:?}");
        for rule in ["booked", "day before", "hours before", "news", "nightly", "joins", "asks", "offer ends"] {
            assert!(outcomes.get(&format!("send {rule}")).is_some_and(|sent| *sent > 0), "{rule}: {outcomes:?}");
        }
    }
}

/// One case of each kind, where it surely makes a difference.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_decided_and_what_is_planned_anew_is_foreseen() {
    let varies = |hours: u32| {
        format!(
            "rule(\"varies\").before(\"{hours}h\", \"appointment.starts_at\").then(|e| send_sms(e.contact, \"{hours}\"));"
        )
    };
    let mut run = seeded(1).await;
    run.rehearsal.settle().await.expect("the database answers");
    let from = run.rehearsal.now();
    let file = run.folder.path().join("rules/varying.rhai");
    std::fs::write(&file, varies(8)).expect("the folder is ours");
    let store = run.rehearsal.installation.store.clone();
    let (_, rows, _) = store.directory().await.expect("the database answers");
    let mut row = rows.into_iter().find(|row| row.slug == WHERE[0].0).expect("it is there");
    row.settings = r#"{"quiet":{"all":"20:30-10:15"}}"#.to_owned();
    replace_tenant(&store, row).await.expect("it can be changed");
    run.rehearsal.installation.directory.refresh().await.expect("the database answers");
    let sol = &run.businesses[0];
    let [ana, leo, eva, ..] = &sol.customers[..] else { panic!("there are some") };
    // By the clock in Madrid; the days are such on which it does not change.
    let at = |days: u32, time: &str| {
        let day = from.plus(DAY * days).to_utc().date_naive().and_time(time.parse().expect("a time"));
        recado::time::zone::to_instant(day, sol.zone)
    };
    run.book_at(sol, ana, sol.zone, at(3, "17:00:00")).await;
    run.book_at(sol, leo, sol.zone, at(4, "17:00:00")).await;
    run.tell(Untold { events: vec![sol.id], rules: true }).await;
    run.rehearsal.settle().await.expect("the database answers");
    run.book_at(sol, eva, sol.zone, at(3, "08:00:00")).await;
    run.write_text(sol, ana, Channel::Sms, "X").await;
    std::fs::write(&file, varies(5)).expect("the folder is ours");

    let (from, until) = (run.rehearsal.now(), at(5, "00:00:00"));
    let before = run.told(from.minus(INSTANT), from).await;
    let forecast = run.foresee(until).await;
    let foretold = foretold(&forecast, from.minus(INSTANT), until);
    let of = |customer: &Phone, rule: &str| {
        let told = foretold.iter().find(|one| one.2 == customer.to_string() && one.4 == rule);
        told.map(|one| (one.0, one.5.as_str()))
    };
    assert_eq!(of(eva, "hours before"), Some((at(2, "20:25:00"), "Soon.")), "the evening before");
    assert_eq!(of(leo, "varies"), Some((at(4, "12:00:00"), "5")), "as the file says");
    assert_eq!(of(ana, "sorry").map(|one| one.1), Some("Cancelled by the customer."));
    assert_eq!(of(ana, "varies"), None, "it will not take place");
    assert!(forecast.replanned);
    run.tell(Untold { events: vec![sol.id], rules: true }).await;
    run.rehearsal.go_to(until).await.expect("the database answers");
    assert_same(&foretold, &run.told_but(before, from.minus(INSTANT), until).await, "five days");
}

/// Sends of several businesses from one number to one customer go one after another, and none waits for the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn businesses_that_share_a_number_do_not_wait_for_a_sweep() {
    const BUSINESSES: usize = 6;
    const HOURS: usize = 24;
    let folder = TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("rules")).expect("the folder is ours");
    let rule = r#"rule("hourly").cron("0 * * * *").then(|e| send_sms("+34600999888", `From ${e.business.name}`));"#;
    std::fs::write(folder.path().join("rules/all.rhai"), rule).expect("the folder is ours");
    let config = || Config::load(folder.path(), settings(&folder)).expect("the settings are good");
    let begin = Timestamp::parse("2026-11-21T08:59:00Z").expect("a time");
    let installation =
        Installation::with(config(), Clock::simulated(begin), folder.path()).await.expect("it can be opened");
    for number in 0..BUSINESSES {
        let mut row = new_tenant(&installation.store, &format!("shop-{number}"), "Shop");
        row.settings = r#"{"quiet":{"all":"off"}}"#.to_owned();
        installation.store.add_tenant(row).await.expect("the slug is free");
    }
    drop(installation);
    let mut rehearsal = Rehearsal::begin(config(), folder.path(), begin).await.expect("a rehearsal can begin");
    let end = begin.plus(Duration::from_secs(3_600) * HOURS as u32);
    rehearsal.go_to(end).await.expect("the database answers");
    let mut sent = 0;
    for tenant in rehearsal.installation.directory.now().tenants() {
        for send in rehearsal.installation.store.settled_sends(tenant.id, begin, end).await.expect("it answers") {
            assert_eq!(send.due.unix_us() % 3_600_000_000, 0, "{}: it left at {}", tenant.slug, send.due);
            sent += 1;
        }
    }
    // One more tenant exists from the start.
    assert_eq!(sent, HOURS * (BUSINESSES + 1));
}
