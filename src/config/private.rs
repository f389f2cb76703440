//! Files and folders that only their owner may read: the database, the key, mail that was not sent.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// The rights of a folder and of a file: its owner's alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes a folder and those above it that are missing. One that is there keeps its rights.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.create(path)
}

/// Options that make a missing file its owner's alone.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options
}

/// Takes the rights of others from a file or a folder that is there, as an earlier version may have made it. Where it is
/// another user's, it stays as it is.
pub fn tighten(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode();
        let wanted = mode & if metadata.is_dir() { FOLDER_MODE } else { FILE_MODE };
        if mode & 0o777 != wanted & 0o777
            && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(wanted))
        {
            tracing::warn!(%error, path = %path.display(), "others may read this: its rights could not be changed");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_its_owners_alone_and_what_is_there_becomes_so() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        let file = inner.join("c");
        options().write(true).create(true).truncate(true).open(&file).unwrap();
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        for (path, open) in [(&inner, 0o755), (&file, 0o644)] {
            fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
            tighten(path);
        }
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        tighten(&folder.path().join("nothing"));
    }
}
