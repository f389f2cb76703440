//! A customer moves an appointment by answering: the offer, the effect of the answer, and what happens if a time was
//! taken meanwhile.

use axum::body::Body;
use axum::http::Request;
use recado::domain::{ContactId, Phone, Timestamp};
use recado::features::appointments::feed;
use recado::store::tables::appointments::NewStaff;
use serde_json::{Value, json};

use super::{ANA, HOUR, MINUTE, MONDAY, Shop, all};

const LUIS: &str = "+34600333444";
const HOURS: &str = "daily 09:00-12:00,16:00-20:00";
const OFFER: &str = "When would suit you better? 1: Sat 21 Nov 10:15, 2: Sun 22 Nov 16:00, 3: Mon 23 Nov 09:00. \
                     Answer 1, 2 or 3, or write a day and a time.";
const SUNDAY: &str = "2026-11-22T16:00:00Z";
const NOTED: &str = "Thank you, we will tell you whether that is possible.";

/// All parameters but the notice of a move.
fn without_notice() -> Value {
    let mut blueprints = all();
    blueprints.as_object_mut().expect("an object").remove("appointment moved");
    blueprints
}

impl Shop {
    /// Customers book with Marta.
    async fn with_marta(blueprints: Value) -> Self {
        let shop = Self::open("", blueprints).await;
        // A whole hour is no longer two hours ahead.
        shop.clock.advance(MINUTE);
        shop.set("hours", json!(HOURS)).await;
        let marta = NewStaff { name: "Marta".to_owned(), ..NewStaff::default() };
        shop.inside.store.set_staff(shop.tenant(), &marta).await.expect("she can be added");
        shop
    }

    async fn book_with_marta(&self, who: &str, starts_at: &str, minutes: u32) -> String {
        let wanted =
            json!({"phone": who, "service": "cut", "staff": "Marta", "starts_at": starts_at, "minutes": minutes});
        let booked = self.api("appointments", wanted).await;
        format!("appointments/{}", booked["id"].as_str().expect("an id"))
    }

    async fn get(&self, path: &str) -> String {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.token));
        let (status, answer) = self.inside.answer(request.body(Body::empty()).expect("a request of ours")).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        String::from_utf8(answer).expect("UTF-8")
    }

    async fn starts_at(&self, path: &str) -> String {
        let shown: Value = serde_json::from_str(&self.get(&format!("/api/v1/{path}")).await).expect("JSON");
        shown["starts_at"].as_str().expect("a time").to_owned()
    }

    /// The due times of one rule's reminders.
    async fn reminders(&self, rule: &str) -> Vec<String> {
        let timers = self.inside.store.timers(None, 100).await.expect("they can be read");
        timers.into_iter().filter(|timer| timer.rule == rule).map(|timer| timer.due.to_string()).collect()
    }

    /// Marta's calendar, as a subscriber reads it.
    async fn feed(&self) -> String {
        let (store, directory) = (&self.inside.store, &self.inside.directory);
        let marta = async || store.staff(self.tenant()).await.expect("they can be read").remove(0);
        store.set_feed(self.tenant(), marta().await.id, true).await.expect("it can be opened");
        let token = feed::token(directory.key(), self.tenant(), &marta().await).expect("it is open");
        self.get(&format!("/calendar/{token}.ics")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_m_offers_times_and_the_answer_moves() {
    let mut shop = Shop::with_marta(all()).await;
    let path = shop.book_with_marta(ANA, MONDAY, 30).await;
    shop.texts(1).await;
    shop.timers(2).await;
    assert_eq!(shop.reminders("reminder 24h").await, ["2026-11-22T10:00:00Z"]);
    shop.text("sms", "M").await;
    assert_eq!(shop.texts(2).await[1], OFFER);
    // By now other times would be first; the answer means what was shown.
    shop.clock.advance(3 * HOUR);
    shop.text("sms", "2").await;
    let [moved] = &shop.decided("appointment_moved", 1).await[..] else { panic!("one move") };
    let data: Value = serde_json::from_str(&moved.data).expect("JSON");
    assert_eq!((&data["by"], &data["appointment"]["starts_at"]), (&json!("customer"), &json!(SUNDAY)));
    let confirmed = "Demo: your appointment (cut) is now on Sun 22 Nov at 16:00. Reply C to confirm, X to cancel it.";
    assert_eq!(shop.texts(3).await[2], confirmed);
    assert_eq!(shop.starts_at(&path).await, SUNDAY);
    // Timers around the appointment have moved with it.
    shop.timers(2).await;
    assert_eq!(shop.reminders("reminder 24h").await, ["2026-11-21T16:00:00Z"]);
    assert_eq!(shop.reminders("reminder 2h").await, ["2026-11-22T14:00:00Z"]);
    let feed = shop.feed().await;
    assert!(feed.contains("20261122T160000") && !feed.contains("20261123T100000"), "{feed}");
    // The old time is free again, the new one is taken.
    shop.book_with_marta(LUIS, MONDAY, 30).await;
    shop.clock.advance(6 * HOUR);
    let reminder =
        "Demo: you have an appointment on Sun 22 Nov at 16:00. Reply C to confirm, M to move it, X to cancel.";
    assert_eq!(shop.texts(4).await[3], reminder, "and nobody else has told the move");
    shop.text("sms", "C").await;
    assert_eq!(shop.texts(5).await[4], "Thank you, see you on Sun 22 Nov at 16:00.");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_notice_tells_it_the_rule_does_even_at_night() {
    let mut shop = Shop::with_marta(without_notice()).await;
    shop.book_with_marta(ANA, "2026-11-25T10:00:00Z", 30).await;
    shop.texts(1).await;
    shop.set("quiet", json!({"all": "21:00-09:00"})).await;
    shop.clock.advance(15 * HOUR);
    shop.text("whatsapp", "Change it").await;
    shop.provider.wait_taken(2).await;
    let offer = shop.provider.sent().remove(1);
    assert_eq!(offer.to, format!("whatsapp:{ANA}"));
    assert!(offer.body.contains("1: Sun 22 Nov 09:00, 2: Mon 23 Nov 16:00, 3: Tue 24 Nov 09:00."), "{}", offer.body);
    shop.text("whatsapp", "on Monday, please").await;
    shop.decided("appointment_moved", 1).await;
    shop.provider.wait_taken(3).await;
    let notice = shop.provider.sent().remove(2);
    assert_eq!(notice.to, offer.to);
    assert_eq!(notice.body, "Your appointment is now on Mon 23 Nov at 16:00.");
    // A move by staff does not send this notice.
    let path = shop.book_with_marta(LUIS, "2026-11-25T12:00:00Z", 30).await;
    shop.decided("appointment_booked", 2).await;
    let request = Request::patch(format!("/api/v1/{path}"))
        .header("authorization", format!("Bearer {}", shop.token))
        .header("content-type", "application/json")
        .body(Body::from(json!({"starts_at": "2026-11-25T13:00:00Z"}).to_string()));
    assert_eq!(shop.inside.answer(request.expect("a request of ours")).await.0, 200);
    shop.decided("appointment_moved", 2).await;
    assert_eq!(shop.events("appointment_move_refused").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_time_is_not_offered_again_and_staff_are_told_in_the_end() {
    let mut shop = Shop::with_marta(without_notice()).await;
    let path = shop.book_with_marta(ANA, MONDAY, 30).await;
    shop.texts(1).await;
    shop.timers(2).await;
    shop.text("sms", "M").await;
    assert_eq!(shop.texts(2).await[1], OFFER);
    for (round, taken, second) in [
        (1, SUNDAY, Some("2: Sun 22 Nov 16:30")),
        (2, "2026-11-22T16:30:00Z", Some("2: Sun 22 Nov 17:00")),
        (3, "2026-11-22T17:00:00Z", None),
    ] {
        shop.book_with_marta(LUIS, taken, 30).await;
        shop.text("sms", "2").await;
        let refused = shop.decided("appointment_move_refused", round).await;
        let data: Value = serde_json::from_str(&refused[0].data).expect("JSON");
        assert_eq!((&data["wanted"], &data["reason"]), (&json!(taken), &json!("slot_taken")));
        assert_eq!(data["appointment"]["starts_at"], MONDAY);
        let text = shop.texts(2 + round).await.remove(1 + round);
        match second {
            Some(second) => {
                assert!(text.starts_with("Sorry, that time has just gone. 1: Sat 21 Nov 10:15, "), "{text}");
                assert!(text.contains(second), "{text}");
            }
            None => assert_eq!(text, NOTED),
        }
    }
    let [wanted] = &shop.decided("appointment_move_wanted", 1).await[..] else { panic!("one wish") };
    assert!(wanted.data.contains("2026-11-22 17:00"), "{}", wanted.data);
    assert_eq!(shop.starts_at(&path).await, MONDAY, "it is where it was");
    assert!(shop.reminders("reminder 24h").await.contains(&"2026-11-22T10:00:00Z".to_owned()));
    assert!(shop.events("appointment_moved").await.is_empty());
    // The old time is occupied as before.
    let starts = Timestamp::parse(MONDAY).expect("it is a time");
    let store = &shop.inside.store;
    let marta = store.staff(shop.tenant()).await.expect("they can be read").remove(0);
    let hour = recado::store::tables::appointments::granules(starts, starts.plus(HOUR));
    assert_eq!(store.occupied(shop.tenant(), marta.id, hour).await.expect("it can be read").len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_hours_bind_when_the_answer_comes() {
    let mut shop = Shop::with_marta(all()).await;
    let path = shop.book_with_marta(ANA, MONDAY, 30).await;
    shop.texts(1).await;
    shop.text("sms", "M").await;
    shop.texts(2).await;
    shop.set("hours", json!("mon-sat 09:00-12:00")).await;
    shop.text("sms", "Sunday").await;
    let [refused] = &shop.decided("appointment_move_refused", 1).await[..] else { panic!("one refusal") };
    assert!(refused.data.contains("\"closed\""), "{}", refused.data);
    let others = "Sorry, that time has just gone. 1: Sat 21 Nov 10:15, 2: Mon 23 Nov 09:00, 3: Tue 24 Nov 09:00. \
                  Answer 1, 2 or 3, or write a day and a time.";
    assert_eq!(shop.texts(3).await[2], others);
    assert_eq!(shop.starts_at(&path).await, MONDAY);
    // The customer changes their mind; and without opening hours customers choose nothing.
    shop.text("sms", "C").await;
    assert_eq!(shop.texts(4).await[3], "Thank you, see you on Mon 23 Nov at 10:00.");
    shop.set("hours", Value::Null).await;
    shop.text("sms", "M").await;
    assert_eq!(shop.texts(5).await[4], "When would suit you better? Write us a day and a time.");
    shop.text("sms", "2").await;
    assert_eq!(shop.texts(6).await[5], NOTED);
    shop.decided("appointment_move_wanted", 1).await;
    shop.text("sms", "X").await;
    shop.decided("appointment_cancelled", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_answer_for_one_time_at_once_one_has_it() {
    let shop = Shop::with_marta(without_notice()).await;
    let paths =
        [shop.book_with_marta(ANA, MONDAY, 30).await, shop.book_with_marta(LUIS, "2026-11-23T11:00:00Z", 30).await];
    shop.hear_from(ANA, 1, "sms", "M").await;
    shop.hear_from(LUIS, 2, "sms", "M").await;
    assert_eq!(shop.texts(2).await[1], OFFER);
    assert_eq!(shop.texts_to(LUIS, 2).await[1], OFFER);
    tokio::join!(shop.hear_from(ANA, 3, "sms", "2"), shop.hear_from(LUIS, 4, "sms", "2"));
    let [moved] = &shop.decided("appointment_moved", 1).await[..] else { panic!("one move") };
    let [refused] = &shop.decided("appointment_move_refused", 1).await[..] else { panic!("one refusal") };
    assert_ne!(moved.contact_id, refused.contact_id);
    let starts = [shop.starts_at(&paths[0]).await, shop.starts_at(&paths[1]).await];
    assert_eq!(starts.iter().filter(|starts| *starts == SUNDAY).count(), 1, "{starts:?}");
    let texts = [shop.texts(3).await.remove(2), shop.texts_to(LUIS, 3).await.remove(2)];
    let confirms = |text: &&String| text.as_str() == "Your appointment is now on Sun 22 Nov at 16:00.";
    let again = |text: &&String| text.starts_with("Sorry, that time has just gone. 1: ");
    assert_eq!((texts.iter().filter(confirms).count(), texts.iter().filter(again).count()), (1, 1), "{texts:?}");
    let key = Phone::parse(ANA).expect("a number").key();
    let ana = shop.inside.store.contact_by_key(shop.tenant(), &key).await.expect("it can be read");
    let first = moved.contact_id.map(ContactId::new) == ana;
    assert!(confirms(&&texts[usize::from(!first)]), "{texts:?}");
}
