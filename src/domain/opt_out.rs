//! Words by which customers opt out, in, or ask for help.
//!
//! The whole message must be the word: "please stop calling me Bob" is none. Twilio itself answers its English words on
//! text messages (<https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out>) and blocks the number after a STOP;
//! all others, and all on WhatsApp, are for us to answer.

use super::fold::fold_word;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOutWord {
    Stop,
    Start,
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised {
    pub word: OptOutWord,
    /// ISO 639-1, of the word: `en`, `es`, `pt`, `fr` or `de`.
    pub language: &'static str,
    /// On a text message, Twilio has answered it and keeps its own list.
    pub twilio_handles_on_sms: bool,
    /// An ordinary word (YES), which opts in only one who has opted out; from others it is an answer like any.
    pub only_if_opted_out: bool,
}

/// The words, folded. Words that customers use for other things are left out: "cancelar" and "annuler" cancel an
/// appointment, "si" and "oui" answer a question.
const WORDS: &[(OptOutWord, &str, &[&str])] = &[
    (OptOutWord::Stop, "en", &["opt out", "opt-out", "stop all", "remove me", "stop messages", "no more messages"]),
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
    (OptOutWord::Start, "en", &["opt in", "opt-in", "optin", "subscribe", "resubscribe"]),
    (OptOutWord::Start, "es", &["alta", "darme de alta", "reanudar", "suscribirme"]),
    (OptOutWord::Start, "pt", &["retomar", "reativar", "inscrever"]),
    (OptOutWord::Start, "fr", &["reprendre", "reabonner", "abonner"]),
    (OptOutWord::Start, "de", &["anmelden", "wieder anmelden", "fortsetzen"]),
    (OptOutWord::Help, "es", &["ayuda"]),
    (OptOutWord::Help, "pt", &["ajuda"]),
    (OptOutWord::Help, "fr", &["aide"]),
    (OptOutWord::Help, "de", &["hilfe"]),
];

/// Twilio's own keywords. Twilio ignores case, but does not match a keyword with a full stop behind it.
const TWILIO_WORDS: &[(OptOutWord, &[&str])] = &[
    (OptOutWord::Stop, &["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"]),
    (OptOutWord::Start, &["start", "unstop", "yes"]),
    (OptOutWord::Help, &["help", "info"]),
];

/// No word is longer; longer messages are not even folded.
const BODY_MAX_BYTES: usize = 200;

/// Recognises a message that consists of an opt-out word only. Case, accents and surrounding punctuation do not matter.
pub fn recognise(body: &str) -> Option<Recognised> {
    let trimmed = body.trim();
    if trimmed.len() > BODY_MAX_BYTES {
        return None;
    }
    let folded = fold_word(trimmed);
    let twilio = TWILIO_WORDS.iter().find(|(_, words)| words.contains(&folded.as_str()));
    if let Some((word, _)) = twilio {
        return Some(Recognised {
            word: *word,
            language: "en",
            twilio_handles_on_sms: trimmed.eq_ignore_ascii_case(&folded),
            only_if_opted_out: folded == "yes",
        });
    }
    let (word, language, _) = WORDS.iter().find(|(_, _, words)| words.contains(&folded.as_str()))?;
    Some(Recognised { word: *word, language, twilio_handles_on_sms: false, only_if_opted_out: false })
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
        for body in [
            "",
            "!!!",
            "stop it",
            "Please stop",
            "Quiero cancelar",
            "cancelar",
            "the end",
            "no",
            "CITA",
            "baja la musica",
        ] {
            check(body, None);
        }
        check(&format!("stop{}", ".".repeat(1000)), None);
    }

    #[test]
    fn no_word_stands_twice_and_all_are_folded() {
        let mut words: Vec<&str> = WORDS.iter().flat_map(|(_, _, words)| *words).copied().collect();
        words.extend(TWILIO_WORDS.iter().flat_map(|(_, words)| *words));
        for word in &words {
            assert_eq!(fold_word(word), *word);
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
