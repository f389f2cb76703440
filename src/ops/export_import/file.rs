//! Files that appear whole or not at all: they are written under a temporary name, synced and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file cannot be written at its path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} is there already: take another name, or say --force to replace it", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be written ({cause}): is its folder there, with room, and may this user write there?", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// An unfinished file, readable by its owner only. It is removed unless [`Draft::keep`] is called.
pub struct Draft {
    target: PathBuf,
    draft: PathBuf,
    replace: bool,
}

impl Draft {
    /// Creates an empty file beside `target`, which must not exist unless `replace`.
    pub fn new(target: &Path, replace: bool) -> Result<(Self, File), FileError> {
        let io = |cause| FileError::Io { path: target.to_owned(), cause };
        if !replace && target.try_exists().map_err(io)? {
            return Err(FileError::Exists(target.to_owned()));
        }
        let name = target.file_name().ok_or_else(|| io(ErrorKind::IsADirectory.into()))?;
        let draft = target.with_file_name(format!(".{}.{}.draft", name.to_string_lossy(), std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&draft).map_err(io)?;
        Ok((Self { target: target.to_owned(), draft, replace }, file))
    }

    /// The path of the unfinished file.
    pub fn path(&self) -> &Path {
        &self.draft
    }

    /// Renames the file, after which it survives a power cut. Returns its length in bytes.
    pub fn keep(self) -> Result<u64, FileError> {
        if !self.replace && self.target.exists() {
            return Err(FileError::Exists(self.target.clone()));
        }
        self.settle().map_err(|cause| FileError::Io { path: self.target.clone(), cause })
    }

    fn settle(&self) -> io::Result<u64> {
        let file = File::open(&self.draft)?;
        file.sync_all()?;
        fs::rename(&self.draft, &self.target)?;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A completed file was renamed: its temporary path is gone.
        let _ = fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.jsonl");
        let (draft, mut file) = Draft::new(&target, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop((draft, file));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of it");

        let (draft, mut file) = Draft::new(&target, false).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(draft.keep().unwrap(), 5);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert!(matches!(Draft::new(&target, false), Err(FileError::Exists(_))));
        let (draft, _) = Draft::new(&target, true).unwrap();
        draft.keep().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"");
    }

    #[test]
    #[cfg(unix)]
    fn only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.jsonl");
        Draft::new(&target, false).unwrap().0.keep().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&target).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
