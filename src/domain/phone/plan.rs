//! Numbering plans: which numbers a country has, and what is dialled before them.
//!
//! The data is Google's, of libphonenumber. It stands in a table of text, because the crates that carry it read all of it
//! at the first use (3,000 expressions) or bring forty crates to the build. Here a country's expressions are compiled
//! when its first number is read.

use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::variants::listed;

/// One line per plan, in the order of the country codes, the main country of a code first. Its cells are separated by
/// tabs: country code; region (ISO 3166-1, `001` for codes of no country); what is dialled before an international number
/// and before a national one, as it is written and as an expression; what that becomes; possible lengths; the numbers of
/// people and businesses; the numbers of services. `tests/judge/numbering_plans.py` generates it.
pub const TABLE: &str = include_str!("numbering_plans.txt");

/// The longest country code, in digits.
const CODE_MAX_DIGITS: usize = 3;
/// The region of codes that belong to no country.
const NO_COUNTRY: &str = "001";
/// The largest compiled expression of one country, in bytes.
const COMPILED_MAX_BYTES: usize = 4 << 20;

static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| TABLE.lines().filter_map(Plan::from_line).collect());

/// See [`crate::domain::make_tables`].
pub(super) fn make_tables() {
    LazyLock::force(&PLANS);
}

/// A country with a numbering plan, by its two letters (ISO 3166-1), such as `ES`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(&'static str);

/// A text that is no country with a numbering plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no country: write the two letters of ISO 3166, such as ES or MX")]
pub struct NotACountry(String);

/// Whose numbers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// People and businesses.
    Subscriber,
    /// Services, such as free or premium numbers: nobody is reached there in person.
    Service,
}

/// The numbering plan of one region.
pub(super) struct Plan {
    code: &'static str,
    region: &'static str,
    exit: &'static str,
    trunk: &'static str,
    trunk_rule: &'static str,
    transform: &'static str,
    lengths: Vec<usize>,
    subscribers: &'static str,
    services: &'static str,
    compiled: OnceLock<Compiled>,
}

struct Compiled {
    exit: Option<Regex>,
    trunk: Option<Regex>,
    subscribers: Option<Regex>,
    services: Option<Regex>,
}

impl Plan {
    fn from_line(line: &'static str) -> Option<Self> {
        let mut cells = line.split('\t');
        let mut next = || cells.next();
        Some(Self {
            code: next()?,
            region: next()?,
            exit: next()?,
            trunk: next()?,
            trunk_rule: next()?,
            transform: next()?,
            lengths: next()?.split(',').filter_map(|length| length.parse().ok()).collect(),
            subscribers: next()?,
            services: next()?,
            compiled: OnceLock::new(),
        })
    }

    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    pub(super) const fn region(&self) -> &'static str {
        self.region
    }

    /// What is dialled before a national number, such as `0`; empty where nothing is.
    pub(super) const fn trunk(&self) -> &'static str {
        self.trunk
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let of = |pattern: &str, whole: bool| {
                let end = if whole { "$" } else { "" };
                let built = RegexBuilder::new(&format!("^(?:{pattern}){end}"))
                    .unicode(false)
                    .size_limit(COMPILED_MAX_BYTES)
                    .build();
                Some(pattern).filter(|pattern| !pattern.is_empty()).and(built.ok())
            };
            Compiled {
                exit: of(self.exit, false),
                trunk: of(self.trunk_rule, false),
                subscribers: of(self.subscribers, true),
                services: of(self.services, true),
            }
        })
    }

    fn owner(&self, national: &str) -> Option<Owner> {
        let is = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(national));
        let compiled = self.compiled();
        match (is(&compiled.subscribers), is(&compiled.services)) {
            (true, _) => Some(Owner::Subscriber),
            (false, true) => Some(Owner::Service),
            (false, false) => None,
        }
    }

    /// The digits behind what is dialled for an international number, if they begin with it.
    pub(super) fn after_exit<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let found = self.compiled().exit.as_ref()?.find(digits)?;
        Some(&digits[found.end()..])
    }

    /// The number without what is dialled before it within the country, in the form of the plan: Argentina's
    /// `011 15 2345 6789` is the mobile `9 11 2345 6789`.
    pub(super) fn without_trunk(&self, national: &str) -> Option<String> {
        let rule = self.compiled().trunk.as_ref()?;
        let found = rule.captures(national)?;
        let last = found.get(found.len() - 1).filter(|_| found.len() > 1);
        let stripped = if self.transform.is_empty() || last.is_none() {
            national[found.get(0)?.end()..].to_owned()
        } else {
            rule.replace(national, self.transform).into_owned()
        };
        Some(stripped).filter(|stripped| stripped != national)
    }
}

/// Splits an international number into the plans of its country code, the main country's first, and its national part.
pub(super) fn split(digits: &str) -> Option<(&'static [Plan], &str)> {
    (1..=CODE_MAX_DIGITS.min(digits.len())).find_map(|length| {
        let (code, national) = digits.split_at(length);
        let plans = of_code(code);
        (!plans.is_empty()).then_some((plans, national))
    })
}

fn of_code(code: &str) -> &'static [Plan] {
    let plans: &'static [Plan] = &PLANS;
    let from = plans.iter().position(|plan| plan.code == code).unwrap_or(plans.len());
    let count = plans[from..].iter().take_while(|plan| plan.code == code).count();
    &plans[from..from + count]
}

/// Whose a number is, if one of the plans has it.
pub(super) fn owner(plans: &[Plan], national: &str) -> Option<Owner> {
    let national = listed(plans.first()?.code, national);
    plans.iter().find_map(|plan| plan.owner(&national))
}

/// Whether the plans have numbers of this length.
pub(super) fn is_possible(plans: &[Plan], national: &str) -> bool {
    let length = plans.first().map(|plan| listed(plan.code, national).len());
    length.is_some_and(|length| plans.iter().any(|plan| plan.lengths.contains(&length)))
}

impl Country {
    /// The country of an international number: the main one, where several share its code.
    pub fn of_number(number: &super::Phone) -> Option<Self> {
        let (plans, _) = split(&number.as_str()[1..])?;
        Some(plans.first()?.region).filter(|region| *region != NO_COUNTRY).map(Self)
    }

    /// The country whose plan has the number, or the only one with its code.
    pub(super) fn of_subscriber(number: &super::Phone) -> Option<Self> {
        let (plans, national) = split(&number.as_str()[1..])?;
        let national = listed(plans.first()?.code, national);
        let only = plans.first().filter(|_| plans.len() == 1);
        let plan = plans.iter().find(|plan| plan.owner(&national).is_some()).or(only)?;
        Some(plan.region).filter(|region| *region != NO_COUNTRY).map(Self)
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The plan of the country, and those of all countries that share its code.
    pub(super) fn plans(self) -> Option<(&'static Plan, &'static [Plan])> {
        let own = PLANS.iter().find(|plan| plan.region == self.0)?;
        Some((own, of_code(own.code)))
    }
}

impl FromStr for Country {
    type Err = NotACountry;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known =
            PLANS.iter().find(|plan| plan.region != NO_COUNTRY && plan.region.eq_ignore_ascii_case(text.trim()));
        known.map(|plan| Self(plan.region)).ok_or_else(|| NotACountry(text.chars().take(20).collect()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_plan_whose_expressions_compile() {
        assert_eq!(PLANS.len(), TABLE.lines().count());
        for plan in PLANS.iter() {
            let compiled = plan.compiled();
            assert_eq!(compiled.trunk.is_some(), !plan.trunk_rule.is_empty(), "{}", plan.region);
            assert_eq!(compiled.subscribers.is_some(), !plan.subscribers.is_empty(), "{}", plan.region);
            assert_eq!(compiled.services.is_some(), !plan.services.is_empty(), "{}", plan.region);
            assert_eq!(compiled.exit.is_some(), !plan.exit.is_empty(), "{}", plan.region);
            assert!(!plan.lengths.is_empty(), "{}", plan.region);
            assert_eq!(of_code(plan.code).iter().filter(|one| one.region == plan.region).count(), 1, "{}", plan.region);
        }
    }

    #[test]
    fn a_country_is_named_by_its_two_letters() {
        assert_eq!("es".parse::<Country>().unwrap().as_str(), "ES");
        for bad in ["", "Spain", "001", "ZZ"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
        let of = |text: &str| Country::of_number(&super::super::Phone::parse(text).unwrap()).map(Country::as_str);
        assert_eq!(of("+34600111222"), Some("ES"));
        assert_eq!(of("+447911123456"), Some("GB"), "the main country of a code");
        assert_eq!((of("+80012345678"), of("+21012345678")), (None, None));
    }
}
