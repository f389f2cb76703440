//! Numbers for sale (`AvailablePhoneNumbers`): generated, always the same, and never an owned one.
//!
//! After <https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource>.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer;
use super::carrier::Carrier;
use super::numbers::EMPTY_AREA;
use super::request::{Authenticated, ListQuery};
use super::validate::Refusal;
use crate::integrations::twilio::form::Params;

/// Numbers in one answer: the default, and the limit.
const PAGE_SIZE: usize = 30;
const PAGE_SIZE_MAX: usize = 1_000;
/// Numbers of one kind in one country or area that are searched.
const STOCK: u32 = 10_000;
/// Length of a `Contains` pattern.
const CONTAINS: std::ops::RangeInclusive<usize> = 2..=16;

/// A country's numbers: its code, then the prefixes of its kinds and the number of further digits.
struct Country {
    iso: &'static str,
    name: &'static str,
    code: &'static str,
    local: &'static str,
    toll_free: &'static str,
    mobile: Option<&'static str>,
    digits: usize,
}

/// A kind of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    Local,
    TollFree,
    Mobile,
}

impl NumberKind {
    /// Reads the last part of a path: `Local.json`.
    pub fn of_file(file: &str) -> Option<Self> {
        match file.strip_suffix(".json").unwrap_or(file) {
            "Local" => Some(Self::Local),
            "TollFree" => Some(Self::TollFree),
            "Mobile" => Some(Self::Mobile),
            _ => None,
        }
    }
}

/// The kind of a number, by the prefixes of those for sale. Others are local.
pub fn kind_of(number: &str) -> NumberKind {
    let of_country = |country: &Country| {
        let rest = number.strip_prefix(country.code)?;
        // The first digits tell: 800 and 833 in North America, 900 in Spain, 6 for mobile numbers there.
        if rest.starts_with(&country.toll_free[..3]) || (country.code == "+1" && rest.starts_with('8') && is_free(rest))
        {
            return Some(NumberKind::TollFree);
        }
        let mobile = country.mobile.is_some_and(|mobile| rest.starts_with(&mobile[..2]));
        Some(if mobile { NumberKind::Mobile } else { NumberKind::Local })
    };
    COUNTRIES.iter().find_map(of_country).unwrap_or(NumberKind::Local)
}

/// Whether a North American number is toll-free: 800, 833, 844, 855, 866, 877, 888.
fn is_free(number: &str) -> bool {
    matches!(number.get(..3), Some("800" | "833" | "844" | "855" | "866" | "877" | "888"))
}

/// Fictional numbers: 555 in North America, unassigned ranges elsewhere.
const COUNTRIES: [Country; 6] = [
    Country {
        iso: "US",
        name: "United States",
        code: "+1",
        local: "415555",
        toll_free: "833555",
        mobile: None,
        digits: 4,
    },
    Country { iso: "CA", name: "Canada", code: "+1", local: "604555", toll_free: "833555", mobile: None, digits: 4 },
    Country {
        iso: "ES",
        name: "Spain",
        code: "+34",
        local: "91199",
        toll_free: "90099",
        mobile: Some("60099"),
        digits: 4,
    },
    Country {
        iso: "MX",
        name: "Mexico",
        code: "+52",
        local: "555599",
        toll_free: "800599",
        mobile: Some("551599"),
        digits: 4,
    },
    Country {
        iso: "GB",
        name: "United Kingdom",
        code: "+44",
        local: "207946",
        toll_free: "808157",
        mobile: Some("770090"),
        digits: 4,
    },
    Country {
        iso: "DE",
        name: "Germany",
        code: "+49",
        local: "302312",
        toll_free: "800231",
        mobile: Some("151231"),
        digits: 5,
    },
];

/// Lists the countries with numbers for sale.
pub async fn countries(Authenticated(account): Authenticated<String>) -> Response {
    let path = format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers.json");
    let countries: Vec<Value> = COUNTRIES.iter().map(|country| country.resource(&account)).collect();
    Json(json!({"uri": path, "countries": countries})).into_response()
}

/// Fetches a country: the kinds of its numbers.
pub async fn country(Authenticated((account, file)): Authenticated<(String, String)>) -> Response {
    let iso = file.strip_suffix(".json").unwrap_or(&file);
    match COUNTRIES.iter().find(|country| country.iso == iso) {
        Some(country) => Json(country.resource(&account)).into_response(),
        None => answer::not_found(&format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers/{file}")),
    }
}

impl Country {
    fn resource(&self, account: &str) -> Value {
        let below = format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers/{}", self.iso);
        let mut kinds = json!({"local": format!("{below}/Local.json"), "toll_free": format!("{below}/TollFree.json")});
        if self.mobile.is_some() {
            kinds["mobile"] = format!("{below}/Mobile.json").into();
        }
        json!({
            "country_code": self.iso,
            "country": self.name,
            "beta": false,
            "subresource_uris": kinds,
            "uri": format!("{below}.json"),
        })
    }
}

/// Lists numbers for sale.
pub async fn list(
    State(carrier): State<Carrier>,
    Authenticated((account, country, kind)): Authenticated<(String, String, String)>,
    ListQuery(query): ListQuery,
) -> Response {
    let path = format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers/{country}/{kind}");
    match carrier.available(&country, &kind, &query) {
        Ok(numbers) => Json(json!({"uri": path, "available_phone_numbers": numbers})).into_response(),
        Err(Some(refusal)) => refusal.into_response(),
        Err(None) => answer::not_found(&path),
    }
}

impl Carrier {
    /// Searches numbers for sale. An error without a refusal means an unknown country or kind.
    fn available(&self, country: &str, kind: &str, query: &Params) -> Result<Vec<Value>, Option<Refusal>> {
        let country = COUNTRIES.iter().find(|known| known.iso == country).ok_or(None)?;
        let area = query.filled("AreaCode");
        let start = match (kind.strip_suffix(".json").unwrap_or(kind), area) {
            (_, Some(EMPTY_AREA)) => return Ok(Vec::new()),
            ("Local", Some(area)) if country.code == "+1" => match area.len() == 3 && is_digits(area) {
                true => format!("{area}555"),
                false => return Err(wrong("AreaCode has three digits.")),
            },
            ("Local", _) => country.local.to_owned(),
            ("TollFree", _) => country.toll_free.to_owned(),
            ("Mobile", _) => country.mobile.ok_or(None)?.to_owned(),
            _ => return Err(None),
        };
        let contains = query.filled("Contains").map(|pattern| pattern.trim_start_matches('+').to_ascii_uppercase());
        if let Some(pattern) = &contains
            && !(CONTAINS.contains(&pattern.len()) && pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*'))
        {
            return Err(wrong("Contains has 2 to 16 digits, letters or *."));
        }
        // No number here supports faxes.
        if query.filled("FaxEnabled") == Some("true") {
            return Ok(Vec::new());
        }
        let size = query.filled("PageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE_SIZE);
        let digits = country.digits;
        let numbers = (0..STOCK)
            .map(|index| format!("{}{start}{:0digits$}", country.code, index * 7 % STOCK))
            .filter(|number| contains.as_deref().is_none_or(|pattern| is_like(number, pattern)))
            .filter(|number| self.0.numbers.find(number).is_none());
        Ok(numbers.take(size.clamp(1, PAGE_SIZE_MAX)).map(|number| resource(country, &number)).collect())
    }
}

fn wrong(text: &str) -> Option<Refusal> {
    Some(Refusal::new(20001, text.to_owned()))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// True if the pattern occurs in a number: `*` is any digit, a letter is the digit of its key.
fn is_like(number: &str, pattern: &str) -> bool {
    let key = |letter: u8| match letter {
        b'A'..=b'C' => b'2',
        b'D'..=b'F' => b'3',
        b'G'..=b'I' => b'4',
        b'J'..=b'L' => b'5',
        b'M'..=b'O' => b'6',
        b'P'..=b'S' => b'7',
        b'T'..=b'V' => b'8',
        b'W'..=b'Z' => b'9',
        other => other,
    };
    let fits =
        |part: &[u8]| part.iter().zip(pattern.bytes()).all(|(digit, asked)| asked == b'*' || key(asked) == *digit);
    number.trim_start_matches('+').as_bytes().windows(pattern.len()).any(fits)
}

fn resource(country: &Country, number: &str) -> Value {
    json!({
        "phone_number": number,
        "friendly_name": number,
        "iso_country": country.iso,
        "lata": null, "locality": null, "rate_center": null, "latitude": null, "longitude": null, "region": null,
        "postal_code": null,
        "address_requirements": "none",
        "beta": false,
        "capabilities": {"voice": true, "SMS": true, "MMS": country.code == "+1", "fax": false},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_anywhere() {
        for (pattern, like) in
            [("555", true), ("4155550007", true), ("5***7", true), ("0007", true), ("888", false), ("LLL", true)]
        {
            assert_eq!(is_like("+14155550007", pattern), like, "{pattern}");
        }
    }
}
