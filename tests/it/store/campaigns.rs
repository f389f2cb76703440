//! Campaigns and their members: tries, statistics, retention.

use std::collections::BTreeMap;
use std::sync::Arc;

use recado::domain::{
    Action, ActionId, ActionState, CallBody, CallDirection, CallStatus, CampaignState, Channel, DeliveryStatus, Origin,
    Phone, Route, Send, SendBody, Timestamp,
};
use recado::ops::export_import::export;
use recado::store::tables::campaigns::{
    Campaign, EndedTry, Member, MemberEnd, NewMember, NewTry, NotAdded, Statistics,
};
use recado::store::{AttemptResult, CallReport, Caller, Candidate, Claimed, Gate, NewAction, Reported};

use super::{ANA, Bench, Duration, LUIS, OURS, on_both};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn somebody(phone: &str, name: &str) -> NewMember {
    let fields = BTreeMap::from([("city".to_owned(), "Jaén".to_owned())]);
    NewMember { phone: Phone::parse(phone).expect("a number"), name: name.to_owned(), fields }
}

fn number(n: usize) -> String {
    format!("+346{n:08}")
}

impl Bench {
    async fn draft(&self, name: &str, phones: &[&str]) -> Campaign {
        let plan = r#"{"per_minute":30,"sms":"Hello {name}"}"#;
        let added = self.store.add_campaign(self.tenant, self.store.ids().next(), name, plan).await.unwrap();
        let campaign = added.expect("the name is free");
        let members: Vec<NewMember> = phones.iter().map(|phone| somebody(phone, "Ana")).collect();
        assert_eq!(self.store.add_members(&campaign, &members).await.unwrap(), Some(phones.len() as u64));
        campaign
    }

    async fn running(&self, name: &str, phones: &[&str]) -> Campaign {
        let campaign = self.draft(name, phones).await;
        assert!(self.becomes(&campaign, CampaignState::Draft, CampaignState::Running).await);
        self.stands(&campaign).await
    }

    async fn becomes(&self, campaign: &Campaign, from: CampaignState, to: CampaignState) -> bool {
        self.store.move_campaign(campaign, from, to).await.expect("it can be written")
    }

    /// Reads the campaign as it is now.
    async fn stands(&self, campaign: &Campaign) -> Campaign {
        self.store.campaign(self.tenant, campaign.id).await.unwrap().expect("it is there")
    }

    async fn due(&self, campaign: &Campaign) -> Vec<Member> {
        self.store.due_members(campaign, self.now(), 100).await.unwrap()
    }

    fn try_of(&self, campaign: &Campaign, member: &Member, channel: Channel) -> NewTry {
        let body = match channel {
            Channel::Voice => SendBody::Call(CallBody { say: Some("hola".to_owned()), ..CallBody::default() }),
            _ => SendBody::Text("hola".to_owned()),
        };
        let send = Send { channel, to: member.phone.clone().into(), reply: false, fallback: None, body };
        let (event, index) = (campaign.event(), usize::try_from(member.n).expect("few"));
        let action = NewAction {
            id: ActionId::of(event, &member.key, index),
            tenant: self.tenant,
            event,
            contact: None,
            rule: "campaign".to_owned(),
            index,
            state: ActionState::Planned,
            reason: None,
            origin: Origin::Business,
            action: Action::Send(send),
            route: Some(Route::Twilio),
            sender: Some(OURS.to_owned()),
            due: None,
            subject: None,
            expires: None,
        };
        NewTry { key: member.key.clone(), n: member.n, action }
    }

    /// Plans a try for each due member; `true` if this call planned them.
    async fn try_all(&self, campaign: &Campaign, channel: Channel) -> bool {
        let due = self.due(campaign).await;
        let tries = due.iter().map(|member| self.try_of(campaign, member, channel)).collect();
        let paced = campaign.paced.plus(Duration::from_secs(due.len() as u64));
        self.store.plan_tries(campaign, tries, &[], &[], paced).await.expect("it can be written")
    }

    async fn try_sent_as(&self, claimed: &Claimed, sid: &str) {
        let end = AttemptResult::Sent { sid: sid.to_owned(), status: DeliveryStatus::Queued };
        assert!(self.end(claimed, end, None).await);
    }

    async fn ended(&self, campaign: &Campaign) -> Vec<EndedTry> {
        self.store.ended_tries(campaign, 100).await.unwrap()
    }

    async fn settle_as(&self, campaign: &Campaign, end: impl Fn(&EndedTry) -> MemberEnd) {
        let ends: Vec<_> = self.ended(campaign).await.into_iter().map(|one| (one.clone(), end(&one))).collect();
        self.store.end_tries(campaign, &ends).await.expect("it can be written");
    }

    async fn counted(&self, campaign: &Campaign) -> Statistics {
        self.store.campaign_statistics(campaign).await.unwrap()
    }

    /// A running campaign: one member has got its message, the other waits.
    pub async fn campaigned(&self, name: &str) -> Campaign {
        let campaign = self.running(name, &["+34600000101"]).await;
        assert!(self.try_all(&campaign, Channel::Sms).await);
        let claimed = self.claim().await;
        self.try_sent_as(&claimed[0], &format!("SM{name}")).await;
        self.settle_as(&campaign, |_| done("sent")).await;
        self.store.add_members(&campaign, &[somebody("+5511987654321", "João")]).await.unwrap();
        campaign
    }
}

fn done(outcome: &str) -> MemberEnd {
    MemberEnd::Done { outcome: outcome.to_owned(), detail: None }
}

fn outcomes(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
    of.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_number_in_any_form_is_a_member_once_and_listed_once() {
    on_both(|bench| async move {
        // The second of each pair is the same mobile. The pages end before, on and after the pairs.
        let (brazil, mexico) = (["+5511987654321", "+551187654321"], ["+5215512345678", "+525512345678"]);
        let others = ["+551190000000", "+551199999999", "+525500000000", "+525599999999", ANA];
        let campaign = bench.draft("spring", &[&[brazil[0], mexico[0]][..], &others].concat()).await;
        let again = [somebody(brazil[1], ""), somebody(mexico[1], ""), somebody(ANA, ""), somebody(LUIS, "")];
        assert_eq!(bench.store.add_members(&campaign, &again).await.unwrap(), Some(1));
        for size in 1..=3 {
            let (mut seen, mut after) = (Vec::new(), None);
            for _ in 0..20 {
                let page = bench.store.campaign_members(&campaign, after.as_ref(), size).await.unwrap();
                after = page.last().map(|last| Phone::parse(&last.phone).expect("a number"));
                seen.extend(page.into_iter().map(|member| member.phone));
                if after.is_none() {
                    break;
                }
            }
            let by_key = [others[2], mexico[0], others[3], brazil[0], others[0], others[1]];
            let spain = [ANA, LUIS];
            assert_eq!(seen, [&spain[..], &by_key].concat(), "by {size}");
        }
    })
    .await;
}

#[tokio::test]
async fn many_members_are_added_and_hidden_from_another_tenant() {
    on_both(|bench| async move {
        let campaign = bench.draft("spring", &[ANA]).await;
        let many: Vec<NewMember> = (0..2_500).map(|n| somebody(&number(n), "")).collect();
        assert_eq!(bench.store.add_members(&campaign, &many).await.unwrap(), Some(2_500));
        assert_eq!(bench.counted(&campaign).await.members, 2_501);
        assert_eq!(bench.due(&campaign).await.len(), 100);
        let named = bench.store.add_campaign(bench.tenant, bench.store.ids().next(), "spring", "{}").await.unwrap();
        assert_eq!(named.unwrap_err(), NotAdded::Named);
        let other = bench.other().await;
        assert!(other.store.campaigns(other.tenant, None, 9).await.unwrap().is_empty());
        assert!(other.store.campaign(other.tenant, campaign.id).await.unwrap().is_none());
        let theirs = Campaign { tenant: other.tenant, ..campaign.clone() };
        assert_eq!(other.counted(&theirs).await, Statistics::default());
        assert!(other.due(&theirs).await.is_empty());
        assert!(!other.becomes(&theirs, CampaignState::Draft, CampaignState::Running).await);
        other.draft("spring", &[ANA]).await;
        assert!(bench.store.running_campaigns().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn of_two_processes_one_plans_the_tries() {
    on_both(|bench| async move {
        let campaign = bench.running("spring", &[ANA, LUIS]).await;
        let (one, other) = tokio::join!(bench.try_all(&campaign, Channel::Sms), bench.try_all(&campaign, Channel::Sms));
        assert!(one ^ other, "{one} {other}");
        // A later call tries nobody.
        assert!(!bench.try_all(&campaign, Channel::Sms).await);
        let statistics = bench.counted(&campaign).await;
        assert_eq!((statistics.trying, statistics.waiting, statistics.tries), (2, 0, 2));
        assert_eq!(bench.claim().await.len(), 2);
        assert_eq!(bench.claim().await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_member_is_tried_again_when_it_is_time_and_each_message_counts_once() {
    on_both(|bench| async move {
        let campaign = bench.running("spring", &[ANA, LUIS]).await;
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        let claimed = bench.claim().await;
        bench.try_sent_as(&claimed[0], "SM1").await;
        assert!(bench.end(&claimed[1], AttemptResult::Failed, Some(30_008)).await);
        let first = bench.ended(&campaign).await;
        assert_eq!(first.iter().map(|one| one.state.as_str()).collect::<Vec<_>>(), ["sent", "failed"]);
        let again = bench.now().plus(Duration::from_secs(60));
        bench
            .settle_as(&campaign, |one| match one.state.as_str() {
                "sent" => done("sent"),
                _ => MemberEnd::Again { at: again, outcome: "failed".to_owned(), counts: true },
            })
            .await;
        assert!(bench.ended(&campaign).await.is_empty());
        assert!(bench.due(&campaign).await.is_empty(), "not yet");
        assert_eq!(bench.store.campaign_outlook(&campaign).await.unwrap(), (0, Some(again)));
        bench.pass(60);
        let campaign = bench.stands(&campaign).await;
        let [member] = &bench.due(&campaign).await[..] else { panic!("one waits") };
        assert_eq!((member.n, member.phone.as_str()), (1, LUIS));
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        // A repeated report of the first try leaves the second one alone.
        let late: Vec<_> = first.into_iter().map(|one| (one, done("late"))).collect();
        bench.store.end_tries(&campaign, &late).await.unwrap();
        assert_eq!(bench.counted(&campaign).await.trying, 1);
        let claimed = bench.claim().await;
        bench.try_sent_as(&claimed[0], "SM2").await;
        bench.settle_as(&campaign, |_| done("sent")).await;
        let statistics = bench.counted(&campaign).await;
        assert_eq!((statistics.done, statistics.tries), (2, 3));
        assert_eq!(statistics.outcomes, outcomes(&[("sent", 2)]));
        assert_eq!(statistics.messages, outcomes(&[("failed", 1), ("queued", 2)]));
    })
    .await;
}

#[tokio::test]
async fn a_paused_campaign_withdraws_tries_that_have_not_begun() {
    on_both(|bench| async move {
        let campaign = bench.running("spring", &[ANA]).await;
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        let begun = bench.claim().await;
        bench.store.add_members(&campaign, &[somebody(LUIS, "")]).await.unwrap();
        let campaign = bench.stands(&campaign).await;
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        let withdrawn =
            bench.store.campaign_members(&campaign, None, 9).await.unwrap()[1].action.expect("it is planned");
        assert!(bench.becomes(&campaign, CampaignState::Running, CampaignState::Paused).await);
        assert!(!bench.becomes(&campaign, CampaignState::Running, CampaignState::Done).await, "it does not run");
        assert_eq!(bench.state(withdrawn).await, "blocked");
        let statistics = bench.counted(&campaign).await;
        assert_eq!((statistics.trying, statistics.waiting, statistics.tries), (1, 1, 1));
        let paused = bench.stands(&campaign).await;
        assert!(!bench.try_all(&paused, Channel::Sms).await, "nobody is tried while it is paused");
        bench.try_sent_as(&begun[0], "SM1").await;
        assert!(bench.becomes(&paused, CampaignState::Paused, CampaignState::Running).await);
        let campaign = bench.stands(&campaign).await;
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        let again = bench.store.campaign_members(&campaign, None, 9).await.unwrap()[1].action.expect("it is planned");
        assert_ne!(again, withdrawn);
        assert_eq!(bench.claim().await.len(), 1);
        assert_eq!(bench.counted(&campaign).await.tries, 2);
    })
    .await;
}

fn report(bench: &Bench, claimed: &Claimed, sid: &str, status: CallStatus) -> CallReport {
    let peer = claimed.send.recipient.clone();
    let caller = Caller {
        tenant: bench.tenant,
        account: None,
        sid: sid.to_owned(),
        direction: CallDirection::Out,
        phone: Phone::parse(&peer).ok(),
        peer,
        number: OURS.to_owned(),
        action: Some(claimed.send.id),
        status,
        answered_by: None,
    };
    CallReport {
        caller,
        duration_s: Some(17),
        recording: None,
        error_code: None,
        detail: None,
        silence_is_missed: false,
        tell_later: false,
        at: bench.now(),
    }
}

#[tokio::test]
async fn a_call_counts_once_and_an_open_call_is_found() {
    on_both(|bench| async move {
        let campaign = bench.running("spring", &[ANA, LUIS]).await;
        assert!(bench.try_all(&campaign, Channel::Voice).await);
        let claimed = bench.claim().await;
        bench.try_sent_as(&claimed[0], "CA1").await;
        bench.try_sent_as(&claimed[1], "CA2").await;
        assert!(bench.ended(&campaign).await.is_empty(), "calls that were begun have not ended");
        let later = bench.now().plus(Duration::from_secs(1));
        let open = async || {
            let open = bench.store.open_calls(later, None, 9).await.unwrap();
            open.into_iter().map(|call| call.sid).collect::<Vec<_>>()
        };
        assert_eq!(open().await, ["CA1", "CA2"]);
        for status in [CallStatus::Completed, CallStatus::Ringing, CallStatus::Completed, CallStatus::Busy] {
            bench.store.writer().call(report(&bench, &claimed[0], "CA1", status)).await.unwrap();
        }
        let ended = bench.ended(&campaign).await;
        let [one] = &ended[..] else { panic!("one has ended: {ended:?}") };
        assert_eq!((one.call.as_deref(), one.tries), (Some("completed"), 1));
        assert_eq!(open().await, ["CA2"]);
        bench.settle_as(&campaign, |_| done("completed")).await;
        let busy = bench.store.writer().call(report(&bench, &claimed[1], "CA2", CallStatus::Busy)).await.unwrap();
        assert_eq!(busy, Reported::Ended);
        let statistics = bench.counted(&campaign).await;
        assert_eq!(statistics.calls, outcomes(&[("busy", 1), ("completed", 1)]));
        assert_eq!((statistics.done, statistics.trying, statistics.talked_s), (1, 1, 34));
    })
    .await;
}

#[tokio::test]
async fn held_and_long_unknown_tries_take_no_place() {
    on_both(|bench| async move {
        let phones: Vec<String> = (1..=4).map(number).collect();
        let campaign = bench.running("spring", &phones.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(bench.try_all(&campaign, Channel::Voice).await);
        let under_way = async |forgotten| bench.store.tries_under_way(&campaign, forgotten).await.unwrap();
        assert_eq!(under_way(bench.now()).await, 4);
        let held = phones[0].clone();
        let judge = move |candidate: &Candidate, _| match candidate.send.recipient == held {
            true => Gate::Hold("loop guard".to_owned()),
            false => Gate::Pass,
        };
        let claimed = bench.claim_if(Arc::new(judge)).await;
        assert_eq!((claimed.len(), under_way(bench.now()).await), (3, 3), "held");
        let begun = bench.now();
        assert!(bench.end(&claimed[0], AttemptResult::Unknown { look_at: begun.plus(DAY) }, None).await);
        bench.try_sent_as(&claimed[1], "CA2").await;
        assert_eq!(under_way(begun).await, 3, "it may be under way");
        assert_eq!(under_way(begun.plus(Duration::from_micros(1))).await, 2, "the provider would have reported it");
        assert!(bench.becomes(&campaign, CampaignState::Running, CampaignState::Cancelled).await);
        let members = bench.store.campaign_members(&campaign, None, 9).await.unwrap();
        let states: Vec<(&str, i32)> = members.iter().map(|one| (one.state.as_str(), one.tries)).collect();
        assert_eq!(states, [("waiting", 0), ("trying", 1), ("trying", 1), ("trying", 1)]);
        assert_eq!(bench.counted(&campaign).await.calls, outcomes(&[("queued", 1)]));
    })
    .await;
}

#[tokio::test]
async fn a_list_of_campaigns_has_pages() {
    on_both(|bench| async move {
        for n in 0..5 {
            bench.draft(&format!("c{n}"), &[]).await;
            bench.pass(1);
        }
        bench.other().await.draft("theirs", &[]).await;
        for size in 1..=6 {
            let (mut seen, mut after) = (Vec::new(), None);
            // There are more pages than there can be.
            for _ in 0..20 {
                let page = bench.store.campaigns(bench.tenant, after, size).await.unwrap();
                assert!(page.len() <= size);
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                seen.extend(page.into_iter().map(|campaign| campaign.name));
            }
            assert_eq!(seen, ["c4", "c3", "c2", "c1", "c0"], "by {size}");
        }
    })
    .await;
}

/// Removes the old rows before `before`, as a purge does.
async fn purge(bench: &Bench, before: Timestamp) -> u64 {
    let gone = bench.store.remove_old_campaigns(bench.tenant, before, false).await.unwrap();
    bench.store.remove_old(bench.tenant, before, None, false).await.unwrap();
    gone
}

#[tokio::test]
async fn the_retention_of_a_campaign_begins_at_its_end() {
    on_both(|bench| async move {
        let campaign = bench.campaigned("spring").await;
        let draft = bench.draft("draft", &[ANA]).await;
        bench.pass(30 * 24 * 3_600);
        let running = bench.counted(&campaign).await;
        assert_eq!(purge(&bench, bench.now()).await, 0);
        assert_eq!(bench.counted(&campaign).await, running, "what runs keeps what it counts");
        assert_eq!(running.messages, outcomes(&[("queued", 1)]));
        assert!(bench.becomes(&campaign, CampaignState::Running, CampaignState::Cancelled).await);
        assert_eq!(purge(&bench, bench.now().minus(DAY)).await, 0);
        assert_eq!(bench.counted(&campaign).await, running, "it has just ended");
        bench.pass(10 * 24 * 3_600);
        let counted = bench.store.remove_old(bench.tenant, bench.now().minus(DAY), None, true).await.unwrap().removed;
        assert_eq!((counted.events, counted.actions, counted.messages), (1, 1, 1), "a dry run counts it");
        assert_eq!(purge(&bench, bench.now().minus(DAY)).await, 1);
        assert!(bench.store.campaign(bench.tenant, campaign.id).await.unwrap().is_none());
        assert_eq!(bench.counted(&campaign).await, Statistics::default());
        assert!(bench.store.event(bench.tenant, campaign.event()).await.unwrap().is_none());
        assert_eq!(bench.counted(&draft).await.waiting, 1, "a draft is still to begin");
        assert!(bench.store.event(bench.tenant, draft.event()).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn an_erased_customer_is_in_no_campaign() {
    on_both(|bench| async move {
        let campaign = bench.running("spring", &[ANA, LUIS]).await;
        assert!(bench.try_all(&campaign, Channel::Sms).await);
        let key = Phone::parse(ANA).unwrap().key();
        bench.store.erase_contact(bench.tenant, &key).await.expect("it can be erased");
        let mut bytes = Vec::new();
        export::export(&bench.store, "demo", &mut bytes).await.expect("it can be exported");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(&ANA[1..]) && text.contains(&LUIS[1..]), "{text}");
        let claimed = bench.claim().await;
        let [luis] = &claimed[..] else { panic!("{claimed:?}") };
        assert_eq!(luis.send.recipient, LUIS);
        assert_eq!(bench.counted(&campaign).await.members, 1);
    })
    .await;
}
