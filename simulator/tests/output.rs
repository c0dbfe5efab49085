//! What `write` leaves in a directory.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use engine::record::Exchange;
use flate2::read::GzDecoder;
use simulator::{Compression, Config, Summary, TrueLabel, WriteError, write};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

fn config() -> Config {
    Config::new(21, 0.2, 20_000)
}

fn written(dir: &Path, compression: Compression) -> Summary {
    write(dir, config(), compression, |_| {}).unwrap()
}

#[test]
fn the_splits_and_labels_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut calls = Vec::new();
    let summary = write(&dir.path().join("new"), config(), Compression::Plain, |p| calls.push(p.exchanges)).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join("new").join(name)).unwrap();
    let (traffic, train, test, labels) = (read("traffic.ndjson"), read("train.ndjson"), read("test.ndjson"), read("labels.csv"));
    assert_eq!(traffic, format!("{train}{test}"));
    assert_eq!(train.lines().count() as u64, summary.train);
    assert_eq!(test.lines().count() as u64, summary.test);

    let mut rows = labels.lines();
    assert_eq!(rows.next(), Some(TrueLabel::COLUMNS));
    let mut attacks: BTreeMap<&str, u64> = BTreeMap::new();
    for (row, line) in rows.by_ref().zip(traffic.lines()) {
        let columns: Vec<&str> = row.split(',').collect();
        assert_eq!(columns.len(), 6, "{row}");
        assert_eq!(Exchange::from_json(line.as_bytes()).unwrap().id.as_deref(), Some(columns[0]));
        if columns[1] == "attack" {
            *attacks.entry(columns[2]).or_default() += 1;
        }
    }
    assert!(rows.next().is_none());
    assert!(attacks.into_iter().eq(summary.attacks.clone()));
    assert!(calls.is_sorted() && calls.last() == Some(&summary.exchanges));
}

#[test]
fn packed_files_hold_the_same() {
    let (plain, packed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(written(plain.path(), Compression::Plain), written(packed.path(), Compression::Gzip));
    for name in ["traffic.ndjson", "labels.csv"] {
        let mut text = String::new();
        GzDecoder::new(fs::File::open(packed.path().join(format!("{name}.gz"))).unwrap()).read_to_string(&mut text).unwrap();
        assert!(text == fs::read_to_string(plain.path().join(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write(&file.join("below"), config(), Compression::Plain, |_| {}).unwrap_err();
    assert!(matches!(error, WriteError::Directory { .. }));
    assert!(error.to_string().contains("below"));
}
