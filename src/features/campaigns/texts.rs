//! The texts of a campaign: which values of a member they need, and what they become for one.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use crate::domain::fold::fold;
use crate::domain::placeholders::{self, Piece};

/// The placeholder of a member's name.
const NAME: &str = "name";

impl Plan {
    /// The names of the values that the texts use and have no other text for, such as `{city}`, but not `{city|here}`. A
    /// text may do without the customer's name, a template's variable may not.
    pub(super) fn needs(&self) -> BTreeSet<&str> {
        let call = self.call.iter().flat_map(|call| [&call.say, &call.message]).flatten();
        let texts = call.chain(&self.sms).flat_map(|text| needed(text)).filter(|name| !is_name(name));
        let variables = self.whatsapp.iter().flat_map(|template| template.variables.values());
        texts.chain(variables.flat_map(|text| needed(text))).collect()
    }
}

fn needed(text: &str) -> impl Iterator<Item = &str> {
    placeholders::pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Placeholder { name, otherwise: None, .. } => Some(name),
        _ => None,
    })
}

fn is_name(placeholder: &str) -> bool {
    fold(placeholder) == NAME
}

/// What is known of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'m> {
    pub name: &'m str,
    pub fields: &'m BTreeMap<String, String>,
}

impl<'m> Values<'m> {
    /// A value that is not empty. Case and accents of its name do not matter.
    fn get(self, wanted: &str) -> Option<&'m str> {
        let folded = || self.fields.iter().find(|(name, _)| fold(name) == fold(wanted)).map(|(_, value)| value);
        let value = if is_name(wanted) { self.name } else { self.fields.get(wanted).or_else(folded)? };
        Some(value).filter(|value| !value.trim().is_empty())
    }

    /// The text with the member's values. A value is never read for placeholders.
    pub fn fill(self, text: &str) -> String {
        let piece = |piece| match piece {
            Piece::Literal(literal) => literal,
            Piece::Placeholder { name, otherwise, written } => {
                let without = if is_name(name) { "" } else { written };
                self.get(name).or(otherwise).unwrap_or(without)
            }
        };
        placeholders::pieces(text).into_iter().map(piece).collect()
    }

    /// The needed values that the member has not, as they stand in the text: `{city} and {day}`; `None` if it has all.
    pub fn missing(self, needs: &BTreeSet<&str>) -> Option<String> {
        let missing: Vec<String> =
            needs.iter().filter(|name| self.get(name).is_none()).map(|name| format!("{{{name}}}")).collect();
        Some(missing.join(" and ")).filter(|missing| !missing.is_empty())
    }
}

/// The needed values that no column of a table has: `{city} and {day}`.
pub(super) fn without_column(needs: &BTreeSet<&str>, columns: &[String]) -> Option<String> {
    let has = |name: &str| columns.iter().any(|column| fold(column) == fold(name));
    let without: Vec<String> = needs.iter().filter(|name| !has(name)).map(|name| format!("{{{name}}}")).collect();
    Some(without.join(" and ")).filter(|without| !without.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        serde_json::from_value(serde_json::json!({ "sms": text })).unwrap()
    }

    #[test]
    fn values_are_filled_in_once_and_gaps_are_named() {
        let fields: BTreeMap<_, _> =
            [("Ciudad", "{name}"), ("day", " "), ("n", "{")].map(|(a, b)| (a.into(), b.into())).into();
        let values = Values { name: "{ciudad}", fields: &fields };
        assert_eq!(
            values.fill("{name} de {ciudad}, {n}name} {day} {day|hoy} {other|}"),
            "{ciudad} de {name}, {name} {day} hoy "
        );
        let plan = plan("{name} {ciudad} {day} {day|hoy} {other} {} { x");
        assert_eq!(plan.needs(), BTreeSet::from(["ciudad", "day", "other"]));
        assert_eq!(values.missing(&plan.needs()).as_deref(), Some("{day} and {other}"));
        let columns = ["phone", "name", "CIUDAD", "day"].map(str::to_owned);
        assert_eq!(without_column(&plan.needs(), &columns).as_deref(), Some("{other}"));
    }

    #[test]
    fn every_text_of_a_plan_is_looked_at() {
        let plan: Plan = serde_json::from_value(serde_json::json!({
            "call": {"say": "{a}", "message": "{b}"}, "whatsapp": {"content": "HX1", "variables": {"1": "{c}", "2": "{name}"}}
        }))
        .unwrap();
        assert_eq!(plan.needs(), BTreeSet::from(["a", "b", "c", "name"]));
    }
}
