//! Twilio's error codes: meaning, remedy, and if a retry makes sense.
//!
//! Meanings are from <https://www.twilio.com/docs/api/errors>; the waits are our choice, unless Twilio gives one.
//!
//! **Only the answer to a create can lead to a retry.** The same code in a status callback belongs to a message that
//! Twilio has accepted. Such a message is never resent automatically: it may have reached the handset after all, or may
//! not matter any more. It fails with its code, and its `message_status` event informs the rules.

use CodeAdvice::{Config, Credentials, Final, OptOut, Reconcile};

/// The ledger's reaction to a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeAdvice {
    /// Never with this message to this number.
    Final,
    /// The recipient has opted out: record it, never send.
    OptOut,
    /// Refused for the moment: retry after `after_s`, then double the wait each time, up to a day, with 20 % jitter.
    /// `tries` includes the first one.
    RetryLater { after_s: u32, tries: u8 },
    /// Nothing passes until a person corrects the account's credentials or standing.
    Credentials,
    /// Perhaps accepted: look it up before anything else.
    Reconcile,
    /// Nothing passes until a person changes a setting of the account, the number or our webhooks.
    Config,
}

/// A code of Twilio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: u32,
    pub meaning: &'static str,
    /// The user's remedy.
    pub remedy: &'static str,
    pub advice: CodeAdvice,
}

/// Twilio refuses the account's credentials.
pub const BAD_CREDENTIALS: u32 = 20003;

/// Returns `None` for an unknown code: its HTTP status decides.
pub fn lookup(code: u32) -> Option<&'static Code> {
    TABLE.binary_search_by_key(&code, |entry| entry.code).ok().map(|at| &TABLE[at])
}

const fn code(code: u32, advice: CodeAdvice, meaning: &'static str, remedy: &'static str) -> Code {
    Code { code, meaning, remedy, advice }
}

const fn later(after_s: u32, tries: u8) -> CodeAdvice {
    CodeAdvice::RetryLater { after_s, tries }
}

const MINUTE_S: u32 = 60;
const HOUR_S: u32 = 3600;

/// In the order of the codes.
const TABLE: &[Code] = &[
    code(10004, later(30, 5), "too many calls at once", "lower the pace, or ask Twilio for a higher limit"),
    code(11200, Config, "Twilio could not fetch from our webhook", "check that the public URL answers"),
    code(
        11205,
        Config,
        "Twilio could not connect to our webhook",
        "check that the public URL is reachable from outside",
    ),
    code(11206, Config, "our webhook did not speak HTTP properly", "check the proxy before it"),
    code(11210, Config, "our webhook's host has no address", "check the name in the public URL"),
    code(11215, Config, "our webhook redirects too often", "configure the address it leads to"),
    code(11217, Config, "our webhook answered 4xx or 5xx", "see the log at that time"),
    code(11220, Config, "TLS with our webhook failed", "check the certificate and its chain"),
    code(11235, Config, "our webhook's certificate is not valid", "renew it"),
    code(11236, Config, "our webhook's certificate is not valid", "renew it"),
    code(11237, Config, "our webhook's certificate is not trusted", "install the whole chain of a public authority"),
    code(11750, Config, "our TwiML is larger than 64 kB", "shorten it"),
    code(12100, Config, "our TwiML is no XML", "report this with the webhook's answer"),
    code(12101, Config, "our TwiML has a wrong XML version", "report this with the webhook's answer"),
    code(12102, Config, "our TwiML does not begin with Response", "report this with the webhook's answer"),
    code(12200, Config, "our TwiML does not fit Twilio's schema", "report this with the webhook's answer"),
    code(12300, Config, "our webhook's answer has a wrong content type", "check the proxy before it"),
    code(BAD_CREDENTIALS, Credentials, "the credentials are wrong", "check the account's SID and auth token"),
    code(20404, Final, "there is no such resource", "check the account's SID and that of the message or call"),
    code(20429, later(1, 8), "too many requests at once; nothing was processed", "lower the rate"),
    code(20500, Reconcile, "Twilio failed, perhaps after taking it", "wait for reconciliation"),
    code(20503, later(2, 8), "Twilio is not available; nothing was processed", "see status.twilio.com if it lasts"),
    code(21205, Config, "a URL of the call is not valid", "check the public URL"),
    code(21206, Final, "the keys to send are not valid", "use digits, * # and w, 32 at most"),
    code(21210, Config, "the caller's number is not the account's", "call from a number of this account, or verify it"),
    code(21211, Final, "the recipient's number is not valid", "correct the number"),
    code(21212, Config, "the sender's number is not valid", "configure a number of this account, E.164"),
    code(21214, Final, "the called number cannot be reached", "correct the number"),
    code(21215, Config, "the account may not call this region", "enable the country under Voice, Geo permissions"),
    code(21216, Final, "Twilio blocks calls to this number", "use another number; ask Twilio why"),
    code(21217, Final, "the called number is not valid", "correct the number"),
    code(21219, Config, "a trial account calls verified numbers only", "verify the number or upgrade the account"),
    code(21220, Final, "the call is not in progress any more", "nothing is left to change: see how it ended"),
    code(21266, Final, "sender and recipient are the same number", "send to another number"),
    code(
        21408,
        Config,
        "the account may not send to this region",
        "enable the country under Messaging, Geo permissions",
    ),
    code(21421, Final, "the number to buy is not valid", "choose one that a search has found"),
    code(21422, Final, "the number to buy is not available any more", "search again and choose another"),
    code(21452, Final, "no number is for sale in this area code", "search in another area, or without one"),
    code(21602, Final, "the message is empty", "give it a text, media or a template"),
    code(21603, Config, "there is no sender", "configure a number or a Messaging Service"),
    code(21604, Final, "there is no recipient", "give the message a number"),
    code(21605, Final, "the text is longer than 1,600 letters", "shorten it"),
    code(21606, Config, "the sender cannot send such messages", "use a number of this account that can"),
    code(21607, Config, "the sender cannot send such messages", "use a number of this account that can"),
    code(21608, Config, "a trial account sends to verified numbers only", "verify the number or upgrade the account"),
    code(21609, Config, "the status callback's URL is not valid", "check the public URL"),
    code(21610, OptOut, "the recipient has opted out", "the recipient must send START to this sender"),
    code(21611, later(10 * MINUTE_S, 5), "the sender's queue is full", "lower the rate or add senders"),
    code(21612, Final, "no route from this sender to this number", "use another sender or channel"),
    code(21614, Final, "the recipient's number is not a mobile", "use another number"),
    code(21617, Final, "the text is longer than 1,600 letters", "shorten it"),
    code(21620, Final, "a media URL is not valid", "check that it can be fetched from outside"),
    code(21623, Final, "the message has more than ten media", "send fewer"),
    code(
        21631,
        Config,
        "the number can be had with an address only",
        "enter one under Phone Numbers, Addresses, and give its SID",
    ),
    code(21635, Final, "the recipient's number is a landline", "use another number"),
    code(
        21649,
        Config,
        "the number can be had with a regulatory bundle only",
        "have one approved under Phone Numbers, Regulatory compliance, and give its SID",
    ),
    code(21656, Final, "the template's variables are not valid", "compare them with the template; none may be empty"),
    code(21910, Config, "sender and recipient are not of one channel", "configure a sender for this channel"),
    code(30001, Final, "the queue overflowed", "lower the rate or add senders; send anew if it still matters"),
    code(30002, Credentials, "the account is suspended", "talk to Twilio"),
    code(30003, Final, "the handset cannot be reached", "it may be off or abroad; send anew if it still matters"),
    code(30004, Final, "the recipient's side blocks the message", "do not send again"),
    code(30005, Final, "the handset is unknown", "the number is probably no longer in use"),
    code(30006, Final, "a landline, or a carrier that cannot be reached", "use another number"),
    code(
        30007,
        Final,
        "the carrier filtered the message",
        "see the carrier's rules for the content and register the sender",
    ),
    code(30008, Final, "the carrier failed without saying why", "send anew if it still matters"),
    code(30034, Config, "the US number is not registered for A2P 10DLC", "register brand and campaign"),
    code(30036, Final, "the message's validity ran out", "send anew if it still matters"),
    code(30410, Final, "the provider timed out", "send anew if it still matters"),
    code(30450, Final, "blocked as SMS pumping", "check what makes messages go there"),
    code(30610, Final, "blocked for the quiet hours of the recipient's place", "send within permitted hours"),
    code(30640, Final, "blocked: the recipient is on a litigators' list", "do not send"),
    code(35115, Final, "the scheduled time is out of range", "choose 15 minutes to 35 days ahead"),
    code(60728, later(HOUR_S, 3), "the hourly cap is reached", "ask Twilio for a higher one"),
    code(63003, Final, "WhatsApp does not know this recipient", "use a text message"),
    code(63016, Final, "outside WhatsApp's 24-hour window", "send an approved template"),
    code(63017, later(MINUTE_S, 5), "the account's WhatsApp rate is exceeded", "lower the rate"),
    code(63018, later(4 * HOUR_S, 3), "a rate limit of the channel or of Meta is reached", "lower the rate"),
    code(63031, Final, "sender and recipient of the channel are the same", "send to another number"),
    code(63038, later(24 * HOUR_S, 2), "the daily cap is reached", "ask Twilio for a higher one"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_something() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for entry in TABLE {
            assert_eq!(lookup(entry.code), Some(entry));
            assert!(!entry.meaning.is_empty() && !entry.remedy.is_empty(), "{}", entry.code);
        }
    }

    #[test]
    fn what_matters_is_decided_right() {
        let check = |code, expect| assert_eq!(lookup(code).map(|code| code.advice), expect, "{code}");
        check(21610, Some(OptOut));
        check(20003, Some(Credentials));
        check(20500, Some(Reconcile));
        check(21211, Some(Final));
        check(63016, Some(Final));
        check(21408, Some(Config));
        check(21611, Some(later(10 * MINUTE_S, 5)));
        check(30003, Some(Final));
        check(10004, Some(later(30, 5)));
        check(21215, Some(Config));
        check(21422, Some(Final));
        check(99999, None);
    }
}
