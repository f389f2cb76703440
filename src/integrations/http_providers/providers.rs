//! All described providers, and the routes by number.

use std::path::Path;
use std::sync::Arc;

use super::file::{self, FileError, ProviderContext};
use super::provider::Provider;
use crate::domain::{Channel, Phone};

/// Every mistake in `PROVIDERS_FILE`, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the providers have to be corrected:{}", .0.iter().map(|error| format!("\n  - {error}")).collect::<String>())]
pub struct ProvidersError(pub Vec<FileError>);

/// Empty by default.
#[derive(Clone, Debug, Default)]
pub struct Providers {
    all: Vec<Arc<Provider>>,
    /// Longest prefix first.
    prefixes: Vec<(String, Arc<Provider>)>,
}

impl Providers {
    /// Reads a file. Its secrets are read from the environment now, so that a missing one stops the start.
    ///
    /// # Errors
    /// Every mistake in the file.
    pub fn load(path: &Path, context: &ProviderContext<'_>) -> Result<Self, ProvidersError> {
        let described = file::read(path, context).map_err(ProvidersError)?;
        let mut providers = Self::default();
        for (provider, prefixes) in described {
            let provider = Arc::new(provider);
            providers.prefixes.extend(prefixes.into_iter().map(|prefix| (prefix, provider.clone())));
            providers.all.push(provider);
        }
        providers.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(providers)
    }

    /// Returns the provider of the number's prefix; `None` for Twilio.
    pub fn route(&self, channel: Channel, to: &Phone) -> Option<&Arc<Provider>> {
        if channel != Channel::Sms {
            return None;
        }
        let found = self.prefixes.iter().find(|(prefix, _)| to.as_str().starts_with(prefix.as_str()));
        found.map(|(_, provider)| provider)
    }

    /// Returns a provider by name.
    pub fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        self.all.iter().find(|provider| provider.name == name)
    }

    /// Returns all providers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.all.iter()
    }
}
