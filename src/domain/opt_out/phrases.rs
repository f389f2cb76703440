//! The phrases by which customers opt out in other words than the one keyword, and the words that may stand beside them.
//!
//! The whole text must be made of them. Words that customers use for other things are left out: see the manual.

use std::sync::LazyLock;

use crate::domain::phrases::Lexicon;

/// What a phrase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// An opt-out by itself.
    Stop,
    /// `stop`: an opt-out, but not behind a mere request: "can you stop" may mean a visit, "I want to stop" a treatment.
    BareStop,
    /// An opt-out if it names messages: "I don't want", "no more".
    Refuse,
    /// An opt-out if it names a list: "take me out".
    Remove,
    /// Messages.
    Messages,
    /// Lists of customers.
    List,
    /// `baja`: an opt-out beside politeness only, because it has other uses.
    Baja,
    /// "I want to", "can you".
    Request,
    /// Politeness.
    Polite,
    /// Says nothing by itself.
    Filler,
}

/// What a phrase says, and in which language (ISO 639-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub say: Say,
    pub language: &'static str,
}

pub(super) static LEXICON: LazyLock<Lexicon<Meaning>> = LazyLock::new(|| {
    let lists: Vec<_> = LISTS.iter().map(|(language, say, list)| (Meaning { say: *say, language }, *list)).collect();
    Lexicon::new(&lists)
});

/// By language, parted by `|`. An apostrophe may be left out in the text.
const LISTS: &[(&str, Say, &str)] = &[
    ("en", Say::BareStop, "stop|stops|stpo|sotp|s t o p"),
    (
        "en",
        Say::Stop,
        "stopall|stop all|unsubscribe|unsubscribe me|unsubscribe from all|unsubscribe all|unsuscribe|unsuscribe me|unsubcribe|unsubcribe me|unsubsribe|unsubscibe|optout|opt out|opting out|i am opting out|i'm opting out|unsub|unsub me|unsubscribed|please quit|quit please|please end|end please|please revoke|revoke please|i revoke|revoke consent|revoke my consent|i revoke consent|i revoke my consent|withdraw consent|i withdraw my consent|i withdraw consent|opt me out|i opt out|\
         stop texting|stop texting me|stop texting this number|stop messaging|stop messaging me|stop contacting me|stop calling me|stop spamming me|stop spamming|\
         stop bothering me|stop bugging me|stop annoying me|stop harassing me|stop emailing me|stop txting|stop txting me|stop messaging this number|stop contacting this number|stop sending these|stop sending this|stop sending me these|stop sending me this|stop sending me stuff|stop writing me|stop writing to me|quit texting me|quit messaging me|quit contacting me|end messages|end texts|\
         don't text me|do not text me|don't text this number|do not text this number|don't message me|do not message me|don't contact me|do not contact me|don't write to me|do not write to me|\
         never text me|never message me|never contact me|don't ever text me|don't ever contact me|leave me alone|no messages please|no texts please|no messages thank you|no texts thank you|i don't want to be contacted|don't want to be contacted|i do not want to be contacted|i do not wish to be contacted|i don't want you to text me|i don't want you to contact me|i don't want you texting me|do not send me anything|don't send me anything|don't send anything|don't send me anything else|do not send me anything else|don't send anything else|don't send me anything more|delete me|take my number off|remove number|\
         remove me|remove my number|remove this number|delete my number|delete this number|lose my number|take my number off your list|\
         cancel messages|cancel texts|cancel all messages|cancel these messages|cancel sms",
    ),
    (
        "en",
        Say::Refuse,
        "i don't want|i do not want|don't want|do not want|i don't want to receive|i do not want to receive|don't want to receive|i don't want to get|i do not want to get|\
         i no longer want|i no longer want to receive|i no longer wish to receive|i don't wish to receive|i do not wish to receive|\
         i don't need|cancel|end|turn off|switch off|no more|don't send|do not send|don't send me|do not send me|stop sending|stop sending me|quit sending me|stop with|enough with|stop receiving|stop getting",
    ),
    (
        "en",
        Say::Remove,
        "remove me from|take my name off|take my number off|remove my name from|remove my number from|delete my number from|remove from|take me off|take me off of|get me off|get me off of|delete me from|delete me off|unsubscribe me from|unsubscribe from",
    ),
    (
        "en",
        Say::Messages,
        "messages|message|msgs|texts|text|sms|text messages|text message|messaging|texting|notifications|reminders|alerts|ads|spam|promotions|promos|\
         any messages|any more messages|anymore messages|any texts|any more texts|anymore texts|any text messages|any more text messages|any sms|any more sms|more messages|more texts|more text messages|more sms|\
         your messages|your texts|your text messages|your spam|these messages|these texts|these text messages|those messages|those texts|the messages|the texts|the spam|the ads|the reminders|the notifications|this spam|all messages|all texts|\
         me messages|me texts|me text messages|me sms|messages to me",
    ),
    (
        "en",
        Say::List,
        "your list|list|the list|this list|your lists|all lists|all your lists|your mailing list|this mailing list|your contact list|your contacts|your database|your system|the texting list|your texting list|this service",
    ),
    (
        "en",
        Say::Request,
        "i want to|i would like to|i'd like to|i need to|i wish to|i want you to|i need you to|i'd like you to|can you|could you|would you|will you|can u|could u|may i|can i|\
         how do i|how can i|how to|let me|i'm asking you to|i am asking you to",
    ),
    ("en", Say::Polite, "please|pls|plz|plss|plse|pleas|pl|plx|thanks|thank you|thank u|thankyou|thx|thnx|tks|ty"),
    (
        "en",
        Say::Filler,
        "now|omg|ffs|wtf|god|damn|fucking|not my number|this is not my number|from this number|right now|immediately|at once|already|asap|ok|okay|hi|hello|hey|yes|just|sorry|sir|madam|guys|everyone|\
         anymore|any more|again|ever again|ever|forever|for good|from now on|no thanks|no thank you|not interested|i'm not interested|wrong number|wrong person|you have the wrong number|who is this|who are you|who's this|\
         i said|i told you to|i asked you to|i already said|to me|to my number|to my phone|to this number|to this phone|on this number|at this number|on my phone|me|from you|from you guys|from your company|completely|permanently",
    ),
    (
        "es",
        Say::Stop,
        "darme de baja|dame de baja|deme de baja|denme de baja|dadme de baja|darse de baja|dar de baja|dar me de baja|darnos de baja|dame d baja|darme d baja|denme d baja|\
         me doy de baja|me dan de baja|me das de baja|me da de baja|me dais de baja|me quiero dar de baja|me gustaria dar de baja|que me den de baja|me den de baja|me des de baja|me de de baja|me deis de baja|que me des de baja|que me de de baja|que me deis de baja|\
         dar de baja mi numero|den de baja mi numero|den de baja este numero|da de baja mi numero|dame la baja|deme la baja|denme la baja|la baja por favor|solicito la baja|solicito baja|pido la baja|quiero la baja|quiero baja|deseo la baja|tramitar la baja|tramiten la baja|\
         baja sms|baja definitiva|baja inmediata|me dieran de baja|que me dieran de baja|dar de baja este numero|borrenme|eliminenme|no quiero recibir mas|no deseo recibir mas|ya no quiero recibir mas|no quiero que me manden nada|no quiero que me envien nada|no quiero nada de ustedes|no deseo recibir informacion|no quiero recibir informacion|no deseo recibir mas informacion|no quiero recibir mas informacion|no me vuelvan a escribir|no me vuelva a escribir|no me vuelvas a escribir|no vuelvan a escribirme|no vuelvas a escribirme|no vuelva a escribirme|no me hablen mas|no me llamen mas|ya no me envien nada|ya no me manden nada|no escriban mas|no escriba mas|no escribas mas|no escriban|alto a los mensajes|no mas mensajes|\
         quita mi numero|quiten mi numero|quite mi numero|borra mi numero|borren mi numero|borre mi numero|borrad mi numero|elimina mi numero|eliminen mi numero|elimine mi numero|saca mi numero|saquen mi numero|\
         desuscribir|desuscribirme|desuscribirse|desuscribeme|desuscribame|desuscribanme|desuscribanme ya|desuscripcion|desinscribir|desinscribirme|desinscribeme|desinscribanme|anular suscripcion a mensajes",
    ),
    (
        "es",
        Say::Stop,
        "no me escriban|no me escribas|no me escriba|no me escribais|no me escriban mas|no me escribas mas|no me escriba mas|no me escribais mas|ya no me escriban|ya no me escribas|ya no me escriba|\
         no me contacten|no me contactes|no me contacte|no me contacteis|ya no me contacten|no me molesten|no me molestes|no me moleste|no me molesteis|ya no me molesten|no molesten|\
         no me manden mas|no me mandes mas|no me mande mas|no me mandeis mas|no me envien mas|no me envies mas|no me envie mas|no me envieis mas|ya no me manden|ya no me mandes|ya no me envien|ya no me envies|\
         no me manden nada|no me manden nada mas|no me manden mas nada|no me envien nada|no me envien nada mas|no me envien mas nada|no quiero recibir nada|no quiero recibir nada mas|no deseo recibir nada|no deseo recibir nada mas|no quiero recibir mas nada|\
         dejen de escribirme|deja de escribirme|deje de escribirme|dejad de escribirme|dejen de escribir|dejen de molestar|dejen de molestarme|deja de molestar|deja de molestarme|deje de molestarme|dejad de molestarme|dejen de contactarme|dejen de llamarme|dejen de joder|\
         dejenme en paz|dejame en paz|dejeme en paz|dejadme en paz|dejen en paz|paren de escribirme|paren de escribir|para de escribirme|pare de escribirme|parad de escribirme|paren de molestar|paren de molestarme|para de molestarme|\
         no quiero que me escriban|no quiero que me escribas|no quiero que me escriba|no quiero que me escribais|no quiero que me contacten|no quiero que me molesten|no deseo que me escriban|no deseo que me contacten|no deseo ser contactado|no deseo ser contactada|no quiero ser contactado|no quiero ser contactada",
    ),
    (
        "es",
        Say::Refuse,
        "no quiero|ya no quiero|yo no quiero|no deseo|ya no deseo|no quisiera|no quiero recibir|ya no quiero recibir|no quiero seguir recibiendo|no deseo recibir|ya no deseo recibir|no deseo seguir recibiendo|no me interesa recibir|no me interesan|\
         no quiero que me manden|no quiero que me envien|no quiero que me mandes|no quiero que me envies|no quiero que me lleguen|\
         no me manden|no me mandes|no me mande|no me mandeis|no me envien|no me envies|no me envie|no me envieis|no manden|no envien|no mande|no envie|no mandar|no enviar|no vuelvan a enviarme|no vuelvan a mandarme|no me vuelvan a enviar|no me vuelvan a mandar|no me vuelvas a enviar|no me vuelvas a mandar|desactivar|desactiven|no mandes|no envies|\
         dejen de mandarme|dejen de enviarme|dejen de mandar|dejen de enviar|deja de mandarme|deja de enviarme|deja de mandar|deja de enviar|deje de mandarme|deje de enviarme|dejad de mandarme|dejad de enviarme|dejar de recibir|\
         paren de mandarme|paren de enviarme|paren de mandar|paren de enviar|para de mandarme|para de enviarme|para de mandar|para de enviar|parad de enviarme|parad de mandarme|paren con|paren los|parar|parar los|detener|detener los|\
         basta de|basta ya de|no mas|nunca mas|ni un|ni uno|cancelar|cancelar los|cancelen los",
    ),
    (
        "es",
        Say::Remove,
        "quitame|quiteme|quitenme|quitadme|quitarme|sacame|saqueme|saquenme|sacadme|sacarme|borrame|borreme|borrenme|borradme|borrarme|eliminame|elimineme|eliminenme|eliminadme|eliminarme|\
         retirame|retireme|retirenme|retirarme|excluyanme|salirme|salirse|me quiten|me quites|me saquen|me saques|me borren|me borres|me eliminen|me elimines|me quitas|me sacas|me borras|que me quiten|que me saquen|que me borren|que me eliminen|salir",
    ),
    (
        "es",
        Say::Messages,
        "mensajes|mensaje|mas mensajes|mas mensaje|mensajes mas|sms|mas sms|mensajitos|publicidad|mas publicidad|promociones|mas promociones|promos|spam|mas spam|avisos|mas avisos|recordatorios|mas recordatorios|notificaciones|mas notificaciones|\
         mensajes de texto|mas mensajes de texto|estos mensajes|esos mensajes|sus mensajes|tus mensajes|los mensajes|este tipo de mensajes|ningun mensaje|ningun mensaje mas|mensajes de ustedes|mas mensajes de ustedes|mas mensajes suyos|mensaje mas|solo mensaje mas|whatsapps|mas whatsapps|mas publi|msjs|mas msjs|msj|mas msj|mensages|mas mensages",
    ),
    (
        "es",
        Say::List,
        "de la lista|de su lista|de tu lista|de esta lista|de vuestra lista|de las listas|de sus listas|de tus listas|de la lista de mensajes|de su lista de mensajes|de la lista de difusion|de la lista de contactos|de su lista de contactos|de la lista de distribucion|\
         de la base de datos|de su base de datos|de sus contactos|de tus contactos|de vuestros contactos|de los mensajes|de estos mensajes|de sus mensajes|de los sms|de la difusion|de esta difusion|de sus envios|de los envios|del listado",
    ),
    (
        "es",
        Say::Request,
        "quiero|quisiera|deseo|necesito|me gustaria|puedes|podrias|pueden|podrian|puede|podria|podeis|me puedes|me pueden|me puede|me podrias|me podrian|me podria|solicito|pido|les pido|le pido|te pido|os pido|pido que|solicito que|quiero que|\
         como puedo|como hago para|como me|quiero pedir|les ruego|ruego",
    ),
    ("es", Say::Baja, "baja"),
    (
        "es",
        Say::Polite,
        "por favor|porfavor|porfa|porfis|xfa|xfavor|x favor|pf|pfv|pofavor|gracias|muchas gracias|grax|grcs",
    ),
    (
        "es",
        Say::Filler,
        "hola|no soy esa persona|no soy yo|este no es mi numero|no es mi numero|buenas|buenos dias|buenas tardes|buenas noches|buen dia|si|vale|ya|ya mismo|ahora|ahora mismo|de una vez|inmediatamente|no gracias|no me interesa|no estoy interesado|no estoy interesada|\
         mas|nunca mas|nunca|jamas|a este numero|a mi numero|a este telefono|a mi telefono|a mi celular|a mi movil|en este numero|de ustedes|de vosotros|suyos|vuestros|por este medio|por aqui|por whatsapp|por sms|al whatsapp|al movil|al celular|\
         numero equivocado|se equivocan|se equivocaron de numero|te equivocaste de numero|quien es|quien eres|quienes son|quien sos|disculpe|disculpen|disculpa|perdon|señor|señora|señores|saludos|un saludo|les dije|te dije|ya les dije|ya dije",
    ),
    (
        "pt",
        Say::Stop,
        "sair da lista|me tire da lista|me tirem da lista|me remova da lista|me remove da lista|me retire da lista|tire meu numero|remova meu numero|quero sair da lista|descadastrar|me descadastre|descadastre me|\
         nao quero mais mensagens|nao quero receber mensagens|nao quero mais receber mensagens|nao quero receber mais mensagens|nao desejo receber mensagens|nao desejo mais receber mensagens|\
         pare de me enviar mensagens|parem de me enviar mensagens|pare de enviar mensagens|parem de enviar mensagens|pare de mandar mensagens|parem de mandar mensagens|pare de me mandar mensagens|parem de me mandar mensagens|\
         nao me mande mais mensagens|nao me mandem mais mensagens|nao me envie mais mensagens|nao me enviem mais mensagens|nao mande mais mensagens|nao envie mais mensagens|pare por favor|por favor pare|sair por favor",
    ),
    ("pt", Say::Filler, "obrigado|obrigada|por gentileza|por favor"),
    (
        "fr",
        Say::Stop,
        "arretez les messages|arreter les messages|arretez de m'envoyer des messages|arretez de m'envoyer des sms|arretez de m'ecrire|arrete de m'ecrire|arretez svp|\
         ne m'ecrivez plus|ne m'envoyez plus de messages|ne m'envoyez plus de sms|ne m'envoyez plus rien|ne me contactez plus|desabonnez moi|desabonne moi|desabonner|desabonnement|me desabonner|je veux me desabonner|je souhaite me desabonner|je voudrais me desabonner|\
         desinscrivez moi|desinscrire|me desinscrire|je veux me desinscrire|je souhaite me desinscrire|je voudrais me desinscrire|retirez moi de votre liste|retirez moi de la liste|enlevez moi de votre liste|supprimez moi de votre liste|supprimez mon numero|\
         je ne veux plus de messages|je ne veux plus de sms|je ne veux plus recevoir de messages|je ne veux plus recevoir de sms|je ne veux plus recevoir vos messages|je ne souhaite plus recevoir de messages|je ne souhaite plus recevoir vos messages|plus de messages|plus de sms|stop sms|stop aux messages|stop aux sms|stop messages",
    ),
    ("fr", Say::Filler, "s'il vous plait|s'il te plait|svp|stp|merci|merci de|bonjour|veuillez"),
    (
        "de",
        Say::Stop,
        "stopp|abmelden|abbestellen|austragen|melden sie mich ab|meldet mich ab|mich abmelden|ich möchte mich abmelden|ich moechte mich abmelden|ich will mich abmelden|keine nachrichten mehr|keine sms mehr|keine werbung mehr|\
         ich möchte keine nachrichten mehr|ich moechte keine nachrichten mehr|ich will keine nachrichten mehr|ich möchte keine nachrichten mehr erhalten|ich möchte keine nachrichten mehr bekommen|ich will keine nachrichten mehr bekommen|ich will keine nachrichten mehr erhalten|\
         schreiben sie mir nicht mehr|schreibt mir nicht mehr|löschen sie meine nummer|entfernen sie mich aus der liste|nehmen sie mich aus der liste|nehmen sie mich aus dem verteiler|stoppen sie die nachrichten",
    ),
    ("de", Say::Filler, "bitte|danke|vielen dank|sofort|hallo|guten tag"),
    ("", Say::Polite, "🛑|✋|🤚|🖐|🚫|⛔|🙏|👎|❌|😡|😠|🤬|😤|🙄|😒|👋|📵|🔕|☹|😑"),
];
