//! An input's bytes: file or standard input, plain or compressed, and how far it has been read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes looked at to tell the format; never more than this is held before the first record.
pub(crate) const PEEK: usize = 64 << 10;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Largest window a zstd frame may ask for, as a power of two: 128 MiB, what `zstd --long` makes.
const ZSTD_WINDOW_LOG: u32 = 27;

/// An input that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// It opens, but its first bytes cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system, or the decompressor, said.
        error: io::Error,
    },
}

/// How far an input has been read; shared with whoever draws a progress bar.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Progress {
    /// Bytes read so far, as they stand in the file (compressed, if it is).
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the file; `None` for standard input and other streams.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// Counts what passes.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// An opened input: decompressed bytes, and what was peeked of them.
pub(crate) struct Input {
    /// All decompressed bytes, the peeked ones again first.
    pub(crate) bytes: Box<dyn BufRead + Send>,
    /// First decompressed bytes, as many as `enough` asked for, without a byte order mark.
    pub(crate) peek: Vec<u8>,
    /// How far the input has been read.
    pub(crate) progress: Progress,
}

/// Opens a file, or standard input for `-`.
///
/// `enough` is asked after each read whether the bytes peeked so far tell the format (its second argument says that there are no more).
///
/// # Errors
/// The file cannot be opened or its first bytes cannot be read.
pub(crate) fn open(path: &Path, enough: impl Fn(&[u8], bool) -> bool) -> Result<Input, OpenError> {
    let name = || path.display().to_string();
    if path == Path::new("-") {
        return from_reader(io::stdin(), None, enough).map_err(|error| OpenError::Read { path: name(), error });
    }
    let file = File::open(path).map_err(|error| OpenError::Open { path: name(), error })?;
    let meta = file.metadata().map_err(|error| OpenError::Open { path: name(), error })?;
    from_reader(file, meta.is_file().then_some(meta.len()), enough).map_err(|error| OpenError::Read { path: name(), error })
}

/// Opens a text file, or standard input for `-`, whatever compression it is under: for files that stand beside exchanges.
///
/// # Errors
/// The file cannot be opened or its first bytes cannot be read.
pub fn open_text(path: &Path) -> Result<impl BufRead, OpenError> {
    Ok(open(path, |_, _| true)?.bytes)
}

/// Takes any stream; see [`open`].
///
/// # Errors
/// Its first bytes cannot be read.
pub(crate) fn from_reader(
    stream: impl Read + Send + 'static,
    total: Option<u64>,
    enough: impl Fn(&[u8], bool) -> bool,
) -> io::Result<Input> {
    let progress = Progress { read: Arc::new(AtomicU64::new(0)), total };
    let counted = Counted { input: stream, read: Arc::clone(&progress.read) };
    let mut bytes = decompressed(BufReader::with_capacity(CHUNK, counted))?;
    let mut peek = Vec::new();
    let mut ended = false;
    while !ended && peek.len() < PEEK && !enough(without_mark(&peek), false) {
        let room = (PEEK - peek.len()).min(8 << 10) as u64;
        // One read at a time, so that a slow stream is judged by what it has already sent.
        let before = peek.len();
        peek.resize(before + room as usize, 0);
        let read = match bytes.read(&mut peek[before..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                peek.truncate(before);
                continue;
            }
            Err(error) if before == 0 => return Err(error),
            // What came before the damage is still worth reading; the damage comes up again behind it.
            Err(error) => {
                peek.truncate(before);
                bytes = Box::new(BufReader::new(Failed(Some(error))));
                break;
            }
        };
        peek.truncate(before + read);
        ended = read == 0;
    }
    let peek = without_mark(&peek).to_vec();
    Ok(Input { bytes: Box::new(Cursor::new(peek.clone()).chain(bytes)), peek, progress })
}

/// Without the byte order mark that some editors put in front.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// A stream that fails once and then ends.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Takes compression off, told by its magic number. Members and frames that follow one another are read on.
fn decompressed(mut raw: BufReader<impl Read + Send + 'static>) -> io::Result<Box<dyn BufRead + Send>> {
    let start = raw.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(CHUNK, flate2::bufread::MultiGzDecoder::new(raw))))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut frames = zstd::stream::read::Decoder::with_buffer(raw)?;
        frames.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(Box::new(BufReader::with_capacity(CHUNK, frames)))
    } else {
        Ok(Box::new(raw))
    }
}
