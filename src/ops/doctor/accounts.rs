//! Checks accounts at Twilio: the tokens, the state of the account, and our clock against Twilio's.

use chrono::{DateTime, Utc};

use super::{Check, Doctor, Finding, Scope, Used};
use crate::domain::Timestamp;
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{AccountResource, Balance, LookupError};
use crate::tenants::sealed_as;

/// The largest difference that is not the clock's fault: Twilio's date is to the second, and an answer takes time.
const CLOCK_MAX_S: u64 = 60;
/// The lowest good balance, in the account's currency. Below it an account is soon suspended (error 30002).
const BALANCE_LOW: f64 = 5.0;

impl Doctor<'_> {
    /// Checks for tokens of tenants that do not open under the present key.
    pub(super) async fn sealed_tokens(&self, scope: &Scope) -> Vec<Finding> {
        let rows = match self.store.directory().await {
            Ok((_, rows, _)) => rows,
            Err(error) => return vec![Finding::error(Check::Account, "tenants", error.to_string())],
        };
        let mut findings = Vec::new();
        for row in rows.iter().filter(|row| scope.tenant.as_ref().is_none_or(|only| only.id.uuid() == row.id)) {
            for (column, sealed) in
                [("auth_token", &row.auth_token), ("auth_token_secondary", &row.auth_token_secondary)]
            {
                let Some(Err(error)) =
                    sealed.as_ref().map(|sealed| self.directory.key().open(sealed, &sealed_as(row.id, column)))
                else {
                    continue;
                };
                let subject = row.account_sid.clone().unwrap_or_default();
                let says = format!("its {column} does not open: {error}");
                findings.push(
                    Finding::error(Check::Account, subject, says)
                        .for_tenant(&row.slug)
                        .remedy(format!("put the earlier key back, or: recado tenant credentials {}", row.slug)),
                );
            }
        }
        findings
    }

    /// Checks an account. Tells also whether its token is good for more questions.
    pub(super) async fn account(&self, used: &Used, clock_seen: &mut bool) -> (Vec<Finding>, bool) {
        let answered = self.client.fetch_account(&used.credentials).await;
        let mut findings = Vec::new();
        if let (Some(date), false) = (answered.date, *clock_seen) {
            *clock_seen = true;
            findings.push(judge_clock(self.clock.now(), date));
        }
        let account = match answered.result {
            Ok(account) => account,
            Err(error) => {
                findings.push(self.of_account(used, refused(used, &error)));
                return (findings, false);
            }
        };
        findings.push(self.of_account(used, judge_standing(&account)));
        if account.kind.eq_ignore_ascii_case("trial") {
            let says = "a trial account: it sends to verified numbers only (error 21608), with a line of Twilio's before the text";
            let remedy = "verify the numbers to try with (console: Phone Numbers, Verified Caller IDs), or upgrade";
            findings.push(self.of_account(used, Finding::warning(Check::Account, &account.sid, says).remedy(remedy)));
        }
        match self.client.fetch_balance(&used.credentials).await {
            Ok(balance) => {
                findings.extend(judge_balance(&account.sid, &balance).map(|finding| self.of_account(used, finding)));
            }
            Err(error) => {
                let says = format!("its balance cannot be told, as of a subaccount: {error}");
                findings.push(self.of_account(used, Finding::note(Check::Account, &account.sid, says)));
            }
        }
        findings.extend(self.second_token(used).await);
        (findings, true)
    }

    /// Checks the token that is accepted beside the first during a rotation.
    async fn second_token(&self, used: &Used) -> Option<Finding> {
        let token = used.account.tokens.get(1)?.clone();
        let second = client::Account { sid: used.account.sid.clone(), token };
        let refused = matches!(self.client.fetch_account(&second).await.result, Err(LookupError::Unauthorized { .. }));
        let remedy = match &used.owner {
            Some(owner) => {
                format!("when the change is over: recado tenant credentials {} --secondary --remove", owner.slug)
            }
            None => "when the change is over, remove TWILIO_AUTH_TOKEN_SECONDARY".to_owned(),
        };
        let says = "Twilio does not accept its second token (any more)";
        refused.then(|| self.of_account(used, Finding::warning(Check::Account, &used.account.sid, says).remedy(remedy)))
    }

    fn of_account(&self, used: &Used, finding: Finding) -> Finding {
        match &used.owner {
            Some(owner) => finding.for_tenant(&owner.slug),
            None => finding,
        }
    }
}

fn refused(used: &Used, error: &LookupError) -> Finding {
    let sid = &used.account.sid;
    let finding = Finding::error(Check::Account, sid, error.to_string());
    match (error, &used.owner) {
        (LookupError::Unauthorized { .. } | LookupError::NotFound, Some(owner)) => finding.remedy(format!(
            "copy SID and Auth Token from the account's first page (console.twilio.com, Account Info), then: \
             recado tenant credentials {}",
            owner.slug
        )),
        (LookupError::Unauthorized { .. } | LookupError::NotFound, None) => finding.remedy(
            "copy SID and Auth Token from the account's first page (console.twilio.com, Account Info) into \
             TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, then start the server again; an API key does not do",
        ),
        _ => finding.remedy("put that right, then run 'recado doctor' again"),
    }
}

fn judge_standing(account: &AccountResource) -> Finding {
    let AccountResource { sid, friendly_name, status, .. } = account;
    match status.as_str() {
        "active" => Finding::ok(Check::Account, sid, format!("\"{friendly_name}\" is active, and the token is right")),
        "suspended" => Finding::error(Check::Account, sid, "the account is suspended: it neither sends nor receives")
            .remedy("see what Twilio wrote you; mostly the balance is to be topped up (console: Billing)"),
        _ => Finding::error(Check::Account, sid, format!("the account is {status}"))
            .remedy("use another account, or talk to Twilio"),
    }
}

fn judge_balance(sid: &str, balance: &Balance) -> Option<Finding> {
    let Balance { balance, currency } = balance;
    let left: f64 = balance.parse().ok()?;
    let says = format!("{balance} {currency} are left on it");
    let remedy = "top it up, or let Twilio do so by itself (console: Billing, Auto recharge)";
    Some(if left <= 0.0 {
        Finding::error(Check::Account, sid, says).remedy(remedy)
    } else if left < BALANCE_LOW {
        Finding::warning(Check::Account, sid, says).remedy(remedy)
    } else {
        Finding::ok(Check::Account, sid, says)
    })
}

fn judge_clock(ours: Timestamp, theirs: DateTime<Utc>) -> Finding {
    let theirs = Timestamp::from(theirs);
    let (apart_s, side) = if ours > theirs {
        (ours.since(theirs).as_secs(), "ahead of")
    } else {
        (theirs.since(ours).as_secs(), "behind")
    };
    if apart_s > CLOCK_MAX_S {
        Finding::error(Check::Clock, "this machine's clock", format!("it is {apart_s} s {side} Twilio's"))
            .remedy("set it by NTP: timedatectl set-ntp true")
    } else {
        Finding::ok(Check::Clock, "this machine's clock", "it agrees with Twilio's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::doctor::Severity;

    #[test]
    fn a_clock_is_wrong_from_a_minute_on() {
        let theirs = "2026-11-21T08:00:00Z".parse().unwrap();
        let check = |ours: &str, expect: Severity, says: &str| {
            let finding = judge_clock(Timestamp::parse(ours).unwrap(), theirs);
            assert_eq!(finding.severity, expect, "{ours}");
            assert!(finding.says.contains(says), "{}", finding.says);
        };
        check("2026-11-21T08:01:00Z", Severity::Ok, "agrees");
        check("2026-11-21T08:01:01Z", Severity::Error, "61 s ahead");
        check("2026-11-21T07:00:00Z", Severity::Error, "3600 s behind");
    }

    #[test]
    fn balances_are_weighed() {
        let check = |left: &str, expect| {
            let balance = Balance { balance: left.to_owned(), currency: "EUR".to_owned() };
            assert_eq!(judge_balance("AC1", &balance).map(|finding| finding.severity), expect, "{left}");
        };
        check("12.5", Some(Severity::Ok));
        check("4.99", Some(Severity::Warning));
        check("-0.10", Some(Severity::Error));
        check("a lot", None);
    }
}
