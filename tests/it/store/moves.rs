//! Moves of appointments by rules. The limits of customers apply.

use chrono_tz::Tz;
use recado::domain::{AppointmentId, AppointmentState, By, Change, Effect, Timestamp};
use recado::store::tables::appointments::{NewStaff, Order, granules};
use serde_json::json;

use super::{ANA, Bench, LUIS, on_both};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2027-01-16T{text}:00+01:00")).expect("it is a time")
}

impl Bench {
    /// Adds Marta, who takes appointments from nine to two.
    async fn marta(&self) {
        let hours = Some(Some("daily 09:00-14:00".parse().expect("hours")));
        let new =
            NewStaff { name: "Marta".to_owned(), zone: Some(Some(Tz::Europe__Madrid)), hours, ..NewStaff::default() };
        self.store.set_staff(self.tenant, &new).await.expect("she can be added");
    }

    /// Lets a rule move the appointment on a message of Ana's, and set a tag. Gives the data of the move's event.
    async fn moves(&self, sid: &str, appointment: AppointmentId, starts_at: Timestamp) -> serde_json::Value {
        let (event, contact) = self.received(sid, ANA, "2").await;
        let moves = Effect::MoveAppointment { appointment, starts_at, state: json!({"again": 1}) };
        let actions = vec![
            self.effect(event, contact, 0, moves),
            self.effect(event, contact, 1, Effect::Tag { tag: sid.to_owned() }),
        ];
        self.decide(event, contact, actions).await;
        let (facts, _) = self.store.contact_facts(self.tenant, &[contact], None).await.unwrap();
        assert!(facts[&contact].tags.contains(sid), "the rest of the decision holds");
        let events = self.store.events(self.tenant, 1_000).await.unwrap();
        let of_it = events.into_iter().filter(|event| event.kind.starts_with("appointment_move"));
        let event = of_it.max_by_key(|event| event.id).expect("an event tells of it");
        let mut data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        data["kind"] = event.kind.into();
        data
    }

    async fn taken(&self) -> Vec<i64> {
        let marta = self.store.staff(self.tenant).await.unwrap().remove(0);
        self.store.occupied(self.tenant, marta.id, granules(at("00:00"), at("23:00"))).await.unwrap()
    }
}

#[tokio::test]
async fn a_rule_moves_within_a_customers_limits_or_changes_nothing() {
    on_both(|bench| async move {
        bench.marta().await;
        let anas = bench.store.book(&bench.with("Marta", ANA, "2027-01-16 10:00")).await.unwrap();
        bench.store.book(&bench.with("Marta", LUIS, "2027-01-16 11:00")).await.unwrap();
        let before = bench.taken().await;
        assert_eq!(before.len(), 12);
        for (sid, starts, reason) in [
            // Its first three granules are free.
            ("SM1", at("10:45"), "slot_taken"),
            ("SM2", at("11:00"), "slot_taken"),
            ("SM3", at("13:45"), "closed"),
            ("SM4", at("08:45"), "closed"),
            ("SM5", Timestamp::from_unix_us(0), "in_the_past"),
            ("SM6", at("10:00").plus(std::time::Duration::from_secs(400 * 24 * 3_600)), "too_far_ahead"),
        ] {
            let event = bench.moves(sid, anas.id, starts).await;
            assert_eq!(
                (event["kind"].as_str(), event["reason"].as_str()),
                (Some("appointment_move_refused"), Some(reason))
            );
            assert_eq!(event["appointment"], serde_json::to_value(anas.facts()).unwrap());
            assert_eq!((&event["wanted"], &event["state"]), (&json!(starts), &json!({"again": 1})));
            assert_eq!(bench.taken().await, before, "{sid}");
            assert_eq!(bench.store.appointment(bench.tenant, anas.id).await.unwrap(), Some(anas.clone()), "{sid}");
        }
        // The new time overlaps the old one, and the rest of the old time becomes free.
        let event = bench.moves("SM7", anas.id, at("10:15")).await;
        assert_eq!((&event["kind"], &event["by"]), (&json!("appointment_moved"), &json!(By::Customer)));
        assert_eq!((&event["previous_starts_at"], &event["state"]), (&json!(anas.starts_at), &json!({"again": 1})));
        let stands = bench.store.appointment(bench.tenant, anas.id).await.unwrap().unwrap();
        assert_eq!((stands.starts_at, stands.ends_at, stands.version), (at("10:15"), at("10:45"), 2));
        let now = granules(at("10:15"), at("10:45")).chain(granules(at("11:00"), at("11:30"))).collect::<Vec<_>>();
        assert_eq!(bench.taken().await, now);
        // Staff may move it to any time. It occupies as many granules.
        let to = recado::store::tables::appointments::Moved {
            starts: Some(recado::store::tables::appointments::Starts::At(at("20:00"))),
            ..Default::default()
        };
        let order = |change, to| Order { tenant: bench.tenant, id: anas.id, change, to, version: None, by: By::Staff };
        bench.store.change_appointment(&order(Change::Move, Some(to))).await.unwrap();
        assert_eq!(bench.taken().await.len(), 12);
        bench.store.change_appointment(&order(Change::Cancel, None)).await.unwrap();
        let event = bench.moves("SM8", anas.id, at("12:00")).await;
        assert_eq!(
            (&event["reason"], &event["appointment"]["state"]),
            (&json!("not_possible"), &json!(AppointmentState::Cancelled))
        );
        assert_eq!(bench.taken().await.len(), 6);
    })
    .await;
}
