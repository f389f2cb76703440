//! Reads one phone number as a person writes it: in a cell of a table, a field, an option of a command.
//!
//! | written | read |
//! |---|---|
//! | `+44 (0)20 7946 0958`, `+44 020 7946 0958` | `+442079460958`: the 0 is dialled within the country only (ITU-T E.123) |
//! | `0034 600-11.12/22` | `+34600111222` |
//! | `tel:+34-600-111-222;ext=12` (RFC 3966) | the same, without the extension: no message or call of ours reaches it |
//! | `600 111 222` with Spain as the home country | the same |
//! | `3.46E+10` | refused: a spreadsheet has shortened the number |

use std::sync::LazyLock;

use regex::Regex;

use super::Phone;
use super::letters::plain;
use super::plan::{Country, Owner, Plan, is_possible, owner, split};

/// The longest text that can be a number, in bytes.
const TEXT_MAX_BYTES: usize = 200;
/// The characters of a text that an error quotes.
const QUOTED_CHARS: usize = 40;
/// The fewest digits of a number without its country code.
const NATIONAL_MIN_DIGITS: usize = 5;
/// The most, with what is dialled before it and the code of another country.
const NATIONAL_MAX_DIGITS: usize = 20;
/// The fewest digits before an extension.
const EXTENDED_MIN_DIGITS: usize = 7;

/// A text that is read as no number, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' {fault}")]
pub struct NotANumber {
    /// The text, shortened.
    pub text: String,
    pub fault: Fault,
}

/// Why a text is read as no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("is not a phone number: write + and the country code, then the number, such as +34600111222")]
    Shape,
    #[error(
        "is a number that a spreadsheet has shortened: format the column as text there, enter the numbers again, and save"
    )]
    Shortened,
    #[error("has more than one number: leave one")]
    Several,
    #[error(
        "has no country code: write + and the code before it, such as +34, or set the tenant's country with 'recado \
         tenant set SLUG --country ES'"
    )]
    NoCode,
    #[error("begins with a code that no country has: write + and the country code, such as +34600111222")]
    NoSuchCode,
    #[error("is no possible number of {0}: check its digits")]
    Impossible(&'static str),
}

/// A number with its label, parameters and extension taken off.
#[derive(Debug, Default)]
struct Spelled {
    international: bool,
    digits: String,
    /// Where a 0 in brackets stands among the digits.
    zero: Option<usize>,
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    let words = "telephone|t[ée]l[ée]fono|telefon|telf|tfno|tlf|t[ée]l|phone|mobile|m[oó]vil|mob|celular|cell?|handy|\
                 whatsapp|wa|sms|callto";
    fixed(&format!(r"^(?i:{words})\s*[.:]*\s*/*\s*"))
});
static PARAMETERS: LazyLock<Regex> = LazyLock::new(|| fixed(r"(?i)[;?]\s*[a-z].*$"));
static CONTEXT: LazyLock<Regex> = LazyLock::new(|| fixed(r"(?i);\s*phone-context=(\+[0-9().\-]+)"));
static EXTENSION: LazyLock<Regex> = LazyLock::new(|| {
    let words = "ext|extn|extension|extensión|int|interno|anexo|ramal|poste|dw|доб";
    fixed(&format!(r"(?i)[\s,;.(\-]*(?:(?:{words})[.:=\s]*|[x#]\s*|[,;]+\s*)([0-9]{{1,8}})[#)]?\s*$"))
});
static SHORTENED: LazyLock<Regex> = LazyLock::new(|| fixed(r"(?i)^\+?[0-9]+(?:[.,][0-9]+)?e[+-]?[0-9]{1,3}$"));
static WHOLE: LazyLock<Regex> = LazyLock::new(|| fixed(r"^(\+?[0-9]{7,})\.0+$"));
static BRACKETED_ZERO: LazyLock<Regex> = LazyLock::new(|| fixed(r"[(\[]\s*0\s*[)\]]"));

/// See [`crate::domain::make_tables`].
pub(super) fn make_tables() {
    for expression in [&LABEL, &PARAMETERS, &CONTEXT, &EXTENSION, &SHORTENED, &WHOLE, &BRACKETED_ZERO] {
        LazyLock::force(expression);
    }
}

pub(super) fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern, which the tests compile")
}

/// Reads a number. One without a country code is of the home country.
pub(super) fn read(text: &str, home: Option<Country>) -> Result<Phone, NotANumber> {
    resolve(text, home).map_err(|fault| {
        let shown = text.trim().chars().filter(|c| !c.is_control()).take(QUOTED_CHARS);
        NotANumber { text: shown.collect(), fault }
    })
}

fn resolve(text: &str, home: Option<Country>) -> Result<Phone, Fault> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(Fault::Shape);
    }
    let written: String = text.chars().filter_map(plain).collect();
    let written = written.trim().trim_matches(['\'', '"']).trim();
    if SHORTENED.is_match(written) {
        return Err(Fault::Shortened);
    }
    let Spelled { international, digits, zero } = spell(written)?;
    if let Some(rest) = digits.strip_prefix("00") {
        return resolve_international(rest, zero.and_then(|at| at.checked_sub(2)));
    }
    match home {
        _ if international => resolve_international(&digits, zero),
        _ if digits.len() < NATIONAL_MIN_DIGITS => Err(Fault::Shape),
        _ if digits.len() > NATIONAL_MAX_DIGITS => Err(Fault::Several),
        None => Err(Fault::NoCode),
        Some(home) => resolve_national(&digits, zero, home).ok_or(Fault::Impossible(home.as_str())),
    }
}

fn spell(written: &str) -> Result<Spelled, Fault> {
    let bare = LABEL.replace(written, "");
    let context = CONTEXT.captures(&bare).map(|found| found[1].to_owned());
    let bare = PARAMETERS.replace(&bare, "");
    let bare = WHOLE.replace(&bare, "${1}");
    let bare = without_extension(&bare);
    let whole = match context {
        Some(context) if !bare.trim_start().starts_with('+') => format!("{context} {bare}"),
        _ => bare.to_owned(),
    };
    let zero_at = BRACKETED_ZERO.find(&whole).map(|found| found.start());
    let mut spelled = Spelled::default();
    for (at, c) in whole.char_indices() {
        if zero_at == Some(at) && !spelled.digits.is_empty() {
            spelled.zero = Some(spelled.digits.len());
        }
        match c {
            '0'..='9' => spelled.digits.push(c),
            '+' if spelled.digits.is_empty() => spelled.international = true,
            '+' => return Err(Fault::Several),
            ' ' | '-' | '.' | '/' | '(' | ')' | '[' | ']' | '~' => {}
            _ => return Err(Fault::Shape),
        }
    }
    if spelled.digits.is_empty() { Err(Fault::Shape) } else { Ok(spelled) }
}

/// The text without an extension, where a number stands before one.
fn without_extension(text: &str) -> &str {
    let Some(found) = EXTENSION.find(text) else { return text };
    let number = &text[..found.start()];
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits >= EXTENDED_MIN_DIGITS { number } else { text }
}

fn resolve_international(digits: &str, zero: Option<usize>) -> Result<Phone, Fault> {
    let (plans, national) = split(digits).ok_or(Fault::NoSuchCode)?;
    let main = &plans[0];
    let bracketed_zero = zero == Some(main.code().len());
    // A possible number that begins with no trunk prefix stays as it is, without a look at the plan's expressions.
    if !bracketed_zero && is_possible(plans, national) && !begins_with_trunk(main, national) {
        return phone(main, national).ok_or(Fault::Shape);
    }
    let forms = forms(main, national, bracketed_zero);
    let found = valid(plans, &forms).or_else(|| possible(main, plans, &forms));
    found.and_then(|national| phone(main, national)).ok_or(Fault::Impossible(main.region()))
}

fn resolve_national(digits: &str, zero: Option<usize>, home: Country) -> Option<Phone> {
    let (own, plans) = home.plans()?;
    let national = forms(own, digits, false);
    // The country code without its +, which spreadsheets lose.
    let behind_code = digits.strip_prefix(own.code()).filter(|rest| !rest.is_empty());
    let with_code = behind_code.map(|rest| forms(own, rest, zero == Some(own.code().len()))).unwrap_or_default();
    if let Some(found) = valid(plans, &national).or_else(|| valid(plans, &with_code)) {
        return phone(own, found);
    }
    let abroad = own.after_exit(digits).and_then(|rest| resolve_international(rest, None).ok());
    abroad.or_else(|| {
        let found = possible(own, plans, &national).or_else(|| possible(own, plans, &with_code));
        phone(own, found?)
    })
}

/// The readings of a national number: as it is written, but without a 0 in brackets; then without a trunk prefix.
fn forms(plan: &Plan, national: &str, bracketed_zero: bool) -> Vec<String> {
    let mut forms = vec![national.to_owned()];
    if bracketed_zero {
        // In Italy the 0 in brackets is part of a landline's number, elsewhere of none.
        forms.insert(0, national[1..].to_owned());
    }
    forms.extend(plan.without_trunk(national));
    // Argentina's mobiles, with the 9 of the international and the 15 of the national form.
    if let ("54", Some(rest)) = (plan.code(), national.strip_prefix('9')) {
        forms.extend(plan.without_trunk(rest));
    }
    forms
}

/// The first reading that a plan has.
fn valid<'f>(plans: &[Plan], forms: &'f [String]) -> Option<&'f str> {
    forms.iter().map(String::as_str).find(|form| owner(plans, form).is_some())
}

/// The first reading of a possible length; one that begins with the trunk prefix comes last. Where that is a 0, no number
/// begins with one.
fn possible<'f>(plan: &Plan, plans: &[Plan], forms: &'f [String]) -> Option<&'f str> {
    let (mut last, first): (Vec<_>, Vec<_>) = forms.iter().partition(|form| begins_with_trunk(plan, form));
    last.retain(|_| plan.trunk() != "0");
    first.into_iter().chain(last).map(String::as_str).find(|form| is_possible(plans, form))
}

fn begins_with_trunk(plan: &Plan, national: &str) -> bool {
    !plan.trunk().is_empty() && national.starts_with(plan.trunk())
}

fn phone(plan: &Plan, national: &str) -> Option<Phone> {
    Phone::parse(&format!("+{}{national}", plan.code())).ok()
}

/// Reads a whole number that a plan has, as it is found in a text; digits only.
pub(super) fn read_valid(digits: &str, zero: Option<usize>, home: Option<Country>) -> Option<Phone> {
    let read = match home {
        None => resolve_international(digits, zero).ok()?,
        Some(home) => resolve_national(digits, zero, home)?,
    };
    owner_of(&read).map(|_| read)
}

/// Whose the number is, if a numbering plan has it; `None` for a code that no country has, too.
pub(super) fn owner_of(phone: &Phone) -> Option<Owner> {
    let (plans, national) = split(&phone.as_str()[1..])?;
    owner(plans, national)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(home: Option<&str>, cases: &[(&str, &str)]) {
        let home = home.map(|home| home.parse().unwrap());
        for (text, expected) in cases {
            let read = read(text, home);
            assert_eq!(read.as_ref().map(Phone::as_str), Ok(*expected), "{text:?} at home in {home:?}");
        }
    }

    fn refused(home: Option<&str>, cases: &[(&str, Fault)]) {
        let home = home.map(|home| home.parse().unwrap());
        for (text, fault) in cases {
            assert_eq!(read(text, home).map_err(|why| why.fault), Err(*fault), "{text:?} at home in {home:?}");
        }
    }

    #[test]
    fn the_trunk_prefix_is_not_part_of_an_international_number() {
        check(
            None,
            &[
                ("+44 (0)7911 123456", "+447911123456"),
                ("+44 ( 0 ) 20 7946 0958", "+442079460958"),
                ("+44 020 7946 0958", "+442079460958"),
                ("+4407911123456", "+447911123456"),
                ("0044 (0)7911 123456", "+447911123456"),
                ("+49 (0) 171 1234567", "+491711234567"),
                ("+49 0171 1234567", "+491711234567"),
                ("+33 (0)6 12 34 56 78", "+33612345678"),
                ("+7 (8) 495 123-45-67", "+74951234567"),
                ("+36 06 20 123 4567", "+36201234567"),
                ("+1 (1) 415 555-2671", "+14155552671"),
                ("+34 (0)600 111 222", "+34600111222"),
                ("+61 (0)412 345 678", "+61412345678"),
            ],
        );
        // A zero that is part of the number stays.
        check(
            None,
            &[
                ("+39 06 698 83712", "+390669883712"),
                ("+39 (0)6 698 83712", "+390669883712"),
                ("+39 (0)347 123 4567", "+393471234567"),
                ("+225 01 23 45 67 89", "+2250123456789"),
                ("+7 800 555 35 35", "+78005553535"),
            ],
        );
    }

    #[test]
    fn typographic_and_invisible_characters_are_passed_over() {
        check(
            None,
            &[
                ("\u{202a}+34\u{a0}600\u{2009}111\u{202f}222\u{202c}", "+34600111222"),
                ("\u{2068}(+34)\u{ad}600\u{200b}111\u{2060}222\u{2069}", "+34600111222"),
                ("+34\u{2011}600\u{2012}111\u{2013}222", "+34600111222"),
                ("+34·600·111·222", "+34600111222"),
                ("+34 600/111/222", "+34600111222"),
                ("＋３４ ６００ １１１ ２２２", "+34600111222"),
                ("+٣٤ ٦٠٠ ١١١ ٢٢٢", "+34600111222"),
                ("+۳۴ ۶۰۰ ۱۱۱ ۲۲۲", "+34600111222"),
                ("+३४ ६०० १११ २२२", "+34600111222"),
                ("'+34600111222", "+34600111222"),
                ("\"+34 600 111 222\"", "+34600111222"),
                ("+3\u{fe0f}\u{20e3}4600111222", "+34600111222"),
            ],
        );
    }

    #[test]
    fn uris_labels_and_extensions_are_taken_off() {
        check(
            None,
            &[
                ("tel:+34-600-111-222", "+34600111222"),
                ("TEL:+34-911-000-111;ext=12", "+34911000111"),
                ("tel:+34(911)000111;isub=1;ext=12;x=y", "+34911000111"),
                ("tel:600-111-222;phone-context=+34", "+34600111222"),
                ("tel:07911123456;phone-context=+44", "+447911123456"),
                ("tel://+34600111222", "+34600111222"),
                ("whatsapp:+34600111222", "+34600111222"),
                ("Tel. +34 600 111 222", "+34600111222"),
                ("Móvil: 0034 600 111 222", "+34600111222"),
                ("+34 911 000 111 ext. 12", "+34911000111"),
                ("+1 (415) 555-2671 x123", "+14155552671"),
                ("+1 415 555 2671,,123#", "+14155552671"),
                ("+54 11 4321-5678 int. 12", "+541143215678"),
            ],
        );
        check(
            Some("ES"),
            &[("tel:600111222;phone-context=example.com", "+34600111222"), ("34600111222.0", "+34600111222")],
        );
    }

    #[test]
    fn a_number_without_a_code_is_of_the_home_country() {
        check(
            Some("ES"),
            &[
                ("600 111 222", "+34600111222"),
                ("34600111222", "+34600111222"),
                ("0044 7911 123456", "+447911123456"),
                ("+44 (0)7911 123456", "+447911123456"),
            ],
        );
        check(
            Some("GB"),
            &[
                ("07911 123456", "+447911123456"),
                ("(020) 7946 0958", "+442079460958"),
                ("7911123456", "+447911123456"),
                ("44 (0)7911 123456", "+447911123456"),
            ],
        );
        check(
            Some("US"),
            &[
                ("(415) 555-2671", "+14155552671"),
                ("1-415-555-2671", "+14155552671"),
                ("011 34 600 111 222", "+34600111222"),
            ],
        );
        check(
            Some("AR"),
            &[
                ("011 15 2345-6789", "+5491123456789"),
                ("11 2345 6789", "+541123456789"),
                ("+54 11 15 2345 6789", "+5491123456789"),
                ("+54 9 11 15 2345 6789", "+5491123456789"),
                ("+54 011 4321-5678", "+541143215678"),
            ],
        );
        check(Some("BR"), &[("0 15 11 98765-4321", "+5511987654321"), ("(11) 98765-4321", "+5511987654321")]);
        check(Some("RU"), &[("8 (495) 123-45-67", "+74951234567"), ("8~10 34 600 111 222", "+34600111222")]);
        check(None, &[("+52 1 55 1234 5678", "+5215512345678"), ("+55 11 8765 4321", "+551187654321")]);
        refused(None, &[("600 111 222", Fault::NoCode), ("34600111222", Fault::NoCode)]);
    }

    #[test]
    fn what_is_no_possible_number_says_why() {
        refused(
            None,
            &[
                ("", Fault::Shape),
                ("nobody", Fault::Shape),
                ("600", Fault::Shape),
                ("ana@example.com", Fault::Shape),
                ("+34 600 FLOWERS", Fault::Shape),
                ("3.46E+10", Fault::Shortened),
                ("3,46E+10", Fault::Shortened),
                ("3.4600111222E10", Fault::Shortened),
                ("+34600111222 / +34600333444", Fault::Several),
                ("600 111 222 / 600 333 444 / 600 555 666", Fault::Several),
                ("+999 12345678", Fault::NoSuchCode),
                ("+0 600 111 222", Fault::NoSuchCode),
                ("+34 600 111 22", Fault::Impossible("ES")),
                ("+34 600 111 222 3", Fault::Impossible("ES")),
                ("+3460011122230", Fault::Impossible("ES")),
                ("+44 (0)7911 1234", Fault::Impossible("GB")),
                ("34,600,111,222", Fault::Shape),
            ],
        );
        refused(Some("ES"), &[("60011122", Fault::Impossible("ES")), ("600 111 222 3", Fault::Impossible("ES"))]);
        let said = read("+34 600 111 22", None).unwrap_err().to_string();
        assert_eq!(said, "'+34 600 111 22' is no possible number of ES: check its digits");
    }
}
