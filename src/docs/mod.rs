//! The manual: one Markdown file a topic, shown by `recado docs`, by the server at `/docs/` and here.
//!
//! To add a topic: its file in this folder, its line in [`PARTS`], its module below, its line in `links.md`, and a link
//! in the README. Topics link to each other by reference, `[text][name]`, with `[name]: name.md` at the end of the file:
//! so a link works where the files are browsed, on the server, and here, where `links.md` comes first.
//!
//! Tests run the examples. A block `sh` is run in a folder with the rules of this repository, beside a server, unless a
//! word follows (`sh example`) or something is left out (`…`); what is printed in a block `console` is compared. A block `rhai` whose first line names a file
//! (`// rules/…`) is written there before; a block `json` of test cases after it, beside it.

mod generated;

/// A part of the manual.
pub struct Part {
    pub title: &'static str,
    pub topics: &'static [Topic],
}

/// A page of the manual.
pub struct Topic {
    /// The name in URLs and for `recado docs`, such as `first-rule`.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// A summary in one sentence.
    pub summary: &'static str,
    source: Source,
}

enum Source {
    File(&'static str),
    Generated(fn() -> String),
}

impl Topic {
    const fn file(name: &'static str, title: &'static str, summary: &'static str, text: &'static str) -> Self {
        Self { name, title, summary, source: Source::File(text) }
    }

    const fn generated(name: &'static str, title: &'static str, summary: &'static str, make: fn() -> String) -> Self {
        Self { name, title, summary, source: Source::Generated(make) }
    }

    /// Its text in Markdown.
    pub fn markdown(&self) -> String {
        match self.source {
            Source::File(text) => text.to_owned(),
            Source::Generated(make) => make(),
        }
    }
}

/// Every topic, in reading order.
pub fn topics() -> impl Iterator<Item = &'static Topic> {
    PARTS.iter().flat_map(|part| part.topics)
}

/// The topic of this name.
pub fn topic(name: &str) -> Option<&'static Topic> {
    topics().find(|topic| topic.name == name)
}

/// The manual.
pub const PARTS: &[Part] = &[
    Part {
        title: "Begin",
        topics: &[
            Topic::file(
                "start",
                "Start",
                "Build the program, start the server, send the first message.",
                include_str!("start.md"),
            ),
            Topic::file("first-rule", "A first rule", "Write a rule, test it, try it.", include_str!("first-rule.md")),
            Topic::file(
                "phone",
                "The phone",
                "Be the customer: write and call from the terminal.",
                include_str!("phone.md"),
            ),
            Topic::file(
                "carrier",
                "The built-in carrier",
                "The stand-in for Twilio, for trying out and for tests.",
                include_str!("carrier.md"),
            ),
        ],
    },
    Part {
        title: "Rules",
        topics: &[
            Topic::file(
                "rules",
                "Rules",
                "What starts a rule, what it reads, what it does, how it is tested.",
                include_str!("rules.md"),
            ),
            Topic::file(
                "questions",
                "Questions",
                "Ask the customer something and react to the answer.",
                include_str!("questions.md"),
            ),
            Topic::file(
                "timers",
                "Timers and schedules",
                "Rules that run later, before an appointment, or by a schedule.",
                include_str!("timers.md"),
            ),
            Topic::file(
                "requests",
                "Requests from rules",
                "Call another server from a rule, and what may be called.",
                include_str!("requests.md"),
            ),
            Topic::generated(
                "reference",
                "Rule reference",
                "Every function, every value and every kind of event.",
                generated::reference,
            ),
        ],
    },
    Part {
        title: "Customers",
        topics: &[
            Topic::file(
                "appointments",
                "Appointments",
                "Services, staff, bookings, spreadsheets and calendars.",
                include_str!("appointments.md"),
            ),
            Topic::file(
                "reminders",
                "Reminders, confirmations, reviews",
                "The shipped rules around an appointment.",
                include_str!("reminders.md"),
            ),
            Topic::file(
                "campaigns",
                "Campaigns",
                "Call or write to many customers at a steady pace.",
                include_str!("campaigns.md"),
            ),
            Topic::file(
                "opt-outs",
                "Opting out",
                "The words by which customers opt out and in, and their limits.",
                include_str!("opt-outs.md"),
            ),
            Topic::file("email", "E-mail", "E-mail from rules, templates, the mail server.", include_str!("email.md")),
        ],
    },
    Part {
        title: "Calls",
        topics: &[
            Topic::file(
                "calls",
                "Calls",
                "Answer calls with rules: menus, queues, recordings, metrics.",
                include_str!("calls.md"),
            ),
            Topic::file(
                "voice-agents",
                "Voice agents",
                "Scripts, conversation models and live agents that take calls.",
                include_str!("voice-agents.md"),
            ),
            Topic::file(
                "outbound-calls",
                "Outbound calls",
                "Place calls from rules, by hand and by a program.",
                include_str!("outbound-calls.md"),
            ),
            Topic::file(
                "numbers",
                "Numbers",
                "Search, buy, set up and release telephone numbers.",
                include_str!("numbers.md"),
            ),
        ],
    },
    Part {
        title: "Operation",
        topics: &[
            Topic::file(
                "going-live",
                "Going live with Twilio",
                "Connect Twilio in three steps.",
                include_str!("going-live.md"),
            ),
            Topic::generated(
                "configuration",
                "Configuration",
                "Every setting with its default.",
                generated::configuration,
            ),
            Topic::file("tenants", "Tenants", "Several businesses in one installation.", include_str!("tenants.md")),
            Topic::file(
                "hours",
                "Business hours and quiet hours",
                "Business hours, holidays, and the hours in which customers are left alone.",
                include_str!("hours.md"),
            ),
            Topic::file(
                "providers",
                "Other providers of text messages",
                "Send text messages through another provider, by prefix.",
                include_str!("providers.md"),
            ),
            Topic::file(
                "delivery",
                "Sent once",
                "How each message is sent once, and what the send gate checks.",
                include_str!("delivery.md"),
            ),
            Topic::file(
                "forecast",
                "Forecast and rehearsal",
                "See what will be sent, before it is.",
                include_str!("forecast.md"),
            ),
            Topic::file(
                "backup",
                "Backup, export, erasure",
                "Back up, move a tenant, delete old data, erase a customer.",
                include_str!("backup.md"),
            ),
            Topic::file(
                "api",
                "Programs of your own",
                "The REST API: tokens, events of your own.",
                include_str!("api.md"),
            ),
            Topic::file(
                "troubleshooting",
                "When something is not right",
                "What you see, what it is, what to do.",
                include_str!("troubleshooting.md"),
            ),
            Topic::file("growth", "To grow", "PostgreSQL, and what is not built.", include_str!("growth.md")),
            Topic::file(
                "performance",
                "Measured",
                "Figures, and how to measure your own machine.",
                include_str!("performance.md"),
            ),
        ],
    },
];

pub mod start {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("start.md")]
}

pub mod first_rule {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("first-rule.md")]
}

pub mod phone {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("phone.md")]
}

pub mod carrier {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("carrier.md")]
}

pub mod rules {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("rules.md")]
}

pub mod questions {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("questions.md")]
}

pub mod timers {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("timers.md")]
}

pub mod requests {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("requests.md")]
}

pub mod reference {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("reference.md")]
}

pub mod appointments {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("appointments.md")]
}

pub mod reminders {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("reminders.md")]
}

pub mod campaigns {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("campaigns.md")]
}

pub mod opt_outs {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("opt-outs.md")]
}

pub mod email {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("email.md")]
}

pub mod calls {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("calls.md")]
}

pub mod voice_agents {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("voice-agents.md")]
}

pub mod outbound_calls {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("outbound-calls.md")]
}

pub mod numbers {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("numbers.md")]
}

pub mod going_live {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("going-live.md")]
}

pub mod configuration {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("configuration.md")]
    #![doc = "```toml"]
    #![doc = include_str!("../config/recado.default.toml")]
    #![doc = "```"]
}

pub mod tenants {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("tenants.md")]
}

pub mod hours {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("hours.md")]
}

pub mod providers {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("providers.md")]
}

pub mod delivery {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("delivery.md")]
}

pub mod forecast {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("forecast.md")]
}

pub mod backup {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("backup.md")]
}

pub mod api {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("api.md")]
}

pub mod troubleshooting {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("troubleshooting.md")]
}

pub mod growth {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("growth.md")]
}

pub mod performance {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("performance.md")]
}
