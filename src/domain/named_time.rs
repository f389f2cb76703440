//! The times that people write in English and Spanish: which of some offered times is meant, and whether a text names one.
//!
//! Every word must either select a time or be a filler. In doubt no time is named, and a person reads on.

use chrono::{DateTime, Datelike, Duration, FixedOffset, Month, NaiveDate, Timelike, Weekday};

use super::clock::Timestamp;
use super::fold::fold;

/// A word that selects a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Selector {
    /// The place in the list, from 1.
    Place(usize),
    Last,
    /// A bare number, and whether an article stands before it: a place, a day of the month or an hour.
    Number(u32, bool),
    Clock(u32, u32),
    Hour(u32),
    /// `12.01`: a date or a time.
    DateOrClock(u32, u32),
    Date(u32, u32),
    Weekday(Weekday),
    Month(Month),
    /// `mar`: martes, or March.
    WeekdayOrMonth(Weekday, Month),
    /// Days from today.
    Ahead(i64),
    Afternoon(bool),
}

/// Returns the place of the one offered time that the text names.
pub fn find_named(text: &str, offered: &[DateTime<FixedOffset>], now: Timestamp) -> Option<usize> {
    let selectors = selectors(text, FILLERS)?;
    if let [Selector::Number(place, false)] = selectors[..]
        && let Some(place) = (place as usize).checked_sub(1).filter(|place| *place < offered.len())
    {
        return Some(place);
    }
    let has_month = selectors.iter().any(|word| matches!(word, Selector::Month(_) | Selector::WeekdayOrMonth(..)));
    let fits = |place: usize, at: &DateTime<FixedOffset>| {
        let today = now.to_utc().with_timezone(&at.timezone()).date_naive();
        let is_last = place + 1 == offered.len();
        selectors.iter().enumerate().all(|(nth, word)| match *word {
            Selector::Number(number, _) => {
                let is_place = nth == 0 && !has_month && number as usize == place + 1;
                is_place || at.day() == number || (!has_month && is_at(at, number, 0))
            }
            word => selects(word, place, is_last, at, today),
        })
    };
    let mut fitting = offered.iter().enumerate().filter(|(place, at)| fits(*place, at)).map(|(place, _)| place);
    let found = fitting.next().filter(|_| !selectors.is_empty());
    found.filter(|_| fitting.next().is_none())
}

/// Returns whether the text names this time and no other; `None` if it names none, or says anything else. Unlike an answer to
/// an offer, it must be made of the words of times only.
pub fn names(text: &str, at: &DateTime<FixedOffset>, now: Timestamp) -> Option<bool> {
    let selectors = selectors(text, WORDS_OF_TIMES)?;
    let today = now.to_utc().with_timezone(&at.timezone()).date_naive();
    let has_month = selectors.iter().any(|word| matches!(word, Selector::Month(_) | Selector::WeekdayOrMonth(..)));
    let fits = |word: &Selector| match *word {
        Selector::Place(_) | Selector::Last => None,
        Selector::Number(number, article) => {
            Some(at.day() == number || (!article && !has_month && is_at(at, number, 0)))
        }
        word => Some(selects(word, 0, false, at, today)),
    };
    let fitting = selectors.iter().map(fits).collect::<Option<Vec<bool>>>()?;
    (!fitting.is_empty()).then(|| fitting.iter().all(|fits| *fits))
}

/// Returns whether some word of the text selects a time by itself: an hour, a date, a weekday, a day or a part of it.
pub fn mentions_time(text: &str) -> bool {
    let spaced = with_phrases(text);
    let all: Vec<&str> = spaced.split_whitespace().collect();
    all.iter().enumerate().any(|(at, word)| {
        let found = selector(word, neighbour(&all, at.checked_sub(1)), neighbour(&all, Some(at + 1)));
        *word == "pm" || found.is_some_and(Selector::is_time)
    })
}

impl Selector {
    /// A place in a list, a mere number and a month are no time yet.
    const fn is_time(self) -> bool {
        !matches!(self, Self::Place(_) | Self::Last | Self::Number(..) | Self::Month(_) | Self::WeekdayOrMonth(..))
    }
}

fn selects(word: Selector, place: usize, is_last: bool, at: &DateTime<FixedOffset>, today: NaiveDate) -> bool {
    let is_on = |day, month| at.day() == day && at.month() == month;
    match word {
        Selector::Place(wanted) => wanted == place + 1,
        Selector::Last => is_last,
        Selector::Number(day, _) => at.day() == day,
        Selector::Clock(hour, minute) => is_at(at, hour, minute),
        Selector::Hour(hour) => is_at(at, hour, 0),
        Selector::DateOrClock(one, two) => is_on(one, two) || is_at(at, one, two),
        // Day and month, or month and day: within a few weeks only one of them can be meant.
        Selector::Date(one, two) => is_on(one, two) || is_on(two, one),
        Selector::Weekday(day) => at.weekday() == day,
        Selector::Month(month) => at.month() == month.number_from_month(),
        Selector::WeekdayOrMonth(day, month) => at.weekday() == day || at.month() == month.number_from_month(),
        Selector::Ahead(days) => at.date_naive() == today + Duration::days(days),
        Selector::Afternoon(afternoon) => (at.hour() >= 12) == afternoon,
    }
}

/// Compares by a 24-hour clock, and by a 12-hour clock.
fn is_at(at: &DateTime<FixedOffset>, hour: u32, minute: u32) -> bool {
    at.minute() == minute && (at.hour() == hour || (hour < 12 && at.hour() == hour + 12))
}

/// Phrases that stand for one word, spaced as [`selectors`] does it.
const PHRASES: &[(&str, &str)] = &[
    (" por la manana ", " am "),
    (" de la manana ", " am "),
    (" in the morning ", " am "),
    (" por la tarde ", " pm "),
    (" de la tarde ", " pm "),
    (" in the afternoon ", " pm "),
    (" in the evening ", " pm "),
    (" pasado manana ", " overmorrow "),
    (" the day after tomorrow ", " overmorrow "),
    (" day after tomorrow ", " overmorrow "),
    (" a m ", " am "),
    (" p m ", " pm "),
    (" o clock ", " oclock "),
    (" a la 1 ", " at 1 "),
    (" a la una ", " at 1 "),
];

/// Words that select nothing.
const FILLERS: &[&str] = &[
    "a", "al", "am", "at", "bien", "can", "choose", "come", "d", "de", "del", "dia", "el", "en", "entonces", "es",
    "favor", "fine", "for", "good", "gracias", "great", "gustaria", "h", "hello", "hi", "hola", "hora", "horas", "hrs",
    "i", "is", "it", "la", "las", "like", "ll", "lo", "make", "me", "mejor", "number", "numero", "oclock", "of", "ok",
    "okay", "on", "one", "opcion", "option", "para", "perfect", "perfecto", "please", "pm", "por", "prefer",
    "prefiero", "puede", "puedo", "quiero", "quisiera", "s", "ser", "seria", "si", "suits", "take", "thank", "thanks",
    "that", "the", "then", "to", "us", "va", "vale", "viene", "want", "work", "works", "would", "yes", "you",
];

/// Words that select nothing, and that a time is written with.
const WORDS_OF_TIMES: &[&str] = &[
    "a", "al", "at", "d", "de", "del", "dia", "el", "en", "esta", "este", "for", "h", "hora", "horas", "hrs", "hs",
    "la", "las", "oclock", "of", "on", "para", "pm", "punto", "sharp", "the", "this",
];

/// Folds a text, and writes one word for the phrases.
fn with_phrases(text: &str) -> String {
    let mut spaced = format!(" {} ", spaced(text));
    for (phrase, word) in PHRASES {
        spaced = spaced.replace(phrase, word);
    }
    spaced
}

fn neighbour<'a>(all: &[&'a str], at: Option<usize>) -> &'a str {
    at.and_then(|at| all.get(at)).copied().unwrap_or_default()
}

/// Returns the selecting words; `None` if a word is neither a selector nor a filler.
fn selectors(text: &str, fillers: &[&str]) -> Option<Vec<Selector>> {
    let spaced = with_phrases(text);
    let all: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = Vec::new();
    for (at, word) in all.iter().enumerate() {
        match selector(word, neighbour(&all, at.checked_sub(1)), neighbour(&all, Some(at + 1))) {
            Some(word) => words.push(word),
            None if matches!(*word, "am" | "pm") => words.push(Selector::Afternoon(*word == "pm")),
            None if !fillers.contains(word) => return None,
            None => {}
        }
    }
    if words.is_empty() && all.contains(&"one") {
        words.push(Selector::Place(1));
    }
    // Written together with the hour: 4pm.
    let glued =
        |end: &str| all.iter().any(|word| word.ends_with(end) && word.starts_with(|c: char| c.is_ascii_digit()));
    words.extend(glued("pm").then_some(Selector::Afternoon(true)));
    words.extend(glued("am").then_some(Selector::Afternoon(false)));
    Some(words)
}

/// Folds a text and replaces signs with blanks, except `:`, `.` and `/` between digits.
fn spaced(text: &str) -> String {
    let letters: Vec<char> = fold(text).chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
    let keep = |at: usize, letter: char| {
        letter.is_alphanumeric()
            || (matches!(letter, ':' | '.' | '/') && digit(at.checked_sub(1)) && digit(Some(at + 1)))
    };
    letters.iter().enumerate().map(|(at, letter)| if keep(at, *letter) { *letter } else { ' ' }).collect()
}

fn selector(word: &str, before: &str, after: &str) -> Option<Selector> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return in_digits(word, before, after);
    }
    let number = |number| in_digits(number, before, after);
    Some(match word {
        "uno" | "una" => return number("1"),
        "dos" | "two" => return number("2"),
        "tres" | "three" => return number("3"),
        "cuatro" | "four" => return number("4"),
        "cinco" | "five" => return number("5"),
        "seis" | "six" => return number("6"),
        "siete" | "seven" => return number("7"),
        "ocho" | "eight" => return number("8"),
        "nueve" | "nine" => return number("9"),
        "diez" | "ten" => return number("10"),
        "once" | "eleven" => return number("11"),
        "doce" | "twelve" => return number("12"),
        "first" | "primero" | "primera" | "primer" => Selector::Place(1),
        "second" | "segundo" | "segunda" => Selector::Place(2),
        "third" | "tercero" | "tercera" | "tercer" => Selector::Place(3),
        "last" | "ultimo" | "ultima" => Selector::Last,
        "today" | "hoy" => Selector::Ahead(0),
        "tomorrow" | "tmrw" | "tmr" | "tmw" | "tomorow" | "tommorow" | "tommorrow" | "tomoro" | "manana" => {
            Selector::Ahead(1)
        }
        "overmorrow" => Selector::Ahead(2),
        "morning" => Selector::Afternoon(false),
        "afternoon" | "evening" | "tarde" => Selector::Afternoon(true),
        "mar" => Selector::WeekdayOrMonth(Weekday::Tue, Month::March),
        word => return weekday(word).map(Selector::Weekday).or_else(|| month(word).map(Selector::Month)),
    })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" | "lunes" | "lun" => Weekday::Mon,
        "tuesday" | "tue" | "tues" | "martes" => Weekday::Tue,
        "wednesday" | "wed" | "weds" | "miercoles" | "mie" => Weekday::Wed,
        "thursday" | "thu" | "thur" | "thurs" | "jueves" | "jue" => Weekday::Thu,
        "friday" | "fri" | "viernes" | "vie" => Weekday::Fri,
        "saturday" | "sat" | "sabado" | "sab" => Weekday::Sat,
        "sunday" | "sun" | "domingo" | "dom" => Weekday::Sun,
        _ => return None,
    })
}

fn month(word: &str) -> Option<Month> {
    Some(match word {
        "january" | "jan" | "enero" | "ene" => Month::January,
        "february" | "feb" | "febrero" => Month::February,
        "march" | "marzo" => Month::March,
        "april" | "apr" | "abril" | "abr" => Month::April,
        "may" | "mayo" => Month::May,
        "june" | "jun" | "junio" => Month::June,
        "july" | "jul" | "julio" => Month::July,
        "august" | "aug" | "agosto" | "ago" => Month::August,
        "september" | "sep" | "sept" | "septiembre" => Month::September,
        "october" | "oct" | "octubre" => Month::October,
        "november" | "nov" | "noviembre" => Month::November,
        "december" | "dec" | "diciembre" | "dic" => Month::December,
        _ => return None,
    })
}

/// `2`, `2nd`, `16h`, `4pm`, `16:30`, `16h30`, `12/01`.
fn in_digits(word: &str, before: &str, after: &str) -> Option<Selector> {
    let of_clock = word.trim_end_matches("hrs").trim_end_matches("am").trim_end_matches("pm").trim_end_matches('h');
    let number = |text: &str| if text.len() <= 2 { text.parse::<u32>().ok() } else { None };
    if let Some((hour, minute)) = of_clock.split_once([':', 'h']) {
        return Some(Selector::Clock(number(hour)?, number(minute).filter(|_| minute.len() == 2)?));
    }
    if let Some((one, two)) = word.split_once('/') {
        let two = two.split('/').next().unwrap_or_default();
        return Some(Selector::Date(number(one)?, number(two)?));
    }
    if let Some((one, two)) = of_clock.split_once('.') {
        return Some(Selector::DateOrClock(number(one)?, number(two)?));
    }
    let bare = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end));
    let whole = number(bare.unwrap_or(of_clock))?;
    let is_hour = (bare.is_none() && of_clock != word)
        || matches!(before, "at" | "las")
        || matches!(after, "am" | "pm" | "h" | "hrs" | "hora" | "horas" | "oclock");
    let article = bare.is_some() || matches!(before, "el" | "the" | "dia" | "on");
    Some(if is_hour { Selector::Hour(whole) } else { Selector::Number(whole, article) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Offered times, on a Sunday evening, of which an answer names one.
    fn chosen(answer: &str, offered: &[&str]) -> Option<usize> {
        let offered: Vec<_> = offered.iter().map(|at| format!("2027-{at}:00+01:00").parse().unwrap()).collect();
        find_named(answer, &offered, Timestamp::parse("2027-01-10T23:30:00Z").unwrap()).map(|place| place + 1)
    }

    /// A Tuesday, a Wednesday, a Thursday.
    const OFFERED: [&str; 3] = ["01-12T09:00", "01-13T16:30", "01-14T09:00"];

    #[test]
    fn what_names_one_of_them() {
        for (place, answers) in [
            (
                1,
                "1|1.|Option 1|la 1|the first one|el primero|one|uno|Tuesday|el martes|mar|12|the 12th|el 12|12 de enero|January 12|tomorrow|Mañana|mañana por la mañana|Tuesday at 9|tue 12 jan 09:00|martes 12/01 a las 9|12/1|1/12|el martes por la mañana, por favor",
            ),
            (
                2,
                "2|2 please|la 2|el 2|the 2nd|dos|two|number 2|2, Wednesday|el segundo|at 16:30|a las 16.30|16h30|4:30pm|4:30 p.m.|4:30|wednesday|El Miércoles|mie|el 13|pasado mañana|the day after tomorrow|in the afternoon|por la tarde|I'd like Wednesday, thanks|me va bien el miércoles",
            ),
            (3, "3|3rd|tres|the last one|el último|jueves|Thursday please|thursday 14|14/01"),
        ] {
            for answer in answers.split('|') {
                assert_eq!(chosen(answer, &OFFERED), Some(place), "{answer}");
            }
        }
    }

    #[test]
    fn what_names_none_or_more_than_one() {
        let answers = "|4|0|no|none of them|9|at 9|09:00|in the morning|por la mañana|not Tuesday|any day but tuesday|Friday|viernes|\
            tuesday at 10|el martes a las 10|2 pm|a las 2|at 2|tuesday 2|tuesday or wednesday|martes y miércoles|next tuesday|el martes que viene|\
            this week|hoy|today|yes|ok|99999999999|1 2|half past nine|I can't on Tuesday|no puedo el martes|25/01|12.13.14|¿?|👍";
        for answer in answers.split('|') {
            assert_eq!(chosen(answer.trim(), &OFFERED), None, "{answer}");
        }
        // The same weekday twice; and a number that is one's place and another's date.
        assert_eq!(chosen("Tuesday", &["01-12T09:00", "01-19T09:00"]), None);
        assert_eq!(chosen("the 2nd", &["02-02T09:00", "02-03T09:00"]), None);
        assert_eq!(chosen("2", &["02-02T09:00", "02-03T09:00"]), Some(2), "so we asked for it");
        assert_eq!(chosen("2 feb", &["02-02T09:00", "02-03T09:00"]), Some(1));
        assert_eq!(chosen("1", &[]), None);
    }

    #[test]
    fn a_time_is_named_in_the_words_of_times() {
        let at = |text: &str, at: &str| {
            let at: DateTime<FixedOffset> = format!("2027-{at}:00+01:00").parse().unwrap();
            names(text, &at, Timestamp::parse("2027-01-10T23:30:00Z").unwrap())
        };
        for text in
            ["tomorrow", "mañana a las 9", "on Tuesday at 9am", "el martes", "9:00", "a las 9h", "12/01", "el 12", "9"]
        {
            assert_eq!(at(text, "01-12T09:00"), Some(true), "{text}");
        }
        for text in
            ["today", "a las 10", "friday", "5pm", "9pm", "el 9", "mañana por la tarde", "mañana o el viernes a las 9"]
        {
            assert_ne!(at(text, "01-12T09:00"), Some(true), "{text}");
        }
        for text in ["", "the", "first", "the last", "maybe tomorrow", "if at 9", "ok", "not tomorrow"] {
            assert_eq!(at(text, "01-12T09:00"), None, "{text}");
        }
    }

    #[test]
    fn a_mention_of_a_time_is_seen_in_any_sentence() {
        for text in ["could you do 5pm instead?", "pero mejor el viernes", "a las 5", "es que mañana trabajo"] {
            assert!(mentions_time(text), "{text}");
        }
        for text in ["", "ok 2", "the last one", "no quiero"] {
            assert!(!mentions_time(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_names_one_of_them_or_none(answer in "\\PC{0,60}") {
            prop_assert!(chosen(&answer, &OFFERED).is_none_or(|place| (1..=3).contains(&place)));
        }

        #[test]
        fn what_is_shown_of_each_names_it(
            minutes in prop::collection::btree_set(0i64..14 * 96, 1..4),
        ) {
            let start: DateTime<FixedOffset> = "2027-01-11T00:00:00+01:00".parse().unwrap();
            let offered: Vec<_> = minutes.iter().map(|quarter| start + Duration::minutes(quarter * 15)).collect();
            let now = Timestamp::parse("2027-01-10T12:00:00Z").unwrap();
            for (place, at) in offered.iter().enumerate() {
                for format in ["%a %d %b %H:%M", "%d/%m a las %H:%M", "%A %-d at %H:%M"] {
                    let found = find_named(&at.format(format).to_string(), &offered, now);
                    // Half a day apart the hour alone may be said of both.
                    prop_assert!(found == Some(place) || found.is_none());
                }
                let place_alone = find_named(&(place + 1).to_string(), &offered, now);
                prop_assert_eq!(place_alone, Some(place));
            }
        }
    }
}
