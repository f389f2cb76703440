//! Renders steps as TwiML.

use strum::VariantArray;

use crate::config::webhook_urls::WebhookUrls;
use crate::domain::Step;
use crate::domain::call::{self, ActionMethod, Gather};
use crate::domain::stock_phrase::StockPhrase;
use crate::integrations::twilio::twiml;
use crate::integrations::twilio::twiml::{Prompt, Response, Say, TwimlError};
use crate::integrations::twilio::types::{CallEvent, Method};

use super::compose::Composer;

/// Royalty-free music of Twilio's (<https://www.twilio.com/docs/voice/twiml/enqueue>, waitUrl).
const MUSIC: &str = "http://com.twilio.sounds.music.s3.amazonaws.com/MARKOVICHAMP-Borghestral.mp3";

/// The URLs that the provider calls next.
pub struct Urls<'a> {
    pub of_tenant: WebhookUrls<'a>,
    /// The turn that is answered.
    pub n: i32,
    /// The URL of the media stream, if there is one.
    pub stream: Option<String>,
}

impl Urls<'_> {
    /// The URL for what the caller does next. It names the turn, so that a repeat is recognized.
    pub fn next(&self) -> String {
        self.of_tenant.gather(self.n)
    }

    /// The URL for an answer that was not ready.
    pub fn wait(&self, round: u32) -> String {
        self.of_tenant.wait(self.n, round)
    }

    /// The URL for the status of a leg. It names the turn, because a call may dial more than once.
    fn leg(&self) -> String {
        self.of_tenant.leg_status(self.n)
    }

    fn recording(&self) -> String {
        self.of_tenant.recording()
    }

    fn queue(&self) -> String {
        self.of_tenant.queue()
    }
}

/// Renders these steps as one document.
pub fn render(composer: &Composer<'_>, steps: &[Step], urls: &Urls<'_>) -> Result<String, TwimlError> {
    let mut response = Response::new();
    for step in steps {
        add(composer, step, urls, &mut response);
    }
    response.render()
}

/// The document for a caller whose answer is not ready.
pub fn hold_response(composer: &Composer<'_>, urls: &Urls<'_>, round: u32) -> Result<String, TwimlError> {
    let mut response = Response::new();
    if round == 0 {
        response.push(speak(composer, &composer.stock_phrase(StockPhrase::OneMoment), None, None));
    } else {
        response.push(twiml::Pause { length_s: Some(1) });
    }
    response.push(redirect(urls.wait(round + 1)));
    response.render()
}

/// The document for a caller in a queue: the position, and music until the provider asks again.
pub fn queue_document(composer: &Composer<'_>, position: Option<u32>, leaves: bool) -> Result<String, TwimlError> {
    if leaves {
        return Response::from_iter([twiml::Verb::Leave]).render();
    }
    let place = position.map(|n| {
        speak(composer, &composer.stock_phrase(StockPhrase::QueuePosition).replace("{n}", &n.to_string()), None, None)
            .into()
    });
    let children: Vec<Prompt> = place.into_iter().chain([twiml::Play::new(MUSIC).into()]).collect();
    // Without an action, digits are posted to the wait URL itself.
    let gather = twiml::Gather {
        input: Some(twiml::Input::Dtmf),
        num_digits: Some(1),
        // Any key counts, # included.
        finish_on_key: Some(String::new()),
        children,
        ..twiml::Gather::default()
    };
    Response::from_iter([gather]).render()
}

fn add(composer: &Composer<'_>, step: &Step, urls: &Urls<'_>, response: &mut Response) {
    match step {
        Step::Say(say) => {
            response.push(speak(composer, &say.text, say.voice.as_deref(), say.language.as_deref()));
        }
        Step::Play { url } => {
            response.push(twiml::Play::new(url));
        }
        Step::Pause { seconds } => {
            response.push(twiml::Pause { length_s: Some((*seconds).into()) });
        }
        Step::Gather(gather) => ask(composer, gather, urls, response),
        Step::Record(step) => record(composer, step, urls, response),
        Step::Dial(step) => dial(step, urls, response),
        Step::DialQueue { queue } => {
            response.push(twiml::Dial {
                action: Some(urls.next()),
                method: Some(Method::Post),
                nouns: vec![twiml::Queue { name: queue.clone() }.into()],
                ..twiml::Dial::default()
            });
        }
        Step::Enqueue { queue, .. } => {
            response.push(twiml::Enqueue {
                name: queue.clone(),
                action: Some(urls.next()),
                method: Some(Method::Post),
                wait_url: Some(urls.queue()),
                wait_url_method: Some(Method::Post),
            });
        }
        Step::Stream { .. } => {
            let Some(url) = &urls.stream else { return };
            response.push(twiml::Connect { stream: twiml::Stream { url: url.clone() } });
            // The call continues here if the conversation ends first.
            response.push(redirect(urls.next()));
        }
        Step::Redirect { .. } => {
            response.push(redirect(urls.next()));
        }
        Step::Hangup => {
            response.push(twiml::Verb::Hangup);
        }
        Step::Reject { busy } => {
            let reason = if *busy { twiml::RejectReason::Busy } else { twiml::RejectReason::Rejected };
            response.push(twiml::Reject { reason: Some(reason) });
        }
        // These steps were resolved before, or are not heard.
        Step::ConnectAgent { .. } | Step::Remember { .. } => {}
    }
}

fn record(composer: &Composer<'_>, step: &call::Record, urls: &Urls<'_>, response: &mut Response) {
    if !step.say.is_empty() {
        response.push(speak(composer, &step.say, None, None));
    }
    response.push(twiml::Record {
        action: Some(urls.next()),
        method: Some(method_of(step.method)),
        finish_on_key: step.finish_on_key.clone(),
        max_length_s: Some(step.max_s.into()),
        play_beep: Some(step.beep),
        recording_status_callback: Some(urls.recording()),
    });
    // Twilio does not call the action if nothing was recorded.
    match step.then {
        Some(_) => response.push(redirect(urls.next())),
        None => response.push(twiml::Verb::Hangup),
    };
}

fn dial(step: &call::Dial, urls: &Urls<'_>, response: &mut Response) {
    response.push(twiml::Dial {
        action: Some(urls.next()),
        method: Some(method_of(step.method)),
        timeout_s: step.timeout_s.map(Into::into),
        answer_on_bridge: Some(true),
        record_from_answer: step.record,
        recording_status_callback: step.record.then(|| urls.recording()),
        nouns: vec![
            twiml::Number {
                number: step.number.clone(),
                status_callback: Some(urls.leg()),
                status_callback_method: Some(Method::Post),
                status_callback_events: CallEvent::VARIANTS.to_vec(),
            }
            .into(),
        ],
    });
}

/// Renders a question, and what follows if no answer comes.
fn ask(composer: &Composer<'_>, gather: &Gather, urls: &Urls<'_>, response: &mut Response) {
    let mut children: Vec<Prompt> = Vec::new();
    children.extend(gather.play.as_ref().map(|url| twiml::Play::new(url).into()));
    if !gather.say.is_empty() {
        children.push(speak(composer, &gather.say, gather.voice.as_deref(), gather.language.as_deref()).into());
    }
    response.push(twiml::Gather {
        input: Some(match gather.input {
            call::Input::Digits => twiml::Input::Dtmf,
            call::Input::Speech => twiml::Input::Speech,
            call::Input::Both => twiml::Input::DtmfSpeech,
        }),
        action: Some(urls.next()),
        method: Some(method_of(gather.method)),
        timeout_s: gather.timeout_s.map(Into::into),
        // A choice that ends input, such as #, is not the key that finishes it.
        finish_on_key: gather.finish_on_key.clone().or_else(|| gather.chooses("#").then(String::new)),
        num_digits: gather.digits.map(Into::into),
        language: Some(gather.language.clone().unwrap_or_else(|| composer.language().to_owned())),
        hints: gather.hints.clone(),
        speech_timeout: Some(match gather.speech_timeout_s {
            Some(seconds) => twiml::SpeechTimeout::Seconds(seconds.into()),
            None => twiml::SpeechTimeout::Auto,
        }),
        children,
    });
    if gather.tried + 1 >= gather.tries && gather.otherwise.is_none() {
        // On the last try the farewell follows directly; the provider need not ask.
        let farewell =
            gather.farewell(true).map_or_else(|| composer.stock_phrase(StockPhrase::Farewell), str::to_owned);
        response.push(speak(composer, &farewell, gather.voice.as_deref(), gather.language.as_deref()));
        response.push(twiml::Verb::Hangup);
    } else {
        response.push(redirect(urls.next()));
    }
}

const fn method_of(method: ActionMethod) -> Method {
    match method {
        ActionMethod::Post => Method::Post,
        ActionMethod::Get => Method::Get,
    }
}

fn speak(composer: &Composer<'_>, text: &str, voice: Option<&str>, language: Option<&str>) -> Say {
    Say {
        text: text.to_owned(),
        voice: voice.or(composer.voice()).map(str::to_owned),
        language: Some(language.unwrap_or(composer.language()).to_owned()),
    }
}

fn redirect(url: String) -> twiml::Redirect {
    twiml::Redirect { url, method: Some(Method::Post) }
}
