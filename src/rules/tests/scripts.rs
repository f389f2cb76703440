//! The fields that scripts read, and the actions that they plan.

use serde_json::json;

use super::{actions, complaints, event, facts, result, rules, sms, then, value};
use crate::domain::{Channel, Timestamp};
use crate::rules::RuleResult;

fn failure(body: &str) -> String {
    match result(&then(body)) {
        RuleResult::Failed { error } => error.clone(),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn events_and_facts_can_be_read() {
    for (expression, expect) in [
        ("e.kind", "inbound_sms"),
        ("e.channel", "sms"),
        ("e.body", "Hola, qué tal"),
        ("e.text", "hola, que tal"),
        ("e.words.len()", "3"),
        ("e.from", "+34600111222"),
        ("e.to", "+34911111111"),
        ("e.media.len()", "0"),
        ("e.button == ()", "true"),
        ("e.location == ()", "true"),
        ("e.profile_name", ""),
        ("e.late", "false"),
        ("e.data.body", "Hola, qué tal"),
        ("e.now", "2026-11-21T08:30:00Z"),
        ("e.contact.phone", "+34600111222"),
        ("e.contact.first_name", "Ana"),
        ("e.contact.tag(\"vip\")", "false"),
        ("e.contact.field(\"x\") == ()", "true"),
        ("e.contact.opted_out(\"sms\")", "false"),
        ("e.contact.language", "es"),
        ("e.contact.inbound_count", "7"),
        ("e.contact.is_new", "false"),
        ("e.tenant.slug", "demo"),
        ("e.business.name", "Peluquería Sol"),
        ("e.tenant.zone", "Europe/Madrid"),
    ] {
        assert_eq!(value(expression), expect, "{expression}");
    }
}

#[test]
fn helpers_help() {
    for (expression, expect) in [
        ("fold(\"  CÍTA \")", "cita"),
        ("contains_any(\"¿Tenéis PRECIOS?\", [\"precios\", \"price\"])", "true"),
        ("contains_any(\"precioso\", [\"precio\"])", "false"),
        ("contains_any(\"a que hora abren hoy\", [\"que hora\"])", "true"),
        ("contains_any(\"Hola.Tengo cita,hoy\", [\"tengo\", \"x\"])", "true"),
        ("contains_any(\"i can’t today\", [\"can't\"])", "true"),
        ("contains_any(\"我想取消预约\", [\"取消\"])", "true"),
        ("contains_any(\"gracias👍🏽\", [\"👍\"])", "true"),
        ("fold(\"I can’t, ΝΑΙΣ\")", "i can't, ναισ"),
        ("appointment_answer(\"ok cancela\")", "cancel"),
        ("appointment_answer(\"sí, gracias\", e.now)", "yes"),
        ("appointment_answer(\"ok, hoy\", e.now)", "yes"),
        ("appointment_answer(\"ok, mañana\", e.now)", "no"),
        ("appointment_answer(\"hola\") == ()", "true"),
        ("number(\"mesa para 4\")", "4"),
        ("number(\"son 12,50 euros\")", "12.5"),
        ("number(\"nada\") == ()", "true"),
        ("number(\"5.\")", "5"),
        ("pick(\"es-MX\", #{ en: \"Hi\", es: \"Hola\" })", "Hola"),
        ("pick(\"fr\", #{ en: \"Hi\", es: \"Hola\" })", "Hi"),
        ("local(e.now, \"%d/%m %H:%M\")", "21/11 09:30"),
        ("local(\"2026-07-01T10:00:00Z\", \"%H:%M\")", "12:00"),
        ("e.now.weekday", "sat"),
        ("e.now.date", "2026-11-21"),
        ("e.now.hour", "9"),
        ("e.now.is_between(\"09:30\", \"10:00\")", "true"),
        ("e.now.is_between(\"22:00\", \"06:00\")", "false"),
        ("e.now.days_since(time(\"2026-11-20T08:00:00Z\"))", "1"),
        ("e.now - time(\"2026-11-21T08:29:00Z\")", "60"),
        ("[\"a\", \"b\"].some(|w| w == e.body)", "false"),
    ] {
        assert_eq!(value(expression), expect, "{expression}");
    }
    assert!(failure("local(e.now, \"%Q\")").contains("'%Q' is no time format"));
    assert!(failure("local(\"tomorrow\", \"%H\")").contains("is no time: write it as"));
}

#[test]
fn rules_see_that_a_message_opted_out_or_in() {
    let set = rules(
        "rule(\"r\").on(\"inbound_sms\", \"inbound_whatsapp\", \"inbound_rcs\", \"told\").then(|e| note(`<${e.opt_out_word}>`));",
    );
    let word = |kind: &str, data: serde_json::Value| {
        let noted = actions(&set.decide(&event(kind, data), &facts()));
        noted[0]["text"].as_str().unwrap().trim_matches(['<', '>']).to_owned()
    };
    for kind in ["inbound_sms", "inbound_whatsapp", "inbound_rcs"] {
        for (body, expect) in [
            ("STOP", "stop"),
            ("¡Baja!", "baja"),
            ("Please stop texting me, thanks", "stop texting me"),
            ("ayuda", "ayuda"),
            ("Start.", "start"),
            ("YES", ""),
            ("stop by at 5?", ""),
            ("", ""),
        ] {
            assert_eq!(word(kind, json!({"body": body})), expect, "{kind} {body}");
        }
    }
    // Words that the provider recognised.
    assert_eq!(word("inbound_sms", json!({"body": "Yes", "opt_out_type": "START"})), "yes");
    assert_eq!(word("inbound_sms", json!({"body": "¡Basta ya!", "opt_out_type": "STOP"})), "basta ya");
    assert_eq!(word("told", json!({"body": "STOP"})), "", "this is no message of a customer");
    assert_eq!(value("e.opt_out_word == ()"), "true");
}

#[test]
fn actions_are_written_down() {
    let decision = then(
        r##"reply("Hola"); send_sms(e.contact, "uno"); send_whatsapp("+14155238886", "dos");
            send_whatsapp_template(e.contact, "HX123", #{ "1": e.contact.first_name, "2": 4 });
            tag("vip"); untag("old"); set_field("size", #{ chest: 4, at: e.now }); note("called"); emit("vip_came", #{ n: 1 });"##,
    );
    assert_eq!(
        actions(&decision),
        json!([
            {"send": "sms", "to": "+34600111222", "reply": true, "text": "Hola"},
            {"send": "sms", "to": "+34600111222", "text": "uno"},
            {"send": "whatsapp", "to": "+14155238886", "text": "dos"},
            {"send": "whatsapp", "to": "+34600111222", "template": {"content": "HX123", "variables": {"1": "Ana", "2": "4"}}},
            {"effect": "tag", "tag": "vip"},
            {"effect": "untag", "tag": "old"},
            {"effect": "set_field", "field": "size", "value": {"chest": 4, "at": "2026-11-21T08:30:00Z"}},
            {"effect": "note", "text": "called"},
            {"effect": "emit", "kind": "vip_came", "data": {"n": 1}},
        ]),
        "{:?}",
        result(&decision)
    );
    assert_eq!(decision.actions.iter().map(|planned| planned.index).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    assert_eq!(decision.trace.rules[0].actions, 9);
    let json = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<crate::rules::Decision>(&json).unwrap(), decision);
}

#[test]
fn a_reply_goes_out_on_the_channel_of_the_message() {
    let rules = rules("rule(\"r\").on(\"inbound_whatsapp\").then(|e| reply(\"ok\"));");
    let mut event = event("inbound_whatsapp", json!({"body": "x"}));
    event.channel = Some(Channel::WhatsApp);
    let decision = rules.decide(&event, &facts());
    assert_eq!(actions(&decision)[0]["send"], "whatsapp");
}

#[test]
fn bad_actions_say_why_and_where() {
    for (body, expect) in [
        ("let t = 5; reply(t)", "a.rhai:1:51: reply: the text must be text, and this is a number"),
        ("reply(\"  \")", "the text is empty"),
        ("let t = \"\"; t.pad(1601, 'x'); reply(t)", "1601 characters, and 1600 is the most (error 21617)"),
        ("send_sms(4, \"x\")", "use e.contact or a number"),
        ("tag(\"\")", "1 to 80 characters"),
        ("emit(\"inbound_sms\")", "only the engine makes"),
        ("emit(\"Bad Kind\")", "cannot be an event kind"),
        ("emit(\"x\", 5)", "the data must be a map"),
        ("set_field(\"x\", |a| a)", "a function cannot be stored"),
        ("e.contact.opted_out(\"fax\")", "'fax' is no channel"),
        ("throw \"my own words\"", "my own words"),
        ("for i in 0..40 { note(`${i}`) }", "at most 32 actions"),
    ] {
        let error = failure(body);
        assert!(error.contains(expect), "{body}: {error}");
        assert!(then(body).actions.is_empty(), "{body}: a failed rule plans nothing");
    }
}

#[test]
fn only_messages_are_replied_to_and_only_customers_written_to() {
    let rules = rules(
        "rule(\"a\").on(\"message_status\").then(|e| reply(\"x\"));
         rule(\"d\").on(\"message_status\").when(\"named\", |e| e.contact.name != \"\").then(|e| note(\"x\"));",
    );
    let mut event = event("message_status", json!({}));
    event.contact = None;
    let mut facts = facts();
    facts.contact = None;
    let decision = rules.decide(&event, &facts);
    let said: Vec<String> = decision.trace.rules.iter().map(|rule| rule.result.to_string()).collect();
    for (said, expect) in said.iter().zip(["only a customer's message can be replied to", "the value before it is ()"])
    {
        assert!(said.contains(expect), "{said}");
    }
}

#[test]
fn requests_are_written_down_whole() {
    let asked = |body: &str| actions(&then(body))[0].clone();
    assert_eq!(
        asked(
            "http_request(#{ url: \"https://x.example/a\", headers: #{ \"X-N\": 5 }, json: #{ to: e.contact.phone } })"
        ),
        json!({"method": "POST", "url": "https://x.example/a", "body": "{\"to\":\"+34600111222\"}",
               "headers": {"X-N": "5", "content-type": "application/json"}})
    );
    assert_eq!(
        asked("http_request(#{ method: \"delete\", url: \"http://x.example/\" + e.kind })"),
        json!({"method": "DELETE", "url": "http://x.example/inbound_sms"})
    );
    for (body, expect) in [
        ("http_request(#{ method: \"TRACE\", url: \"http://x\" })", "'TRACE' is no method"),
        ("http_request(#{ uri: \"http://x\" })", "there is no 'uri': it takes method, url"),
        ("http_request(#{ body: \"x\" })", "it lacks the url"),
        ("http_request(\"http://x\")", "it takes a map"),
        ("http_request(#{ url: \"http://x\", json: 1, body: \"x\" })", "both json and body"),
        ("http_request(#{ method: \"GET\", url: \"http://x\", body: \"x\" })", "has no body"),
        ("http_request(#{ url: \"http://x\", headers: #{ \"Idempotency-Key\": \"y\" } })", "set by Recado"),
    ] {
        let error = failure(body);
        assert!(error.contains(expect), "{body}: {error}");
    }
}

#[test]
fn a_when_only_asks() {
    let rules = rules("rule(\"r\").on(\"inbound_sms\").when(\"x\", |e| { reply(\"x\"); true }).then(|e| note(\"y\"));");
    let decision = rules.decide(&sms("x"), &facts());
    assert!(result(&decision).to_string().contains("reply changes something: a when only asks"));
    let rules = super::rules("rule(\"r\").on(\"inbound_sms\").when(\"x\", |e| 5).then(|e| note(\"y\"));");
    let decision = rules.decide(&sms("x"), &facts());
    assert!(result(&decision).to_string().contains("must give true or false, and gave a number"));
}

#[test]
fn whens_are_asked_in_turn_and_thens_run_in_turn() {
    let rules = rules(
        "rule(\"r\").on(\"inbound_sms\")
            .when(\"is text\", |e| e.body != \"\").when(\"is long\", |e| e.body.len() > 5)
            .then(|e| note(\"one\")).then(|e| note(\"two\"));",
    );
    let decision = rules.decide(&sms("kurz"), &facts());
    assert_eq!(result(&decision), &RuleResult::WhenNo { text: "is long".into() });
    assert_eq!(decision.trace.rules[0].reads["e.body"], "kurz");
    assert_eq!(rules.decide(&sms("long enough"), &facts()).actions.len(), 2);
}

#[test]
fn parameters_have_defaults_that_a_tenant_overrides() {
    let rules = rules(
        "rule(\"hours\").on(\"inbound_sms\").blueprint().param(\"text\", \"9-18\").param(\"days\", 5)
            .then(|e| reply(`${e.params.text} ${e.params.days}`));",
    );
    let mut facts = facts();
    assert!(rules.decide(&sms("x"), &facts).trace.rules.is_empty(), "asleep");
    facts.tenant.blueprints.insert("hours".into(), [("text".to_owned(), json!("10-14"))].into());
    let decision = rules.decide(&sms("x"), &facts);
    assert_eq!(actions(&decision)[0]["text"], "10-14 5");
    assert_eq!(decision.trace.rules[0].reads["e.params.text"], "10-14");
    let info = rules.rules().next().unwrap();
    assert!(info.blueprint && info.params["days"] == 5);
    assert!(
        complaints("rule(\"h\").on(\"inbound_sms\").param(\"x\", 1).then(|e| note(\"x\"));")
            .contains("only a blueprint")
    );
}

#[test]
fn media_buttons_and_places_are_maps() {
    let rules = rules(
        "rule(\"r\").on(\"inbound_sms\").then(|e| note(`${e.media[0].content_type} ${e.button.payload} ${e.location.label}`));",
    );
    let data = json!({
        "media": [{"url": "https://x/1", "content_type": "image/jpeg"}],
        "button": {"text": "Yes", "payload": "yes_1"},
        "location": {"latitude": 1.5, "longitude": 2.5, "address": "", "label": "Backend"},
    });
    let decision = rules.decide(&event("inbound_sms", data), &facts());
    assert_eq!(actions(&decision)[0]["text"], "image/jpeg yes_1 Backend");
}

#[test]
fn the_trace_keeps_what_was_read_in_short() {
    let rules =
        rules("rule(\"r\").on(\"inbound_sms\").then(|e| { for i in 0..50 { e.contact.tag(`t${i}`); } e.body; });");
    let long = "x".repeat(1_000);
    let decision = rules.decide(&sms(&long), &facts());
    assert_eq!(decision.trace.rules[0].reads.len(), 32);
    let rules = super::rules("rule(\"r\").on(\"inbound_sms\").then(|e| { e.body; e.data; });");
    let decision = rules.decide(&sms(&long), &facts());
    assert!(decision.trace.rules[0].reads["e.body"].as_str().unwrap().len() < 130);
    assert_eq!(decision.trace.rules[0].reads["e.data"], "#{3 entries}");
}

#[test]
fn emitting_in_a_circle_ends() {
    let rules = rules("rule(\"r\").on(\"inbound_sms\").then(|e| emit(\"again\", #{}));");
    let mut event = sms("x");
    event.depth = crate::domain::Event::MAX_DEPTH;
    let decision = rules.decide(&event, &facts());
    assert!(result(&decision).to_string().contains("emit each other in a circle"));
}

#[test]
fn times_in_facts_are_times() {
    let rules = rules(
        "rule(\"r\").on(\"inbound_sms\").when(\"old\", |e| e.now.days_since(e.contact.created_at) > 30)
            .then(|e| note(if e.contact.last_inbound_at == () { \"never\" } else { local(e.contact.last_inbound_at, \"%H\") }));",
    );
    let mut facts = facts();
    assert_eq!(actions(&rules.decide(&sms("x"), &facts))[0]["text"], "never");
    let at = Timestamp::parse("2026-11-20T08:00:00Z").unwrap();
    facts.contact.as_mut().unwrap().last_inbound_at.insert(Channel::Sms, at);
    assert_eq!(actions(&rules.decide(&sms("x"), &facts))[0]["text"], "09");
}
