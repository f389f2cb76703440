//! The settings of a tenant, as they are stored: one JSON object in its row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::domain::{Country, EmailAddress, SendLimits, VoiceSettings};
use crate::time::{QuietRules, WeeklyHours};

/// The settings that a tenant has chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantSettings {
    /// Enabled blueprint rules, with the parameters that differ from the rule's defaults.
    pub blueprints: BTreeMap<String, BTreeMap<String, Json>>,
    /// Names of approved WhatsApp templates: name to Content SID (`HX…`).
    pub templates: BTreeMap<String, String>,
    /// Age in days at which events are removed; `None` keeps everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u32>,
    /// Recipients of e-mail to "staff".
    pub staff_emails: Vec<EmailAddress>,
    /// Routes of text messages that differ from the installation's: prefix to `twilio` or a provider's name.
    pub routes: BTreeMap<String, String>,
    /// Quiet hours that differ from the installation's, by prefix.
    pub quiet: QuietRules,
    /// Budgets of sends, and the countries that may be sent to. The operator sets them, not the tenant.
    pub sends: SendLimits,
    /// Settings for calls.
    pub voice: VoiceSettings,
    /// Opening hours with holidays; `None` where none are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<WeeklyHours>,
    /// The country of numbers that people write without a country code; `None`: that of the tenant's own numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Settings of a newer version. This version keeps them and ignores them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

impl TenantSettings {
    /// Reads stored settings. A setting that this version cannot read, because a newer one wrote it, is kept as it is and
    /// counts as not set: the tenant goes on with the others.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        if let Ok(settings) = serde_json::from_str(text) {
            return Ok(settings);
        }
        let stored: Map<String, Json> = serde_json::from_str(text)?;
        let is_readable = |(name, value): &(String, Json)| {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            serde_json::from_value::<Self>(Json::Object(alone)).is_ok()
        };
        let (readable, unread): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_readable);
        let mut settings: Self = serde_json::from_value(Json::Object(readable.into_iter().collect()))?;
        for (name, _) in &unread {
            tracing::warn!(setting = name, "this version cannot read a setting: it is kept, and counts as not set");
        }
        settings.unknown.extend(unread);
        Ok(settings)
    }

    /// The text that is stored. What this version could not read is as it was.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        // A document has each name once, and the last one counts: what is unknown comes last.
        Ok(serde_json::to_value(self)?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_a_newer_version_is_kept() {
        let text = r#"{"templates": {"offer": "HX1"}, "colour": {"of": "tomorrow"}}"#;
        let settings = TenantSettings::read(text).expect("it can be read");
        assert_eq!(settings.templates["offer"], "HX1");
        let stored = serde_json::to_value(&settings).expect("JSON");
        assert_eq!(stored["colour"]["of"], "tomorrow");
    }

    #[test]
    fn a_newer_setting_within_another_and_one_of_a_newer_form_are_kept() {
        let text = r#"{"voice": {"greeting": "Hola", "tempo": 2, "agents": [{"name": "ana", "mood": "calm"}]},
            "hours": {"by": "moon"}, "retain_days": "a year", "templates": {"offer": "HX1"}}"#;
        let mut settings = TenantSettings::read(text).expect("it can be read");
        assert_eq!((settings.voice.greeting.as_str(), settings.voice.agents[0].name.as_str()), ("Hola", "ana"));
        assert_eq!((settings.hours.is_none(), settings.retain_days), (true, None));
        assert_eq!(settings.templates["offer"], "HX1");
        settings.templates.insert("bye".to_owned(), "HX2".to_owned());
        let stored: Json = serde_json::from_str(&settings.to_text().expect("JSON")).expect("JSON");
        let before: Json = serde_json::from_str(text).expect("JSON");
        for name in ["hours", "retain_days"] {
            assert_eq!(stored[name], before[name], "{name}");
        }
        assert_eq!((&stored["voice"]["tempo"], &stored["voice"]["agents"][0]["mood"]), (&2.into(), &"calm".into()));
        assert_eq!(stored["templates"]["bye"], "HX2");
        assert!(TenantSettings::read("[]").is_err());
    }
}
