//! The prices of messages. The operator sets them: they are in the provider's contract, not in any protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::action::{Send, SendBody};
use super::channel::Channel;
use super::phone::Phone;
use super::segments;

/// The most entries.
const PRICES_MAX: usize = 300;
/// The most digits behind the point.
const DECIMALS: usize = 6;

/// The prices of one segment by the prefix of the recipient's number, and of a WhatsApp template, in one currency:
/// `EUR +34=0.08, +1=0.0083, whatsapp=0.05`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The ISO 4217 code; empty if nothing has a price.
    pub currency: String,
    by: BTreeMap<String, Cost>,
}

/// An amount in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u64);

/// A text that is no price list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no price list: write a currency and prices, such as EUR +34=0.08, +1=0.0083, whatsapp=0.05")]
pub struct NotPrices(String);

impl Prices {
    /// The cost of a message; `None` if no price is known. E-mail and free WhatsApp text cost nothing.
    pub fn of(&self, send: &Send) -> Option<Cost> {
        let spec = send.channel.spec();
        match &send.body {
            SendBody::Text(text) if spec.segment_price => {
                let price = self.of_segment(send.to.phone()?)?;
                Some(Cost(price.0.saturating_mul(segments::count(text).segments as u64)))
            }
            SendBody::Template(_) => self.by.get(spec.name).copied(),
            _ => None,
        }
    }

    /// The price of the longest matching prefix.
    fn of_segment(&self, to: &Phone) -> Option<Cost> {
        let fits = self.by.iter().filter(|(prefix, _)| to.as_str().starts_with(prefix.as_str()));
        fits.max_by_key(|(prefix, _)| prefix.len()).map(|(_, price)| *price)
    }
}

impl FromStr for Prices {
    type Err = NotPrices;

    fn from_str(text: &str) -> Result<Self, NotPrices> {
        let bad = || NotPrices(text.chars().take(40).collect());
        let (currency, list) = text.trim().split_once(' ').ok_or_else(bad)?;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(bad());
        }
        let mut by = BTreeMap::new();
        for entry in list.split(',') {
            let (whom, price) = entry.split_once('=').ok_or_else(bad)?;
            let whom = whom.trim();
            let digits = whom.strip_prefix('+').unwrap_or_default();
            let is_prefix = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_prefix && !has_template_price(whom) {
                return Err(bad());
            }
            by.insert(whom.to_owned(), price.trim().parse().map_err(|()| bad())?);
        }
        if by.len() > PRICES_MAX { Err(bad()) } else { Ok(Self { currency: currency.to_owned(), by }) }
    }
}

/// The price of a channel's templates stands under the channel's name.
fn has_template_price(name: &str) -> bool {
    name.parse().is_ok_and(|channel: Channel| channel.spec().templates)
}

impl FromStr for Cost {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || whole.len() > 6 || part.len() > DECIMALS {
            return Err(());
        }
        let whole: u64 = whole.parse().map_err(drop)?;
        let part: u64 = format!("{part:0<DECIMALS$}").parse().map_err(drop)?;
        Ok(Self(whole * 1_000_000 + part))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % 1_000_000);
        let end = part.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / 1_000_000, &part[..end])
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        Self(costs.fold(0, |sum, cost| sum.saturating_add(cost.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Template;

    fn to(number: &str, channel: Channel, body: SendBody) -> Send {
        Send { channel, to: Phone::parse(number).unwrap().into(), reply: false, fallback: None, body }
    }

    #[test]
    fn a_message_costs_its_segments_by_the_longest_prefix() {
        let prices: Prices = "EUR +34=0.08, +346=0.1, whatsapp=0.0512".parse().unwrap();
        let cost = |send| prices.of(&send).map(|cost| cost.to_string());
        let text = |text: &str| SendBody::Text(text.to_owned());
        assert_eq!(cost(to("+34911222333", Channel::Sms, text("hola"))), Some("0.08".to_owned()));
        assert_eq!(cost(to("+34600111222", Channel::Sms, text(&"a".repeat(161)))), Some("0.20".to_owned()));
        assert_eq!(cost(to("+15005550006", Channel::Sms, text("hello"))), None);
        let template = SendBody::Template(Template { content: "HX1".to_owned(), variables: BTreeMap::new() });
        assert_eq!(cost(to("+15005550006", Channel::WhatsApp, template)), Some("0.0512".to_owned()));
        assert_eq!(cost(to("+34911222333", Channel::WhatsApp, text("hola"))), None);
    }

    #[test]
    fn what_is_no_price_list_is_refused() {
        for bad in ["", "EUR", "euro +34=1", "EUR 34=1", "EUR +34", "EUR +34=-1", "EUR +34=0.0000001", "EUR +34=1,"] {
            assert!(bad.parse::<Prices>().is_err(), "{bad}");
        }
        let sum: Cost = ["0.08", "1", "0.000001"].iter().map(|text| text.parse::<Cost>().unwrap()).sum();
        assert_eq!(sum.to_string(), "1.080001");
    }
}
