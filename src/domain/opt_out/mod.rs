//! Words by which customers opt out, in, or ask for help.
//!
//! The whole message must say it and nothing else: "please stop calling me Bob" is none. Start and help words stand alone. An
//! opt-out may also be made of the phrases in `phrases.rs`, as the USA demand: any reasonable wording counts
//! (47 CFR 64.1200(a)(10)). Twilio itself answers its English words on text messages
//! (<https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out>) and blocks the number after a STOP; all others, and
//! all on WhatsApp, are for us to answer.

mod phrases;

use self::phrases::{LEXICON, Say};
use super::event::Event;
use super::fold::is_emoji;
use super::words::{Word, fold_words, join, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOutWord {
    Stop,
    Start,
    Help,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    pub word: OptOutWord,
    /// The word or phrase that says it, folded: `stop`, `darme de baja`.
    pub phrase: String,
    /// ISO 639-1, of the word: `en`, `es`, `pt`, `fr` or `de`.
    pub language: &'static str,
    /// On a text message, Twilio has answered it and keeps its own list.
    pub twilio_handles_on_sms: bool,
    /// An ordinary word (YES), which opts in only one who has opted out; from others it is an answer like any.
    pub only_if_opted_out: bool,
}

/// See [`crate::domain::make_tables`].
pub(super) fn make_tables() {
    std::sync::LazyLock::force(&LEXICON);
}

/// The words that are the whole message, folded. Words that customers use for other things are left out: "cancelar" and "annuler" cancel an
/// appointment, "si" and "oui" answer a question.
const WORDS: &[(OptOutWord, &str, &[&str])] = &[
    (OptOutWord::Stop, "en", &["opt out", "stop all", "remove me", "stop messages", "no more messages"]),
    (
        OptOutWord::Stop,
        "es",
        &["baja", "darme de baja", "dar de baja", "alto", "parar", "detener", "no mas", "no mas mensajes"],
    ),
    (OptOutWord::Stop, "pt", &["sair", "pare", "descadastrar", "remover", "chega", "nao quero mais mensagens"]),
    (
        OptOutWord::Stop,
        "fr",
        &["arret", "arreter", "arretez", "desabonner", "desabonnement", "desinscrire", "plus de messages"],
    ),
    (OptOutWord::Stop, "de", &["stopp", "abmelden", "abbestellen", "austragen", "keine nachrichten mehr"]),
    (OptOutWord::Start, "en", &["opt in", "optin", "subscribe", "resubscribe"]),
    (OptOutWord::Start, "es", &["alta", "darme de alta", "reanudar", "suscribirme"]),
    (OptOutWord::Start, "pt", &["retomar", "reativar", "inscrever"]),
    (OptOutWord::Start, "fr", &["reprendre", "reabonner", "abonner"]),
    (OptOutWord::Start, "de", &["anmelden", "wieder anmelden", "fortsetzen"]),
    (OptOutWord::Help, "es", &["ayuda"]),
    (OptOutWord::Help, "pt", &["ajuda"]),
    (OptOutWord::Help, "fr", &["aide"]),
    (OptOutWord::Help, "de", &["hilfe"]),
];

/// Words with other uses, which count only plain: without emoji and not as a question. "Cancel 😢" means an appointment.
const SHY_WORDS: &[&str] = &["cancel", "end", "quit", "revoke", "alto", "parar", "detener", "no mas", "pare", "chega"];

/// Twilio's own keywords. Twilio ignores case, but does not match a keyword with a full stop behind it.
const TWILIO_WORDS: &[(OptOutWord, &[&str])] = &[
    (OptOutWord::Stop, &["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"]),
    (OptOutWord::Start, &["start", "unstop", "yes"]),
    (OptOutWord::Help, &["help", "info"]),
];

/// No opt-out is longer; longer messages are not even folded.
const BODY_MAX_BYTES: usize = 200;

/// Recognises a message that says only that the customer opts out, in, or wants help. Case, accents and punctuation do not
/// matter.
pub fn recognise(body: &str) -> Option<Recognised> {
    let trimmed = body.trim();
    if trimmed.len() > BODY_MAX_BYTES {
        return None;
    }
    let all = words(trimmed, usize::MAX);
    as_word(trimmed, &all).or_else(|| as_phrases(trimmed, &all))
}

/// Returns the word or phrase of an inbound message that was applied as an opt-out, an opt-in or a call for help. YES is an
/// opt-in only for customers who have opted out, which the message alone does not tell, so it is left out.
pub fn phrase_in(event: &Event) -> Option<String> {
    event.kind.inbound_channel()?;
    let text = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str);
    let body = text("body").unwrap_or_default();
    match recognise(body) {
        Some(found) if !found.only_if_opted_out => Some(found.phrase),
        _ => text("opt_out_type").map(|_| fold_words(body)),
    }
}

/// A message that is one word of the lists. Emoji around it do not matter, unless it opts in or has other uses.
fn as_word(trimmed: &str, all: &[Word]) -> Option<Recognised> {
    let is_picture = |word: &Word| word.folded.chars().all(is_emoji);
    let start = all.iter().position(|word| !is_picture(word))?;
    let end = all.iter().rposition(|word| !is_picture(word))? + 1;
    let phrase = join(&all[start..end]);
    let is_plain = end - start == all.len() && !trimmed.contains(['?', '¿']);
    let fits = |word: OptOutWord, words: &[&str]| {
        let must_be_plain = word == OptOutWord::Start || SHY_WORDS.contains(&phrase.as_str());
        words.contains(&phrase.as_str()) && (is_plain || !must_be_plain)
    };
    if let Some((word, _)) = TWILIO_WORDS.iter().find(|(word, words)| fits(*word, words)) {
        return Some(Recognised {
            word: *word,
            language: "en",
            twilio_handles_on_sms: trimmed.eq_ignore_ascii_case(&phrase),
            only_if_opted_out: phrase == "yes",
            phrase,
        });
    }
    let (word, language, _) = WORDS.iter().find(|(word, _, words)| fits(*word, words))?;
    Some(Recognised { word: *word, phrase, language, twilio_handles_on_sms: false, only_if_opted_out: false })
}

/// A message that is made of known phrases only, which together opt out.
fn as_phrases(trimmed: &str, all: &[Word]) -> Option<Recognised> {
    let parts = LEXICON.read(trimmed, all);
    let meanings = parts.iter().map(|part| part.meaning).collect::<Option<Vec<_>>>()?;
    let says = |say| meanings.iter().any(|meaning| meaning.say == say);
    let bare_stop = says(Say::BareStop) && (!says(Say::Request) || says(Say::Messages) || says(Say::Polite));
    let baja = says(Say::Baja) && meanings.iter().all(|meaning| matches!(meaning.say, Say::Baja | Say::Polite));
    let opts_out = says(Say::Stop)
        || bare_stop
        || baja
        || (says(Say::Refuse) && says(Say::Messages))
        || (says(Say::Remove) && says(Say::List));
    if !opts_out {
        return None;
    }
    let neutral = [Say::Filler, Say::Polite, Say::Request];
    let telling = parts.iter().zip(&meanings).filter(|(_, meaning)| !neutral.contains(&meaning.say));
    let mut telling: Vec<String> = telling.map(|(part, _)| join(&all[part.first..part.first + part.words])).collect();
    telling.dedup();
    let language = meanings.iter().map(|meaning| meaning.language).find(|language| !matches!(*language, "en" | ""));
    Some(Recognised {
        word: OptOutWord::Stop,
        phrase: telling.join(" "),
        language: language.unwrap_or("en"),
        twilio_handles_on_sms: false,
        only_if_opted_out: false,
    })
}

/// Returns the answer to an opt-out word. `language` is a BCP 47 tag: only its first part counts, and an unknown one
/// gets English.
///
/// Texts keep to GSM-7, so that with a usual name each is one segment, and name STOP and START, which work everywhere.
pub fn confirmation(word: OptOutWord, language: &str, business_name: &str) -> String {
    let language = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let text = match (language.as_str(), word) {
        ("es", OptOutWord::Stop) => {
            "baja confirmada. No le enviaremos otros mensajes. Responda START para volver a recibirlos."
        }
        ("es", OptOutWord::Start) => {
            "alta confirmada. Vuelve a recibir nuestros mensajes. Responda STOP para no recibirlos."
        }
        ("es", OptOutWord::Help) => "responda STOP para dejar de recibir mensajes o START para volver a recibirlos.",
        ("pt", OptOutWord::Stop) => "pronto, nada mais lhe enviaremos. Responda START para voltar a receber mensagens.",
        ("pt", OptOutWord::Start) => "pronto, volta a receber as nossas mensagens. Responda STOP para parar.",
        ("pt", OptOutWord::Help) => "responda STOP para parar de receber mensagens ou START para voltar a receber.",
        ("fr", OptOutWord::Stop) => "vous ne recevrez plus nos messages. Répondez START pour les recevoir à nouveau.",
        ("fr", OptOutWord::Start) => "vous recevrez à nouveau nos messages. Répondez STOP pour ne plus les recevoir.",
        ("fr", OptOutWord::Help) => {
            "répondez STOP pour ne plus recevoir nos messages ou START pour les recevoir à nouveau."
        }
        ("de", OptOutWord::Stop) => {
            "Sie erhalten keine Nachrichten mehr von uns. Mit START erhalten Sie wieder welche."
        }
        ("de", OptOutWord::Start) => "Sie erhalten wieder Nachrichten von uns. Mit STOP erhalten Sie keine mehr.",
        ("de", OptOutWord::Help) => "antworten Sie STOP, um keine Nachrichten mehr zu erhalten, oder START für neue.",
        (_, OptOutWord::Stop) => "you will get no more messages from us. Reply START to get them again.",
        (_, OptOutWord::Start) => "you will get our messages again. Reply STOP to get no more.",
        (_, OptOutWord::Help) => "reply STOP to get no more messages, or START to get them again.",
    };
    format!("{business_name}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::segments;

    fn check(body: &str, expect: Option<(OptOutWord, &str, bool)>) {
        let found = recognise(body).map(|found| (found.word, found.language, found.twilio_handles_on_sms));
        assert_eq!(found, expect, "{body:?}");
    }

    #[test]
    fn twilio_s_words_are_known_as_such() {
        for body in ["STOP", "stop", " Stop\n", "StopAll", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"] {
            check(body, Some((OptOutWord::Stop, "en", true)));
        }
        for body in ["START", "unstop", "Yes"] {
            check(body, Some((OptOutWord::Start, "en", true)));
        }
        for body in ["HELP", "info"] {
            check(body, Some((OptOutWord::Help, "en", true)));
        }
        check("STOP.", Some((OptOutWord::Stop, "en", false)));
        check("¡Stop!", Some((OptOutWord::Stop, "en", false)));
    }

    #[test]
    fn the_other_languages_are_ours() {
        check("BAJA", Some((OptOutWord::Stop, "es", false)));
        check("¡No más!", Some((OptOutWord::Stop, "es", false)));
        check("Darme  de baja.", Some((OptOutWord::Stop, "es", false)));
        check("alta", Some((OptOutWord::Start, "es", false)));
        check("SAIR", Some((OptOutWord::Stop, "pt", false)));
        check("Arrêt", Some((OptOutWord::Stop, "fr", false)));
        check("ARRÊTER", Some((OptOutWord::Stop, "fr", false)));
        check("Stopp!", Some((OptOutWord::Stop, "de", false)));
        check("abmelden", Some((OptOutWord::Stop, "de", false)));
        for (body, language) in [("Ayuda", "es"), ("AJUDA", "pt"), ("aide", "fr"), ("Hilfe?", "de")] {
            check(body, Some((OptOutWord::Help, language, false)));
        }
    }

    #[test]
    fn yes_opts_in_only_after_an_opt_out() {
        let only = |body: &str| recognise(body).map(|found| found.only_if_opted_out);
        assert_eq!(
            (only("YES"), only("yes!"), only("START"), only("UNSTOP")),
            (Some(true), Some(true), Some(false), Some(false))
        );
        for body in ["si", "Sí", "sim", "oui", "ja", "y"] {
            check(body, None);
        }
    }

    #[test]
    fn ordinary_messages_are_none() {
        for body in ["", "!!!", "stop it", "Quiero cancelar", "cancelar", "the end", "no", "CITA", "baja la musica"] {
            check(body, None);
        }
        check(&format!("stop{}", ".".repeat(1000)), None);
    }

    #[test]
    fn no_word_stands_twice_and_all_are_folded() {
        let mut words: Vec<&str> = WORDS.iter().flat_map(|(_, _, words)| *words).copied().collect();
        words.extend(TWILIO_WORDS.iter().flat_map(|(_, words)| *words));
        for word in &words {
            assert_eq!(fold_words(word), *word);
        }
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    #[test]
    fn confirmations_are_one_segment() {
        for language in ["en", "es-ES", "pt_BR", "FR", "de", "ja"] {
            for word in [OptOutWord::Stop, OptOutWord::Start, OptOutWord::Help] {
                let text = confirmation(word, language, "Clinica Dental del Sol");
                assert_eq!(segments::count(&text).segments, 1, "{text}");
                assert!(text.contains(if word == OptOutWord::Stop { "START" } else { "STOP" }), "{text}");
            }
        }
        assert!(confirmation(OptOutWord::Stop, "es-MX", "Sol").starts_with("Sol: baja"));
    }
}
