//! How far a file has been read, and how it is known again under another name.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// First bytes of a file by which it is known again.
const HEAD: u64 = 256;

/// How far which file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    device: u64,
    inode: u64,
    /// Next byte to be read.
    pub(super) offset: u64,
    /// How many of its first bytes `head` is the hash of.
    head_bytes: u64,
    /// Hash of its first bytes: a new file may have the number of one that is gone.
    head: String,
    /// Whether the line at `offset` is the rest of one that is too long.
    pub(super) is_skipping: bool,
}

impl Place {
    /// The place at an offset of an open file.
    pub(super) fn of(file: &File, offset: u64, is_skipping: bool) -> io::Result<Self> {
        let meta = file.metadata()?;
        let head_bytes = offset.min(HEAD);
        Ok(Self { device: meta.dev(), inode: meta.ino(), offset, head_bytes, head: head(file, head_bytes)?, is_skipping })
    }

    /// Whether an open file is the one that the place is in, and still holds what was read of it.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        let meta = file.metadata()?;
        let is_same = (meta.dev(), meta.ino()) == (self.device, self.inode) && meta.len() >= self.offset;
        Ok(is_same && head(file, self.head_bytes)? == self.head)
    }
}

fn head(file: &File, bytes: u64) -> io::Result<String> {
    let mut first = vec![0; usize::try_from(bytes.min(HEAD)).unwrap_or_default()];
    match file.read_exact_at(&mut first, 0) {
        Ok(()) => Ok(blake3::hash(&first).to_hex().to_string()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(String::new()),
        Err(error) => Err(error),
    }
}
