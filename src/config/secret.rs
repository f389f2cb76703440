//! Secrets at rest: XChaCha20-Poly1305, bound to the row that they belong to.
//!
//! A sealed value is `v1.` and base64url (no padding) of a random 24-byte nonce, the ciphertext and its 16-byte tag.
//! The row's identity is the associated data, so a sealed token that is copied into another row does not open. The
//! nonce is long enough to be random for every value (draft-irtf-cfrg-xchacha-03, section 2.1).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const VERSION_1: &str = "v1.";

/// The key that seals tenants' tokens. It is cheap to clone, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SecretKey(Arc<SecretBox<[u8; KEY_BYTES]>>);

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret key is 64 hex digits; make one with: openssl rand -hex 32")]
pub struct NotAKey;

/// A value could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the operating system gave no random bytes ({0}); nothing was stored, try again")]
    Random(getrandom::Error),
    #[error("the value is too long to be sealed; nothing was stored")]
    TooLong,
}

/// A sealed value could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(
        "this is not a sealed value of this version: it was cut or written by a newer Recado; store the secret again"
    )]
    Malformed,
    #[error(
        "this secret was sealed under another key or for another row: put the earlier RECADO_SECRET_KEY (or \
         data/secret.key) back, or store the secret again under the present key"
    )]
    WrongKeyOrRow,
}

impl SecretKey {
    /// Parses 64 hex digits; blanks around them are ignored.
    pub fn parse(hex: &str) -> Result<Self, NotAKey> {
        let digits = hex.trim().as_bytes();
        if digits.len() != KEY_BYTES * 2 {
            return Err(NotAKey);
        }
        let mut key = Box::new([0u8; KEY_BYTES]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(Arc::new(SecretBox::new(key))))
    }

    /// Creates a random key; returns it with its hex digits.
    pub fn generate() -> Result<(Self, SecretString), getrandom::Error> {
        let mut key = Box::new([0u8; KEY_BYTES]);
        getrandom::fill(key.as_mut_slice())?;
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((Self(Arc::new(SecretBox::new(key))), hex.into()))
    }

    /// Seals `plain` for the row that `aad` names, such as `tenant/0199…/auth_token`.
    pub fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let payload = Payload { msg: plain.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok(format!("{VERSION_1}{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens what [`SecretKey::seal`] made with the same key and the same `aad`.
    pub fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, OpenError> {
        let encoded = sealed.strip_prefix(VERSION_1).ok_or(OpenError::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| OpenError::Malformed)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Malformed)?;
        let payload = Payload { msg, aad: aad.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::WrongKeyOrRow)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| OpenError::Malformed)
    }

    /// A keyed hash of `parts` for one purpose. Each purpose has its own key, so a hash is valid for its purpose only.
    pub fn mac(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let of_purpose = hash(self.0.expose_secret(), &[purpose]);
        hash(&of_purpose, parts)
    }

    /// The token of operators: whoever has the key may read the details of `/ready`.
    pub fn operator_token(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(self.mac("operator", &[])).into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose_secret().into())
    }
}

/// HMAC-SHA256 (RFC 2104) of parts, each after its length, so that parts cannot be shifted.
fn hash(key: &[u8; KEY_BYTES], parts: &[&str]) -> [u8; 32] {
    let mut mac = match <Hmac<Sha256> as KeyInit>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length (RFC 2104)"),
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(••••)")
    }
}

fn nibble(digit: u8) -> Result<u8, NotAKey> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NotAKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::parse(&format!("{byte:02x}").repeat(KEY_BYTES)).unwrap()
    }

    #[test]
    fn a_sealed_token_opens_only_with_its_key_and_its_row() {
        let token = SecretString::from("0123456789abcdef0123456789abcdef");
        let sealed = key(1).seal(&token, "tenant/1").unwrap();
        assert!(!sealed.contains(token.expose_secret()));
        assert_eq!(key(1).open(&sealed, "tenant/1").unwrap().expose_secret(), token.expose_secret());
        assert_eq!(key(1).open(&sealed, "tenant/2").unwrap_err(), OpenError::WrongKeyOrRow);
        assert_eq!(key(2).open(&sealed, "tenant/1").unwrap_err(), OpenError::WrongKeyOrRow);
    }

    #[test]
    fn equal_values_look_different_and_changed_ones_do_not_open() {
        let token = SecretString::from("secret");
        let (one, two) = (key(1).seal(&token, "a").unwrap(), key(1).seal(&token, "a").unwrap());
        assert_ne!(one, two);
        for at in VERSION_1.len()..one.len() - 1 {
            let mut changed = one.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key(1).open(&changed, "a").is_err(), "{at}");
        }
        for broken in ["", "v1.", "v2.AAAA", "v1.****", &one[..20], &one[3..]] {
            assert_eq!(key(1).open(broken, "a").unwrap_err(), OpenError::Malformed, "{broken}");
        }
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert!(SecretKey::parse(bad).is_err(), "{bad}");
        }
        let (key, hex) = SecretKey::generate().unwrap();
        let sealed = key.seal(&SecretString::from("x"), "a").unwrap();
        let again = SecretKey::parse(&format!(" {}\n", hex.expose_secret().to_uppercase())).unwrap();
        assert_eq!(again.open(&sealed, "a").unwrap().expose_secret(), "x");
        assert!(!format!("{key:?}").contains(hex.expose_secret()));
    }
}
