//! The phrases of answers, in English and Spanish as people write it in Spain and in Latin America.

use std::sync::LazyLock;

use crate::domain::phrases::Lexicon;

/// What a phrase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// Assent.
    Yes,
    /// To confirm; with a day behind it, it may be a promise.
    Confirm,
    /// To have confirmed.
    ConfirmNow,
    /// Thanks, greetings, politeness.
    Filler,
    /// The appointment.
    Appointment,
    Cancel,
    /// To change something.
    Move,
    /// To change the appointment.
    MoveIt,
    /// Not to be able to come.
    CannotCome,
    /// Not to be able to, or not possible.
    Cannot,
    /// Another time.
    OtherTime,
    /// No.
    Not,
    /// Not to cancel, not to change.
    Keep,
    /// "Can you", which asks for what follows.
    Request,
    /// "Can I", which asks whether it is possible.
    MayI,
    /// "I have to", "I want to".
    Want,
    /// "But".
    But,
    /// "Instead", "better".
    Better,
    /// A reason not to come.
    Reason,
    /// "Sorry".
    Excuse,
    /// What makes a text say something else.
    Other,
    LetterX,
    LetterM,
    LetterY,
    YesICan,
    IfNot,
}

pub(super) static LEXICON: LazyLock<Lexicon<Say>> = LazyLock::new(|| Lexicon::new(LISTS));

/// Parted by `|`. An apostrophe may be left out in the text.
const LISTS: &[(Say, &str)] = &[
    (Say::LetterX, "x"),
    (Say::LetterM, "m"),
    (Say::LetterY, "y"),
    (Say::IfNot, "si no|si ya no"),
    (Say::YesICan, "si puedo|si podemos|si podre|si puedo ir|si puedo asistir|si podre ir|si podemos ir"),
    (
        Say::Yes,
        "yes|yess|yep|yepp|yup|yupp|yea|yeah|yeh|yah|yas|ye|yse|yez|yessir|yes sir|yes ma'am|yes please|aye|yis|uh huh|mhm|mhmm|ok|okay|okey|oki|okie|okis|oka|okas|oke|okei|okk|oky|ok ok|okok|okdok|okidoki|oki doki|okie dokie|okey dokey|okey doke|k|kk|\
         sure|sure thing|for sure|of course|ofc|absolutely|definitely|certainly|indeed|affirmative|totally|bet|aight|alright|alrighty|all right|all good|all set|right|that's right|that is right|correct|that's correct|that is correct|that's me|righto|roger|roger that|copy that|\
         perfect|great|good|very good|fine|cool|awesome|excellent|lovely|brilliant|nice|super|wonderful|fantastic|amazing|works|that works|that works for me|works for me|that's fine|that is fine|it's fine|that's ok|that's okay|that's good|that's great|that's perfect|that'll work|that will work|that will be fine|sounds good|sounds great|sounds perfect|sounds fine|sounds lovely|sg|\
         no problem|no probs|no prob|no problemo|np|no worries|not a problem|no problem at all|not a problem at all|will do|done|you bet|acknowledged|i acknowledge|i'm all set|we're all set|looks good|looks good to me|sounds good to me|happy with that|i'm happy with that|will come|got it|gotcha|noted|understood|received|all good here|good to go|confirming yes|y yes",
    ),
    (
        Say::Yes,
        "i will|i'll be there|i will be there|she will be there|he will be there|they will be there|she'll be there|he'll be there|they'll be there|we are|that time works|that time works for me|that time is fine|that time is good|the time works|is fine|is good|is ok|is okay|is perfect|is great|is fine with me|is fine for me|is good for me|is ok for me|it is|works great|works fine|works perfectly|works well|works perfect|i'll b there|i will b there|ill b thr|be there|will be there|i'll be here|we'll be there|we will be there|we'll see you|i'll see you|i will see you|see you|see u|see ya|see you there|see you then|see u then|see ya then|see you soon|see u soon|see you later|see you all|see you guys|c u|cu|c ya|cya|c u then|cu then|c u there|cu there|c u soon|\
         i'm coming|i am coming|we're coming|coming|i'll come|i will come|i'll attend|i will attend|i'm attending|attending|i can come|i can make it|i'll make it|i will make it|can make it|i can|we can|i am|i'm in|i'm on|i'm good for|count me in|count on me|count on it|on my way|omw|i'm on my way|i can't wait|i cannot wait|won't be late|i won't be late|won't forget|i won't forget|looking forward|looking forward to it|looking forward to seeing you|can't wait|cannot wait|i won't miss it|wouldn't miss it|won't miss it|it's a date|still on|we're on|still good|still coming|i'm still coming|still works|all good for|good for me|fine by me|fine with me|ok with me|ok for me|ok by me|good with me|it works|it works for me|that suits|that suits me|suits me|until then|till then|yes it is",
    ),
    (
        Say::Yes,
        "si|sii|sip|sipi|sep|sepi|sipo|sisi|sisisi|si si|simon|por supuesto que si|de diez|agendado|agendada|arre|esta bueno|ta bueno|no hay drama|no hay bronca|no pasa nada|claro|claro que si|claro q si|claro k si|si claro|por supuesto|x supuesto|xsupuesto|por sup|desde luego|como no|obvio|afirmativo|exacto|efectivamente|correcto|asi es|eso es|cierto|de una|seguro que si|vale|vale vale|bale|vle|dale|dale dale|daleee|dele|va|va que va|venga|sale|sale y vale|sale pues|orale|andale|okay si|de acuerdo|deacuerdo|d acuerdo|dacuerdo|de akuerdo|conforme|entendido|enterado|enterada|recibido|anotado|apuntado|tomo nota|\
         perfecto|perfe|perfec|perfeto|perfecta|prefecto|perfecto si|genial|estupendo|fenomenal|excelente|maravilloso|fantastico|buenisimo|barbaro|joya|joyita|listo|listo pues|lista|bueno|bien|muy bien|todo bien|todo ok|todo perfecto|todo correcto|todo claro|esta perfecto|esta ok|esta genial|me queda perfecto|dale que va|con gusto|con mucho gusto|esta bien|ta bien|tabien|estabien|me parece bien|me parece perfecto|me va bien|me viene bien|me queda bien|me sirve|me vale|me va perfecto|me viene perfecto|chevere|chido|bacan|bakan|guay|super|de lujo|ok si|sin problema|sin problemas|no hay problema|no hay problemas|ningun problema|no problem|no te preocupes|no se preocupe|no se preocupen|hecho|trato hecho|a la orden|cuenta con ello",
    ),
    (
        Say::Yes,
        "ahi estare|ahi estaremos|ahi estara|alli estara|ahi estaran|alli estaran|ahi estamos|alli estamos|estoy ahi|estoy alli|estare puntual|estaremos puntuales|ahy estare|hay estare|ay estare|alli estare|alli estaremos|ahi voy a estar|ahi vamos a estar|ahi stare|alla estare|aya estare|ahi estoy|alli estoy|ahi toy|estare ahi|estare alli|estaremos ahi|estaremos alli|estare|estaremos|ahi nos vemos|alli nos vemos|alla nos vemos|nos vemos|nos vemos ahi|nos vemos alli|nos vemos entonces|nos bemos|te veo|los veo|les veo|os veo|nos vemos pronto|hasta entonces|hasta|hasta el|\
         cuenta conmigo|cuenten conmigo|contad conmigo|cuente conmigo|alla voy|ahi voy|alla vamos|ahi vamos|voy|vamos|ire|iremos|voy a ir|vamos a ir|voy seguro|asisto|asistire|asistiremos|voy a asistir|acudire|ahi ire|alli ire|alla ire|voy sin falta|sin falta|ahi sin falta|no faltare|no faltaremos|no falto|no fallo|no fallare|ahi llego|alla llego|llegare|ahi llegare|puntual|ahi puntual",
    ),
    (Say::Yes, "👍|👌|✅|✔|☑|🆗|💯|🤝|🫡|🤙"),
    (
        Say::Confirm,
        "confirm|confirm it|confirm this|i confirm|we confirm|i do confirm|confirming|i'm confirming|i am confirming|i want to confirm|i would like to confirm|i'd like to confirm|i wish to confirm|can confirm|i can confirm|happy to confirm|am confirming|just confirming|to confirm|yes confirm|please confirm|confrim|confim|comfirm|cofirm|conferm|\
         confirmo|confirmar|confirmamos|confirma|confirme|confirmen|confirmad|lo confirmo|la confirmo|la confirmamos|lo confirmamos|si confirmo|yo confirmo|quiero confirmar|quisiera confirmar|deseo confirmar|para confirmar|queria confirmar|quiero confirmarla|comfirmo|confrimo|comfirmar|confimo|confirno|konfirmo|confirmela|confirmala|confirmenla|confirmarla|confirmarlo",
    ),
    (
        Say::ConfirmNow,
        "c|option c|opcion c|la c|letra c|letter c|c de confirmar|c para confirmar|c para confirmarla|c to confirm|c for confirm|reply c|reply c to confirm|responde c|respondo c|respuesta c|answer c|c confirm|c confirmo|i'm confirmed|i am confirmed|we're confirmed|confirmo q voy|confirmo q ire|te confirmo q voy|les confirmo q voy|confirmed|is confirmed|it's confirmed|all confirmed|confirmd|comfirmed|confimed|confrimed|consider it confirmed|attendance confirmed|appointment confirmed|confirmation|\
         confirmado|confirmada|confirmadisimo|confirmadisima|queda confirmada|queda confirmado|esta confirmada|esta confirmado|comfirmado|comfirmada|confirmao|confirmadas|confirmados|asistencia confirmada|cita confirmada|confirmada la cita|confirmacion|te confirmo la cita|te confirmo mi cita|te confirmo asistencia|te confirmo mi asistencia|te confirmo que voy|te confirmo que ire|te confirmo que si|te confirmo que asistire|les confirmo que voy|les confirmo que ire|les confirmo que si|les confirmo la cita|les confirmo mi cita|les confirmo asistencia|les confirmo mi asistencia|le confirmo la cita|le confirmo mi cita|le confirmo que voy|le confirmo mi asistencia|os confirmo que voy|os confirmo la cita|confirmo que voy|confirmo que ire|confirmo que asistire|confirmo que si",
    ),
    (
        Say::Appointment,
        "to my appointment|to the appointment|for my appointment|for the appointment|a la cita|a mi cita|a la consulta|a mi consulta|a mi turno|al turno|appointment|my appointment|the appointment|our appointment|this appointment|appt|my appt|the appt|apt|my apt|booking|my booking|the booking|reservation|my reservation|visit|my visit|my attendance|attendance|my spot|my slot|\
         cita|la cita|mi cita|esta cita|nuestra cita|sita|la sita|mi sita|turno|el turno|mi turno|este turno|mi hora|reserva|la reserva|mi reserva|visita|la visita|mi visita|asistencia|mi asistencia|la asistencia|las citas|mis citas|cita medica|consulta|mi consulta|la consulta|sesion|la sesion|mi sesion",
    ),
    (
        Say::Filler,
        "thanks|thank you|thank u|thankyou|thanku|thank you so much|thank you very much|thanks so much|thanks a lot|thanks a million|many thanks|thx|thnx|thnks|thanx|thks|tks|tnx|tx|ty|tysm|tyvm|ta|cheers|much appreciated|appreciated|appreciate it|i appreciate it|thanks for the reminder|thank you for the reminder|thanks for reminding me|thank you for reminding me|thanks for letting me know|for the reminder|\
         please|pls|plz|plss|pleas|pl|hi|hello|hey|hiya|heya|good morning|good afternoon|good evening|good night|goodnight|morning all|have a good day|have a great day|have a nice day|have a good one|have a lovely day|have a good evening|have a good weekend|you too|bye|bye bye|goodbye|take care|take care now|regards|kind regards|best|best regards|team|guys|everyone|there|doctor|doc|dr|dra|doctora|sir|madam|miss|mr|mrs|ms|mate|dear|hun|xx|xxx|xxxx|xo|xoxo|lol|haha|hahaha|hehe|and|then|so|oh|oh yes|well|again|very much|so much|a lot|really|friend|man|bro|dude|love",
    ),
    (
        Say::Filler,
        "gracias|muchas gracias|mil gracias|muchisimas gracias|gracias a ti|gracias a usted|gracias a ustedes|gracias a vosotros|grasias|gracis|graciass|graciaas|gracia|grax|grac|grcs|grs|gcs|mchas gracias|muxas gracias|muchas grasias|gracias por avisar|gracias por recordarme|gracias por recordarmelo|gracias por el recordatorio|gracias por recordar|gracias por el aviso|gracias por avisarme|gracias por la informacion|gracias por todo|por recordarme|por el recordatorio|se agradece|muy amable|muy amables|agradecido|agradecida|\
         por favor|porfavor|xfavor|x favor|porfa|porfas|porfis|porfi|xfa|x fa|xfis|pf|pfv|plis|por fa|hola|holi|holaa|ola|hola hola|buenas|muy buenas|buenos dias|buen dia|buenas tardes|buenas noches|bnas tardes|bnos dias|bns dias|que tal|saludos|un saludo|saludo|saludos cordiales|cordial saludo|un abrazo|abrazo|abrazos|un beso|beso|besos|besitos|bss|bs|que tengas buen dia|que tenga buen dia|que tengan buen dia|que tengan un buen dia|que tenga un buen dia|que tengas un buen dia|que tengais buen dia|que tengan linda tarde|buen fin de semana|feliz dia|feliz tarde|lindo dia|bonito dia|buena tarde|igualmente|adios|chao|chau|ciao|hasta luego|hasta pronto|hasta la vista|bendiciones|dios le bendiga|dios los bendiga|\
         doctor|dr|dra|doctora|señor|señora|señorita|sr|sra|srta|bb|parce|parcero|wey|guey|mijo|mija|compa|joven|seño|señito|profe|licenciada|lic|dios mediante|primero dios|con el favor de dios|si dios quiere|si dios lo permite|amigo|amiga|amigos|chicas|chicos|guapa|guapo|guapas|cariño|linda|reina|corazon|crack|maestro|jefa|jefe|equipo|jaja|jajaja|jajajaja|jeje|jejeje|xd|pues|entonces|tambien|pue|po|che|tia|tio|ah|ahh|ay|uy|oye|oiga|por aqui|encantada|encantado|mucho gusto|un placer|che gracias|y gracias|ahi|alli|alla|señores|hermano|mi amor",
    ),
    (
        Say::Filler,
        "🙏|😊|😀|😃|😄|😁|🙂|😉|😍|🥰|😘|❤|💕|🧡|💛|💚|💙|💜|🤎|🖤|🤍|💖|💗|💓|💞|💘|💝|🤗|🎉|🥳|✨|🌸|🌹|🌺|🌻|🌷|💐|😎|🤩|☺|💪|🙌|👏|👋|💋|🫶|😇|🫰|🌟|⭐|☀|🌞|😋|😅|😂|🤣|🙋|🙋\u{200d}♀|🙋\u{200d}♂|🙆|🙆\u{200d}♀|💇|💇\u{200d}♀|💇\u{200d}♂|💅|🦷|🐶|😸|😺|🥂|🍀|🤓|😌|🫂|📅|🗓|⏰",
    ),
    (
        Say::Cancel,
        "option x|opcion x|la x|letra x|letter x|x para anular|x para anularla|x para cancelar|x para cancelarla|x de cancelar|x to cancel|x to cancel it|cancel|cancell|cancle|cancl|cansel|cancelled|canceled|canceling|cancelling|cancellation|cancelation|cxl|cncl|call it off|not keep|cancel it|cancel that|cancel this|cancel me|cancel for me|i'll cancel|i'll cancel it|i'm cancelling|i'm canceling|i am cancelling|i am canceling|gotta cancel|gonna cancel|remove my appointment|delete my appointment|delete my booking|i cancel|\
         cancelar|cancela|cancelo|cancele|cancelen|cancelad|cancelada|cancelado|cancelala|cancelalo|cancelela|cancelelo|cancelenla|cancelenlo|canceladla|cancelamela|cancelenmela|cancelemela|cancelarla|cancelarlo|cancelarmela|cancelame|canceleme|cancelenme|cancelame la|cancelacion|la cancelo|lo cancelo|la puedes cancelar|la pueden cancelar|la podrias cancelar|me la cancelas|me la cancelan|me la puedes cancelar|me la pueden cancelar|me la anulas|me la anulan|la puedes anular|la pueden anular|me la puedes anular|la quiero cancelar|la quiero anular|la tengo que cancelar|la tengo que anular|la voy a cancelar|la voy a anular|la necesito cancelar|cancelamos|cancelemos|cancelaria|canselar|cansela|canselo|kancelar|cancelr|cancelas|\
         anular|anula|anulo|anule|anulen|anulad|anulada|anulado|anulala|anulalo|anulela|anulenla|anuladla|anulamela|anulenmela|anularla|anularlo|anularmela|anulame|anuleme|anulenme|anulacion|la anulo|lo anulo|anulamos|anulas|borrala|borra mi cita|borren mi cita|quita mi cita|elimina mi cita|eliminala|dar de baja la cita|dar de baja mi cita",
    ),
    (
        Say::Move,
        "move|moving|change|changing|swap|switch|change of plan|change of plans|a change|later|later please|earlier|sooner|another|other|next week|new time|new date|\
         cambiar|cambio|cambia|cambie|cambien|cambiais|cambiemos|cambiamos|mover|mueve|muevan|muevo|mas tarde|mas temprano|antes|despues|mas adelante|mas pronto|otro|otra|un cambio|modificar|correr|atrasar|adelantar|retrasar|aplazar|posponer|postergar|trasladar|pasar|pasarla|la semana que viene|proxima semana|la proxima semana",
    ),
    (
        Say::MoveIt,
        "option m|opcion m|la m|letra m|letter m|m para cambiar|m para cambiarla|m para moverla|m de mover|m to move|m to move it|reschedule|re schedule|reschedual|reshedule|reschedul|resched|rescheduled|rescheduling|rebook|re book|rebooking|postpone|postponed|postponing|push it back|push back|push it|move it|move mine|move this|move my appointment|move the appointment|move my appt|move the appt|moving my appointment|move my booking|move the time|\
         change it|change my appointment|change the appointment|change my appt|change the appt|change appointment|change our appointment|change this appointment|changing my appointment|change the time|change the day|change the date|change time|change times|change day|change date|change my time|change my booking|change the hour|change my slot|\
         swap it|switch it|switch my appointment",
    ),
    (
        Say::MoveIt,
        "cambiarla|cambiarlo|cambiarme|cambiarmela|cambiarmelo|cambiala|cambialo|cambiela|cambienla|cambiadla|cambiame|cambieme|cambienme|cambiamela|cambienmela|cambiarle|la cambio|la cambiamos|cambiarlas|cambiar la cita|cambiar mi cita|cambiar cita|cambiar de cita|cambiar de dia|cambiar de hora|cambiar el dia|cambiar la hora|cambiar la fecha|cambiar de fecha|cambiar fecha|cambiar hora|cambiar dia|cambiar el turno|cambiar mi turno|cambiar turno|cambiar el horario|cambiar mi hora|cambiar la reserva|cambio de cita|cambio de hora|cambio de dia|cambio de fecha|cambio de turno|cambia la cita|cambia mi cita|cambien la cita|cambien mi cita|cambiemos la cita|cambiar a otro|cambiar para otro|cambiar para otra|canviarla|kambiar la cita|\
         moverla|moverlo|moverme|muevela|muevanla|mueveme|muevanme|movela|moveme|mover la cita|mover mi cita|mover el turno|mover mi turno|mover la hora|reagendar|reagendarla|reagendamos|reagenda|reagende|reagenden|reagendo|reajendar|re agendar|reprogramar|reprogramarla|reprogramo|reprograma|reprogramamos|reprogramen|re programar|agendar para otro|\
         aplazarla|aplazarlo|aplazamos|aplazala|aplazar la cita|aplazar mi cita|posponerla|posponerlo|pospongo|pospone|posponemos|posponer la cita|posponer mi cita|postergarla|postergar la cita|postergar el turno|retrasarla|retrasar la cita|atrasarla|atrasar la cita|adelantarla|adelantar la cita|correrla|correr la cita|correr el turno|trasladarla|trasladar la cita|pasar la cita|pasarla a|pasarla para|pasarlo a|pasarlo para|pasamela|pasarmela|me la pasas|la podemos mover|la podemos cambiar|la puedo mover|la puedo cambiar|la puedes mover|la puedes cambiar|la pueden mover|la pueden cambiar|se puede mover|se puede cambiar|me la puedes mover|me la puedes cambiar|me la pueden cambiar|me la pueden mover|lo podemos cambiar|lo puedo cambiar|la quiero cambiar|la tengo que cambiar|la necesito cambiar|la debo cambiar|la quiero mover|la tengo que mover|la cambiamos|la movemos|y si la cambiamos|me la cambias|me la cambian|me la mueves|me lo cambias|modificarla|modificar la cita|modificar mi cita|\
         un poco antes",
    ),
    (
        Say::CannotCome,
        "can't come|cannot come|i can't come|i cannot come|we can't come|can't make it|cannot make it|i can't make it|i cannot make it|we can't make it|can't attend|cannot attend|i can't attend|can't be there|i can't be there|can't go|i can't go|not coming|i'm not coming|i am not coming|won't make it|i won't make it|won't be there|i won't be there|won't be able to come|won't be able to make it|won't be able to attend|i won't be able to come|i won't be able to make it|unable to come|unable to attend|unable to make it|not able to come|not able to make it|not going to make it|i'm not going to make it|\
         no puedo|no puedo ir|no puedo venir|no puedo asistir|no puedo acudir|no podre|no podre ir|no podre venir|no podre asistir|no podremos ir|no podremos asistir|no voy a poder|no voy a poder ir|no voy a poder asistir|no vamos a poder ir|no podemos ir|no asistire|no ire|no iremos|no voy a ir|no voy|no acudire|ya no puedo|ya no puedo ir|ya no voy|ya no ire|ya no podre|ya no podre ir",
    ),
    (
        Say::Cannot,
        "i will not|will not|no longer need|don't need it|do not need it|don't need it anymore|no longer want|can't|cannot|can not|cant|cnt|couldn't|won't|i won't|we won't|won't be able|won't make it|won't be there|will not be there|will not be able|unable|unable to|not able|not able to|not possible|impossible|i'm not coming|i am not coming|not coming|not going|not attending|no can do|can't make it|cannot make it|can no longer|no longer able|no longer can|no longer coming|doesn't work|does not work|won't work|not gonna make it|not going to make it|not gonna be able|couldn't make it|don't think i can|do not think i can|don't think i'll|doesn't suit|not good for me|not convenient|not available|unavailable|have to miss|going to miss|need to miss|i'll miss|will miss",
    ),
    (
        Say::Cannot,
        "no puedo|no podre|no podemos|no podremos|no pudo|no pude|ya no hace falta|ya no me hace falta|ya no la necesito|no la necesito|ya no la quiero|no la quiero|ya no quiero|ya no necesito|confirmo que no|confirmo que no voy|confirmo que no puedo|vale ya no|ok ya no|no podria|no puedo ir|no puedo asistir|no puedo venir|no puedo acudir|no puedo llegar|ya no puedo|ya no podre|ya no voy|ya no ire|no voy|no vamos|no ire|no iremos|no voy a ir|no voy a poder|no vamos a poder|no vamos a ir|no voy a asistir|no asistire|no asistiremos|no asisto|no acudire|no estare|no llego|no llegare|no voy a llegar|no alcanzo|no alcanzo a llegar|no me da tiempo|no me va a dar tiempo|me es imposible|me resulta imposible|es imposible|imposible|no me es posible|no es posible|no va a ser posible|no sera posible|no me viene bien|no me va bien|no me queda bien|no me cuadra|no me conviene|no me sirve|no me vale|no creo que pueda|no creo poder|no creo que vaya|no tengo tiempo|no tengo como ir|no estoy disponible|no pueo|no pueod|no pdo|no podr|no voi|me temo que no|creo que no|va a ser que no|mejor no|hoy no|mañana no|ese dia no|a esa hora no|se me complica|se me complico|se me hace imposible|se me ha complicado|me surgio algo|me surgio un imprevisto|me ha surgido algo|me ha surgido un imprevisto|me salio algo|me salio un imprevisto|tengo un imprevisto|he tenido un imprevisto",
    ),
    (
        Say::OtherTime,
        "another day|another time|another date|another slot|another hour|different day|different time|different date|other day|other time|some other time|some other day|new slot|an earlier time|half an hour later|half an hour earlier|half hour later|an hour later|an hour earlier|a later time|later time|earlier time|later that day|later in the week|later in the day|earlier in the day|\
         otro dia|otra hora|otra fecha|otro horario|otro momento|otro hueco|otro rato|dia diferente|hora diferente|distinta hora|distinto dia|nueva fecha|nueva hora|un poco mas tarde|media hora mas tarde|media hora antes|media hora despues|una hora mas tarde|una hora antes|una hora despues|un poco antes",
    ),
    (
        Say::Not,
        "no|nope|nop|nah|nay|nel|nel pastel|no gracias|no thanks|no thank you|not|never|negative|negativo|claro que no|por supuesto que no|of course not|para nada|de ninguna manera|ni modo|nunca|tampoco|no no|i do not|i don't|don't|do not|isn't|👎|❌|🚫|🙅|🙅\u{200d}♀|🙅\u{200d}♂|✖",
    ),
    (
        Say::Keep,
        "don't cancel|do not cancel|not cancel|not cancelling|not canceling|no cancel|never cancel|no need to|no need|not cancelled|not canceled|without cancelling|didn't cancel|did not cancel|haven't cancelled|not change|don't change|do not change|don't move|do not move|not move|no change|no changes|won't cancel|keep it|keep my appointment|keep the appointment|keep|unless|no reschedule|not reschedule|not rescheduling|can't cancel|cannot cancel|can't change|don't want to cancel|don't want to change|\
         no cancelar|no canceles|no cancele|no cancelen|no cancela|no cancelo|no canceleis|no la canceles|no la cancelen|no la cancele|no la cancelo|no cancelarla|no quiero cancelar|no quiero cancelarla|no voy a cancelar|no anular|no anules|no anule|no anulen|no anula|no la anules|no la anulen|no la anulo|no quiero anular|no quiero anularla|no cambiar|no cambies|no cambien|no cambie|no la cambies|no la cambien|no la cambio|no quiero cambiar|no quiero cambiarla|no hace falta|no es necesario|no hay que|sin cambios|no muevas|no muevan|no la muevas|no la muevan|mantener|mantenla|mantengan|a menos que|no puedo cancelar|no puedo cancelarla",
    ),
    (
        Say::Request,
        "can you|could you|would you|will you|can u|could u|would u|can we|could we|can someone|could someone|puedes|podrias|pueden|podrian|puede|podria|podeis|me puedes|me podrias|me pueden|me podrian|me puede|me podria|podes|me podes|podemos|podriamos|seria tan amable de|serian tan amables de|me haces el favor de|hagan el favor de|let's|would you mind",
    ),
    (
        Say::MayI,
        "can i|could i|may i|is it possible|is it possible to|would it be possible|would it be possible to|is there any way to|how do i|how can i|do i|puedo|podre|se puede|es posible|seria posible|sera posible|hay forma de|hay manera de|hay posibilidad de|habria posibilidad de|como puedo|como hago para",
    ),
    (
        Say::Want,
        "i want to|i want|i need to|i need|i have to|i've to|i've got to|i gotta|gotta|have to|need to|want to|i must|i would like to|i would like|i'd like to|i'd like|i'd rather|i'd prefer|i would prefer|i prefer|i wish to|i think|i will have to|i'll have to|i'll need to|going to have to|i'm going to have to|just|actually|would prefer|i'm going to|\
         quiero|quisiera|queria|querria|necesito|necesitaria|tengo que|tendria que|tendre que|tenemos que|debo|deberia|me gustaria|deseo|prefiero|preferiria|voy a|voy a tener que|vamos a|vamos a tener que|habria que|solo|es que|he de|toca|me toca",
    ),
    (
        Say::But,
        "but|however|though|although|except|only if|if possible|if you can|if that's ok|if|pero|aunque|sino|salvo|siempre que|si puede ser|si es posible|si se puede|si hay|puede ser|podria ser|could it be|can it be|can we do|could we do|can we make it|could we make it|can you do|could you do|how about|what about|que te parece|que le parece|que tal si|or|o|u",
    ),
    (
        Say::Better,
        "instead|rather|better|works better|is better|would be better|i'd rather|mejor|mas bien|en vez|en lugar|prefiero|preferiria|i prefer|i'd prefer|i would prefer|could be|can be|make it",
    ),
    (
        Say::Excuse,
        "sorry|so sorry|i'm sorry|i am sorry|very sorry|my apologies|apologies|apologise|unfortunately|\
         lo siento|lo siento mucho|perdon|perdona|perdone|perdonen|disculpa|disculpe|disculpen|disculpas|mil disculpas|una disculpa|lamento|lo lamento|desgraciadamente|lamentablemente|por desgracia",
    ),
    (
        Say::Reason,
        "i'm sick|i am sick|sick|i'm ill|i am ill|ill|i feel sick|not feeling well|i'm not feeling well|i'm unwell|unwell|i have the flu|i have a cold|i have a fever|i have covid|something came up|something has come up|emergency|family emergency|i have work|i'm working|i have to work|i'm busy|busy|i'm away|i'm out of town|out of town|i'm travelling|i'm traveling|my car broke down|traffic|\
         estoy enferma|estoy enfermo|enferma|enfermo|estoy mala|estoy malo|estoy malita|me encuentro mal|no me encuentro bien|me siento mal|no me siento bien|tengo fiebre|tengo gripe|tengo covid|un imprevisto|imprevisto|por trabajo|trabajo|tengo trabajo|tengo que trabajar|estoy trabajando|estoy de viaje|de viaje|estoy fuera|ocupada|ocupado|estoy ocupada|estoy ocupado|una emergencia|emergencia|😢|😭|😔|😞|😩|🥺|😥|😓|🤒|🤧|🤕|😷|😕|🙁|☹",
    ),
    (
        Say::Other,
        "can't find|cannot find|can't see|cannot see|can't open|cannot open|can't get in|can't remember|can't hear|can't read|can't understand|can't park|can't pay|can't access|can't click|can't download|can't talk|can't speak|cannot remember|cannot access|cannot pay|can't believe|can't stand|can't tell|can't call|can't reach|\
         no puedo encontrar|no puedo abrir|no puedo ver|no puedo pagar|no puedo aparcar|no puedo estacionar|no puedo entrar|no puedo acceder|no puedo leer|no puedo oir|no puedo entender|no puedo llamar|no puedo hablar|no puedo recordar|no puedo creer|no puedo esperar|no podemos entrar|no podemos encontrar|si no puedo|si no podemos|if i can't|if i cannot|if we can't|in case i can't|por si no puedo|\
         si puedo voy|si puedo ire|voy si puedo|ire si puedo|llego tarde|voy tarde|llegare tarde|voy con retraso|running late|be late|late|confirm later|i will confirm later|i will confirm|will confirm|confirm you later|will confirm|i'll confirm|let you know later|confirmo luego|confirmo mas tarde|te confirmo mas tarde|te confirmo luego|talk later|call later|text later|yeah right|more|mas|last|next|cancel policy|cancellation policy|cancellation fee|politica de cancelacion|sure about|not sure|no estoy seguro|no estoy segura|seguro|maybe|perhaps|probably|possibly|hopefully|quizas|quiza|tal vez|a lo mejor|capaz|depende|creo|supongo|espero|espero que si|creo que si|i think so|i hope so|i guess|guess so|already|ya|aun|todavia|yet|wait|espera|un momento|luego|ahora|🤔|🤷|🤷\u{200d}♀|🤷\u{200d}♂|🙄|😡|😠|🤬",
    ),
];
