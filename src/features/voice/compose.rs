//! Turns the rules' steps into what the caller hears: greetings, agents, repeated questions, and the call's next state.

use crate::domain::call::{Awaited, CallState, Gather, PendingInput};
use crate::domain::event::CallData;
use crate::domain::stock_phrase::{StockPhrase, stock_phrase};
use crate::domain::{AgentMode, CallDirection, CallFacts, EventKind, Step, VoiceAgent};
use crate::engine::pipeline::call_turn::is_first_turn;
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::repeat_prompt;
use crate::tenants::Tenant;

/// The steps for a caller, and where they come from.
#[derive(Debug)]
pub struct Composed {
    pub steps: Vec<Step>,
    pub state: CallState,
    pub how: &'static str,
}

/// The result of composing a turn.
#[derive(Debug)]
pub enum Next {
    Say(Box<Composed>),
    /// A conversation model is asked for an answer.
    Ask,
}

/// The context of a call.
pub struct Composer<'a> {
    pub tenant: &'a Tenant,
    pub call: &'a CallFacts,
    /// A conversation model is configured.
    pub has_model: bool,
    pub streams: Streams,
}

/// The agents that can hold live conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    No,
    /// Only agents that name a conversation of their own.
    Named,
    All,
}

impl Streams {
    /// Derives the agents from the installation's key and agent.
    pub const fn from_config(has_key: bool, has_agent: bool) -> Self {
        match (has_key, has_agent) {
            (false, _) => Self::No,
            (true, false) => Self::Named,
            (true, true) => Self::All,
        }
    }
}

impl Composer<'_> {
    /// The language of this call, as BCP 47.
    pub fn language(&self) -> &str {
        let agents = self.agent().and_then(|agent| agent.language.as_deref());
        let own = self.call.state.language.as_deref();
        own.or(agents).or(self.tenant.settings.voice.language.as_deref()).unwrap_or(&self.tenant.language)
    }

    /// The provider's name of the voice.
    pub fn voice(&self) -> Option<&str> {
        let agents = self.agent().and_then(|agent| agent.voice.as_deref());
        let own = self.call.state.voice.as_deref();
        own.or(agents).or(self.tenant.settings.voice.voice.as_deref())
    }

    /// The agent that handles the call.
    pub fn agent(&self) -> Option<&VoiceAgent> {
        self.tenant.settings.voice.agent(self.call.state.agent.as_deref()?)
    }

    /// A built-in text in the language of the call.
    pub fn stock_phrase(&self, phrase: StockPhrase) -> String {
        stock_phrase(phrase, self.language()).replace("{name}", &self.tenant.name)
    }

    /// Composes the turn from the steps of the rules. Each step comes with its rule. If a rule has `failed` and none says
    /// anything, no greeting invites the caller to speak: the call goes to a person, or ends with the fallback text.
    pub fn compose(&self, kind: &EventKind, data: &CallData, said: Vec<(String, Step)>, failed: bool) -> Next {
        let mut state = CallState { waiting: None, opening: Vec::new(), live: false, ..self.call.state.clone() };
        let mut steps = Vec::new();
        let is_audible = said.iter().any(|(_, step)| step.is_audible());
        for (rule, step) in said {
            self.add(step, Some(rule), &mut steps, &mut state);
        }
        if is_audible {
            return Next::Say(Box::new(Composed { steps, state, how: "rules" }));
        }
        if is_first_turn(kind) && !self.call.state.opening.is_empty() {
            for step in self.call.state.opening.clone() {
                self.add(step, None, &mut steps, &mut state);
            }
            return Next::Say(Box::new(Composed { steps, state, how: "call" }));
        }
        if is_first_turn(kind) {
            let inbound = self.call.direction == CallDirection::In;
            let agent = self.tenant.settings.voice.agent_of(&self.call.number).filter(|_| inbound);
            let how = if agent.is_some() { "agent" } else { "greeting" };
            match agent {
                None if failed => return Next::Say(Box::new(self.hand_to_person(state))),
                Some(agent) => self.hand_to_agent(agent, &mut steps, &mut state),
                None => self.greet("", &mut steps, &mut state),
            }
            return Next::Say(Box::new(Composed { steps, state, how }));
        }
        if self.call.state.live {
            return Next::Say(Box::new(self.after_stream(steps, state)));
        }
        if data.outcome.is_some() && data.body.is_empty() {
            // A dial, a queue or a recording has ended, and the rules add no step.
            if data.reached_nobody() {
                steps.push(Step::say(self.stock_phrase(StockPhrase::NobodyThere)));
            }
            steps.push(Step::Hangup);
            return Next::Say(Box::new(Composed { steps, state, how: "fallback" }));
        }
        let by_model = self.agent().is_none_or(|agent| agent.mode == AgentMode::Model);
        if !data.body.is_empty() && self.has_model && by_model {
            return Next::Ask;
        }
        let waiting = self.call.state.waiting.as_ref();
        let asked = waiting.and_then(|waiting| match &waiting.what {
            Awaited::Input(gather) => Some(gather.as_ref().clone()),
            Awaited::Step(_) | Awaited::Nobody(_) => None,
        });
        let gather = asked.unwrap_or_else(|| self.open_question(String::new()));
        for step in repeat_prompt(&gather, data.body.is_empty(), self.language()) {
            self.add(step, None, &mut steps, &mut state);
        }
        Next::Say(Box::new(Composed { steps, state, how: "fallback" }))
    }

    /// Continues after a live conversation. If it ended well, the call ends; if it broke or never began, the greeting
    /// and rules answer.
    fn after_stream(&self, mut steps: Vec<Step>, mut state: CallState) -> Composed {
        if self.call.streamed == self.call.turns - 1 {
            steps.push(Step::Hangup);
            return Composed { steps, state, how: "agent" };
        }
        if self.tenant.settings.voice.person.is_some() {
            return self.hand_to_person(state);
        }
        let greeting = self.agent().map(|agent| agent.greeting.clone()).unwrap_or_default();
        self.greet(&greeting, &mut steps, &mut state);
        Composed { steps, state, how: "fallback" }
    }

    /// Says the answer of a conversation model, cut at the limit; then the caller may speak again.
    pub fn model_reply(&self, text: &str, mut state: CallState) -> Composed {
        let mut steps = Vec::new();
        let text: String = text.chars().take(SPOKEN_CHARS).collect();
        self.add(Step::Gather(self.open_question(text)), None, &mut steps, &mut state);
        Composed { steps, state, how: "model" }
    }

    /// Dials the business's person; without one, says the fallback text.
    pub fn hand_to_person(&self, mut state: CallState) -> Composed {
        let mut steps = Vec::new();
        match self.dial_person() {
            Some(dial) => {
                steps.push(Step::say(self.stock_phrase(StockPhrase::PutThrough)));
                self.add(dial, None, &mut steps, &mut state);
            }
            None => {
                steps.push(Step::say(self.fallback()));
                steps.push(Step::Hangup);
            }
        }
        state.waiting = None;
        Composed { steps, state, how: "fallback" }
    }

    /// The text for when no answer is found.
    pub fn fallback(&self) -> String {
        let own = &self.tenant.settings.voice.fallback;
        if own.is_empty() {
            self.stock_phrase(StockPhrase::Unavailable)
        } else {
            own.replace("{name}", &self.tenant.name)
        }
    }

    fn dial_person(&self) -> Option<Step> {
        let person = self.tenant.settings.voice.person.as_ref()?;
        Some(Step::Dial(crate::domain::call::Dial { number: person.to_string(), ..<_>::default() }))
    }

    /// Asks an open question, whose answer goes to no rule in particular.
    fn open_question(&self, say: String) -> Gather {
        Gather { say, ..Gather::default() }
    }

    /// Greets with this text, else with the business's, else with the built-in one.
    fn greet(&self, own: &str, steps: &mut Vec<Step>, state: &mut CallState) {
        let business = &self.tenant.settings.voice.greeting;
        let own = if own.is_empty() { business } else { own };
        let greeting = if own.is_empty() {
            self.stock_phrase(StockPhrase::Greeting)
        } else {
            own.replace("{name}", &self.tenant.name)
        };
        self.add(Step::Gather(self.open_question(greeting)), None, steps, state);
    }

    /// Hands the call to an agent.
    fn hand_to_agent(&self, agent: &VoiceAgent, steps: &mut Vec<Step>, state: &mut CallState) {
        state.agent = Some(agent.name.clone());
        let live = match self.streams {
            Streams::No => false,
            Streams::Named => agent.stream_agent.is_some(),
            Streams::All => true,
        };
        if agent.mode == AgentMode::Stream && live {
            state.live = true;
            return steps.push(Step::Stream { agent: agent.name.clone() });
        }
        self.greet(&agent.greeting, steps, state);
    }

    /// Adds a step and applies it to the call's state.
    fn add(&self, step: Step, rule: Option<String>, steps: &mut Vec<Step>, state: &mut CallState) {
        let waits = |what| Some(PendingInput { rule: rule.clone(), what });
        match &step {
            Step::Remember { key, value } => {
                if value.is_null() {
                    state.vars.remove(key);
                } else {
                    state.vars.insert(key.clone(), value.clone());
                }
                return;
            }
            Step::Gather(gather) => {
                // A question without a step and without choices belongs to no rule.
                let heard = !gather.step.is_empty() || !gather.choices.is_empty();
                state.waiting =
                    Some(PendingInput { rule: rule.filter(|_| heard), what: Awaited::Input(Box::new(gather.clone())) });
            }
            Step::Redirect { step } => state.waiting = waits(Awaited::Step(step.clone())),
            Step::Record(record) => {
                state.waiting = record.then.clone().and_then(|then| waits(Awaited::Step(then)));
            }
            Step::Dial(dial) => {
                state.waiting = dial.otherwise.clone().and_then(|step| waits(Awaited::Nobody(step)));
            }
            Step::Enqueue { then, .. } => {
                state.waiting = then.clone().and_then(|step| waits(Awaited::Step(step)));
            }
            Step::ConnectAgent { agent } => return self.connect(agent.as_deref(), steps, state),
            _ => {}
        }
        steps.push(step);
    }

    /// Connects to the agent with this name or with the number's calls, else to a person.
    fn connect(&self, name: Option<&str>, steps: &mut Vec<Step>, state: &mut CallState) {
        let voice = &self.tenant.settings.voice;
        let agent = match name {
            Some(name) => voice.agent(name),
            None => voice.agent_of(&self.call.number),
        };
        match (agent, self.dial_person()) {
            (Some(agent), _) => self.hand_to_agent(agent, steps, state),
            (None, Some(dial)) => self.add(dial, None, steps, state),
            (None, None) => {
                steps.push(Step::say(self.stock_phrase(StockPhrase::NobodyThere)));
                steps.push(Step::Hangup);
            }
        }
    }
}
