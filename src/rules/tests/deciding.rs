//! The rules that an event reaches, and the explanation of it.

use serde_json::json;

use super::{actions, event, facts, load, rules, sms};
use crate::rules::RuleResult;

fn rest_after(keywords: &str, body: &str) -> Option<String> {
    let set = rules(&format!(
        "rule(\"r\").on(\"inbound_sms\").keyword({keywords}).then(|e| note(`[${{e.keyword}}|${{e.rest}}]`));"
    ));
    let decision = set.decide(&sms(body), &facts());
    actions(&decision)[0]["text"].as_str().map(str::to_owned)
}

#[test]
fn keywords_are_the_whole_body_or_its_first_word() {
    for (keywords, body, expect) in [
        ("\"CITA\"", "cita", Some("[cita|]")),
        ("\"cita\"", "  ¡Cíta!  ", Some("[cita|]")),
        ("\"cita\"", "CITA mañana a las 10", Some("[cita|mañana a las 10]")),
        ("\"cita\"", "citas", None),
        ("\"cita\"", "una cita", None),
        ("\"cita\"", "", None),
        ("\"cita médica\"", "CITA  MEDICA!", Some("[cita medica|]")),
        ("\"no más\"", "no mas tarde", None),
        ("\"cita médica\"", "cita", None),
        ("\"cita\", \"cita medica\"", "cita médica", Some("[cita medica|]")),
        ("\"cita\", \"cita medica\"", "cita médica hoy", Some("[cita|médica hoy]")),
        ("\"a\", \"b\"", "B", Some("[b|]")),
        ("\"👍\"", "👍 gracias", Some("[👍|gracias]")),
        ("[\"x\", \"y\"]", "y", Some("[y|]")),
    ] {
        assert_eq!(rest_after(keywords, body).as_deref(), expect, "{keywords} {body}");
    }
}

#[test]
fn keywords_match_however_they_were_typed() {
    for (keywords, body, expect) in [
        ("\"I CAN'T COME\"", "I can’t come", Some("[i can't come|]")),
        ("\"I CAN’T COME\"", "i can`t come.", Some("[i can't come|]")),
        ("\"cita\"", "CITA,hoy", Some("[cita|hoy]")),
        ("\"cita\"", "cita.hoy a las 10", Some("[cita|hoy a las 10]")),
        ("\"cita\"", "(Cita) ¿hoy?", Some("[cita|¿hoy?]")),
        ("\"cita\"", "ci\u{200b}t\u{200d}a\u{feff}", Some("[cita|]")),
        ("\"cita\"", "\u{202a}CITA\u{202c} : mañana", Some("[cita|: mañana]")),
        ("\"cita\"", "ＣＩＴＡ", Some("[cita|]")),
        ("\"cita\"", "cita !", Some("[cita|]")),
        ("\"programare\"", "PROGRAMĂRE", Some("[programare|]")),
        ("\"știri\"", "Ştiri", Some("[stiri|]")),
        ("\"hủy lịch\"", "HỦY LỊCH", Some("[huy lich|]")),
        ("\"ΡΑΝΤΕΒΟΥΣ\"", "ραντεβούς", Some("[ραντεβουσ|]")),
        ("\"ещё\"", "ЕЩЕ раз", Some("[еще|раз]")),
        ("\"straße\"", "STRASSE 5", Some("[strasse|5]")),
        ("\"iptal\"", "İPTAL", Some("[iptal|]")),
        ("\"opt-out\"", "opt out", Some("[opt out|]")),
        ("\"👍\"", "👍🏽", Some("[👍|]")),
        ("\"👍🏿\"", "👍👍 ok", Some("[👍|ok]")),
        ("\"❤️\"", "❤ gracias", Some("[❤|gracias]")),
        ("\"👨\"", "👨‍👩‍👧", None),
        ("\"1\"", "1️⃣", Some("[1|]")),
        ("\"ℹ️\"", "i am here", None),
        ("\"?\"", "?", Some("[?|]")),
        ("\"取消\"", "取消", Some("[取消|]")),
        ("\"取消\"", "取消预约,谢谢", Some("[取消|预约,谢谢]")),
        ("\"取消\"", "我想取消", None),
        ("\"キャンセル\"", "ｷｬﾝｾﾙお願いします", Some("[キャンセル|お願いします]")),
        ("\"ยกเลิก\"", "ยกเลิกนัดครับ", Some("[ยกเลิก|นัดครับ]")),
        ("\"ไม่\"", "ไม", None),
        ("\"취소\"", "취소 해주세요", Some("[취소|해주세요]")),
        ("\"حجز\"", "حَجْز", Some("[حجز|]")),
    ] {
        assert_eq!(rest_after(keywords, body).as_deref(), expect, "{keywords} {body}");
    }
}

#[test]
fn a_long_keyword_is_explained_as_it_matches() {
    let long = "one two three four five six seven eight nine ten";
    let set = rules(&format!("rule(\"r\").on(\"inbound_sms\").keyword(\"{long}\").then(|e| note(\"x\"));"));
    assert_eq!(set.explain(&sms(&long.to_uppercase()), &facts())[0].trace.result, RuleResult::Fired);
    let result = &set.explain(&sms("one two"), &facts())[0].trace.result;
    assert!(matches!(result, RuleResult::NoKeyword { .. }), "{result:?}");
}

#[test]
fn a_reply_goes_to_the_number_that_wrote() {
    let set = rules("rule(\"r\").on(\"inbound_sms\").then(|e| reply(\"hola\"));");
    let mut facts = facts();
    // The customer is known by the old form of the number, without the ninth digit.
    facts.contact.as_mut().unwrap().phone = Some("+551187654321".parse().unwrap());
    let wrote = event("inbound_sms", json!({"body": "oi", "from": "+5511987654321"}));
    assert_eq!(actions(&set.decide(&wrote, &facts))[0]["to"], "+5511987654321");
    let stranger = event("inbound_sms", json!({"body": "oi", "from": "+34600111222"}));
    assert_eq!(actions(&set.decide(&stranger, &facts))[0]["to"], "+551187654321");
}

#[test]
fn whether_a_customer_is_new_is_a_matter_of_the_event() {
    let set = rules("rule(\"new\").on(\"inbound_sms\").when(\"is new\", |e| e.contact.is_new).then(|e| note(\"x\"));");
    let fires = |data| actions(&set.decide(&event("inbound_sms", data), &facts())).as_array().unwrap().len();
    assert_eq!(fires(json!({"body": "hola", "nth": 1})), 1, "they have written seven times since");
    assert_eq!(fires(json!({"body": "hola", "nth": 2})), 0);
    assert_eq!(fires(json!({"body": "hola"})), 0);
}

#[test]
fn a_keyword_is_asked_of_what_has_a_text() {
    for blueprint in ["", ".blueprint()"] {
        let set = rules(&format!(
            "rule(\"r\").on(\"inbound_sms\", \"told\"){blueprint}.keyword(\"hola\").then(|e| note(`<${{e.keyword}}>`));"
        ));
        let mut facts = facts();
        facts.tenant.blueprints.insert("r".to_owned(), <_>::default());
        let notes = |event| actions(&set.decide(&event, &facts));
        assert_eq!(notes(sms("Hola")), json!([{"effect": "note", "text": "<hola>"}]));
        assert_eq!(notes(sms("adios")), json!([]));
        assert_eq!(notes(sms("")), json!([]));
        assert_eq!(notes(event("told", json!({"body": "adios"}))), json!([]));
        assert_eq!(notes(event("told", json!({"stars": 5}))), json!([{"effect": "note", "text": "<>"}]));
        assert_eq!(set.explain(&event("told", json!({})), &facts)[0].trace.result, RuleResult::Fired);
    }
}

#[test]
fn every_rule_is_explained() {
    let set = rules(
        "rule(\"fires\").on(\"inbound_sms\").keyword(\"hola\").then(|e| note(\"x\"));
         rule(\"other kind\").on(\"opted_out\").then(|e| note(\"x\"));
         rule(\"other word\").on(\"inbound_sms\").keyword(\"adios\").then(|e| note(\"x\"));
         rule(\"asleep\").on(\"inbound_sms\").blueprint().then(|e| note(\"x\"));
         rule(\"says no\").on(\"inbound_sms\").when(\"is new\", |e| e.contact.is_new).then(|e| note(\"x\"));
         rule(\"fails\").on(\"inbound_sms\").then(|e| { throw \"no\" });",
    );
    let explained = set.explain(&sms("hola"), &facts());
    let results: Vec<(&str, &RuleResult)> =
        explained.iter().map(|result| (result.trace.rule.as_str(), &result.trace.result)).collect();
    assert_eq!(results.len(), 6);
    assert_eq!(results[0], ("fires", &RuleResult::Fired));
    assert_eq!(results[1].1, &RuleResult::OtherKind { kinds: vec!["opted_out".into()] });
    assert_eq!(results[2].1, &RuleResult::NoKeyword { keywords: vec!["adios".into()] });
    assert_eq!(results[3].1, &RuleResult::NotEnabled);
    assert_eq!(results[4].1, &RuleResult::WhenNo { text: "is new".into() });
    assert!(matches!(results[5].1, RuleResult::Failed { .. }));
    assert_eq!(explained[4].trace.reads["e.contact.is_new"], false);
    assert_eq!((explained[1].file.as_str(), explained[1].line), ("a.rhai", 2));
    let json = serde_json::to_string(&explained).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::rules::RuleExplanation>>(&json).unwrap(), explained);
}

#[test]
fn a_rule_that_the_event_does_not_concern_says_what_it_waits_for() {
    let set = rules(
        "rule(\"1\").on(\"opted_out\", \"opted_in\").then(|e| note(\"x\"));
         rule(\"2\").on(\"opted_out\").after(\"2h\").then(|e| note(\"x\"));
         rule(\"3\").before(\"1h\", \"appointment.starts_at\").then(|e| note(\"x\"));
         rule(\"4\").cron(\"0 9 * * *\").then(|e| note(\"x\"));
         rule(\"5\").cron(\"0 9 * * *\").for_each(\"contacts\").then(|e| note(\"x\"));
         rule(\"6\").on_call(\"greet\", |e| say(\"x\"));
         rule(\"7\").on_call(\"ask\", |e| say(\"x\")).on_call(\"greet\", |e| say(\"x\"));
         rule(\"8\").cron(\"0 9 * * *\").then(|e| note(\"x\")).on_call(\"greet\", |e| say(\"x\"));
         rule(\"9\").on(\"opted_out\").then(|e| note(\"x\")).on_call(\"greet\", |e| say(\"x\"));",
    );
    let explained = set.explain(&sms("hola"), &facts());
    let told: Vec<String> = explained.iter().map(|one| one.trace.result.to_string()).collect();
    let expect = [
        "listens only to opted_out, opted_in",
        "listens only to opted_out",
        "listens only to appointment_booked, appointment_moved",
        "listens to no event: it runs by its schedule",
        "listens to no event: it runs by its schedule",
        "listens to no event: outbound calls begin at its step \"greet\"",
        "listens to no event: outbound calls begin at its step \"ask\" or \"greet\"",
        "listens to no event: it runs by its schedule, and outbound calls begin at its step \"greet\"",
        "listens only to opted_out",
    ];
    assert_eq!(told, expect);
    assert!(explained.iter().all(|one| !one.trace.result.was_evaluated()));
}

#[test]
fn an_event_costs_the_same_with_ten_rules_and_ten_thousand() {
    let folder = |count: usize| {
        let mut source = String::from("rule(\"always\").on(\"inbound_sms\").then(|e| note(\"x\"));\n");
        let mut files = Vec::new();
        for number in 0..count {
            let blueprint = if number % 2 == 0 { ".blueprint()" } else { "" };
            source += &format!(
                "rule(\"r{number}\").on(\"inbound_sms\").keyword(\"word{number}\"){blueprint}.then(|e| note(\"{number}\"));\n"
            );
            if source.len() > 20_000 {
                files.push((format!("f{number}.rhai"), std::mem::take(&mut source)));
            }
        }
        files.push(("last.rhai".to_owned(), source));
        let files: Vec<(&str, &str)> = files.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
        let (set, errors) = load(&files);
        assert!(errors.is_empty());
        assert_eq!(set.rules().count(), count + 1);
        set
    };
    let mut facts = facts();
    facts.tenant.blueprints.insert("r4".into(), Default::default());
    facts.tenant.blueprints.insert("r6".into(), Default::default());
    let (small, big) = (folder(10), folder(10_000));
    for (body, evaluated) in [("word5", 2), ("word4 x", 2), ("word2", 1), ("nothing", 1)] {
        for set in [&small, &big] {
            assert_eq!(set.decide(&sms(body), &facts).trace.rules.len(), evaluated, "{body}");
        }
    }
    assert!(big.decide(&event("opted_in", json!({})), &facts).trace.rules.is_empty());
}
