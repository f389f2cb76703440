//! Who answers: a turn in, a document out, in time.

use std::sync::Arc;
use std::time::Duration;

use super::compose::{Composed, Line, Next};
use super::render::{self, Urls};
use crate::directory::Tenant;
use crate::domain::event::CallData;
use crate::domain::{CallFacts, CallId, CallState, Step, Timestamp};
use crate::pipeline::Pipeline;
use crate::pipeline::line::{Heard, TurnOf};
use crate::store::{NewTurn, StoreError, TurnAnswer};
use crate::telemetry::metric;
use crate::twilio::twiml::{self, TwimlError};

/// How often a repeat looks whether what it repeats has been answered meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is sent back to the provider.
pub type Answer = String;

/// The call is another tenant's.
#[derive(Debug)]
pub struct Foreign;

/// Answers calls.
pub struct Voice {
    pipeline: Arc<Pipeline>,
    /// An answer is there within this.
    budget: Duration,
}

#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Twiml(#[from] TwimlError),
    #[error("the call is another tenant's")]
    Foreign,
}

impl Voice {
    pub const fn new(pipeline: Arc<Pipeline>, budget: Duration) -> Self {
        Self { pipeline, budget }
    }

    /// What the caller hears next. Past the budget, or where nothing works, the business's words for that; what was begun
    /// goes on by itself, so that what was heard is kept.
    pub async fn answer(self: &Arc<Self>, tenant: &Arc<Tenant>, turn: NewTurn) -> Result<Answer, Foreign> {
        let begun = self.pipeline.clock.now();
        let finding = tokio::spawn(self.clone().find(tenant.clone(), turn, begun));
        let found = tokio::time::timeout(self.budget, finding).await;
        let took = self.pipeline.clock.now().since(begun);
        metrics::histogram!(metric::CALL_ANSWER_SECONDS).record(took.as_secs_f64());
        let why = match found {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(NoAnswer::Foreign))) => return Err(Foreign),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(died)) => died.to_string(),
            Err(_) => format!("no answer within {} ms", self.budget.as_millis()),
        };
        tracing::warn!(tenant = %tenant.slug, %why, "a call is answered with the words for trouble");
        metrics::counter!(metric::CALL_FALLBACKS_TOTAL).increment(1);
        Ok(self.trouble(tenant))
    }

    /// What is said where nothing works: it needs no database, no rule and no model.
    pub fn trouble(&self, tenant: &Tenant) -> Answer {
        let call = CallFacts::default();
        let line = self.line(tenant, &call);
        let steps = [Step::say(line.trouble()), Step::Hangup];
        let urls = Urls { base: &self.pipeline.directory.platform().app_url, slug: &tenant.slug, n: 0, stream: None };
        // Two short verbs are well within what a document may hold.
        render::render(&line, &steps, &urls).unwrap_or_else(|_| twiml::EMPTY_RESPONSE.to_owned())
    }

    /// What a caller hears who waits in a queue: their place, and music; a key takes them out.
    pub fn waiting(&self, tenant: &Tenant, position: Option<u32>, leaves: bool) -> Answer {
        let call = CallFacts::default();
        render::waiting(&self.line(tenant, &call), position, leaves)
            .unwrap_or_else(|_| twiml::EMPTY_RESPONSE.to_owned())
    }

    /// Whether what was said is summed up once a call has ended.
    pub const fn summarises(&self) -> bool {
        false
    }

    async fn find(self: Arc<Self>, tenant: Arc<Tenant>, turn: NewTurn, begun: Timestamp) -> Result<Answer, NoAnswer> {
        let (kind, data) = (turn.kind.clone(), turn.data.clone());
        let heard = match self.pipeline.turn(&tenant, turn).await? {
            TurnOf::New(heard) => *heard,
            TurnOf::Repeat { call, n, answer } => return self.repeat(&tenant, call, n, answer).await,
            TurnOf::Foreign => return Err(NoAnswer::Foreign),
        };
        let call = heard.call();
        let next = self.line(&tenant, &call).compose(&kind, &data, heard.steps.clone());
        match next {
            Next::Say(composed) => self.say(&tenant, &call, heard, composed, begun).await,
            Next::Ask => self.ask(&tenant, &call, heard, &data, begun).await,
        }
    }

    /// Writes down what is said, then says it.
    async fn say(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        heard: Heard,
        composed: Composed,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let n = heard.n;
        let document = self.document(tenant, call, &composed.state, n, &composed.steps)?;
        let answer = self.taken(call, n, composed, begun);
        self.pipeline.conclude(heard, Some(answer)).await?;
        Ok(document)
    }

    async fn ask(
        &self,
        tenant: &Tenant,
        call: &CallFacts,
        heard: Heard,
        _: &CallData,
        begun: Timestamp,
    ) -> Result<Answer, NoAnswer> {
        let composed = self.line(tenant, call).give_up(call.state.clone());
        self.say(tenant, call, heard, composed, begun).await
    }

    fn taken(&self, call: &CallFacts, n: i32, composed: Composed, begun: Timestamp) -> TurnAnswer {
        let took = self.pipeline.clock.now().since(begun).as_millis();
        TurnAnswer {
            call: call.id,
            n,
            steps: composed.steps,
            how: composed.how,
            took_ms: u32::try_from(took).unwrap_or(u32::MAX),
            state: composed.state,
        }
    }

    /// The provider asks again: it hears what was said to it, or would have been.
    async fn repeat(
        &self,
        tenant: &Tenant,
        call: CallId,
        n: i32,
        mut answer: Option<Vec<Step>>,
    ) -> Result<Answer, NoAnswer> {
        // Until whoever answers the first has found it, or the budget ends.
        while answer.is_none() {
            self.pipeline.clock.sleep(LOOK_EVERY).await;
            answer = self.pipeline.store.turn_answer(tenant.id, call, n).await?;
        }
        let calls = self.pipeline.store.calls(tenant.id, &[call]).await?;
        let facts = calls.get(&call).cloned().unwrap_or_default();
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
        let base = &self.pipeline.directory.platform().app_url;
        let urls = Urls { base, slug: &tenant.slug, n, stream: None };
        Ok(render::render(&self.line(tenant, &after), steps, &urls)?)
    }

    fn line<'a>(&'a self, tenant: &'a Tenant, call: &'a CallFacts) -> Line<'a> {
        Line { tenant, call, has_model: false, has_stream: false }
    }
}
