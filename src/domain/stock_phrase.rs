//! The default phrases of calls, in five languages.

/// A phrase for which the business has chosen no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockPhrase {
    /// Greets the caller; `{name}` stands for the business's name.
    Greeting,
    /// Ends a call after no input, or none that was understood.
    Farewell,
    NotUnderstood,
    /// Asks the caller to wait for the answer.
    OneMoment,
    /// Ends a call after an error.
    Unavailable,
    /// Announces that the caller is put through.
    PutThrough,
    /// Says that nobody can be reached.
    NobodyThere,
    /// Tells the caller's place in a queue, and how to leave it; `{n}` stands for the place.
    QueuePosition,
}

/// Returns a phrase in a language (BCP 47); unknown languages get English.
pub fn stock_phrase(phrase: StockPhrase, language: &str) -> &'static str {
    use StockPhrase::{
        Farewell, Greeting, NobodyThere, NotUnderstood, OneMoment, PutThrough, QueuePosition, Unavailable,
    };
    match (language.get(..2).unwrap_or_default(), phrase) {
        ("es", Greeting) => "Hola, ha llamado a {name}. ¿En qué podemos ayudarle?",
        ("es", Farewell) => "No le hemos entendido. Vuelva a llamarnos cuando quiera. Adiós.",
        ("es", NotUnderstood) => "Perdone, no le he entendido. ¿Puede repetirlo?",
        ("es", OneMoment) => "Un momento, por favor.",
        ("es", Unavailable) => "Lo sentimos, ahora mismo no podemos atenderle. Por favor, llame más tarde.",
        ("es", PutThrough) => "Le paso con una persona. Un momento, por favor.",
        ("es", NobodyThere) => "Ahora mismo no hay nadie disponible. Por favor, llame más tarde. Adiós.",
        ("es", QueuePosition) => "Es el número {n} de la cola. Para dejar de esperar, pulse cualquier tecla.",
        ("pt", Greeting) => "Olá, ligou para {name}. Como podemos ajudar?",
        ("pt", Farewell) => "Não conseguimos entender. Ligue novamente quando quiser. Até logo.",
        ("pt", NotUnderstood) => "Desculpe, não entendi. Pode repetir?",
        ("pt", OneMoment) => "Um momento, por favor.",
        ("pt", Unavailable) => "Lamentamos, não podemos atender agora. Por favor, ligue mais tarde.",
        ("pt", PutThrough) => "Vou passar a uma pessoa. Um momento, por favor.",
        ("pt", NobodyThere) => "Não há ninguém disponível agora. Por favor, ligue mais tarde. Até logo.",
        ("pt", QueuePosition) => "Está no lugar {n} da fila. Para deixar de esperar, prima qualquer tecla.",
        ("fr", Greeting) => "Bonjour, vous êtes chez {name}. Que pouvons-nous faire pour vous ?",
        ("fr", Farewell) => "Nous ne vous avons pas compris. N'hésitez pas à rappeler. Au revoir.",
        ("fr", NotUnderstood) => "Pardon, je n'ai pas compris. Pouvez-vous répéter ?",
        ("fr", OneMoment) => "Un instant, s'il vous plaît.",
        ("fr", Unavailable) => "Désolé, nous ne pouvons pas vous répondre pour le moment. Merci de rappeler plus tard.",
        ("fr", PutThrough) => "Je vous passe quelqu'un. Un instant, s'il vous plaît.",
        ("fr", NobodyThere) => "Personne n'est disponible pour le moment. Merci de rappeler plus tard. Au revoir.",
        ("fr", QueuePosition) => "Vous êtes numéro {n} dans la file. Pour ne plus attendre, appuyez sur une touche.",
        ("de", Greeting) => "Guten Tag, Sie haben {name} angerufen. Wie können wir helfen?",
        ("de", Farewell) => "Wir haben Sie nicht verstanden. Rufen Sie gern wieder an. Auf Wiederhören.",
        ("de", NotUnderstood) => "Entschuldigung, das habe ich nicht verstanden. Können Sie es wiederholen?",
        ("de", OneMoment) => "Einen Moment bitte.",
        ("de", Unavailable) => {
            "Es tut uns leid, wir können Ihren Anruf gerade nicht annehmen. Bitte rufen Sie später an."
        }
        ("de", PutThrough) => "Ich verbinde Sie. Einen Moment bitte.",
        ("de", NobodyThere) => "Gerade ist niemand erreichbar. Bitte rufen Sie später an. Auf Wiederhören.",
        ("de", QueuePosition) => {
            "Sie sind Nummer {n} in der Warteschlange. Drücken Sie eine Taste, um nicht länger zu warten."
        }
        (_, Greeting) => "Hello, you have called {name}. How can we help you?",
        (_, Farewell) => "We could not understand you. Please call again at any time. Goodbye.",
        (_, NotUnderstood) => "Sorry, I did not understand that. Could you say it again?",
        (_, OneMoment) => "One moment, please.",
        (_, Unavailable) => "We are sorry, we cannot take your call right now. Please call again later.",
        (_, PutThrough) => "I am putting you through. One moment, please.",
        (_, NobodyThere) => "Nobody is available at the moment. Please call again later. Goodbye.",
        (_, QueuePosition) => "You are number {n} in the queue. To stop waiting, press any key.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_first_part_and_any_other_is_english() {
        assert!(stock_phrase(StockPhrase::Greeting, "es-MX").starts_with("Hola"));
        assert!(stock_phrase(StockPhrase::Greeting, "xx").starts_with("Hello"));
        assert!(stock_phrase(StockPhrase::Unavailable, "").starts_with("We are sorry"));
        assert!(stock_phrase(StockPhrase::Unavailable, "é").starts_with("We are sorry"));
    }
}
