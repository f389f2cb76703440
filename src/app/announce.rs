//! The text that `recado serve` prints when it has started.

use super::installation::Installation;
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::Channel;
use crate::emulators::twilio as carrier;
use crate::engine::Engine;

/// Prints what runs and what to try next. Standard output may be closed.
pub fn announce(installation: &Installation, engine: &Engine, api_base: &str) {
    let text = greeting(installation, engine, api_base);
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

fn greeting(installation: &Installation, engine: &Engine, api_base: &str) -> String {
    let Installation { config, directory, .. } = installation;
    let rules = engine.pipeline.rules().rules().count();
    let mut text = format!(
        "Recado {} listens on http://{listen}\nThe manual: http://{listen}/docs/\n",
        env!("CARGO_PKG_VERSION"),
        listen = config.listen
    );
    text += &format!("{rules} rules from {}\n", config.rules_dir.display());
    if config.app_debug {
        text += "!! APP_DEBUG is on: webhooks are NOT checked for their signature. Never so in production.\n";
        tracing::warn!("APP_DEBUG is on: webhooks are not checked for their signature");
    }
    text += &carrier_lines(installation, api_base);
    let mailer = &engine.transports.mailer;
    text += &if mailer.delivers() {
        format!("E-mail goes to {} and comes from {}.\n", mailer.destination(), mailer.from())
    } else {
        format!(
            "No SMTP_URL is configured: e-mail is written to files in {} and reaches nobody.\n",
            mailer.destination()
        )
    };
    for provider in directory.platform().providers.iter() {
        text += &format!("Provider '{}' sends from {}\n", provider.name, provider.sender);
    }
    text
}

/// The lines about Twilio, or about the built-in carrier that stands in for it.
fn carrier_lines(installation: &Installation, api_base: &str) -> String {
    let Installation { config, directory, .. } = installation;
    let mut text = String::new();
    if installation.built_in_carrier {
        text += &format!(
            "No Twilio account is configured: a built-in carrier stands in for Twilio ({api_base}).\n\
             \n\
             Try this in another terminal:\n  \
               recado phone                                  text it, as a customer would, and see the answers\n  \
               recado webhook --from +34600111222 HOLA       text the demo tenant, signed as Twilio would\n  \
               recado messages                               see the answer and its delivery\n  \
               recado explain last                           why it was sent, rule by rule\n  \
               recado check && recado test                   check the rules and run their cases\n\
             (from the source tree: cargo run --release -- phone)\n"
        );
        if let Err(why) = carrier::check_loopback(&config.app_url) {
            text += &format!(
                "!! APP_URL is {}: {why}. Until then no message reaches this server, and none is sent.\n",
                config.app_url
            );
            tracing::warn!(app_url = %config.app_url, "the built-in carrier calls loopback addresses only");
        }
    } else {
        text += &format!("Sending through {api_base} with account {}.\n", directory.platform().account.sid);
        text += &format!(
            "Webhooks are expected at {} and …/whatsapp\n",
            WebhookUrls::new(&config.app_url, "{slug}").messages(Channel::Sms)
        );
    }
    text
}
