//! Without a mail server, each mail becomes a file that a mail program can open. Nobody receives it.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::private;
use crate::domain::{ActionId, Timestamp};

/// Number of files that are kept; the oldest are deleted.
pub const FILES_MAX: usize = 10_000;

const ENDING: &str = "eml";

/// A folder of files `<time>-<action>.eml`, whose names sort by age.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// The names of the files, oldest first; `None` until they have been read.
    names: Arc<Mutex<Option<VecDeque<String>>>>,
    most: usize,
}

impl Folder {
    /// Creates a value; the folder is not touched yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), names: Arc::default(), most: FILES_MAX }
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file atomically and returns its path.
    pub(super) async fn write(&self, id: ActionId, now: Timestamp, bytes: Vec<u8>) -> io::Result<PathBuf> {
        let folder = self.clone();
        let written = tokio::task::spawn_blocking(move || folder.write_now(id, now, &bytes)).await;
        written.unwrap_or_else(|ended| Err(io::Error::other(ended)))
    }

    fn write_now(&self, id: ActionId, now: Timestamp, bytes: &[u8]) -> io::Result<PathBuf> {
        private::create_folder(&self.path)?;
        let name = format!("{}-{id}.{ENDING}", now.to_utc().format("%Y%m%dT%H%M%S%.6fZ"));
        let file = self.path.join(&name);
        let draft = file.with_extension("draft");
        private::options().write(true).create(true).truncate(true).open(&draft)?.write_all(bytes)?;
        fs::rename(&draft, &file)?;
        self.make_room(name)?;
        Ok(file)
    }

    /// Records the new name, and deletes the oldest files beyond the limit.
    fn make_room(&self, name: String) -> io::Result<()> {
        let mut names = self.names.lock();
        let names = match &mut *names {
            Some(names) => {
                names.push_back(name);
                names
            }
            unread => unread.insert(self.read()?),
        };
        while names.len() > self.most {
            if let Some(oldest) = names.pop_front() {
                match fs::remove_file(self.path.join(oldest)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn read(&self) -> io::Result<VecDeque<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|ending| ending == ENDING) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/mail");
        let write = |folder: Folder, second: i64| async move {
            let id = ActionId::new(uuid::Uuid::from_u128(second as u128));
            folder.write(id, Timestamp::from_unix_us(second * 1_000_000), b"x".to_vec()).await.unwrap()
        };
        let folder = || Folder { most: 2, ..Folder::new(&path) };
        let names = || folder().read().unwrap();
        let one = folder();
        let first = write(one.clone(), 1).await;
        assert_eq!(first.file_name().unwrap().to_string_lossy(), names()[0]);
        fs::write(path.join("notes.txt"), "ours").unwrap();
        let second = write(one, 2).await;
        // A new value knows the old files.
        let again = folder();
        write(again.clone(), 3).await;
        assert!(!first.exists() && second.exists() && names().len() == 2);
        write(again, 4).await;
        assert!(!second.exists() && names().len() == 2 && path.join("notes.txt").exists());
    }
}
