//! The words by which customers opt out, in, or ask for help: every one, in every language, written out.

use recado::domain::opt_out::{OptOutWord, recognise};

#[track_caller]
fn check(word: OptOutWord, language: &str, words: &str) {
    for written in words.split('|') {
        for text in [written.to_owned(), written.to_uppercase(), format!(" {written}. ")] {
            let found = recognise(&text).map(|found| (found.word, found.language));
            assert_eq!(found, Some((word, language)), "{text:?}");
        }
    }
}

#[test]
fn every_stop_word_is_recognised() {
    check(OptOutWord::Stop, "en", "stop|stopall|unsubscribe|cancel|end|quit|revoke|optout|opt out|stop all|remove me");
    check(OptOutWord::Stop, "es", "baja|darme de baja|dar de baja|alto|parar|detener|no más|no más mensajes");
    check(OptOutWord::Stop, "pt", "sair|pare|descadastrar|remover|chega|não quero mais mensagens");
    check(OptOutWord::Stop, "fr", "arrêt|arrêter|arrêtez|désabonner|désabonnement|désinscrire|plus de messages");
    check(OptOutWord::Stop, "de", "stopp|abmelden|abbestellen|austragen|keine Nachrichten mehr");
}

#[test]
fn every_start_word_is_recognised() {
    check(OptOutWord::Start, "en", "start|unstop|yes|opt in|optin|subscribe|resubscribe");
    check(OptOutWord::Start, "es", "alta|darme de alta|reanudar|suscribirme");
    check(OptOutWord::Start, "pt", "retomar|reativar|inscrever");
    check(OptOutWord::Start, "fr", "reprendre|réabonner|abonner");
    check(OptOutWord::Start, "de", "anmelden|wieder anmelden|fortsetzen");
}

#[test]
fn every_help_word_is_recognised() {
    check(OptOutWord::Help, "en", "help|info");
    check(OptOutWord::Help, "es", "ayuda");
    check(OptOutWord::Help, "pt", "ajuda");
    check(OptOutWord::Help, "fr", "aide");
    check(OptOutWord::Help, "de", "hilfe");
}
