//! The account and number of the built-in carrier.

use secrecy::SecretString;

use super::error::AppError;
use crate::config::secret::SecretKey;
use crate::domain::hex;
use crate::store::Store;
use crate::tenants::Account;

/// The number of the built-in carrier's account. Its WhatsApp number is the sandbox's.
pub const NUMBER: &str = "+15005550006";
/// The setting that holds the account: its SID, a blank, its sealed token.
const ACCOUNT: &str = "try_out_account";

/// The built-in carrier's account. It is created once, so that commands and server sign with the same token.
pub async fn load_or_create(store: &Store, key: &SecretKey) -> Result<Account, AppError> {
    let read = |stored: &str| {
        let (sid, sealed) =
            stored.split_once(' ').ok_or_else(|| AppError::CarrierAccount("its setting is no account".to_owned()))?;
        Ok::<_, AppError>(Account { sid: sid.to_owned(), tokens: vec![key.open(sealed, ACCOUNT)?] })
    };
    let stored = store.setting(ACCOUNT).await?;
    if let Some(account) = stored.as_deref().and_then(|stored| read(stored).ok()) {
        return Ok(account);
    }
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    let (sid, token) = (format!("AC{}", hex(&bytes[..16])), SecretString::from(hex(&bytes[16..])));
    let made = format!("{sid} {}", key.seal(&token, ACCOUNT)?);
    if stored.is_none() {
        return read(&store.set_setting_once(ACCOUNT, &made).await?);
    }
    // The secret key has changed since. Nothing depends on this account, so a new one replaces it.
    store.set_setting(ACCOUNT, &made).await?;
    read(&made)
}
