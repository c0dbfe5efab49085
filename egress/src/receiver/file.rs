//! A file of lines, with rotation.
//!
//! A delivery is on disk or not in the file: what a crash or a full disk left half-written is cut off again before anything else is.

use super::{Delivery, Trouble};
use crate::message::Message;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes read at once when the last line end is looked for.
const LOOK_BACK: u64 = 64 << 10;

/// A receiver that is a file.
pub(crate) struct File {
    path: PathBuf,
    max_bytes: u64,
    keep_files: u32,
    open: Option<Open>,
    /// Whether it was ever open: its folder is made until then. What goes later may be a disk that is not there.
    was_open: bool,
}

/// The file as it is open, with the length up to which it is whole.
struct Open {
    file: fs::File,
    length: u64,
}

impl File {
    /// What cannot be opened yet is tried again with each delivery.
    pub(super) fn open(path: &Path, max_bytes: u64, keep_files: u32) -> Self {
        let mut file = Self { path: path.to_owned(), max_bytes, keep_files, open: None, was_open: false };
        if let Err(error) = file.current() {
            tracing::warn!(path = %path.display(), %error, "a file of an output cannot be opened; what is for it waits");
        }
        file
    }

    pub(super) fn deliver(&mut self, messages: &[Message]) -> Delivery {
        match self.write(messages) {
            Ok(()) => Delivery::all(messages),
            Err(error) => {
                // Opened anew, the file is cut to its last whole line.
                self.open = None;
                Delivery::none(Trouble::new(format!("{}: {error}", self.path.display())))
            }
        }
    }

    fn write(&mut self, messages: &[Message]) -> io::Result<()> {
        let mut lines = Vec::new();
        for message in messages {
            lines.extend_from_slice(&message.body);
            lines.push(b'\n');
        }
        if self.current()?.length >= self.max_bytes {
            self.rotate()?;
        }
        let open = self.current()?;
        let before = open.length;
        let written = open.file.write_all(&lines).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            open.file.set_len(before)?;
            return Err(error);
        }
        open.length += lines.len() as u64;
        Ok(())
    }

    /// The file as it stands at its path: opened anew when it was moved away or removed by others.
    fn current(&mut self) -> io::Result<&mut Open> {
        let is_same = self.open.as_ref().is_some_and(|open| match (fs::metadata(&self.path), open.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()) && ours.len() == open.length,
            _ => false,
        });
        let open = match self.open.take() {
            Some(open) if is_same => open,
            _ => {
                if let Some(folder) = self.path.parent().filter(|_| !self.was_open) {
                    fs::create_dir_all(folder)?;
                }
                Open::at(&self.path)?
            }
        };
        self.was_open = true;
        Ok(self.open.insert(open))
    }

    /// `PATH` becomes `PATH.1`, `PATH.1` becomes `PATH.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for n in (1..self.keep_files).rev() {
            rename_if_there(&self.numbered(n), &self.numbered(n + 1))?;
        }
        if self.keep_files == 0 { fs::remove_file(&self.path) } else { rename_if_there(&self.path, &self.numbered(1)) }
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{n}"));
        name.into()
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

impl Open {
    /// Opens, or makes, the file (others may not read it) and cuts off a line that has no end.
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let whole = file.metadata()?.len();
        let length = end_of_last_line(&mut file, whole)?;
        if length < whole {
            tracing::warn!(path = %path.display(), bytes = whole - length, "a line that has no end is cut off");
            file.set_len(length)?;
        }
        Ok(Self { file, length })
    }
}

fn end_of_last_line(file: &mut fs::File, whole: u64) -> io::Result<u64> {
    let mut end = whole;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(LOOK_BACK);
        piece.clear();
        file.seek(SeekFrom::Start(start))?;
        io::Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bodies: &[&str]) -> Vec<Message> {
        let message = |body: &&str| Message { id: String::new(), time_ms: 0, severity: 6, kind: "verdict", body: body.as_bytes().to_vec() };
        bodies.iter().map(message).collect()
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    fn delivered(file: &mut File, bodies: &[&str]) {
        let delivery = file.deliver(&messages(bodies));
        assert!(delivery.done == bodies.len() && delivery.trouble.is_none(), "{delivery:?}");
    }

    #[test]
    fn old_files_move_up_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        let mut file = File::open(&path, 10, 2);
        for body in ["one", "two-is-long", "three-is-long", "four-is-long"] {
            delivered(&mut file, &[body]);
        }
        assert_eq!(text(&path), "four-is-long\n");
        assert_eq!(text(&file.numbered(1)), "three-is-long\n");
        assert_eq!(text(&file.numbered(2)), "one\ntwo-is-long\n");
        assert!(!file.numbered(3).exists());
        delivered(&mut file, &["five"]);
        assert_eq!(text(&file.numbered(2)), "three-is-long\n");
    }

    #[test]
    fn what_a_crash_left_half_written_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        for (before, after) in [("one\ntw", "one\nnew\n"), ("tw", "new\n"), ("", "new\n"), ("one\n", "one\nnew\n")] {
            fs::write(&path, before).unwrap();
            delivered(&mut File::open(&path, 1 << 20, 2), &["new"]);
            assert_eq!(text(&path), after, "{before:?}");
        }
        let long = "x".repeat(LOOK_BACK as usize * 2 + 7);
        fs::write(&path, format!("one\n{long}")).unwrap();
        delivered(&mut File::open(&path, 1 << 20, 2), &["new"]);
        assert_eq!(text(&path), "one\nnew\n");
    }

    #[test]
    fn a_file_that_others_move_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        let mut file = File::open(&path, 1 << 20, 2);
        delivered(&mut file, &["one"]);
        fs::rename(&path, folder.path().join("moved")).unwrap();
        delivered(&mut file, &["two"]);
        assert_eq!((text(&path).as_str(), text(&folder.path().join("moved")).as_str()), ("two\n", "one\n"));
    }

    #[test]
    fn a_folder_that_is_gone_is_trouble_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let mut file = File::open(&inner.join("a.ndjson"), 1 << 20, 2);
        fs::remove_dir_all(&inner).unwrap();
        let delivery = file.deliver(&messages(&["one"]));
        assert!(delivery.done == 0 && delivery.trouble.is_some());
        fs::create_dir(&inner).unwrap();
        delivered(&mut file, &["one"]);
        assert_eq!(text(&inner.join("a.ndjson")), "one\n");
    }

    #[test]
    fn a_folder_is_made_and_where_none_can_be_what_is_for_it_waits() {
        let folder = tempfile::tempdir().unwrap();
        delivered(&mut File::open(&folder.path().join("new/folder/a.ndjson"), 1 << 20, 1), &["one"]);
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let mut file = File::open(&in_the_way.join("a.ndjson"), 1 << 20, 1);
        let delivery = file.deliver(&messages(&["one"]));
        assert!(delivery.done == 0 && delivery.trouble.is_some());
        fs::remove_file(&in_the_way).unwrap();
        delivered(&mut file, &["one"]);
        assert_eq!(text(&in_the_way.join("a.ndjson")), "one\n");
    }
}
