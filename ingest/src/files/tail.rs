//! One file that grows, is moved away, cut short, and made anew.

use super::place::Place;
use bytes::Bytes;
use engine::Exchange;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes read at once.
pub(super) const PIECE: usize = 512 << 10;
/// Looks in a row at a file that was moved away and has nothing new before it is left: its writer may not know yet.
const FAREWELL: u32 = 8;
/// Endings of files that are packed: their lines cannot be followed.
const PACKED: [&str; 4] = ["gz", "zst", "bz2", "xz"];

/// Whole lines, and the place behind them.
#[derive(Debug)]
pub(super) struct Piece {
    /// Offset of its first byte.
    pub(super) start: u64,
    /// Whole lines with their ends; empty when nothing but a part of a line that is too long was read.
    pub(super) lines: Bytes,
    /// A line has turned out to be too long: so many bytes of it were seen so far.
    pub(super) skipped: Option<u64>,
    /// Where to go on once the lines are written.
    pub(super) place: Place,
}

/// A file that is followed.
pub(super) struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// Where the last process stood.
    from: Option<Place>,
    /// Files that were moved away since, the oldest first.
    older: VecDeque<File>,
    complaint: Option<String>,
}

struct Open {
    file: File,
    offset: u64,
    is_skipping: bool,
    quiet: u32,
}

impl Tail {
    /// From the beginning of the file.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, from: None, older: VecDeque::new(), complaint: None }
    }

    /// From a place, in that file or in what it is called now.
    pub(super) fn at(path: &Path, place: Place) -> Self {
        Self { from: Some(place), ..Self::new(path) }
    }

    /// The next whole lines; `None`: nothing new.
    pub(super) fn read(&mut self) -> io::Result<Option<Piece>> {
        if self.open.is_none() && !self.begin()? {
            return Ok(None);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        if open.file.metadata()?.len() < open.offset {
            tracing::info!(file = %self.path.display(), "the file was cut short: it is read from its beginning");
            (open.offset, open.is_skipping, open.quiet) = (0, false, 0);
        }
        let is_current = is_at(&open.file, &self.path);
        let is_last_look = !is_current && (open.quiet >= FAREWELL || !self.older.is_empty());
        if let Some(piece) = open.piece(is_last_look)? {
            open.quiet = 0;
            self.complaint = None;
            return Ok(Some(piece));
        }
        open.quiet = open.quiet.saturating_add(1);
        if is_last_look {
            self.open = self.older.pop_front().map(Open::new);
        }
        Ok(None)
    }

    /// The piece is written: go on behind it.
    pub(super) fn accept(&mut self, place: &Place) {
        if let Some(open) = &mut self.open {
            (open.offset, open.is_skipping) = (place.offset, place.is_skipping);
        }
    }

    /// What is wrong at present.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Says once what is wrong, until it changes.
    pub(super) fn complain(&mut self, error: &io::Error) {
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!(file = %self.path.display(), %error, "the file cannot be read; trying again");
            self.complaint = Some(complaint);
        }
    }

    /// Opens the file where the last process stood, wherever it is now, else the one at the path. `false`: there is none yet.
    fn begin(&mut self) -> io::Result<bool> {
        if let Some(place) = self.from.clone() {
            let mut files = self.known_files()?.into_iter();
            while let Some(file) = files.next() {
                if place.is_in(&file)? {
                    self.from = None;
                    self.open = Some(Open { offset: place.offset, is_skipping: place.is_skipping, ..Open::new(file) });
                    self.older = files.filter(|later| !is_at(later, &self.path)).collect();
                    return Ok(true);
                }
            }
            self.from = None;
            tracing::warn!(file = %self.path.display(), "the file that was read last is gone, or packed: what it held beyond is not read");
        }
        match File::open(&self.path) {
            Ok(file) => {
                self.from = None;
                self.open = Some(Open::new(file));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.complain(&error);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.complaint = None;
        Ok(true)
    }

    /// The file, and those beside it whose names begin with its name, the oldest first.
    fn known_files(&self) -> io::Result<Vec<File>> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(OsStr::to_str)) else { return Ok(Vec::new()) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut found: Vec<(SystemTime, File)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_packed = path.extension().and_then(OsStr::to_str).is_some_and(|ending| PACKED.contains(&ending));
            let is_named_so = path.file_name().and_then(OsStr::to_str).is_some_and(|other| other.starts_with(name));
            if is_named_so && !is_packed && path.is_file() {
                let file = File::open(&path)?;
                found.push((file.metadata()?.modified()?, file));
            }
        }
        found.sort_by_key(|(modified, _)| *modified);
        Ok(found.into_iter().map(|(_, file)| file).collect())
    }
}

impl Open {
    fn new(file: File) -> Self {
        Self { file, offset: 0, is_skipping: false, quiet: 0 }
    }

    /// Whole lines from here on; with `is_last`, a last line without an end too.
    fn piece(&self, is_last: bool) -> io::Result<Option<Piece>> {
        let mut bytes = self.bytes(PIECE)?;
        if bytes.len() == PIECE && memchr::memchr(b'\n', &bytes).is_none() {
            bytes = self.bytes(Exchange::MAX_BYTES + 1)?;
        }
        let (first_end, last_end) = (memchr::memchr(b'\n', &bytes), memchr::memrchr(b'\n', &bytes));
        let is_too_long = first_end.is_none() && (self.is_skipping || bytes.len() > Exchange::MAX_BYTES);
        let until = match last_end {
            Some(end) => end + 1,
            None if is_too_long || is_last => bytes.len(),
            None => 0,
        };
        if until == 0 {
            return Ok(None);
        }
        bytes.truncate(until);
        // Up to the end of a line that is too long, nothing counts.
        let from = if self.is_skipping { first_end.map_or(until, |end| end + 1) } else { 0 };
        let lines = if is_too_long { Bytes::new() } else { Bytes::from(bytes).slice(from..) };
        let skipped = (is_too_long && !self.is_skipping).then_some(until as u64);
        let place = Place::of(&self.file, self.offset + until as u64, is_too_long)?;
        Ok(Some(Piece { start: self.offset, lines, skipped, place }))
    }

    fn bytes(&self, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.file.metadata()?.len().saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; most.min(left)];
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], self.offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Whether this is the file at a path.
fn is_at(file: &File, path: &Path) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
        _ => false,
    }
}
