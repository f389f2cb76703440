//! Tests of whole configurations, from files and an environment.

use std::fs;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "fedcba9876543210fedcba9876543210";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(self.0.path(), environment).map_err(|errors| errors.to_string())
    }
}

fn load(environment: &[(&str, &str)]) -> Result<Config, String> {
    Folder::new().load(environment)
}

fn source<'a>(config: &'a Config, name: &str) -> &'a Explained {
    config.explain().iter().find(|key| key.name == name).unwrap()
}

#[test]
fn with_nothing_set_the_defaults_hold() {
    let config = load(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.app_url, "http://127.0.0.1:8000");
    assert!(!config.app_debug);
    assert_eq!(config.database_url.expose_secret(), "sqlite://data/recado.db");
    assert_eq!(config.sqlite_synchronous, Synchronous::Full);
    assert!(config.twilio.account.is_none());
    assert_eq!(config.twilio.api_base, "https://api.twilio.com");
    assert_eq!(config.carrier_listen.to_string(), "127.0.0.1:8010");
    assert_eq!(config.reconcile_after, Duration::from_secs(60));
    let limits = Limits {
        loop_guard_messages: 20,
        loop_guard_window: Duration::from_secs(600),
        sender_rate_per_s: None,
        calls_per_second: NonZeroU32::new(1),
        frequency_cap_per_day: None,
    };
    assert_eq!(config.limits, limits);
    let quiet: Vec<String> = config.quiet_hours.iter().map(|(prefix, hours)| format!("{prefix} {hours}")).collect();
    assert_eq!(quiet, ["+1 21:00-08:00", "all 21:00-09:00"]);
    assert_eq!(load(&[("QUIET_HOURS", "off")]).unwrap().quiet_hours, Default::default());
    assert!(load(&[("QUIET_HOURS", "9-5")]).unwrap_err().contains("such as +1=21:00-08:00"));
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(load(&[("LISTEN", "0.0.0.0:80")]).unwrap().app_url, "http://127.0.0.1:80");
}

#[test]
fn the_environment_wins_over_dot_env_over_the_file() {
    let folder = Folder::new()
        .with(
            "recado.toml",
            "listen = \"127.0.0.1:1\"\nlog_level = \"warn\"\nreconcile_after_s = 5\napp_debug = true\n",
        )
        .with(".env", "# ours\nLISTEN=127.0.0.1:2\nexport LOG_LEVEL='debug'\nTWILIO_FROM_NUMBER=\n");
    let config = folder.load(&[("LISTEN", "localhost:3"), ("LOG_LEVEL", ""), ("OTHER", "x")]).unwrap();
    assert_eq!((config.listen.port(), config.log_level.as_str(), config.app_debug), (3, "debug", true));
    assert_eq!(config.reconcile_after, Duration::from_secs(5));
    assert_eq!(source(&config, "LISTEN").source, Source::Environment);
    assert_eq!(source(&config, "LOG_LEVEL").source, Source::DotEnv { line: 3 });
    assert_eq!(source(&config, "RECONCILE_AFTER_S").source, Source::File { line: 3 });
    assert_eq!(source(&config, "LOG_FORMAT").source, Source::Default);
    assert_eq!(source(&config, "APP_URL").source, Source::From("LISTEN"));
    assert_eq!(source(&config, "TWILIO_FROM_NUMBER").value, None);
}

#[test]
fn all_errors_are_reported_at_once_with_their_places() {
    let folder = Folder::new()
        .with("recado.toml", "listn = \"x\"\nlog_format = \"xml\"\nLISTEN = \"x\"\n[twilio]\nfrom = 1\n[app_url]\n")
        .with(".env", "RECONCILE_AFTER_S=0\nSQLITE_SYNCHRONOUS=off # no\nTWILIO_AUTH_TOKEN=ab cd efsecret\n");
    let errors =
        folder.load(&[("LISTEN", "8000"), ("APP_URL", "https://a.example/"), ("TWILIO_ACCOUNT_SID", SID)]).unwrap_err();
    for expected in [
        "LISTEN in the environment: '8000' does not do; expected an address and a port",
        "APP_URL in the environment: 'https://a.example/' does not do; expected a URL",
        "RECONCILE_AFTER_S in .env line 1: '0' does not do; expected seconds, 1 to 86400",
        "SQLITE_SYNCHRONOUS in .env line 2: 'off' does not do; expected full or normal",
        ".env line 3 cannot be read: write NAME=value",
        "recado.toml line 1: there is no key 'listn', did you mean 'listen'?",
        "LOG_FORMAT in recado.toml line 2: 'xml' does not do; expected readable or json",
        "recado.toml line 3: there is no key 'LISTEN', did you mean 'listen'?",
        "recado.toml line 4: there is no key 'twilio'; `recado config` lists them all",
        "recado.toml line 6: app_url holds table; write a text",
        "TWILIO_ACCOUNT_SID is set but TWILIO_AUTH_TOKEN is not: set both, or neither",
    ] {
        assert!(errors.contains(expected), "{expected}\nnot in\n{errors}");
    }
    assert_eq!(errors.lines().count(), 12, "{errors}");
    assert!(!errors.contains("secret"), "{errors}");
}

#[test]
fn a_file_that_is_no_toml_is_named_but_not_quoted() {
    let errors = Folder::new().with("recado.toml", "\ntwilio_auth_token = hunter2\n").load(&[]).unwrap_err();
    assert!(errors.contains("recado.toml line 2 cannot be read"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn no_secret_is_shown_right_or_wrong() {
    let right = [
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_AUTH_TOKEN_SECONDARY", TOKEN),
        ("DATABASE_URL", "postgres://recado:fedcba98@db/recado"),
        ("RECADO_SECRET_KEY", &"fedcba98".repeat(8)),
        ("SMTP_URL", "smtps://hola:fedcba98@mail.example"),
        ("MAIL_FROM", "hola@clinica.example"),
        ("OPENAI_API_KEY", "sk-fedcba98"),
        ("ELEVENLABS_API_KEY", "sk_fedcba98"),
    ];
    let config = load(&right).unwrap();
    let shown = format!("{config:?}{}{}", config.explain_text(), serde_json::to_string(config.explain()).unwrap());
    assert!(!shown.contains("fedcba98"), "{shown}");
    assert!(shown.contains("postgres://recado:••••@db/recado") && shown.contains(SID));
    assert_eq!(config.twilio.account.unwrap().auth_token.expose_secret(), TOKEN);

    let wrong = right.map(|(name, value)| (name, format!("! {value}")));
    let errors = load(&wrong.each_ref().map(|(name, value)| (*name, value.as_str()))).unwrap_err();
    assert_eq!(errors.lines().count(), 10, "{errors}");
    assert!(!errors.contains("fedcba98"), "{errors}");
    let errors = load(&[("TWILIO_ACCOUNT_SID", TOKEN), ("TWILIO_AUTH_TOKEN", SID)]).unwrap_err();
    assert!(!errors.contains(TOKEN), "{errors}");
}

#[test]
fn unsigned_webhooks_only_where_nobody_else_can_reach() {
    for (listen, app_url, good) in [
        ("127.0.0.1:8000", "", true),
        ("[::1]:8000", "http://localhost:8000", true),
        ("0.0.0.0:8000", "", false),
        ("127.0.0.1:8000", "https://messages.example.com", false),
        ("192.168.1.2:8000", "http://127.0.0.1:8000", false),
    ] {
        let config = load(&[("APP_DEBUG", "true"), ("LISTEN", listen), ("APP_URL", app_url)]);
        assert_eq!(config.is_ok(), good, "{listen} {app_url}: {config:?}");
    }
}

#[test]
fn the_carrier_listens_on_loopback_or_not_at_all() {
    assert_eq!(load(&[("CARRIER_LISTEN", "[::1]:0")]).unwrap().carrier_listen.to_string(), "[::1]:0");
    let errors = load(&[("CARRIER_LISTEN", "0.0.0.0:8010")]).unwrap_err();
    assert!(errors.contains("CARRIER_LISTEN in the environment: '0.0.0.0:8010'"), "{errors}");
    assert!(errors.contains("a loopback address"), "{errors}");
}

#[test]
fn an_alias_is_the_same_key() {
    let folder = Folder::new().with("recado.toml", "twilio_phone_number = \"+34 600 111 222\"\n");
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.twilio.from_number.as_ref().map(Phone::as_str), Some("+34600111222"));
    assert_eq!(config.twilio.whatsapp_number, config.twilio.from_number);
    assert_eq!(source(&config, "TWILIO_WHATSAPP_NUMBER").source, Source::From("TWILIO_FROM_NUMBER"));

    let same = [("TWILIO_FROM_NUMBER", "+34600111222"), ("TWILIO_PHONE_NUMBER", "+34600111222")];
    assert!(load(&same).is_ok());
    let errors = folder.load(&[("TWILIO_FROM_NUMBER", "+34600111333")]).unwrap_err();
    let expected = "TWILIO_FROM_NUMBER is set to different values in the environment and in recado.toml line 1";
    assert!(errors.contains(expected), "{errors}");
    let whatsapp = load(&[("TWILIO_WHATSAPP_NUMBER", "whatsapp:+14155238886")]).unwrap().twilio.whatsapp_number;
    assert_eq!(whatsapp.as_ref().map(Phone::as_str), Some("+14155238886"));
}

#[test]
fn mail_needs_a_sender_and_plain_text_is_warned_of() {
    let mail = load(&[("SMTP_URL", "smtp://u:p%40@mail.example"), ("MAIL_FROM", "Sol, S.L. <hola@sol.example>")])
        .unwrap()
        .mail;
    let (smtp, from) = (mail.smtp.unwrap(), mail.from.unwrap());
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.security), ("mail.example", 587, Security::StartTls));
    assert_eq!(smtp.login.unwrap().password.expose_secret(), "p@");
    assert_eq!((from.name.as_deref(), from.email.as_ref()), (Some("Sol, S.L."), "hola@sol.example"));
    assert!(load(&[]).unwrap().mail.smtp.is_none());

    let errors = load(&[("SMTP_URL", "smtp://mail.example")]).unwrap_err();
    assert!(errors.contains("SMTP_URL is set but MAIL_FROM is not"), "{errors}");
    let from = ("MAIL_FROM", "hola@sol.example");
    assert_eq!(load(&[("SMTP_URL", "smtp://127.0.0.1:25?tls=none"), from]).unwrap().warnings, [""; 0]);
    let warnings = load(&[("SMTP_URL", "smtp://mail.example?tls=none"), from]).unwrap().warnings;
    assert!(warnings[0].contains("without TLS"), "{warnings:?}");
}

#[test]
fn keys_go_over_tls_or_stay_on_this_machine() {
    let config = load(&[]).unwrap();
    assert_eq!((config.chat.base.as_str(), config.chat.model.as_str()), ("https://api.openai.com/v1", "gpt-4o-mini"));
    assert_eq!(config.eleven.base, "https://api.elevenlabs.io");
    assert!(config.chat.key.is_none() && config.eleven.key.is_none() && config.eleven.agent.is_none());
    for local in ["OPENAI_BASE_URL", "ELEVENLABS_API_BASE"] {
        assert!(load(&[(local, "http://127.0.0.1:11434")]).unwrap().warnings.is_empty());
    }
    // A model in a private network is common, ElevenLabs in one is not.
    let warnings = load(&[("OPENAI_BASE_URL", "http://gpu.internal/v1"), ("OPENAI_API_KEY", "k")]).unwrap().warnings;
    assert!(warnings[0].contains("without TLS"), "{warnings:?}");
    let errors = load(&[("ELEVENLABS_API_BASE", "http://eleven.example")]).unwrap_err();
    assert!(errors.contains("https://"), "{errors}");
    let errors = load(&[("ELEVENLABS_AGENT_ID", "agent_1")]).unwrap_err();
    assert!(errors.contains("ELEVENLABS_AGENT_ID is set but ELEVENLABS_API_KEY is not"), "{errors}");
}

#[test]
fn dot_env_tells_slips_and_contradictions() {
    let folder =
        Folder::new().with(".env", "\u{feff}TWILIO_FROM_NUMER=+34600111222\nPATH_TO_X=1\nLISTEN=127.0.0.1:1\n");
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.warnings, [".env line 1: TWILIO_FROM_NUMER is not used; did you mean TWILIO_FROM_NUMBER?"]);
    let folder = folder.with(".env", "LISTEN=127.0.0.1:1\n\nLISTEN=127.0.0.1:2\n");
    let errors = folder.load(&[]).unwrap_err();
    assert!(errors.contains("LISTEN is set to different values in .env line 1 and in .env line 3"), "{errors}");
}

#[test]
fn the_key_is_made_once_and_for_its_owner_only() {
    let folder = Folder::new();
    let (config, dir) = (folder.load(&[]).unwrap(), folder.0.path());
    let sealed = secret_key_or_create(&config, dir).unwrap().seal(&"token".into(), "row").unwrap();
    let again = secret_key_or_create(&config, dir).unwrap();
    assert_eq!(again.open(&sealed, "row").unwrap().expose_secret(), "token");
    let names: Vec<_> = fs::read_dir(dir.join("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["secret.key"]);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(dir.join(KEY_FILE)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }

    let set = folder.load(&[("RECADO_SECRET_KEY", &"0a".repeat(32))]).unwrap();
    assert!(secret_key_or_create(&set, dir).unwrap().open(&sealed, "row").is_err());
    fs::write(dir.join(KEY_FILE), "cut").unwrap();
    assert!(matches!(secret_key_or_create(&config, dir), Err(KeyFileError::NotAKey(_))));
}
