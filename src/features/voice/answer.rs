//! Answers a turn of a call with a TwiML document, in time.

use std::sync::Arc;
use std::time::Duration;

use super::agents;
use super::compose::{Composed, Composer, Next, Streams};
use super::live_conversations::LiveConversations;
use super::model::{self, Model, ModelAnswer, PendingAnswer};
use super::render::{self, Urls};
use super::tools::{ToolCustomer, Tools};
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::event::CallData;
use crate::domain::stock_phrase::StockPhrase;
use crate::domain::{CallFacts, CallId, CallState, Clock, Phone, Step, Timestamp, VoiceAgent};
use crate::engine::Engine;
use crate::engine::pipeline::Pipeline;
use crate::engine::pipeline::call_turn::{TurnDecision, TurnOutcome};
use crate::engine::sending::transports::Transports;
use crate::integrations::chat_model::Chat;
use crate::integrations::elevenlabs::ElevenLabs;
use crate::integrations::twilio::twiml;
use crate::integrations::twilio::twiml::TwimlError;
use crate::store::{NewTurn, Store, StoreError, TurnAnswer};
use crate::telemetry::metric;
use crate::tenants::{Directory, Tenant};

/// The interval at which a repeated webhook checks whether the first has been answered.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// The part of the budget that may be spent waiting for a model. The rest is for storing the turn.
const WAIT_PERCENT: u32 = 70;
/// The most hold responses in a row: more than a model's time limit needs.
const HOLD_RESPONSES_MAX: u32 = 20;
/// The most turns of one call, so that rules that send a caller round in circles come to an end.
const TURNS_MAX: i32 = 500;

/// The TwiML document for the provider.
pub type Answer = String;

/// The call belongs to another tenant.
#[derive(Debug)]
pub struct OtherTenant;

/// Answers calls.
pub struct Voice {
    pub pipeline: Arc<Pipeline>,
    pub store: Store,
    pub directory: Arc<Directory>,
    pub clock: Clock,
    pub transports: Arc<Transports>,
    pub model: Arc<Model>,
    pub live: LiveConversations,
    pub tools: Tools,
    /// The time limit of an answer.
    budget: Duration,
    streams: Streams,
}

/// The parts of [`Voice`].
pub struct Parts {
    pub engine: Engine,
    pub budget: Duration,
    pub chat: Chat,
    pub eleven: ElevenLabs,
    /// The installation's ElevenLabs agent.
    pub eleven_agent: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Twiml(#[from] TwimlError),
    #[error("the call is another tenant's")]
    OtherTenant,
    #[error("the answer to its first asking is still looked for")]
    Pending,
    #[error("its rules were not asked in time: others' calls came first")]
    Late,
}

impl Voice {
    pub fn new(parts: Parts) -> Self {
        let Parts { engine, budget, chat, eleven, eleven_agent } = parts;
        let tools = Tools::new(&engine);
        let streams = Streams::from_config(eleven.is_configured(), eleven_agent.is_some());
        Self {
            model: Arc::new(Model::new(chat, tools.clone(), engine.clock.clone())),
            live: LiveConversations::new(&engine, eleven, eleven_agent, tools.clone()),
            pipeline: engine.pipeline,
            store: engine.store,
            directory: engine.directory,
            clock: engine.clock,
            transports: engine.transports,
            tools,
            budget,
            streams,
        }
    }

    /// Returns the settings that the agent's mode needs and the installation lacks. Until they are set, rules and the
    /// greeting answer.
    pub fn missing_settings(&self, agent: &VoiceAgent) -> Option<String> {
        agents::missing_settings(agent, self.model.is_configured(), self.streams)
    }

    /// The document for a turn. Past the budget, or on an error, it is the business's fallback text; the work that was
    /// begun goes on, so that what the caller said is kept.
    pub async fn answer(self: &Arc<Self>, tenant: &Arc<Tenant>, turn: NewTurn) -> Result<Answer, OtherTenant> {
        let begun = self.clock.now();
        let finding = tokio::spawn(self.clone().answer_turn(tenant.clone(), turn, begun));
        let found = tokio::time::timeout(self.budget, finding).await;
        self.record_latency(begun);
        let why = match found {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(NoAnswer::OtherTenant))) => return Err(OtherTenant),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(died)) => died.to_string(),
            Err(_) => format!("no answer within {} ms", self.budget.as_millis()),
        };
        tracing::warn!(tenant = %tenant.slug, %why, "a call is answered with the fallback text");
        metrics::counter!(metric::CALL_FALLBACKS_TOTAL).increment(1);
        Ok(self.fallback(tenant))
    }

    /// The fallback document. It needs no database, no rule and no model.
    pub fn fallback(&self, tenant: &Tenant) -> Answer {
        let call = CallFacts::default();
        let composer = self.composer(tenant, &call);
        let steps = [Step::say(composer.fallback()), Step::Hangup];
        let urls =
            Urls { of_tenant: WebhookUrls::new(&self.directory.platform().app_url, &tenant.slug), n: 0, stream: None };
        // Two short verbs always fit into a document.
        render::render(&composer, &steps, &urls).unwrap_or_else(|_| twiml::EMPTY_RESPONSE.to_owned())
    }

    /// The document for a caller in a queue: the position, and music. A key leaves the queue.
    pub fn queue_document(&self, tenant: &Tenant, position: Option<u32>, leaves: bool) -> Answer {
        let call = CallFacts::default();
        render::queue_document(&self.composer(tenant, &call), position, leaves)
            .unwrap_or_else(|_| twiml::EMPTY_RESPONSE.to_owned())
    }

    /// True if the end of a call is reported later, after its conversation was stored and summarized.
    pub fn reports_end_later(&self) -> bool {
        self.model.is_configured() || self.streams != Streams::No
    }

    /// The document for a caller who waits for an answer: the answer, or another hold response.
    pub async fn answer_or_hold(self: &Arc<Self>, tenant: &Arc<Tenant>, sid: &str, n: i32, round: u32) -> Answer {
        let begun = self.clock.now();
        let looked =
            tokio::time::timeout(self.budget, self.clone().find_pending_answer(tenant, sid, n, round, begun)).await;
        self.record_latency(begun);
        let why = match looked {
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) => error.to_string(),
            Err(_) if round < HOLD_RESPONSES_MAX => {
                match self.hold_response(tenant, &CallFacts::default(), n, round.max(1)) {
                    Ok(answer) => return answer,
                    Err(error) => error.to_string(),
                }
            }
            Err(_) => format!("no answer within {} ms", self.budget.as_millis()),
        };
        tracing::warn!(tenant = %tenant.slug, %why, "a call is answered with the fallback text");
        metrics::counter!(metric::CALL_FALLBACKS_TOTAL).increment(1);
        self.fallback(tenant)
    }

    fn hold_response(&self, tenant: &Tenant, call: &CallFacts, n: i32, round: u32) -> Result<Answer, NoAnswer> {
        let base = &self.directory.platform().app_url;
        let urls = Urls { of_tenant: WebhookUrls::new(base, &tenant.slug), n, stream: None };
        Ok(render::hold_response(&self.composer(tenant, call), &urls, round)?)
    }

    async fn find_pending_answer(
        self: Arc<Self>,
        tenant: &Arc<Tenant>,
        sid: &str,
        n: i32,
        round: u32,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let call = self.store.call_by_sid(tenant.id, sid).await?;
        let Some(call) = call else { return Ok(self.fallback(tenant)) };
        if let Some(answer) = self.store.turn_answer(tenant.id, call.id, n).await? {
            return self.document(tenant, &call, &call.state, n, &answer);
        }
        match self.model.pending(call.id, n) {
            Some(pending) => self.wait_for_model(tenant, &call, n, pending, round, begun).await,
            // The process that asked the model has ended, so the caller is asked again.
            None => {
                let composer = self.composer(tenant, &call);
                let composed =
                    composer.model_reply(&composer.stock_phrase(StockPhrase::NotUnderstood), call.state.clone());
                self.store_answer(tenant, &call, n, composed, begun).await
            }
        }
    }

    async fn answer_turn(
        self: Arc<Self>,
        tenant: Arc<Tenant>,
        turn: NewTurn,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let (kind, data) = (turn.kind.clone(), turn.data.clone());
        let wait = self.budget * WAIT_PERCENT / 100;
        // A stream that does not end is not waited for, so that the answer comes in time.
        let _ = tokio::time::timeout(wait / 2, self.live.wait_stored(&turn.caller.sid)).await;
        let decision = match self.pipeline.turn(&tenant, turn, begun.plus(wait)).await? {
            TurnOutcome::New(decision) => *decision,
            TurnOutcome::Late { call, n } => {
                let composed = self.fallback_turn(&tenant, call.state.clone());
                self.store_answer(&tenant, &call, n, composed, begun).await?;
                return Err(NoAnswer::Late);
            }
            TurnOutcome::Repeat { call, n, answer } => return self.repeat(&tenant, call, n, answer, begun).await,
            TurnOutcome::OtherTenant => return Err(NoAnswer::OtherTenant),
        };
        let call = decision.call();
        // The turns of a live conversation do not count.
        if decision.n - call.streamed.abs() > TURNS_MAX {
            tracing::warn!(tenant = %tenant.slug, call = %call.sid, "a call ends after {TURNS_MAX} turns");
            let steps =
                vec![Step::say(self.composer(&tenant, &call).stock_phrase(StockPhrase::Farewell)), Step::Hangup];
            let composed = Composed { steps, state: call.state.clone(), how: "fallback" };
            return self.say_and_store(&tenant, &call, decision, composed, begun).await;
        }
        let next = self.composer(&tenant, &call).compose(&kind, &data, decision.steps.clone(), decision.failed);
        match next {
            Next::Say(composed) => self.say_and_store(&tenant, &call, decision, *composed, begun).await,
            Next::Ask => self.ask_model(&tenant, &call, decision, &data, begun).await,
        }
    }

    /// Stores the turn, and returns its document.
    async fn say_and_store(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        decision: TurnDecision,
        composed: Composed,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let n = decision.n;
        let document = self.document(tenant, call, &composed.state, n, &composed.steps)?;
        let answer = self.turn_answer_of(call, n, self.unless_late(tenant, composed, begun), begun);
        self.pipeline.commit_turn(decision, Some(answer)).await?;
        Ok(document)
    }

    /// Asks the model for an answer. The rules' other actions are stored at once.
    async fn ask_model(
        &self,
        tenant: &Arc<Tenant>,
        call: &CallFacts,
        decision: TurnDecision,
        data: &CallData,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let n = decision.n;
        let prompt = Model::prompt(&self.composer(tenant, call), &data.body, self.clock.now());
        let customer = ToolCustomer { tenant: tenant.clone(), phone: Phone::parse(&call.peer).ok() };
        let Some(pending) = self.model.begin(call.id, n, prompt, customer) else {
            let composed = self.composer(tenant, call).hand_to_person(call.state.clone());
            return self.say_and_store(tenant, call, decision, composed, begun).await;
        };
        self.pipeline.commit_turn(decision, None).await?;
        self.wait_for_model(tenant, call, n, pending, 0, begun).await
    }

    /// Returns the model's answer if it comes in time, else a hold response.
    async fn wait_for_model(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        n: i32,
        pending: PendingAnswer,
        round: u32,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let wait = (self.budget * WAIT_PERCENT / 100).saturating_sub(self.clock.now().since(begun));
        let Ok(pending) = tokio::time::timeout(wait, model::wait_for_answer(pending)).await else {
            return self.hold_response(tenant, call, n, round);
        };
        let composer = self.composer(tenant, call);
        let composed = match pending {
            ModelAnswer::Says { text, chat } => {
                composer.model_reply(&text, CallState { chat, waiting: None, ..call.state.clone() })
            }
            ModelAnswer::HandsOver => composer.hand_to_person(call.state.clone()),
            ModelAnswer::Failed(why) => {
                tracing::warn!(tenant = %tenant.slug, call = %call.sid, %why, "the conversation model did not answer");
                composer.hand_to_person(call.state.clone())
            }
        };
        let answer = self.store_answer(tenant, call, n, composed, begun).await;
        // The entry goes after the turn is stored: a concurrent request finds one or the other.
        self.model.forget(call.id, n);
        answer
    }

    /// Stores the answer of a turn whose decision is stored, and returns its document.
    async fn store_answer(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        n: i32,
        composed: Composed,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let document = self.document(tenant, call, &composed.state, n, &composed.steps)?;
        let answer = self.turn_answer_of(call, n, composed, begun);
        self.store.writer().said(tenant.id, answer).await?;
        Ok(document)
    }

    /// Returns the document for the caller. Past the budget they have already heard the fallback text, and the call has
    /// ended.
    fn unless_late(&self, tenant: &Tenant, composed: Composed, begun: Timestamp) -> Composed {
        if self.clock.now().since(begun) < self.budget {
            return composed;
        }
        self.fallback_turn(tenant, composed.state)
    }

    fn fallback_turn(&self, tenant: &Tenant, state: CallState) -> Composed {
        let text = self.composer(tenant, &CallFacts::default()).fallback();
        Composed { steps: vec![Step::say(text), Step::Hangup], state, how: "fallback" }
    }

    fn record_latency(&self, begun: Timestamp) {
        let took = self.clock.now().since(begun);
        metrics::histogram!(metric::CALL_ANSWER_SECONDS).record(took.as_secs_f64());
    }

    fn turn_answer_of(&self, call: &CallFacts, n: i32, composed: Composed, begun: Timestamp) -> TurnAnswer {
        metrics::counter!(metric::CALL_TURNS_TOTAL, "how" => composed.how).increment(1);
        let took = self.clock.now().since(begun).as_millis();
        TurnAnswer {
            call: call.id,
            n,
            steps: composed.steps,
            how: composed.how,
            took_ms: u32::try_from(took).unwrap_or(u32::MAX),
            state: composed.state,
        }
    }

    /// Answers a repeated webhook with the same document.
    async fn repeat(
        &self,
        tenant: &Tenant,
        call: CallId,
        n: i32,
        mut answer: Option<Vec<Step>>,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let facts = async || {
            let calls = self.store.calls(tenant.id, &[call]).await?;
            Ok::<_, StoreError>(calls.get(&call).cloned().unwrap_or_default())
        };
        // Waits until the first request has stored its answer, or the budget ends.
        while answer.is_none() {
            if let Some(pending) = self.model.pending(call, n) {
                return self.wait_for_model(tenant, &facts().await?, n, pending, 0, begun).await;
            }
            if self.clock.now().since(begun) >= self.budget {
                return Err(NoAnswer::Pending);
            }
            self.clock.sleep(CHECK_EVERY).await;
            answer = self.store.turn_answer(tenant.id, call, n).await?;
        }
        let facts = facts().await?;
        let state = facts.state.clone();
        self.document(tenant, &facts, &state, n, &answer.unwrap_or_default())
    }

    fn document(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        state: &CallState,
        n: i32,
        steps: &[Step],
    ) -> Result<Answer, NoAnswer> {
        let after = CallFacts { state: state.clone(), ..call.clone() };
        let base = &self.directory.platform().app_url;
        let live = steps.iter().any(|step| matches!(step, Step::Stream { .. }));
        let stream = live.then(|| self.live.url(base, call.id, n));
        if let Some(stream) = &stream {
            // The URL without its token.
            let url = stream.rsplit_once('/').map_or("", |(url, _)| url);
            tracing::info!(tenant = %tenant.slug, call = %call.sid, url, "Twilio: a call is connected to a live conversation by WebSocket");
        }
        let urls = Urls { of_tenant: WebhookUrls::new(base, &tenant.slug), n, stream };
        Ok(render::render(&self.composer(tenant, &after), steps, &urls)?)
    }

    fn composer<'a>(&'a self, tenant: &'a Tenant, call: &'a CallFacts) -> Composer<'a> {
        Composer { tenant, call, has_model: self.model.is_configured(), streams: self.streams }
    }
}
