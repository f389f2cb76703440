//! The settings of a tenant, as they are stored: one JSON object in its row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::domain::{EmailAddress, SendLimits, VoiceSettings};
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
    /// Settings of a newer version. This version keeps them and ignores them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_a_newer_version_is_kept() {
        let text = r#"{"templates": {"offer": "HX1"}, "colour": {"of": "tomorrow"}}"#;
        let settings: TenantSettings = serde_json::from_str(text).expect("it can be read");
        assert_eq!(settings.templates["offer"], "HX1");
        let stored = serde_json::to_value(&settings).expect("JSON");
        assert_eq!(stored["colour"]["of"], "tomorrow");
    }
}
