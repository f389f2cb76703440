//! The consent of customers: opt-outs of text messages, WhatsApp's window, members of the sandbox.
//!
//! After <https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out> (the default handling),
//! <https://www.twilio.com/docs/api/errors/63016>, <https://www.twilio.com/docs/whatsapp/sandbox>.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::store::bare;
use crate::domain::Timestamp;
use crate::domain::channel::{Channel, OptOut};
use crate::domain::opt_out::{self, OptOutWord};

/// Twilio's shared WhatsApp number, which only sends to its members.
pub const SANDBOX: &str = "+14155238886";
/// The word after `join ` that makes a customer a member of the sandbox.
pub const SANDBOX_CODE: &str = "recado-demo";
const SANDBOX_FOR: Duration = Duration::from_secs(3 * 24 * 3_600);
const WINDOW: Duration = Duration::from_secs(24 * 3_600);
/// Limit of number and customer pairs in each list.
const PAIRS_MAX: usize = 100_000;

const NOT_JOINED: u32 = 63015;
const OUTSIDE_WINDOW: u32 = 63016;

const STOPPED: &str = "You have successfully been unsubscribed. You will not receive any more messages from this number. \
                       Reply START to resubscribe.";
const STARTED: &str = "You have successfully been re-subscribed to messages from this number. Reply HELP for help. \
                       Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
const HELP: &str = "Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
const JOINED: &str =
    "Twilio Sandbox: You are all set! The sandbox can now send/receive messages. Reply stop to leave it.";
const LEFT: &str = "Twilio Sandbox: You have left the sandbox.";

/// The emulator's handling of a customer's message, before the webhook.
#[derive(Debug, PartialEq, Eq)]
pub struct ConsentResult {
    /// The emulator's own answer.
    pub answer: Option<String>,
    /// True if the webhook is posted.
    pub posts_webhook: bool,
}

impl ConsentResult {
    const fn quietly() -> Self {
        Self { answer: None, posts_webhook: true }
    }
}

/// A sender and a customer, without the channel's prefix.
type Pair = (String, String);

#[derive(Default)]
struct Lists {
    opted_out: HashSet<Pair>,
    /// When a customer last wrote to a WhatsApp number.
    whatsapp: HashMap<Pair, Timestamp>,
    /// When a customer joined the sandbox.
    joined: HashMap<String, Timestamp>,
}

/// The consent of all customers.
#[derive(Default)]
pub struct Consent(Mutex<Lists>);

impl Consent {
    /// Handles a customer's message; addresses have Twilio's format.
    pub fn receive(&self, from: &str, to: &str, body: &str, now: Timestamp) -> ConsentResult {
        let pair = (bare(to).to_owned(), bare(from).to_owned());
        let spec = Channel::of_address(to).0.spec();
        if spec.opt_out == OptOut::WordAnsweredByTwilio {
            return self.apply_opt_out_word(pair, body);
        }
        if spec.session_window.is_none() {
            return ConsentResult::quietly();
        }
        if pair.0 == SANDBOX
            && let Some(answer) = self.apply_sandbox_word(&pair.1, body, now)
        {
            return ConsentResult { answer: Some(answer), posts_webhook: false };
        }
        self.open_whatsapp_window(pair, now);
        ConsentResult::quietly()
    }

    /// Records a message that came in outside the emulator: its sender joins the sandbox, and gets no answer.
    pub fn record(&self, from: &str, to: &str, body: &str, now: Timestamp) {
        let pair = (bare(to).to_owned(), bare(from).to_owned());
        let spec = Channel::of_address(to).0.spec();
        if spec.session_window.is_some() {
            if pair.0 == SANDBOX {
                self.lock().joined.insert(pair.1.clone(), now);
            }
            self.open_whatsapp_window(pair, now);
        } else if spec.opt_out == OptOut::WordAnsweredByTwilio {
            self.apply_opt_out_word(pair, body);
        }
    }

    /// True if Twilio refuses texts from this sender to this customer (21610).
    pub fn opted_out(&self, from: &str, to: &str) -> bool {
        self.lock().opted_out.contains(&(bare(from).to_owned(), bare(to).to_owned()))
    }

    /// Returns Twilio's code if a WhatsApp message cannot be delivered.
    pub fn refusal(&self, from: &str, to: &str, template: bool, now: Timestamp) -> Option<u32> {
        let (from, to) = (bare(from), bare(to));
        let lists = self.lock();
        let fresh = |at: Option<&Timestamp>, within| at.is_some_and(|at| now.since(*at) < within);
        if from == SANDBOX && !fresh(lists.joined.get(to), SANDBOX_FOR) {
            return Some(NOT_JOINED);
        }
        let open = template || fresh(lists.whatsapp.get(&(from.to_owned(), to.to_owned())), WINDOW);
        (!open).then_some(OUTSIDE_WINDOW)
    }

    /// Handles STOP and START. The answer is only sent if they change something, so that two machines do not answer
    /// each other forever.
    fn apply_opt_out_word(&self, pair: Pair, body: &str) -> ConsentResult {
        let Some(found) = opt_out::recognise(body).filter(|found| found.twilio_handles_on_sms) else {
            return ConsentResult::quietly();
        };
        let mut lists = self.lock();
        let answer = match found.word {
            OptOutWord::Help => Some(HELP),
            OptOutWord::Start => lists.opted_out.remove(&pair).then_some(STARTED),
            OptOutWord::Stop if lists.opted_out.len() >= PAIRS_MAX => None,
            OptOutWord::Stop => lists.opted_out.insert(pair).then_some(STOPPED),
        };
        ConsentResult { answer: answer.map(str::to_owned), posts_webhook: true }
    }

    fn apply_sandbox_word(&self, customer: &str, body: &str, now: Timestamp) -> Option<String> {
        let text = body.trim().to_lowercase();
        let joined = self.lock().joined.get(customer).is_some_and(|at| now.since(*at) < SANDBOX_FOR);
        if text.strip_prefix("join ").is_some_and(|code| code.trim() == SANDBOX_CODE) {
            self.lock().joined.insert(customer.to_owned(), now);
            self.open_whatsapp_window((SANDBOX.to_owned(), customer.to_owned()), now);
            return Some(JOINED.to_owned());
        }
        if !joined {
            return Some(format!(
                "Twilio Sandbox: Your number whatsapp:{customer} is not connected to a sandbox. You need to connect it \
                 first by sending join {SANDBOX_CODE}"
            ));
        }
        (text == "stop").then(|| {
            self.lock().joined.remove(customer);
            LEFT.to_owned()
        })
    }

    fn open_whatsapp_window(&self, pair: Pair, now: Timestamp) {
        let mut lists = self.lock();
        if lists.whatsapp.len() >= PAIRS_MAX {
            lists.whatsapp.retain(|_, at| now.since(*at) < WINDOW);
            lists.joined.retain(|_, at| now.since(*at) < SANDBOX_FOR);
        }
        if lists.whatsapp.len() < PAIRS_MAX {
            lists.whatsapp.insert(pair, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOMER: &str = "+34600111222";
    const OURS: &str = "+34911222333";

    fn now(seconds: u64) -> Timestamp {
        Timestamp::from_unix_us(1_800_000_000_000_000).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn stop_holds_until_start_and_is_answered_once() {
        let consent = Consent::default();
        let receive = |body: &str| consent.receive(CUSTOMER, OURS, body, now(0));
        assert_eq!(receive("please stop it"), ConsentResult::quietly());
        assert_eq!(receive("Stop").answer.as_deref(), Some(STOPPED));
        assert_eq!(receive("STOP"), ConsentResult::quietly());
        assert!(consent.opted_out(OURS, CUSTOMER) && !consent.opted_out("+34911222444", CUSTOMER));
        assert_eq!(receive("HELP").answer.as_deref(), Some(HELP));
        assert_eq!(receive("Start").answer.as_deref(), Some(STARTED));
        assert_eq!(receive("YES"), ConsentResult::quietly());
        assert!(!consent.opted_out(OURS, CUSTOMER));
    }

    #[test]
    fn whatsapp_is_open_for_a_day_and_to_templates_always() {
        let consent = Consent::default();
        let (from, to) = (format!("whatsapp:{OURS}"), format!("whatsapp:{CUSTOMER}"));
        let refusal = |template, seconds| consent.refusal(&from, &to, template, now(seconds));
        assert_eq!((refusal(false, 0), refusal(true, 0)), (Some(63016), None));
        assert_eq!(consent.receive(&to, &from, "STOP", now(0)), ConsentResult::quietly());
        assert_eq!((refusal(false, 24 * 3_600 - 1), refusal(false, 24 * 3_600)), (None, Some(63016)));
    }

    #[test]
    fn the_sandbox_wants_to_be_joined() {
        let consent = Consent::default();
        let (sandbox, customer) = (format!("whatsapp:{SANDBOX}"), format!("whatsapp:{CUSTOMER}"));
        let receive = |body: &str| consent.receive(&customer, &sandbox, body, now(0));
        assert!(receive("hola").answer.is_some_and(|answer| answer.contains("join recado-demo")));
        assert_eq!(consent.refusal(&sandbox, &customer, true, now(0)), Some(63015));
        assert!(!receive("Join recado-demo ").posts_webhook);
        assert_eq!(receive("hola"), ConsentResult::quietly());
        assert_eq!(consent.refusal(&sandbox, &customer, false, now(0)), None);
        assert_eq!(consent.refusal(&sandbox, &customer, true, now(3 * 24 * 3_600)), Some(63015));
        assert_eq!(receive("stop").answer.as_deref(), Some(LEFT));
        assert_eq!(consent.refusal(&sandbox, &customer, true, now(0)), Some(63015));
    }
}
