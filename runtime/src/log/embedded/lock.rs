//! One process at a time on a data directory.

use crate::log::LogError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Name of the lock file in the data directory.
const LOCK_FILE: &str = "weir.lock";

/// Holds the data directory until dropped. The operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started elsewhere in this one has the file open for a moment, too.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "unlocking the data directory");
        }
    }
}

impl DirectoryLock {
    /// Takes the directory, which must exist.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another process (or another log in this one) holds it; otherwise what the file system said.
    pub(super) fn take(directory: &Path) -> Result<Self, LogError> {
        let path = directory.join(LOCK_FILE);
        let fatal = |e: std::io::Error| LogError::Fatal { doing: format!("locking {}", path.display()), why: e.to_string() };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fatal)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::InUse { path: directory.display().to_string(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(fatal(e)),
        }
        file.set_len(0).map_err(fatal)?;
        file.rewind().map_err(fatal)?;
        writeln!(file, "{}", std::process::id()).map_err(fatal)?;
        Ok(Self { file })
    }
}

/// The process id that the holder wrote, if it has got that far.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_is_refused_with_its_holder_and_free_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        match DirectoryLock::take(directory.path()) {
            Err(LogError::InUse { path, pid }) => {
                assert_eq!(path, directory.path().display().to_string());
                assert_eq!(pid, Some(std::process::id()));
            }
            other => panic!("taken twice: {other:?}"),
        }
        drop(lock);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
