//! `tenant show` lists refused webhooks with their likely cause.

use std::time::Duration;

use recado::ops::doctor::Severity;

use super::Rig;
use super::twilio::{ACCOUNT, TOKEN};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid};

const OURS: &str = "+34911111111";
const CUSTOMER: &str = "+34600111222";
/// Refusals are stored every second.
const WITHIN: Duration = Duration::from_secs(20);
const GUESSES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn refused_webhooks_are_counted_by_their_cause() {
    let mut rig = Rig::start(&[], &[]).await;
    let url = rig.server.url();
    let (right, wrong) = (Twilio::new(&url, ACCOUNT, TOKEN), Twilio::new(&url, ACCOUNT, "another token"));
    let form = |n| right.inbound(&message_sid(n), CUSTOMER, OURS, "hola");
    let (path, whatsapp) = ("/api/twilio/demo/sms", "/api/twilio/demo/whatsapp");
    for n in 0..3 {
        assert_eq!(wrong.post(path, &form(n)).await.expect("it answers").status(), 403);
    }
    assert_eq!(right.post(path, &form(9)).await.expect("it answers").status(), 200);
    let foreign = Twilio::new(&url, "AC00000000000000000000000000000009", TOKEN);
    let mixed = foreign.inbound(&message_sid(10), CUSTOMER, OURS, "hola");
    assert_eq!(right.post(whatsapp, &mixed).await.expect("it answers").status(), 403);
    // Guessed slugs fill no table.
    for n in 0..GUESSES {
        let path = format!("/api/twilio/guess-{n}/sms");
        assert_eq!(right.post(&path, &form(n as u128)).await.expect("it answers").status(), 404);
    }
    let found = eventually(WITHIN, || {
        let found = rig.doctor(&["--offline"], &[]);
        async move {
            let counted = format!("{found:?}").contains(&format!("{GUESSES} refused within a day were for a slug"));
            if counted { Ok(found) } else { Err(found) }
        }
    })
    .await;
    found.has_with_remedy(Severity::Warning, "webhooks (sms)", "3 refused within a day had a signature", "APP_URL");
    found.has_with_remedy(
        Severity::Warning,
        "webhooks (whatsapp)",
        "1 refused within a day were signed",
        "credentials",
    );
    let unknown = found.has(Severity::Warning, "webhooks (sms)", &format!("guess-{}", GUESSES - 1));
    assert_eq!(unknown["tenant"], serde_json::Value::Null);

    let shown = rig.run(&["tenant", "show", "demo", "--json"]).json();
    assert_eq!(shown["slug"], "demo");
    let refused = shown["refused"].as_array().expect("an array");
    let of = |kind: &str| refused.iter().find(|one| one["kind"] == kind).map(|one| one["count"].clone());
    assert_eq!((of("signature"), of("account"), refused.len()), (Some(3.into()), Some(1.into()), 2));
    let text = rig.run(&["tenant", "show", "demo"]).ok();
    assert!(text.contains("3 webhooks (sms) refused") && text.contains("likely cause: APP_URL"), "{text}");

    // The last refusals are stored before the server ends.
    assert_eq!(wrong.post(path, &form(11)).await.expect("it answers").status(), 403);
    assert!(rig.server.stop().await.success());
    let shown = rig.run(&["tenant", "show", "demo", "--json"]).json();
    let signature = shown["refused"].as_array().expect("an array").iter().find(|one| one["kind"] == "signature");
    assert_eq!(signature.expect("it is there")["count"], 4);
}
