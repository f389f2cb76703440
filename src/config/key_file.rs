//! The key file, created on the first run if RECADO_SECRET_KEY is not set.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Config, private};
use crate::config::secret::SecretKey;

/// The path of the key file, below the working directory.
pub const KEY_FILE: &str = "data/secret.key";

/// Why the key file cannot be read or created.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{} cannot be read or made ({cause}): let this user write there, or set RECADO_SECRET_KEY", path.display())]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("{} does not hold 64 hex digits: put the file back from a backup, or set RECADO_SECRET_KEY", .0.display())]
    NotAKey(PathBuf),
    #[error("the operating system gave no random bytes ({0}): set RECADO_SECRET_KEY")]
    Random(getrandom::Error),
}

/// The configured key, else the one in [`KEY_FILE`] below `dir`, which is created if missing (readable by its owner
/// only). Processes that start together get the same key.
pub fn secret_key_or_create(config: &Config, dir: &Path) -> Result<SecretKey, KeyFileError> {
    if let Some(key) = &config.secret_key {
        return Ok(key.clone());
    }
    let path = dir.join(KEY_FILE);
    if !path.try_exists().map_err(|cause| KeyFileError::Io { path: path.clone(), cause })? {
        let (_, hex) = SecretKey::generate().map_err(KeyFileError::Random)?;
        create(&path, &hex).map_err(|cause| KeyFileError::Io { path: path.clone(), cause })?;
    }
    private::tighten(&path);
    if let Some(folder) = path.parent() {
        private::tighten(folder);
    }
    let hex = fs::read_to_string(&path).map(SecretString::from);
    let hex = hex.map_err(|cause| KeyFileError::Io { path: path.clone(), cause })?;
    SecretKey::parse(hex.expose_secret()).map_err(|_| KeyFileError::NotAKey(path))
}

/// Writes a draft and links it to its name: the file is complete or missing, and never replaces another.
fn create(path: &Path, hex: &SecretString) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private::create_folder(folder)?;
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = write_private(&draft, hex).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft)?;
    written?;
    // Losing the key in a power cut would make every sealed token useless, so the folder is synced, too.
    File::open(folder)?.sync_all()
}

fn write_private(path: &Path, hex: &SecretString) -> std::io::Result<()> {
    let mut file = private::options().write(true).create(true).truncate(true).open(path)?;
    writeln!(file, "{}", hex.expose_secret())?;
    file.sync_all()
}
