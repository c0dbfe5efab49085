//! What power loss can leave of the newest journal.
//!
//! The store cuts a journal that ends in the middle of a batch. It refuses one in which a whole page inside a large value was never
//! written: framing right, checksum wrong. Nobody was told that such a batch is durable, so it is cut off too, with all that follows;
//! the journal as it was is kept beside the log, for the case that the disk and not the power was to blame.
//!
//! A journal of the store (fjall's format 3) is a row of batches, numbers little-endian: start (tag 1 · items u32 · sequence u64), items
//! (tag 2 · kind u8 · compression u8 · keyspace u64 · key length u16 · value length u32 · stored length u32 · key · stored value) or
//! clears (tag 4 · keyspace u64), end (tag 3 · XXH3 of the items u64 · `FJL` 3). The rest of the file is zeros.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = *b"FJL\x03";

/// Cuts the newest journal in `log` at its first batch that is not whole. Returns where the journal as it was is kept, if anything was
/// cut. Older journals were complete on the disk before the newest was begun: damage there is another thing, and is left alone.
pub(super) fn cut_torn_journal(log: &Path) -> io::Result<Option<PathBuf>> {
    let Some((number, path)) = newest_journal(log)? else { return Ok(None) };
    let whole = whole_batches(&mut BufReader::new(File::open(&path)?))?;
    let file = OpenOptions::new().write(true).open(&path)?;
    if whole >= file.metadata()?.len() {
        return Ok(None);
    }
    let kept = log.with_file_name(format!("torn-journal-{number}"));
    fs::copy(&path, &kept)?;
    file.set_len(whole)?;
    file.sync_all()?;
    Ok(Some(kept))
}

fn newest_journal(log: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    let mut newest = None;
    for entry in fs::read_dir(log)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".jnl")).and_then(|n| n.parse().ok());
        if let Some(number) = number {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest)
}

/// Bytes of a journal up to its first batch that is not whole.
fn whole_batches(journal: &mut impl Read) -> io::Result<u64> {
    let mut bytes = 0;
    loop {
        match batch(journal) {
            Ok(Some(length)) => bytes += length,
            Ok(None) => return Ok(bytes),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(bytes),
            Err(e) => return Err(e),
        }
    }
}

/// Length of the next batch; `None` when it is not whole.
fn batch(journal: &mut impl Read) -> io::Result<Option<u64>> {
    let [tag, items @ .., _, _, _, _, _, _, _, _] = fixed::<13>(journal)?;
    if tag != START {
        return Ok(None);
    }
    let mut length = 13;
    let mut checksum = Xxh3::new();
    let mut item = Vec::new();
    for _ in 0..u32::from_le_bytes(items) {
        item.clear();
        let [tag] = fixed::<1>(journal)?;
        item.push(tag);
        match tag {
            ITEM => {
                let head = fixed::<20>(journal)?;
                item.extend_from_slice(&head);
                let [.., k0, k1, _, _, _, _, v0, v1, v2, v3] = head;
                let rest = u64::from(u16::from_le_bytes([k0, k1])) + u64::from(u32::from_le_bytes([v0, v1, v2, v3]));
                if journal.take(rest).read_to_end(&mut item)? as u64 != rest {
                    return Ok(None);
                }
            }
            CLEAR => item.extend_from_slice(&fixed::<8>(journal)?),
            _ => return Ok(None),
        }
        checksum.update(&item);
        length += item.len() as u64;
    }
    let [tag, sum @ .., m0, m1, m2, m3] = fixed::<13>(journal)?;
    let is_whole = tag == END && u64::from_le_bytes(sum) == checksum.digest() && [m0, m1, m2, m3] == MAGIC;
    Ok(is_whole.then_some(length + 13))
}

fn fixed<const N: usize>(journal: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    journal.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::embedded::EmbeddedLog;
    use crate::log::{Cleanup, Log, Output, Start, TopicSpec};
    use engine::TopicPartition;
    use proptest::prelude::*;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    const RECORDS: u64 = 12;
    const PAGE: u64 = 4096;

    /// Bytes that no compressor makes shorter, so that a lost page is a lost page of the value.
    fn value(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// A log of records that grow from 1 to 40 KB, as it lies on the disk while it is open, and where its journal ends after each.
    fn written() -> (tempfile::TempDir, Vec<u64>) {
        let (open, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = EmbeddedLog::open(open.path()).unwrap();
        let cleanup = Cleanup::Delete { keep: Duration::from_secs(3600), max_bytes: None };
        log.create_topics(&[TopicSpec { name: "a".into(), partitions: 1, cleanup }]).unwrap();
        let producer = log.producer(None).unwrap();
        let journal = open.path().join("log/0.jnl");
        let ends = (0..RECORDS).map(|n| {
            let value = value(n, 1000 + n as usize * 3500);
            let output = Output { topic: "a".into(), partition: None, key: None, value: Some(value.into()), headers: vec![] };
            producer.append(vec![output]).unwrap();
            whole_batches(&mut BufReader::new(File::open(&journal).unwrap())).unwrap()
        });
        let ends = ends.collect();
        let copied = std::process::Command::new("cp").arg("-r").arg(open.path().join("log")).arg(copy.path().join("log")).status();
        assert!(copied.unwrap().success());
        (copy, ends)
    }

    /// Opens the log and returns how many records are there, all as they were written.
    fn opened(directory: &Path) -> u64 {
        let log = EmbeddedLog::open(directory).unwrap();
        let mut reader = log.reader(&[(TopicPartition::new("a", 0), Start::Oldest)]).unwrap();
        let records = reader.read(100, Duration::ZERO).unwrap();
        for (n, record) in records.iter().enumerate() {
            assert_eq!(record.offset.0, n as u64);
            assert_eq!(record.value.as_deref(), Some(&value(n as u64, 1000 + n * 3500)[..]));
        }
        records.len() as u64
    }

    #[test]
    fn a_journal_is_read_to_its_end_and_left_alone() {
        let (directory, ends) = written();
        assert!(ends.is_sorted() && ends[0] > 1000);
        assert_eq!(opened(directory.path()), RECORDS);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "log and lock file");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
        #[test]
        fn pages_that_never_reached_the_disk_take_only_what_nobody_was_promised(
            synced in 1..RECORDS,
            pages in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
            is_cut: bool,
        ) {
            let (directory, ends) = written();
            let (safe, end) = (ends[synced as usize - 1], ends[RECORDS as usize - 1]);
            let journal = OpenOptions::new().write(true).open(directory.path().join("log/0.jnl")).unwrap();
            let first = safe.div_ceil(PAGE);
            let lost: Vec<u64> = pages.iter().map(|p| first + p.index(end.div_ceil(PAGE).saturating_sub(first).max(1) as usize) as u64).collect();
            for page in &lost {
                journal.write_all_at(&[0; PAGE as usize], page * PAGE).unwrap();
            }
            if is_cut {
                journal.set_len(lost[0] * PAGE).unwrap();
            }
            let there = opened(directory.path());
            prop_assert!(there >= synced, "{there} records of {synced} that were promised");
            // And again, without anything to repair, with the next offset after the last that is there.
            let log = EmbeddedLog::open(directory.path()).unwrap();
            let output = Output { topic: "a".into(), partition: None, key: None, value: None, headers: vec![] };
            prop_assert_eq!(log.producer(None).unwrap().append(vec![output]).unwrap()[0].1.0, there);
        }
    }
}
