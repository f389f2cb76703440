//! Messages found late at the provider: the server looks in the account that they went through, one account at a time.

use std::sync::Arc;
use std::time::Duration;

use recado::app;
use recado::config::secret::SecretKey;
use recado::domain::{Channel, Clock, DeliveryStatus, MessageId, Route, SendBody, SendQueue, Timestamp};
use recado::emulators::twilio::{CarrierConfig, Fault, FaultKind, Inbound, On};
use recado::engine::Engine;
use recado::engine::catch_up;
use recado::engine::reconcile;
use recado::engine::sending::transports::twilio;
use recado::store::rows::{action, message, sender};
use recado::store::{AttemptOutcome, AttemptResult, ClaimRequest, Claimed, Gate, Listed};
use recado::tenants::{Tenant, new_tenant, sealed_as};

use super::inside::{Inside, PUBLIC_URL, posted};
use super::rig::{A, ACCOUNT, B, OURS, Own, Provider, SECRET_KEY, TOKEN, customer};
use crate::support::replace_tenant;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

/// The deadline for a provider that hangs.
const DEADLINE: Duration = Duration::from_secs(3);
const MINUTE: Duration = Duration::from_secs(60);

/// The program without its loops beside a provider, each on a clock of its own.
struct World {
    provider: Provider,
    inside: Inside,
    engine: Engine,
    clock: Clock,
    theirs: Clock,
}

impl World {
    /// The provider knows the platform's account, A's and B's.
    async fn new(reconcile_after: Duration) -> Self {
        let start = Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time");
        let (clock, theirs) = (Clock::simulated(start), Clock::simulated(start));
        let mut config = CarrierConfig::new(ACCOUNT, TOKEN, theirs.clone());
        config.accounts = [A, B].map(|own| (own.account.to_owned(), own.token.into())).into();
        let provider = Provider::with(config).await;
        provider.order(Fault::always(FaultKind::CallbacksLost));
        let inside = Inside::at(&provider.url, clock.clone(), "").await;
        let mut parts = app::engine_parts(&inside.installation, &provider.url).expect("an engine can be built");
        parts.transports.twilio = parts.transports.twilio.with_deadline(DEADLINE);
        parts.reconcile_after = reconcile_after;
        let engine = Engine::new(parts).expect("an engine can be built");
        Self { provider, inside, engine, clock, theirs }
    }

    async fn with(owns: &[Own]) -> Self {
        let world = Self::new(Duration::from_secs(1)).await;
        for own in owns {
            own.store(&world.inside.installation.store).await;
        }
        world.refresh().await;
        world
    }

    async fn refresh(&self) {
        self.inside.installation.directory.refresh().await.expect("the tenants can be read");
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.theirs.advance(time);
    }

    fn tenant(&self, slug: &str) -> Arc<Tenant> {
        self.inside.installation.directory.now().by_slug(slug).expect("it is there").clone()
    }

    /// A tenant without an account of its own.
    async fn add(&self, slug: &str, number: Option<&str>) {
        let store = &self.inside.installation.store;
        let row = new_tenant(store, slug, slug);
        let (tenant_id, id): (_, MessageId) = (row.id, store.ids().next());
        store.add_tenant(row).await.expect("the slug is free");
        if let Some(number) = number {
            let (id, channel, number) = (id.uuid(), "sms".to_owned(), number.to_owned());
            let new = sender::Model { id, tenant_id, channel, number, base_url: None, created_us: 0 };
            store.add_sender(new).await.expect("the number is free");
        }
        self.refresh().await;
    }

    /// Gives a tenant another account.
    async fn move_to(&self, slug: &str, own: &Own) {
        let store = &self.inside.installation.store;
        let (_, rows, _) = store.directory().await.expect("the tenants can be read");
        let mut row = rows.into_iter().find(|row| row.slug == slug).expect("it is there");
        let key = SecretKey::parse(SECRET_KEY).expect("it is a key");
        row.account_sid = Some(own.account.to_owned());
        row.auth_token = Some(key.seal(&own.token.into(), &sealed_as(row.id, "auth_token")).expect("it can be sealed"));
        replace_tenant(store, row).await.expect("it can be written");
        self.refresh().await;
    }

    /// Plans and claims a send.
    async fn claimed(&self, slug: &str, to: &str) -> Claimed {
        let body = SendBody::Text("hola".to_owned());
        let outbox = self.inside.installation.outbox();
        outbox.plan(slug, Channel::Sms, to, body).await.expect("it can be planned");
        let tenant = self.tenant(slug);
        let request = ClaimRequest {
            queue: SendQueue::new(tenant.id, Route::Twilio),
            account_sid: tenant.account.sid.clone(),
            limit: 1,
            judge: Arc::new(|_, _| Gate::Pass),
            recent_within: MINUTE,
            stop_ends_calls: false,
            has_budget: false,
        };
        let claims = self.inside.installation.store.writer().claim(request).await.expect("it can be claimed");
        claims.sends.into_iter().next().expect("one is due")
    }

    /// Makes the provider take a send without our knowing. Gives its SID.
    async fn taken(&self, slug: &str, to: &str) -> (Claimed, String) {
        let claimed = self.claimed(slug, to).await;
        let tenant = self.tenant(slug);
        let account = twilio::credentials(&tenant.account).expect("it has a token");
        let send = claimed.send.message().expect("it is a send");
        let platform = self.inside.installation.directory.platform();
        let message = twilio::message(&tenant, platform, &claimed.send, send);
        let created = self.engine.transports.twilio.create_message(&account, &message).await.expect("it is taken");
        (claimed, created.sid)
    }

    async fn end(&self, claimed: &Claimed, end: AttemptResult) {
        let (send, attempt) = (claimed.send.clone(), claimed.attempt);
        let verdict =
            AttemptOutcome { send, attempt, result: end, http_status: None, error_code: None, detail: String::new() };
        assert!(self.inside.installation.store.writer().outcome(verdict).await.expect("it can be written"));
    }

    async fn sent(&self, slug: &str, to: &str) -> Claimed {
        let (claimed, sid) = self.taken(slug, to).await;
        self.end(&claimed, AttemptResult::Sent { sid, status: DeliveryStatus::Queued }).await;
        claimed
    }

    async fn reconcile(&self) -> usize {
        reconcile::round(&self.engine).await.expect("the database is there")
    }

    async fn catch_up(&self) -> usize {
        catch_up::round(&self.engine).await.expect("the database is there")
    }

    async fn row(&self, claimed: &Claimed) -> action::Model {
        let send = &claimed.send;
        let row = self.inside.installation.store.action(send.tenant, send.id).await;
        row.expect("it can be read").expect("it is there")
    }

    async fn messages(&self, slug: &str) -> Vec<message::Model> {
        let listed = self.inside.installation.store.messages(self.tenant(slug).id, None, 1_000).await;
        let message = |one| if let Listed::Message(message) = one { Some(message) } else { None };
        listed.expect("they can be listed").into_iter().filter_map(message).collect()
    }

    async fn status(&self, slug: &str, claimed: &Claimed) -> String {
        let messages = self.messages(slug).await;
        messages.into_iter().find(|message| message.id == claimed.send.id.uuid()).expect("it is there").status
    }

    async fn post(&self, slug: &str, sid: &str, to: &str) -> u16 {
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(sid, &customer(1), to, "hola");
        let target = format!("/api/twilio/{slug}/sms");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{target}"), &form);
        let params: recado::integrations::twilio::form::Params =
            form.iter().map(|(name, value)| (name, value)).collect();
        self.inside.answer(posted(&target, params.encode(), Some(&signature))).await.0
    }
}

fn missed(sid: u128, to: &str) -> Inbound {
    let (sid, from, to) = (Some(message_sid(sid)), customer(1), to.to_owned());
    Inbound { sid, from, to, body: "hola".to_owned(), ..Inbound::default() }
}

/// The platform's number calls the URL of a tenant that has none.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_brought_to_one_tenant_is_not_taken_in_for_another() {
    let world = World::with(&[]).await;
    world.add("sol", None).await;
    assert_eq!(world.catch_up().await, 0);
    world.pass(MINUTE);
    world.provider.carrier.add_inbound(missed(1, OURS));
    assert_eq!(world.post("sol", &message_sid(1), OURS).await, 200);
    assert_eq!(world.catch_up().await, 0);
    assert!(world.messages("demo").await.is_empty());
    let messages = world.messages("sol").await;
    assert_eq!((messages.len(), messages[0].repeats), (1, 0), "the catch-up is no replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_message_comes_by_its_messaging_service_and_with_its_media() {
    let world = World::with(&[]).await;
    world.add("sol", Some("MG00000000000000000000000000000009")).await;
    world.catch_up().await;
    world.pass(MINUTE);
    let service = Some("MG00000000000000000000000000000009".to_owned());
    let media = vec!["https://example.com/1.jpg".to_owned(), "https://example.com/2.jpg".to_owned()];
    world.provider.carrier.add_inbound(Inbound { service, media, ..missed(1, "+34922222222") });
    world.provider.carrier.add_inbound(missed(2, "+34922222222"));
    assert_eq!(world.catch_up().await, 1, "of the other nobody knows whose it is");
    let messages = world.messages("sol").await;
    let url = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}/Media/ME", message_sid(1));
    assert_eq!(messages[0].extra.matches(&url).count(), 2, "{}", messages[0].extra);
    assert!(messages[0].extra.contains("image/jpeg") && !messages[0].extra.contains(".json"), "{}", messages[0].extra);
}

/// The list is longer than the catch-up holds at once: fifty pages of a thousand.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_of_a_long_list_is_reached() {
    let world = World::with(&[]).await;
    world.catch_up().await;
    world.pass(MINUTE);
    world.provider.carrier.add_inbound(missed(0, OURS));
    for number in 1..=50_000 {
        world.provider.carrier.add_inbound(missed(number, "+34922222222"));
    }
    world.pass(MINUTE);
    assert_eq!(world.catch_up().await, 1);
    let store = &world.inside.installation.store;
    let cursor = store.setting(&format!("catch_up:{ACCOUNT}")).await.expect("it can be read");
    assert_eq!(cursor, Some(world.clock.now().to_string()), "the next round begins here");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_refuses_keeps_no_other_from_its_statuses() {
    let world = World::with(&[A, B]).await;
    let (a, b) = (world.sent("a", &customer(1)).await, world.sent("b", &customer(2)).await);
    world.provider.carrier.wait_callbacks().await;
    world.pass(61 * MINUTE);
    let refusal = Fault { account: Some(A.account.to_owned()), on: On::List, ..Fault::always(FaultKind::Unauthorized) };
    world.provider.order(refusal);
    world.catch_up().await;
    assert_eq!((world.status("a", &a).await, world.status("b", &b).await), ("queued".into(), "delivered".into()));
}

/// The server asks for five hundred at once.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_never_get_a_status_crowd_out_no_others() {
    let world = World::with(&[]).await;
    for number in 0..500 {
        let claimed = world.claimed("demo", &customer(number)).await;
        world
            .end(&claimed, AttemptResult::Sent { sid: message_sid(number as u128), status: DeliveryStatus::Queued })
            .await;
    }
    world.pass(Duration::from_secs(1));
    let last = world.sent("demo", &customer(500)).await;
    world.provider.carrier.wait_callbacks().await;
    world.pass(61 * MINUTE);
    world.catch_up().await;
    assert_eq!(world.status("demo", &last).await, "queued", "it is not its turn yet");
    world.catch_up().await;
    assert_eq!(world.status("demo", &last).await, "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_send_is_looked_for_in_the_account_it_went_through() {
    let world = World::with(&[A]).await;
    let (of_demo, sid) = world.taken("demo", &customer(1)).await;
    let (of_a, _) = world.taken("a", &customer(2)).await;
    world.move_to("demo", &B).await;
    world.move_to("a", &B).await;
    world.pass(2 * MINUTE);
    assert_eq!(world.reconcile().await, 2);
    // The platform's account is still known, and shows it.
    let row = world.row(&of_demo).await;
    assert_eq!((row.state.as_str(), row.provider_sid), ("sent", Some(sid)));
    // A's account is no longer known: B's list tells nothing about it.
    let row = world.row(&of_a).await;
    assert_eq!(row.state, "unknown");
    assert!(row.reason.as_deref().is_some_and(|reason| reason.contains(A.account)), "{:?}", row.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ahead_of_the_providers_makes_nothing_go_twice() {
    let world = World::with(&[]).await;
    world.clock.advance(10 * MINUTE);
    let (claimed, sid) = world.taken("demo", &customer(1)).await;
    world.pass(2 * MINUTE);
    assert_eq!(world.reconcile().await, 1);
    let row = world.row(&claimed).await;
    assert_eq!((row.state.as_str(), row.provider_sid), ("sent", Some(sid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_given_the_whole_grace() {
    let world = World::new(5 * MINUTE).await;
    let claimed = world.claimed("demo", &customer(1)).await;
    world.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(world.reconcile().await, 0);
    assert_eq!(world.row(&claimed).await.state, "unknown");
    world.pass(4 * MINUTE);
    assert_eq!(world.reconcile().await, 1);
    assert_eq!(world.row(&claimed).await.state, "planned", "it was never taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_list_hangs_holds_up_no_other() {
    const STUCK: usize = 5;
    let world = World::with(&[A, B]).await;
    let mut stuck = Vec::new();
    for number in 0..STUCK {
        stuck.push(world.claimed("a", &customer(number)).await);
    }
    let (other, _) = world.taken("b", &customer(STUCK)).await;
    let hangs = Fault { account: Some(A.account.to_owned()), on: On::List, ..Fault::always(FaultKind::Hang) };
    world.provider.order(hangs);
    world.pass(2 * MINUTE);
    let engine = world.engine.clone();
    let round = tokio::spawn(async move { reconcile::round(&engine).await });
    eventually(DEADLINE, || async {
        let state = world.row(&other).await.state;
        if state == "sent" { Ok(()) } else { Err(state) }
    })
    .await;
    // One send of A's met the deadline. The others do not wait for theirs.
    let looked = tokio::time::timeout(2 * DEADLINE, round).await.expect("one deadline is enough");
    assert_eq!(looked.expect("it ends").expect("the database is there"), STUCK + 1);
    for one in stuck {
        assert_eq!(world.row(&one).await.state, "unknown");
    }
}

/// With the default grace, looked at every second, as the loop does.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_whose_answer_is_lost_is_adopted_within_two_minutes() {
    let world = World::new(MINUTE).await;
    world.provider.order(Fault::times(FaultKind::DropAfterAccept, 1));
    let outbox = world.inside.installation.outbox();
    let send = outbox.plan("demo", Channel::Sms, &customer(1), SendBody::Text("hola".to_owned())).await;
    let send = send.expect("it can be planned");
    let tenant = world.tenant("demo").id;
    let row = async || {
        let row = world.inside.installation.store.action(tenant, send).await;
        row.expect("it can be read").expect("it is there")
    };
    let loops = app::start_loops(&world.engine);
    eventually(2 * MINUTE, || async {
        let state = row().await.state;
        if state == "unknown" { Ok(()) } else { Err(state) }
    })
    .await;
    drop(loops);
    let mut seconds = 0;
    while row().await.state != "sent" {
        assert!(seconds < 120, "after two minutes it is {:?}", row().await);
        world.pass(Duration::from_secs(1));
        world.reconcile().await;
        seconds += 1;
    }
    assert!(seconds >= 60, "not before the grace: {seconds} s");
    assert_eq!(world.provider.carrier.taken(), 1, "it is not sent again");
}
