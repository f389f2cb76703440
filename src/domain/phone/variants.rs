//! Numbers that networks report in two forms: one customer, one key.
//!
//! | country | the forms of a mobile |
//! |---|---|
//! | Argentina | `+54 9`, area and number, ten digits in all; without the 9 where it is dialled as a landline |
//! | Brazil | `+55`, two digits of area and nine digits; without the first of the nine, a 9 |
//! | Mexico | `+52` and ten digits; a `1` before them until 2019 |

use std::borrow::Cow;

/// The key of an E.164 number for look-ups, which is the same for all forms of one number.
pub(super) fn key(number: &str) -> String {
    let (length, at) = (number.len(), |index: usize| number.as_bytes().get(index).copied());
    match number.get(..3) {
        // The form of messages is the key: most rows have it.
        Some("+54") if length == 13 => format!("+549{}", &number[3..]),
        Some("+55") if length == 14 && at(5) == Some(b'9') => format!("{}{}", &number[..5], &number[6..]),
        Some("+52") if length == 14 && at(3) == Some(b'1') => format!("+52{}", &number[4..]),
        _ => number.to_owned(),
    }
}

/// The form of a national number that its numbering plan lists today.
pub(super) fn listed<'n>(code: &str, national: &'n str) -> Cow<'n, str> {
    match code {
        "52" if national.len() == 11 && national.starts_with('1') => Cow::Borrowed(&national[1..]),
        "55" if national.len() == 10 && matches!(national.as_bytes()[2], b'6'..=b'9') => {
            Cow::Owned(format!("{}9{}", &national[..2], &national[2..]))
        }
        _ => Cow::Borrowed(national),
    }
}
