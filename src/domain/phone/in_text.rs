//! Finds the phone numbers in a text, such as that of a calendar event, as libphonenumber's matcher does: candidates by
//! their form, each checked against the numbering plan of its country.
//!
//! No number is found in a web or mail address, a date, a time, a price or a longer run of letters and digits. The numbers
//! of a conference (`Dial-in: +1 415 555 2671,,123#`), of a fax and of services are found, but are nobody's.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Phone;
use super::human::{fixed, owner_of, read_valid};
use super::letters::plain;
use super::plan::{Country, Owner};

/// The most characters between two groups of digits.
const SEPARATOR_MAX_CHARS: usize = 5;
/// The most groups of digits of a candidate.
const GROUPS_MAX: usize = 16;
/// The most digits of a candidate.
const DIGITS_MAX: usize = 20;
/// The longest markup tag, in bytes.
const TAG_MAX_BYTES: usize = 2_000;
/// The most digits of an amount or a time behind a number.
const AMOUNT_MAX_DIGITS: usize = 4;
/// The fewest digits of a first group that may follow other digits.
const ALONE_MIN_DIGITS: usize = 7;
/// The characters before a number that may label it.
const LABEL_CHARS: usize = 24;

/// A number that a text names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub phone: Phone,
    /// The bytes of its spelling.
    pub range: Range<usize>,
    /// Whether it is of a conference, a fax or a service, so that no customer has it.
    pub nobodys: bool,
}

/// Why texts name no customer clearly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClearNumber {
    #[error("it names no customer: write their number in it, such as +34600111222")]
    None,
    #[error("its only number, {0}, is of a conference, a fax or a service: write the customer's number in it")]
    Nobodys(Phone),
    #[error("it names no customer: '{0}' is no number that exists; check its digits")]
    NotValid(String),
    #[error("it names more than one number, {0} and {1}: leave that of the customer")]
    Several(Phone, Phone),
}

/// Reads the one number that the texts name. All forms of a number are the same. Numbers without a country code count
/// only where the texts have none with one, and only those of the home country.
pub fn one_number<T: AsRef<str>>(texts: &[T], home: Option<Country>) -> Result<Phone, NoClearNumber> {
    let all = |home| texts.iter().flat_map(|text| find(text.as_ref(), home)).collect::<Vec<_>>();
    let international = all(None);
    let found = if international.iter().all(|found| found.nobodys) { all(home) } else { international };
    let mut customers = found.iter().filter(|found| !found.nobodys);
    let Some(first) = customers.next() else {
        let nobodys = found.into_iter().next().map(|one| NoClearNumber::Nobodys(one.phone));
        let not_valid = || texts.iter().find_map(|text| not_valid(text.as_ref())).map(NoClearNumber::NotValid);
        return Err(nobodys.or_else(not_valid).unwrap_or(NoClearNumber::None));
    };
    match customers.find(|other| other.phone.key() != first.phone.key()) {
        Some(other) => Err(NoClearNumber::Several(first.phone.clone(), other.phone.clone())),
        None => Ok(first.phone.clone()),
    }
}

/// The first text that looks like a number with a country code. It is asked for where there is none that exists.
fn not_valid(text: &str) -> Option<String> {
    static LOOKS_LIKE_ONE: LazyLock<Regex> = LazyLock::new(|| fixed(r"(?:^|[\s(:])(\+ ?[0-9][0-9 ().\-]{4,20}[0-9])"));
    let visible: String = visible(text).iter().map(|(_, c, _)| *c).collect();
    LOOKS_LIKE_ONE.captures(&visible).map(|found| found[1].to_owned())
}

/// The text without the spellings of its numbers.
pub fn without_numbers(text: &str, home: Option<Country>) -> String {
    let (mut left, mut from) = (String::new(), 0);
    for found in find(text, home) {
        left += &text[from..found.range.start];
        left.push(' ');
        from = found.range.end;
    }
    left + &text[from..]
}

/// Finds the numbers of a text: those with a country code, and with a home country also its own without one.
pub fn find(text: &str, home: Option<Country>) -> Vec<Found> {
    let chars = visible(text);
    let conference = conference_from(&chars);
    let (mut found, mut at, mut behind) = (Vec::new(), 0, 0);
    while at < chars.len() {
        // Right behind a number another may begin, elsewhere none begins within a word.
        let begins = (at == behind && chars[at].1 == '+') || !is_joined(&chars, at);
        let candidate = [None, home].into_iter().filter(|_| begins).find_map(|home| number_at(&chars, at, home));
        let Some((phone, end)) = candidate else {
            at += 1;
            continue;
        };
        let nobodys = at >= conference || is_labelled(&chars, at) || has_pin(&chars, end);
        let nobodys = nobodys || owner_of(&phone) == Some(Owner::Service);
        let last = chars[end - 1];
        found.push(Found { phone, range: chars[at].0..last.0 + last.2, nobodys });
        (at, behind) = (end, end);
    }
    found
}

/// A character of the text: where it stands, its plain form, its length in bytes.
type Char = (usize, char, usize);

/// What stands for an address, so that nothing in it is read.
const HIDDEN: char = '\u{1}';

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r#"(?i)\b(?:[a-z][a-z0-9+.\-]*://|www\.|mailto:|sips?:)[^\s<>"]*|[^\s<>,;:"()]*@[^\s<>,;"()]+"#)
});
static BREAKING_TAG: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"(?i)^</?(?:br|p|div|li|tr|td|h[1-6]|ul|ol|table|hr)\b"));

/// The plain characters that a reader of the text sees: no addresses, no markup.
fn visible(text: &str) -> Vec<Char> {
    let addresses: Vec<Range<usize>> = ADDRESS.find_iter(text).map(|found| found.range()).collect();
    let (mut chars, mut address, mut skip_to) = (Vec::with_capacity(text.len()), 0, 0);
    for (at, c) in text.char_indices() {
        while addresses.get(address).is_some_and(|range| range.end <= at) {
            address += 1;
        }
        if at < skip_to {
            continue;
        }
        let (form, length) = if addresses.get(address).is_some_and(|range| range.contains(&at)) {
            (Some(HIDDEN), c.len_utf8())
        } else if c == '<'
            && let Some(length) = tag(&text[at..])
        {
            (Some(if BREAKING_TAG.is_match(&text[at..]) { '\n' } else { ' ' }), length)
        } else if text[at..].starts_with("&nbsp;") {
            (Some(' '), "&nbsp;".len())
        } else if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') {
            (Some('\n'), c.len_utf8())
        } else {
            (plain(c), c.len_utf8())
        };
        skip_to = at + length;
        chars.extend(form.map(|form| (at, form, length)));
    }
    chars
}

/// The length of the markup tag at the beginning of a text.
fn tag(text: &str) -> Option<usize> {
    let begins = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let end = text.bytes().take(TAG_MAX_BYTES).position(|byte| byte == b'>').filter(|_| begins)?;
    Some(end + 1)
}

/// Groups of digits, each with the characters it takes and what stands before it.
struct Group {
    digits: String,
    range: Range<usize>,
    separator: String,
}

/// Reads the number that begins at `at`: it and where it ends. Without a home country it needs a country code.
fn number_at(chars: &[Char], at: usize, home: Option<Country>) -> Option<(Phone, usize)> {
    let c = chars[at].1;
    let international = c == '+' || (c == '0' && chars.get(at + 1).is_some_and(|next| next.1 == '0'));
    let starts = international || (home.is_some() && (c.is_ascii_digit() || c == '('));
    if !starts || (!international && is_reference(chars, at)) {
        return None;
    }
    let groups = groups(chars, at);
    let home = home.filter(|_| !international);
    if home.is_some() && groups.first()?.digits.len() < ALONE_MIN_DIGITS && follows_digits(chars, at) {
        return None;
    }
    let end = ends(chars, &groups).into_iter().find_map(|end| Some((read_groups(&groups[..end], home)?, end)));
    end.map(|(phone, end)| (phone, groups[end - 1].range.end))
}

/// Whether what begins at `at` goes on from what stands before it: a word, an address, a longer number, a date.
fn is_joined(chars: &[Char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map_or(' ', |before| chars[before].1);
    let joined = before(1).is_alphanumeric() || "_+&%#$€£@*\\".contains(before(1)) || before(1) == HIDDEN;
    joined || (chars[at].1 != '+' && "-./:,=".contains(before(1)) && before(2).is_ascii_digit())
}

/// Whether other digits stand before it, apart by blanks.
fn follows_digits(chars: &[Char], at: usize) -> bool {
    let before = chars[..at].iter().rev().find(|(_, c, _)| *c != ' ');
    before.is_some_and(|(_, c, _)| c.is_ascii_digit())
}

fn groups(chars: &[Char], at: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut next, mut separator, mut total) = (at, String::new(), 0);
    while let Some((_, c, _)) = chars.get(next) {
        let first = groups.is_empty();
        if c.is_ascii_digit() {
            let length = chars[next..].iter().take_while(|(_, c, _)| c.is_ascii_digit()).count();
            let digits: String = chars[next..next + length].iter().map(|(_, c, _)| *c).collect();
            total += length;
            if total > DIGITS_MAX || groups.len() == GROUPS_MAX {
                break;
            }
            groups.push(Group { digits, range: next..next + length, separator: std::mem::take(&mut separator) });
            next += length;
        } else if (*c == '+' && first) || " -./()[]~".contains(*c) {
            separator.push(*c);
            next += 1;
            if separator.chars().count() > SEPARATOR_MAX_CHARS {
                break;
            }
        } else {
            break;
        }
    }
    groups
}

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix)^ (?: :[0-9] | \ ?[%€$£°] | \ ?(?: min | mins | minutes? | minutos? | minuten | h | hs | hrs? | hours? | horas? |
        uhr | std | eur | euros? | usd | gbp | mxn | a[nñ]os | years | pax | personas? | people )\b )",
    )
});
static EXTENSION: LazyLock<Regex> = LazyLock::new(|| fixed(r"^(?i:x|ext\.?|extn\.?)\s*[0-9]"));

/// The numbers of groups that a phone number may have, the likeliest first: those before a date, a time or an amount; all;
/// those before a break.
fn ends(chars: &[Char], groups: &[Group]) -> Vec<usize> {
    let all = groups.len();
    let date = (1..all).find(|at| groups[*at].separator.contains(' ') && is_date(&groups[*at..]));
    let behind = groups.last().map_or(0, |group| group.range.end);
    let behind: String = chars[behind..].iter().map(|(_, c, _)| *c).take(LABEL_CHARS).collect();
    let word = behind.starts_with(|c: char| c.is_alphanumeric() || c == '_') && !EXTENSION.is_match(&behind);
    let amount = AMOUNT.is_match(&behind) && groups.last().is_some_and(|group| group.digits.len() <= AMOUNT_MAX_DIGITS);
    let without_last = (amount || word).then(|| all.saturating_sub(1));
    let cut = date.or(without_last).filter(|end| *end > 0);
    let compact = |end: usize| groups[1..end].iter().all(|group| !group.separator.contains(' '));
    let parted = |end: &usize| {
        let separator = &groups[*end].separator;
        is_break(separator) || (compact(*end) && separator.contains(' '))
    };
    let whole = Some(all).filter(|_| !word && all > 0);
    cut.into_iter().chain(whole).chain((1..all).rev().filter(parted)).collect()
}

fn is_date(groups: &[Group]) -> bool {
    let is_year = |digits: &str| digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"));
    let short = |group: &Group| group.digits.len() <= 2;
    let same = |one: &Group, other: &Group| one.separator == other.separator && !one.separator.contains(' ');
    match groups {
        [year, month, day, ..] if is_year(&year.digits) => short(month) && short(day) && same(month, day),
        [day, month, year, ..] if is_year(&year.digits) => short(day) && short(month) && same(month, year),
        [day, month, ..] => short(day) && short(month) && month.separator == "/",
        _ => false,
    }
}

/// Whether what stands between two groups parts two things: a spaced dash or slash, a full stop, a wide gap.
fn is_break(separator: &str) -> bool {
    let spaced = separator.starts_with(' ') && separator.ends_with(' ') && separator.len() > 1;
    spaced || separator.contains(". ") || separator.contains("  ")
}

fn read_groups(groups: &[Group], home: Option<Country>) -> Option<Phone> {
    let mut digits: String = groups.iter().map(|group| group.digits.as_str()).collect();
    let bracketed = |pair: &[Group]| {
        pair[0].digits == "0" && pair[0].separator.ends_with('(') && pair[1].separator.starts_with(')')
    };
    let zero = groups.windows(2).position(bracketed).filter(|at| *at > 0);
    let zero = zero.map(|at| groups[..at].iter().map(|group| group.digits.len()).sum::<usize>());
    if home.is_none() && digits.starts_with("00") {
        digits.drain(..2);
        return read_valid(&digits, zero.and_then(|at| at.checked_sub(2)), None);
    }
    read_valid(&digits, zero, home)
}

/// What is said before the numbers of a conference.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix) dial[\ -]?in | dial\ by | (?:or|to)\ dial | call[\ -]in\b | join\ by\ phone | one[\ -]tap | audio[\ -]only |
        conference\ (?:call|bridge|number) | bridge\ number | unirse\ por\ tel | acceso\ telef | n[uú]meros?\ de\ acceso |
        \bmarque\ (?:el|al)\b | conferencia\ telef | llamada\ en\ conferencia | per\ telefon | telefonisch\ (?:teil|bei) |
        einwahl | einw[äa]hl | rejoindre\ par\ t | num[ée]rotez | num[ée]ro\ d'acc | (?:per|tramite)\ telefono |
        participe\ por\ tel | disque\ para",
    )
});
/// What is said behind them.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix) \bpin\b\W*[0-9] | \btoll\b | conference\ id | meeting\ (?:id|number) | access\ code | pass\ ?code |
        find\ a\ local\ number | c[oó]digo\ de\ acceso | id\.?\ de\ (?:la\ |una\ )?(?:conferencia|reuni) | konferenz-?id |
        besprechungs-?id | code\ d'acc | identifiant\ de\ (?:la\ )?(?:conf|r[ée]un) | c[oó]digo\ da\ reuni",
    )
});

/// Where what the text says about a conference begins, up to its end. Who reads on there would rather ask than write to a
/// conference.
fn conference_from(chars: &[Char]) -> usize {
    let text: String = chars.iter().map(|(_, c, _)| *c).collect();
    let count = |bytes: usize| text[..bytes].chars().count();
    let heading = HEADING.find(&text).map(|found| found.start());
    let tail = TAIL.find(&text).map(|found| text[..found.start()].rfind('\n').map_or(0, |end| end + 1));
    heading.into_iter().chain(tail).min().map_or(chars.len(), count)
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"(?i)\b(?:zoom|teams|meet|webex|skype|gotomeeting|conference|conf|bridge|audio|dial|fax)\W*$")
});
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix) (?: \b(?: ref | reference | referencia | id | no | nr | num | number | n[úu]mero | pedido | order | orden |
        booking | reserva | invoice | factura | rechnung | ticket | case | caso | expediente | iban | dni | nif | cif | cup |
        ean | isbn | pin | c[óo]digo | code | account | cuenta ) | n[º°] | \# ) [.:\s\#]* $",
    )
});

fn text_before(chars: &[Char], at: usize) -> String {
    chars[at.saturating_sub(LABEL_CHARS)..at].iter().map(|(_, c, _)| *c).collect()
}

fn is_labelled(chars: &[Char], at: usize) -> bool {
    LABEL.is_match(&text_before(chars, at))
}

fn is_reference(chars: &[Char], at: usize) -> bool {
    REFERENCE.is_match(&text_before(chars, at))
}

static PIN: LazyLock<Regex> = LazyLock::new(|| fixed(r"^\s*(?:,[,\s]*|;\s*)[0-9]+[0-9 ]*#|^\s*,,|^\s*[0-9 ]*#"));

/// Whether the digits of a conference follow, such as `,,123456#`.
fn has_pin(chars: &[Char], end: usize) -> bool {
    let behind: String = chars[end..].iter().map(|(_, c, _)| *c).take(LABEL_CHARS).collect();
    PIN.is_match(&behind)
}

#[cfg(test)]
mod tests;
