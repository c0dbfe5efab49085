//! Files in, exchanges out: what cannot be read is named with file and line, counted and skipped.

use anyhow::Context;
use engine::Exchange;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bad lines that are named; further ones are only counted.
const NAMED: u64 = 10;

/// What reading has met so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Exchanges read.
    pub(super) exchanges: u64,
    /// Lines that could not be read.
    pub(super) bad: u64,
}

/// Reads every file in order and hands each exchange to `take`.
pub(super) fn read(
    files: &[PathBuf],
    bar: &ProgressBar,
    take: &mut dyn FnMut(Exchange<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Reading> {
    let mut reading = Reading::default();
    for file in files {
        let mut lines = open(file, bar)?;
        let mut line = Vec::new();
        let mut number = 0u64;
        loop {
            line.clear();
            if lines
                .by_ref()
                .take(Exchange::MAX_BYTES as u64 + 1)
                .read_until(b'\n', &mut line)
                .with_context(|| format!("reading {}", file.display()))?
                == 0
            {
                break;
            }
            number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match Exchange::from_json(&line) {
                Ok(exchange) => {
                    reading.exchanges += 1;
                    take(exchange)?;
                }
                Err(error) => {
                    reading.bad += 1;
                    if reading.bad <= NAMED {
                        bar.println(format!("{}:{number}: {error}", file.display()));
                    }
                }
            }
        }
    }
    Ok(reading)
}

fn open(path: &Path, bar: &ProgressBar) -> anyhow::Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 16, bar.wrap_read(file));
    let gzip = reader.fill_buf().with_context(|| format!("reading {}", path.display()))?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))) } else { Box::new(reader) })
}
