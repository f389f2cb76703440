//! Provider descriptions: valid ones and mistakes.

use super::*;
use crate::integrations::http_providers::Providers;

const GOOD: &str = r#"
[[provider]]
name = "india"
prefixes = ["+91"]
sender = "RECADO"
url = "https://sms.example.com/send?key={{env.KEY}}"
headers = { Authorization = "Bearer {{env.KEY}}" }
content_type = "json"
body = '{"to": "{{to}}", "text": "{{text}}", "n": {{to_digits}}}'
id = "/id"
"#;

fn secret(name: &str) -> Option<SecretString> {
    (name == "KEY").then(|| "s3cret".into())
}

fn read_text(text: &str) -> Result<Vec<(Provider, Vec<String>)>, Vec<FileError>> {
    let client = Client::new(Vec::new()).unwrap();
    parse(text, "providers.toml", &ProviderContext { secret: &secret, client: &client })
}

fn faults(text: &str) -> String {
    let errors = read_text(text).err().unwrap_or_default();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn the_example_reads_once_its_comments_are_taken_off() {
    let example: String = EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| {
            line.starts_with("[")
                || (line
                    .split_once(" = ")
                    .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let client = Client::new(Vec::new()).unwrap();
    let secret = |name: &str| (name == "INDIA_API_KEY").then(|| "x".into());
    let read = parse(&example, "x", &ProviderContext { secret: &secret, client: &client });
    let [(provider, prefixes)] = &read.unwrap_or_else(|errors| panic!("{errors:?}\n{example}"))[..] else {
        panic!("one provider: {example}")
    };
    assert_eq!((provider.name.as_str(), prefixes.as_slice()), ("india", &["+91".to_owned()][..]));
    assert_eq!(provider.rate.map(NonZeroU32::get), Some(10));
    assert!(provider.callback.as_ref().is_some_and(|callback| callback.statuses.len() == 6));
    // The example has every field.
    for field in [
        "name",
        "prefixes",
        "sender",
        "method",
        "url",
        "headers",
        "content_type",
        "body",
        "success",
        "id",
        "error",
        "error_code",
        "retry",
        "idempotent",
        "rate",
        "status",
        "sent",
        "delivered",
        "undelivered",
        "failed",
    ] {
        assert!(example.contains(&format!("{field} = ")), "{field}");
    }
    // The example alone describes no provider.
    assert_eq!(parse(EXAMPLE, "x", &ProviderContext { secret: &secret, client: &client }).unwrap().len(), 0);
}

#[test]
fn slips_name_file_provider_and_field() {
    assert_eq!(faults(GOOD), "");
    let with = |line: &str, other: &str| {
        assert!(GOOD.contains(line), "{line}");
        faults(&GOOD.replace(line, other))
    };
    for (line, other, says) in [
        ("name = \"india\"", "name = \"India!\"", "provider 'India!', name: small letters"),
        ("name = \"india\"", "name = \"twilio\"", "name: it has a meaning"),
        ("\"+91\"", "\"91\"", "provider 'india', prefixes: '91' is no prefix"),
        ("\"+91\"", "\"+91\", \"+91\"", "prefixes: +91 is 'india's already"),
        ("\"RECADO\"", "\"RECADO MESSAGES\"", "sender: a number"),
        ("https://sms", "ftp://sms", "url: only http:// and https://"),
        ("https://sms.example.com/send", "https://127.1/send", "url: 127.0.0.1 is this machine"),
        ("https://sms.example.com/send", "https://a:b@sms.example.com/send", "url: a URL with a user"),
        ("https://sms.example.com/send?key=", "https://{{env.KEY}}/", "url: write scheme and host out"),
        ("send?key", "send/{{text}}?key", "url: {{text}} may stand behind the ?"),
        ("{{env.KEY}}\"\nheaders", "{{env.NONE}}\"\nheaders", "url: NONE is not set: put it into .env"),
        ("Authorization", "Host", "headers.Host: the header 'host' is the connection's own"),
        ("Authorization", "Content-Type", "headers.Content-Type: it is said twice"),
        ("Bearer {{env.KEY}}", "{{text}}", "headers.Authorization: {{text}} goes into the body"),
        ("\"{{text}}\"", "{{text}}", "body: it is no JSON (line 1, column"),
        ("\"{{text}}\"", "1", "body: {{text}} stands nowhere"),
        ("{{to}}", "{{number}}", "body: there is no {{number}}: use to"),
        ("content_type = \"json\"", "", "content_type: say what the body is"),
        ("\"/id\"", "\"OK [0-9]+\"", "id: 'OK [0-9]+' has no group"),
        ("id = \"/id\"", "success = { status = [99] }", "success.status: 99 is no HTTP status"),
        ("id = \"/id\"", "success = { status = [503] }", "retry.status: 503 cannot mean both"),
        ("id = \"/id\"", "rate = 0", "rate: messages a second"),
        ("id = \"/id\"", "channels = [\"whatsapp\"]", "channels: only [\"sms\"]"),
        ("id = \"/id\"", "method = \"GET\"", "body: a GET has none"),
        ("id = \"/id\"", "callback = { status = \"s\" }", "callback: say which words"),
        (
            "id = \"/id\"",
            "callback = { status = \"s\", sent = [\"A\"], failed = [\"a\"] }",
            "callback: 'a' cannot mean two",
        ),
        ("id = \"/id\"", "idd = \"/id\"", "providers.toml line 10: unknown field `idd`"),
        ("sender = \"RECADO\"", "", "missing field `sender`"),
        ("id = \"/id\"", "id = \"/id", "providers.toml line 10"),
    ] {
        let said = with(line, other);
        assert!(said.contains(says), "{says:?} is not in {said:?}");
        assert!(said.starts_with("providers.toml") && !said.contains("s3cret"), "{said}");
    }
    let twice = format!("{GOOD}{}", GOOD.replace("+91", "+92"));
    assert!(faults(&twice).contains("name: another provider has it"));
    assert_eq!(
        faults(&GOOD.replace("\"91\"", "\"+91\"").replace("RECADO", "").replace("/id\"", "x\"")).lines().count(),
        2
    );
}

#[test]
fn the_longest_prefix_wins() {
    let other = GOOD.replace("india", "delhi").replace("\"+91\"", "\"+9111\", \"+1\"");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("providers.toml");
    std::fs::write(&path, format!("{GOOD}{other}")).unwrap();
    let client = Client::new(Vec::new()).unwrap();
    let context = ProviderContext { secret: &secret, client: &client };
    let providers = Providers::load(&path, &context).unwrap();
    let route = |number: &str| {
        let to = Phone::parse(number).unwrap();
        providers.route(Channel::Sms, &to).map(|provider| provider.name.clone())
    };
    assert_eq!(route("+919876543210").as_deref(), Some("india"));
    assert_eq!(route("+911123456789").as_deref(), Some("delhi"));
    assert_eq!(route("+15005550006").as_deref(), Some("delhi"));
    assert_eq!(route("+34600111222"), None);
    let to = Phone::parse("+919876543210").unwrap();
    assert!(providers.route(Channel::WhatsApp, &to).is_none());
    let missing = Providers::load(&folder.path().join("none.toml"), &context).unwrap_err();
    assert!(missing.to_string().contains("none.toml cannot be read"), "{missing}");
}
