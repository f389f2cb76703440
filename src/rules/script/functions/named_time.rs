//! `named_time(text, times)`: which of some times that were offered a customer's words name, in English and Spanish.
//!
//! Every word must be one that says which, or one that says nothing; they must fit one time and no other. In doubt it is
//! none: a person reads on.

use chrono::{DateTime, Datelike, Duration, FixedOffset, Month, NaiveDate, Timelike, Weekday};
use rhai::{Array, Dynamic, Engine, NativeCallContext};

use crate::domain::Timestamp;
use crate::domain::fold::fold;
use crate::rules::script::context;
use crate::rules::script::context::{Call, ScriptError, error};
use crate::rules::script::values::text_of;

/// Times that are offered at once, at most.
const OFFERED_MAX: usize = 20;

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn("named_time", |ctx: NativeCallContext<'_>, text: &str, times: Array| {
        let call = context::of(&ctx);
        let chosen = call.ok_or("it can be called inside .when and .then only").map_err(str::to_owned);
        let chosen = chosen.and_then(|call| in_script(&call, text, &times));
        chosen.map_err(|message| -> ScriptError { error(format!("named_time: {message}"), ctx.call_position()) })
    });
}

fn in_script(call: &Call, text: &str, times: &Array) -> Result<Dynamic, String> {
    if times.len() > OFFERED_MAX {
        return Err(format!("at most {OFFERED_MAX} times can be told apart"));
    }
    let read = |time: &Dynamic| {
        let time = text_of(time).and_then(|time| DateTime::parse_from_rfc3339(&time).ok());
        time.ok_or_else(|| "its times are texts such as \"2026-12-01T10:00:00+01:00\", by the clock there".to_owned())
    };
    let offered = times.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(named(text, &offered, call.facts.as_of).map_or(Dynamic::UNIT, |at| times[at].clone()))
}

/// A word that says which.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    /// Its place in the list, from one on.
    Place(usize),
    Last,
    /// A bare number, and whether an article stands before it: a place, a day of the month, or an hour.
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
    /// So many days from today.
    Ahead(i64),
    Afternoon(bool),
}

/// The place of the one time that the text names.
fn named(text: &str, offered: &[DateTime<FixedOffset>], now: Timestamp) -> Option<usize> {
    let words = words(text)?;
    if let [Word::Number(place, false)] = words[..]
        && let Some(place) = (place as usize).checked_sub(1).filter(|place| *place < offered.len())
    {
        return Some(place);
    }
    let has_month = words.iter().any(|word| matches!(word, Word::Month(_) | Word::WeekdayOrMonth(..)));
    let fits = |place: usize, at: &DateTime<FixedOffset>| {
        let today = now.to_utc().with_timezone(&at.timezone()).date_naive();
        let is_last = place + 1 == offered.len();
        words.iter().enumerate().all(|(nth, word)| match *word {
            Word::Number(number, _) => {
                let is_place = nth == 0 && !has_month && number as usize == place + 1;
                is_place || at.day() == number || (!has_month && is_at(at, number, 0))
            }
            word => says(word, place, is_last, at, today),
        })
    };
    let mut fitting = offered.iter().enumerate().filter(|(place, at)| fits(*place, at)).map(|(place, _)| place);
    let found = fitting.next().filter(|_| !words.is_empty());
    found.filter(|_| fitting.next().is_none())
}

fn says(word: Word, place: usize, is_last: bool, at: &DateTime<FixedOffset>, today: NaiveDate) -> bool {
    let is_on = |day, month| at.day() == day && at.month() == month;
    match word {
        Word::Place(wanted) => wanted == place + 1,
        Word::Last => is_last,
        Word::Number(day, _) => at.day() == day,
        Word::Clock(hour, minute) => is_at(at, hour, minute),
        Word::Hour(hour) => is_at(at, hour, 0),
        Word::DateOrClock(one, two) => is_on(one, two) || is_at(at, one, two),
        // Day and month, or the American way round: within the weeks that are offered only one can be.
        Word::Date(one, two) => is_on(one, two) || is_on(two, one),
        Word::Weekday(day) => at.weekday() == day,
        Word::Month(month) => at.month() == month.number_from_month(),
        Word::WeekdayOrMonth(day, month) => at.weekday() == day || at.month() == month.number_from_month(),
        Word::Ahead(days) => at.date_naive() == today + Duration::days(days),
        Word::Afternoon(afternoon) => (at.hour() >= 12) == afternoon,
    }
}

/// By a clock of 24 hours, or of twice twelve.
fn is_at(at: &DateTime<FixedOffset>, hour: u32, minute: u32) -> bool {
    at.minute() == minute && (at.hour() == hour || (hour < 12 && at.hour() == hour + 12))
}

/// Several words that mean one, spaced as [`words`] does it.
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

/// Words that say nothing of which.
const IDLE: &[&str] = &[
    "a", "al", "am", "at", "bien", "can", "choose", "come", "d", "de", "del", "dia", "el", "en", "entonces", "es",
    "favor", "fine", "for", "good", "gracias", "great", "gustaria", "h", "hello", "hi", "hola", "hora", "horas", "hrs",
    "i", "is", "it", "la", "las", "like", "ll", "lo", "make", "me", "mejor", "number", "numero", "oclock", "of", "ok",
    "okay", "on", "one", "opcion", "option", "para", "perfect", "perfecto", "please", "pm", "por", "prefer",
    "prefiero", "puede", "puedo", "quiero", "quisiera", "s", "ser", "seria", "si", "suits", "take", "thank", "thanks",
    "that", "the", "then", "to", "us", "va", "vale", "viene", "want", "work", "works", "would", "yes", "you",
];

/// The words that say which; `None` where one says something else.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut spaced = format!(" {} ", spaced(text));
    for (phrase, word) in PHRASES {
        spaced = spaced.replace(phrase, word);
    }
    let all: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = Vec::new();
    for (at, word) in all.iter().enumerate() {
        let (before, after) =
            (at.checked_sub(1).map_or("", |at| all[at]), all.get(at + 1).copied().unwrap_or_default());
        match which(word, before, after) {
            Some(word) => words.push(word),
            None if matches!(*word, "am" | "pm") => words.push(Word::Afternoon(*word == "pm")),
            None if !IDLE.contains(word) => return None,
            None => {}
        }
    }
    if words.is_empty() && all.contains(&"one") {
        words.push(Word::Place(1));
    }
    // Glued to the hour: 4pm.
    let glued =
        |end: &str| all.iter().any(|word| word.ends_with(end) && word.starts_with(|c: char| c.is_ascii_digit()));
    words.extend(glued("pm").then_some(Word::Afternoon(true)));
    words.extend(glued("am").then_some(Word::Afternoon(false)));
    Some(words)
}

/// Folded; what is neither letter nor digit, nor stands between digits, is blank.
fn spaced(text: &str) -> String {
    let letters: Vec<char> = fold(text).chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
    let keep = |at: usize, letter: char| {
        letter.is_alphanumeric()
            || (matches!(letter, ':' | '.' | '/') && digit(at.checked_sub(1)) && digit(Some(at + 1)))
    };
    letters.iter().enumerate().map(|(at, letter)| if keep(at, *letter) { *letter } else { ' ' }).collect()
}

fn which(word: &str, before: &str, after: &str) -> Option<Word> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return in_digits(word, before, after);
    }
    let number = |number| in_digits(number, before, after);
    Some(match word {
        "uno" | "una" => return number("1"),
        "dos" | "two" => return number("2"),
        "tres" | "three" => return number("3"),
        "first" | "primero" | "primera" | "primer" => Word::Place(1),
        "second" | "segundo" | "segunda" => Word::Place(2),
        "third" | "tercero" | "tercera" | "tercer" => Word::Place(3),
        "last" | "ultimo" | "ultima" => Word::Last,
        "today" | "hoy" => Word::Ahead(0),
        "tomorrow" | "manana" => Word::Ahead(1),
        "overmorrow" => Word::Ahead(2),
        "morning" => Word::Afternoon(false),
        "afternoon" | "evening" | "tarde" => Word::Afternoon(true),
        "mar" => Word::WeekdayOrMonth(Weekday::Tue, Month::March),
        word => return weekday(word).map(Word::Weekday).or_else(|| month(word).map(Word::Month)),
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
fn in_digits(word: &str, before: &str, after: &str) -> Option<Word> {
    let of_clock = word.trim_end_matches("hrs").trim_end_matches("am").trim_end_matches("pm").trim_end_matches('h');
    let number = |text: &str| if text.len() <= 2 { text.parse::<u32>().ok() } else { None };
    if let Some((hour, minute)) = of_clock.split_once([':', 'h']) {
        return Some(Word::Clock(number(hour)?, number(minute).filter(|_| minute.len() == 2)?));
    }
    if let Some((one, two)) = word.split_once('/') {
        let two = two.split('/').next().unwrap_or_default();
        return Some(Word::Date(number(one)?, number(two)?));
    }
    if let Some((one, two)) = of_clock.split_once('.') {
        return Some(Word::DateOrClock(number(one)?, number(two)?));
    }
    let bare = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end));
    let whole = number(bare.unwrap_or(of_clock))?;
    let is_hour = (bare.is_none() && of_clock != word)
        || matches!(before, "at" | "las")
        || matches!(after, "am" | "pm" | "h" | "hrs" | "hora" | "horas" | "oclock");
    let article = bare.is_some() || matches!(before, "el" | "the" | "dia" | "on");
    Some(if is_hour { Word::Hour(whole) } else { Word::Number(whole, article) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of these, on a Sunday evening, which an answer names.
    fn chosen(answer: &str, offered: &[&str]) -> Option<usize> {
        let offered: Vec<_> = offered.iter().map(|at| format!("2027-{at}:00+01:00").parse().unwrap()).collect();
        named(answer, &offered, Timestamp::parse("2027-01-10T23:30:00Z").unwrap()).map(|place| place + 1)
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
                    let found = named(&at.format(format).to_string(), &offered, now);
                    // Half a day apart the hour alone may be said of both.
                    prop_assert!(found == Some(place) || found.is_none());
                }
                let place_alone = named(&(place + 1).to_string(), &offered, now);
                prop_assert_eq!(place_alone, Some(place));
            }
        }
    }
}
