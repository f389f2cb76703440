//! What a business may send: budgets of an hour and of a day, and the countries that it may send to. The operator sets
//! them, because the operator pays, or answers for it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::phone::Country;

/// The length of an hour, in which sends are counted together.
const HOUR_US: i64 = 3_600 * 1_000_000;
/// The hours of a day's budget: the present one and those before it.
pub const DAY_HOURS: i64 = 24;

/// The limits of a tenant's messages to phones, of its calls, and of what it uses for them. The default limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SendLimits {
    /// Messages and calls within an hour of the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<NonZeroU32>,
    /// Messages and calls within 24 hours: the present hour and the 23 before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<NonZeroU32>,
    /// The countries of recipients; empty allows all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub countries: BTreeSet<Country>,
    /// The content templates (`HX…`) that may be sent; empty allows all. Tenants that share an account see each other's.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub templates: BTreeSet<String>,
    /// The agents at ElevenLabs that may take calls; empty allows all. Tenants share the installation's account there.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub stream_agents: BTreeSet<String>,
}

impl SendLimits {
    /// Whether this template may be sent.
    pub fn allows_template(&self, content_sid: &str) -> bool {
        self.templates.is_empty() || self.templates.contains(content_sid)
    }

    /// Whether this agent at ElevenLabs may take calls.
    pub fn allows_stream_agent(&self, agent: &str) -> bool {
        self.stream_agents.is_empty() || self.stream_agents.contains(agent)
    }

    /// Whether sends have to be counted.
    pub const fn has_budget(&self) -> bool {
        self.per_hour.is_some() || self.per_day.is_some()
    }
}

/// The hour of an instant, counted from 1970.
pub const fn hour_of(at: Timestamp) -> i64 {
    at.unix_us().div_euclid(HOUR_US)
}

/// The beginning of the hour after an instant.
pub const fn next_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_us((hour_of(at) + 1) * HOUR_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Phone;

    #[test]
    fn a_number_has_the_country_of_its_numbering_plan() {
        for (number, country) in [
            ("+34600111222", Some("ES")),
            ("+12125550100", Some("US")),
            ("+18765550100", Some("JM")),
            ("+14165550100", Some("CA")),
            ("+77012345678", Some("KZ")),
            ("+99912345678", None),
        ] {
            let found = Phone::parse(number).unwrap().country();
            assert_eq!(found.map(Country::as_str), country, "{number}");
        }
    }

    #[test]
    fn an_hour_ends_when_the_next_begins() {
        let at = Timestamp::parse("2026-11-30T10:59:59Z").unwrap();
        assert_eq!(next_hour(at), Timestamp::parse("2026-11-30T11:00:00Z").unwrap());
        assert_eq!(hour_of(next_hour(at)), hour_of(at) + 1);
    }
}
