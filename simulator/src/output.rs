//! Writes a simulation as files: exchanges as NDJSON, labels as CSV.

use crate::config::Config;
use crate::label::{Label, Split, TrueLabel};
use crate::simulation::Simulation;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How files are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// By gzip; names end in `.gz`.
    Gzip,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Exchanges in all.
    pub exchanges: u64,
    /// Exchanges of the learning time.
    pub train: u64,
    /// Exchanges behind it.
    pub test: u64,
    /// Attack exchanges by family.
    pub attacks: BTreeMap<&'static str, u64>,
    /// Harmless exchanges by look-alike.
    pub look_alikes: BTreeMap<&'static str, u64>,
}

/// How far the writing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Exchanges written.
    pub exchanges: u64,
    /// Simulated milliseconds since the start.
    pub elapsed_ms: i64,
    /// Simulated milliseconds in all.
    pub total_ms: i64,
}

/// Why the files are not complete.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The directory could not be made.
    #[error("cannot create directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const EVERY: u64 = 1_000;

/// Simulates, and writes into a directory (made when it is not there; files of the same names are replaced): `traffic.ndjson` with all
/// exchanges, `train.ndjson` and `test.ndjson` with those of each split, and `labels.csv` with the truth about each. `progress` is called
/// every thousand exchanges and at the end.
///
/// # Errors
/// The directory or a file could not be written. What was written until then stays.
pub fn write(dir: &Path, config: Config, compression: Compression, mut progress: impl FnMut(Progress)) -> Result<Summary, WriteError> {
    fs::create_dir_all(dir).map_err(|source| WriteError::Directory { path: dir.to_owned(), source })?;
    let mut traffic = Sink::create(dir, "traffic.ndjson", compression)?;
    let mut train = Sink::create(dir, "train.ndjson", compression)?;
    let mut test = Sink::create(dir, "test.ndjson", compression)?;
    let mut labels = Sink::create(dir, "labels.csv", compression)?;
    labels.line(TrueLabel::COLUMNS.as_bytes())?;

    let (start, total_ms) = (config.start, config.end() - config.start);
    let mut summary = Summary::default();
    let mut record = Vec::with_capacity(8 << 10);
    for (exchange, truth) in Simulation::new(config) {
        record.clear();
        serde_json::to_writer(&mut record, &exchange).map_err(|error| traffic.error(error.into()))?;
        traffic.line(&record)?;
        match truth.split {
            Split::Train => train.line(&record)?,
            Split::Test => test.line(&record)?,
        }
        labels.line(truth.row(exchange.id.as_deref().unwrap_or("")).as_bytes())?;
        summary.count(&truth);
        if summary.exchanges.is_multiple_of(EVERY) {
            progress(Progress { exchanges: summary.exchanges, elapsed_ms: exchange.time.unwrap_or(start) - start, total_ms });
        }
    }
    for sink in [traffic, train, test, labels] {
        sink.finish()?;
    }
    progress(Progress { exchanges: summary.exchanges, elapsed_ms: total_ms, total_ms });
    Ok(summary)
}

impl Summary {
    fn count(&mut self, truth: &TrueLabel) {
        self.exchanges += 1;
        match truth.split {
            Split::Train => self.train += 1,
            Split::Test => self.test += 1,
        }
        let families = if truth.label == Label::Attack { &mut self.attacks } else { &mut self.look_alikes };
        if !truth.family.is_empty() {
            *families.entry(truth.family).or_default() += 1;
        }
    }
}

/// A file being written.
#[derive(Debug)]
struct Sink {
    path: PathBuf,
    out: Packed,
}

#[derive(Debug)]
enum Packed {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Sink {
    fn create(dir: &Path, name: &str, compression: Compression) -> Result<Self, WriteError> {
        let path = match compression {
            Compression::Plain => dir.join(name),
            Compression::Gzip => dir.join(format!("{name}.gz")),
        };
        match File::create(&path) {
            Ok(file) => {
                let file = BufWriter::with_capacity(1 << 16, file);
                let out = match compression {
                    Compression::Plain => Packed::Plain(file),
                    Compression::Gzip => Packed::Gzip(Box::new(GzEncoder::new(file, flate2::Compression::fast()))),
                };
                Ok(Self { path, out })
            }
            Err(source) => Err(WriteError::File { path, source }),
        }
    }

    fn error(&self, source: io::Error) -> WriteError {
        WriteError::File { path: self.path.clone(), source }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        let out: &mut dyn Write = match &mut self.out {
            Packed::Plain(out) => out,
            Packed::Gzip(out) => &mut **out,
        };
        out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(|source| WriteError::File { path: self.path.clone(), source })
    }

    fn finish(self) -> Result<(), WriteError> {
        let done = match self.out {
            Packed::Plain(mut out) => out.flush(),
            Packed::Gzip(out) => out.finish().and_then(|mut file| file.flush()),
        };
        done.map_err(|source| WriteError::File { path: self.path, source })
    }
}
