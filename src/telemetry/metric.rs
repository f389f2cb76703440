//! The names of the metrics. Labels have few values and never contain a number, a tenant or an id.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Answered webhooks, by `route` (its pattern, not the path) and HTTP `status`.
pub const WEBHOOKS_TOTAL: &str = "recado_webhooks_total";
/// Open connections of clients.
pub const CONNECTIONS_OPEN: &str = "recado_connections_open";
/// Connections that the server has closed, by `cause`: header, body, write, idle, full.
pub const CONNECTIONS_CLOSED_TOTAL: &str = "recado_connections_closed_total";
/// Connections that could not be accepted. Alert above zero.
pub const ACCEPT_ERRORS_TOTAL: &str = "recado_accept_errors_total";
/// Time from a webhook's verified form to its stored event.
pub const INGEST_SECONDS: &str = "recado_ingest_seconds";
pub const EVENTS_DECIDED_TOTAL: &str = "recado_events_decided_total";
/// Timers that became events.
pub const TIMERS_FIRED_TOTAL: &str = "recado_timers_fired_total";
pub const RULE_ERRORS_TOTAL: &str = "recado_rule_errors_total";
/// Actions that rules requested, by `kind`.
pub const ACTIONS_TOTAL: &str = "recado_actions_total";
/// Send requests to the provider, by `outcome`: sent, retry, failed, unknown.
pub const SENDS_TOTAL: &str = "recado_sends_total";
/// Response time of the provider.
pub const PROVIDER_SECONDS: &str = "recado_provider_seconds";
pub const BACKLOG_EVENTS: &str = "recado_backlog_events";
pub const BACKLOG_ACTIONS: &str = "recado_backlog_actions";
/// Sends of unknown outcome. Alert if it stays above zero.
pub const UNKNOWN_ACTIONS: &str = "recado_unknown_actions";
/// Provider accounts whose credentials are refused. Alert above zero.
pub const PAUSED_ACCOUNTS: &str = "recado_paused_accounts";
/// Requests that shared one commit.
pub const WRITER_BATCH_REQUESTS: &str = "recado_writer_batch_requests";
pub const WRITER_COMMIT_SECONDS: &str = "recado_writer_commit_seconds";

/// Ended calls, each once, by `status`.
pub const CALLS_ENDED_TOTAL: &str = "recado_calls_ended_total";
/// Answers to callers, by `how` they were found: rules, call, agent, greeting, model, fallback.
pub const CALL_TURNS_TOTAL: &str = "recado_call_turns_total";
/// Response time of the conversation model, its tool calls included.
pub const MODEL_SECONDS: &str = "recado_model_seconds";
/// Open live conversations.
pub const STREAMS_OPEN: &str = "recado_streams_open";
/// Time from a call's webhook to its answer.
pub const CALL_ANSWER_SECONDS: &str = "recado_call_answer_seconds";
/// Rule evaluations in calls that ended in an error: the caller hears something else. Alert above zero.
pub const CALL_RULE_ERRORS_TOTAL: &str = "recado_call_rule_errors_total";
/// Calls answered with the fallback text. Alert above zero.
pub const CALL_FALLBACKS_TOTAL: &str = "recado_call_fallbacks_total";
pub const CAMPAIGN_TRIES_TOTAL: &str = "recado_campaign_tries_total";

/// From half a millisecond (a commit) to the deadline of a provider request.
pub const SECONDS_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
pub const REQUESTS_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Registers the help text of every metric with the current recorder.
pub fn describe() {
    describe_counter!(WEBHOOKS_TOTAL, "Webhooks answered, by route and HTTP status.");
    describe_gauge!(CONNECTIONS_OPEN, "Open connections of clients.");
    describe_counter!(CONNECTIONS_CLOSED_TOTAL, "Connections that the server has closed, by cause.");
    describe_counter!(ACCEPT_ERRORS_TOTAL, "Connections that could not be accepted; alert above zero.");
    describe_histogram!(INGEST_SECONDS, Unit::Seconds, "Time from a webhook's verified form to its stored event.");
    describe_counter!(EVENTS_DECIDED_TOTAL, "Events that the rules have decided.");
    describe_counter!(TIMERS_FIRED_TOTAL, "Timers that fell due and became events.");
    describe_counter!(RULE_ERRORS_TOTAL, "Rule evaluations that ended in an error.");
    describe_counter!(ACTIONS_TOTAL, "Actions that rules requested, by kind.");
    describe_counter!(SENDS_TOTAL, "Send requests to the provider, by outcome.");
    describe_histogram!(PROVIDER_SECONDS, Unit::Seconds, "Response time of the provider.");
    describe_gauge!(BACKLOG_EVENTS, "Events that wait for a decision.");
    describe_gauge!(BACKLOG_ACTIONS, "Actions that are due and wait to be performed.");
    describe_gauge!(UNKNOWN_ACTIONS, "Sends of unknown outcome; alert if it stays above zero.");
    describe_gauge!(PAUSED_ACCOUNTS, "Accounts whose credentials are refused; alert above zero.");
    describe_histogram!(WRITER_BATCH_REQUESTS, Unit::Count, "Requests that shared one commit.");
    describe_counter!(CALLS_ENDED_TOTAL, "Ended calls, each once, by status.");
    describe_counter!(CALL_TURNS_TOTAL, "Answers to callers, by how they were found.");
    describe_histogram!(
        MODEL_SECONDS,
        Unit::Seconds,
        "Response time of the conversation model, its tool calls included."
    );
    describe_gauge!(STREAMS_OPEN, "Open live conversations.");
    describe_histogram!(CALL_ANSWER_SECONDS, Unit::Seconds, "Time from a call's webhook to its answer.");
    describe_counter!(CALL_RULE_ERRORS_TOTAL, "Rule evaluations in calls that ended in an error; alert above zero.");
    describe_counter!(CALL_FALLBACKS_TOTAL, "Calls answered with the fallback text.");
    describe_counter!(CAMPAIGN_TRIES_TOTAL, "Calls and messages that campaigns have planned.");
    describe_histogram!(WRITER_COMMIT_SECONDS, Unit::Seconds, "Duration of a group commit.");
}
