//! Answers to reminders, kind by kind.

use super::AppointmentAnswer::{Cancel, Confirm, Move, No, Yes};
use super::*;

fn answer(text: &str) -> Option<AppointmentAnswer> {
    // A Tuesday at ten; it is Monday.
    let start = DateTime::parse_from_rfc3339("2026-11-24T10:00:00+01:00").unwrap();
    read(text, Some(&start), Timestamp::parse("2026-11-23T09:00:00Z").unwrap())
}

#[track_caller]
fn check(expect: Option<AppointmentAnswer>, texts: &[&str]) {
    for text in texts {
        assert_eq!(answer(text), expect, "{text:?}");
    }
}

#[test]
fn assent_is_the_whole_text() {
    check(Some(Yes), &["yes", "Sí, gracias", "ok 👍🏽", "siii", "dale, nos vemos", "y", "see you tomorrow at 10"]);
    check(Some(Confirm), &["C", "c.", "confirmo mi cita", "yes I confirm", "Confirmado para mañana"]);
    check(
        None,
        &[
            "",
            "yes?",
            "vale ¿a qué hora?",
            "ok but",
            "ok but 10",
            "yes and my sister",
            "sí, si no llueve",
            "gracias",
            "🙏",
        ],
    );
    check(None, &["ok $10", "ok 10%", "ok :(", "C/X", "ok #10"]);
}

#[test]
fn its_own_time_agrees_and_another_does_not() {
    check(Some(Yes), &["ok a las 10", "yes, 10am", "sí, el martes a las 10", "sí, mañana por la mañana"]);
    check(Some(No), &["ok a las 11", "yes, friday", "ok but 5pm", "sí, si puede ser a las 5"]);
    check(None, &["confirmo mañana", "te confirmo mañana", "I'll confirm tomorrow", "voy tarde"]);
    check(Some(Confirm), &["confirmo mañana a las 10", "confirmo para mañana"]);
}

#[test]
fn any_time_is_another_where_none_is_known() {
    let now = Timestamp::parse("2026-11-23T09:00:00Z").unwrap();
    assert_eq!(read("ok a las 10", None, now), Some(No));
    assert_eq!(read("ok", None, now), Some(Yes));
}

#[test]
fn cancellations_are_the_whole_text() {
    check(
        Some(Cancel),
        &["X", "x.", "ok cancela", "Vale, anúlala", "Can you cancel it?", "no puedo ir, cancela", "No, cancela"],
    );
    check(None, &["don't cancel", "no la canceles", "X marks the spot", "ok x", "what is your cancellation policy?"]);
    check(Some(No), &["can I cancel?", "cancel because my kid is sick", "cancela la del viernes"]);
}

#[test]
fn wishes_are_recognised_in_a_sentence() {
    check(Some(Move), &["M", "sí, tengo que cambiarla", "yes please reschedule", "I can’t come", "no puedo ir"]);
    check(Some(Move), &["Could we reschedule, I have to work that day"]);
    check(Some(No), &["ok I can't", "no", "no gracias", "👎", "No, I have work", "sí, pero otro día"]);
    check(
        None,
        &[
            "The change of plans is not what I meant",
            "no sé la dirección",
            "can't find the door",
            "no hace falta cambiarla",
        ],
    );
}

#[test]
fn the_accent_tells_a_yes_from_an_if() {
    check(Some(Yes), &["Sí puedo", "si\u{301} puedo"]);
    check(None, &["si puedo", "ok si puedo"]);
}

#[test]
fn long_texts_are_for_people() {
    check(Some(Yes), &[&"ok ".repeat(40)]);
    check(None, &[&"ok ".repeat(41)]);
}
