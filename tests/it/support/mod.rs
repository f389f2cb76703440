//! Test support: a database, a running server, signed webhooks, emulators of providers, bounded waiting.
#![allow(dead_code, reason = "a helper may be here before the test that uses it")]

pub mod chat_model;
pub mod elevenlabs;
pub mod left_out;
pub mod mail;
pub mod ports;
pub mod postgres;
pub mod server;
pub mod source;
pub mod terminal;
pub mod wait;
pub mod webhook;
pub mod harness;

use recado::domain::TenantId;
use recado::store::rows::tenant;
use recado::store::{Store, StoreError};

/// Installs a TLS provider for reqwest, which panics without one. May be called repeatedly.
pub fn install_tls() {
    // Fails if one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client with a timeout of ten seconds.
pub fn http_client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder().timeout(std::time::Duration::from_secs(10)).build().expect("a client with no settings")
}

/// The Python with the test libraries, which `tests/run.sh` installs below the build folder.
pub fn python() -> std::path::PathBuf {
    let default = concat!(env!("CARGO_TARGET_TMPDIR"), "/../test-venv/bin/python");
    let python = std::env::var_os("RECADO_TEST_PYTHON").map_or_else(|| default.into(), std::path::PathBuf::from);
    assert!(python.exists(), "{} is missing: run tests/run.sh once, it makes it", python.display());
    python
}

/// Replaces a tenant's row, even if it was changed meanwhile.
pub async fn replace_tenant(store: &Store, row: tenant::Model) -> Result<(), StoreError> {
    let id = TenantId::new(row.id);
    let changed = store.change_tenant(id, |stored| {
        stored.row = row;
        Ok::<_, StoreError>(())
    });
    changed.await.map(|found| found.expect("the tenant is there"))
}
