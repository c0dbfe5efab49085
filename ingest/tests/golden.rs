//! Each folder of `testdata` with an input holds a line why it is there, and what is read from it: `read.ndjson`, one canonical exchange or
//! bad line a line, and `prepared.ndjson`, the exchanges as they would be written. `UPDATE_GOLDEN=1` writes them anew, to be looked at.
//!
//! A folder that is called like a gateway with a field map (`deploy/gateways/NAME/weir.toml`) is read by that map.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use ingest::Preparer;
use ingest::decode::{Options, Source};
use ingest::session::Identities;
use runtime::config::{Config, Sources};
use std::fs;
use std::path::{Path, PathBuf};

const KEY: [u8; 32] = [42; 32];

/// The configuration of a case, and the field map of its name.
fn configured(case: &Path) -> (Config, Options) {
    let name = case.file_name().unwrap().to_str().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/gateways").join(name).join("weir.toml");
    let file = fs::read_to_string(&path).ok().map(|text| (path, text));
    let config = Config::resolve(&Sources { file, host_name: "test".to_owned(), ..Sources::default() }).unwrap();
    let options = Options { field_map: config.ingest.field_maps.get(name).cloned(), ..Options::configured(&config) };
    (config, options)
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut cases: Vec<PathBuf> = folders.filter(|folder| input(folder).is_some()).collect();
    cases.sort();
    cases
}

/// The input of a folder; one without (`wire`) is other tests' business.
fn input(case: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_stem().is_some_and(|stem| stem == "input"))
}

/// Compares with a golden file, or writes it when asked to.
fn check(path: &Path, text: &str) {
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|asked| asked == "1") {
        fs::write(path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    for (i, (got, wanted)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, wanted, "{}:{}", path.display(), i + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{}", path.display());
}

#[test]
fn every_case_reads_as_it_did() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in cases {
        let mut read = String::new();
        let mut prepared = String::new();
        let (config, options) = configured(&case);
        let preparer = Preparer::new(Identities::configured(&config), &[], &KEY).unwrap();
        let bytes = fs::read(input(&case).unwrap()).unwrap();
        let source = Source::from_reader("input", std::io::Cursor::new(bytes), &options).unwrap();
        for record in source {
            match record {
                Ok(decoded) => {
                    let gateway = [&decoded.gateway.session, &decoded.gateway.subject, &decoded.gateway.forwarded_for];
                    let line = serde_json::json!({ "at": decoded.at.to_string(), "exchange": decoded.exchange, "session, subject, forwarded for": gateway });
                    read += &format!("{line}\n");
                    prepared += &format!("{}\n", serde_json::to_string(&preparer.prepared(decoded)).unwrap());
                }
                Err(bad) => read += &format!("{}\n", serde_json::json!({ "bad": bad.to_string() })),
            }
        }
        check(&case.join("read.ndjson"), &read);
        check(&case.join("prepared.ndjson"), &prepared);
    }
}
