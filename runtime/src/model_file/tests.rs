use super::*;
use proptest::prelude::*;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn about() -> About {
    let offsets = vec![OffsetRange { topic: "weir.traffic".to_owned(), partition: 3, from: 10, until: 90 }];
    let training = TrainingRange { from: Some("2026-01-05T10:00:00.000Z".to_owned()), until: None, exchanges: 80, offsets };
    About { parent: Some("ab".repeat(32)), created_ms: 1_767_600_000_000, training, contest: None }
}

fn sample() -> ModelFile {
    let parts = vec![("head.json".to_owned(), b"{}".to_vec()), ("api/0.bin".to_owned(), (0..=255).cycle().take(1000).collect())];
    ModelFile::assemble("v12".to_owned(), serde_json::json!({"api.example.com": {"alpha": 1e-4, "requests": 5}}), parts, about()).unwrap()
}

/// A zip of these files, as somebody else might write it.
fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The sample as a zip with a changed manifest and list of files.
fn forged(change: impl FnOnce(&mut serde_json::Value), files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(sample().manifest_json()).unwrap();
    change(&mut manifest);
    let text = serde_json::to_vec(&manifest).unwrap();
    zip_of(&[&[("manifest.json", &text[..])], files].concat())
}

#[test]
fn what_is_written_is_read_and_writing_it_again_gives_the_same_bytes() {
    let file = sample();
    let bytes = write(&file).unwrap();
    assert_eq!(read(&bytes).unwrap(), file);
    assert_eq!(write(&read(&bytes).unwrap()).unwrap(), bytes);
    assert_eq!(write(&sample()).unwrap(), bytes);
    // The manifest stands first, for people with `head` and a hex viewer.
    assert_eq!(&bytes[30..43], b"manifest.json");
}

#[test]
fn the_id_covers_parts_and_what_is_said_of_them() {
    let id = |label: &str, part: u8, created_ms| {
        let about = About { created_ms, ..about() };
        let parts = vec![("head.json".to_owned(), vec![part])];
        ModelFile::assemble(label.to_owned(), serde_json::Value::Null, parts, about).unwrap().manifest().id.clone()
    };
    assert_eq!(id("v1", 1, 0), id("v1", 1, 0));
    assert_ne!(id("v1", 1, 0), id("v1", 2, 0));
    assert_ne!(id("v1", 1, 0), id("v2", 1, 0));
    assert_ne!(id("v1", 1, 0), id("v1", 1, 1));
}

#[test]
fn a_real_model_goes_through_a_file() {
    let head = serde_json::json!({"label": "v3", "hosts": engine::api::HostMap::default(), "apis": []});
    let model = Model::from_parts(&[("head.json".to_owned(), serde_json::to_vec(&head).unwrap())]).unwrap();
    let file = ModelFile::of(&model, about()).unwrap();
    let back = read(&write(&file).unwrap()).unwrap().model().unwrap();
    assert_eq!(back.to_parts().unwrap(), model.to_parts().unwrap());
    let mislabelled = ModelFile::assemble("v4".to_owned(), serde_json::Value::Null, model.to_parts().unwrap(), about()).unwrap();
    assert!(matches!(mislabelled.model(), Err(ModelFileError::Damaged { .. })));
}

#[test]
fn each_way_of_being_wrong_has_its_own_error() {
    let head: (&str, &[u8]) = ("head.json", b"{}");
    let api: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let api: (&str, &[u8]) = ("api/0.bin", &api);
    assert!(matches!(read(b"GIF89a"), Err(ModelFileError::NotAZip)));
    assert!(matches!(read(b""), Err(ModelFileError::NotAZip)));
    assert!(matches!(read(&zip_of(&[head])), Err(ModelFileError::Missing(m)) if m == "manifest.json"));
    let format = read(&forged(|m| m["format"] = 2.into(), &[])).unwrap_err();
    assert_eq!(format.to_string(), "the model file has format 2; this version of Weir reads 1");
    let model_format = read(&forged(|m| m["model_format"] = 77.into(), &[]));
    assert!(matches!(model_format, Err(ModelFileError::UnknownFormat { what: "model format", found: 77, .. })));
    let missing = read(&forged(|_| {}, &[head]));
    assert!(matches!(missing, Err(ModelFileError::Missing(m)) if m == "api/0.bin"));
    let more = read(&forged(|_| {}, &[head, api, ("more.bin", b"")]));
    assert!(matches!(more, Err(ModelFileError::Unexpected(m)) if m == "more.bin"));
    let relabelled = read(&forged(|m| m["label"] = "v99".into(), &[head, api]));
    assert!(matches!(relabelled, Err(ModelFileError::Damaged { what, .. }) if what == "manifest.json"));
    let changed = [head, ("api/0.bin", &[7; 1000][..])];
    let text = sample();
    let changed = zip_of(&[&[("manifest.json", text.manifest_json())], &changed[..]].concat());
    assert!(matches!(read(&changed), Err(ModelFileError::Damaged { what, .. }) if what == "api/0.bin"));
    let shorter = zip_of(&[("manifest.json", text.manifest_json()), head, ("api/0.bin", b"short")]);
    assert!(matches!(read(&shorter), Err(ModelFileError::Damaged { what, .. }) if what == "api/0.bin"));
    let longer = zip_of(&[("manifest.json", text.manifest_json()), head, ("api/0.bin", &[0; 5000])]);
    assert!(matches!(read(&longer), Err(ModelFileError::TooLarge { limit: 1000, .. })));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../x", "/etc/passwd", "a//b", "a/../b", "C:\\x", "a\\b", ".hidden", "", "manifest.json", "a/", "A", "a\u{0}"] {
        let named = read(&forged(|m| m["parts"][0]["name"] = name.into(), &[]));
        assert!(matches!(named, Err(ModelFileError::BadName(_))), "{name:?}: {named:?}");
    }
    let entry = read(&forged(|_| {}, &[("head.json", b"{}"), ("../../evil", b"x")]));
    assert!(matches!(entry, Err(ModelFileError::BadName(_))), "{entry:?}");
    let twice = read(&forged(|m| m["parts"][1]["name"] = "head.json".into(), &[]));
    assert!(matches!(twice, Err(ModelFileError::BadName(_))));
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    let announced = read(&forged(|m| m["parts"][0]["bytes"] = (1u64 << 40).into(), &[]));
    assert!(matches!(announced, Err(ModelFileError::TooLarge { .. })));
    let overflowing = read(&forged(|m| (0..2).for_each(|n| m["parts"][n]["bytes"] = u64::MAX.into()), &[]));
    assert!(matches!(overflowing, Err(ModelFileError::TooLarge { .. })));
    let manifest = vec![b' '; 100 << 20];
    let zip = zip_of(&[("manifest.json", &manifest)]);
    assert!(zip.len() < 1 << 20);
    assert!(matches!(read(&zip), Err(ModelFileError::TooLarge { .. })));
}

#[test]
fn any_changed_byte_is_seen_or_changes_nothing() {
    let file = sample();
    let bytes = write(&file).unwrap();
    for place in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= flip;
            if let Ok(read) = read(&changed) {
                assert_eq!(read, file, "byte {place} changed by {flip:#x}");
            }
        }
    }
}

#[test]
fn any_cut_is_seen() {
    let bytes = write(&sample()).unwrap();
    for length in 0..bytes.len() {
        match read(&bytes[..length]) {
            Err(ModelFileError::NotAZip) => assert!(length < 4),
            Err(ModelFileError::Damaged { .. }) => {}
            other => panic!("cut to {length}: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_like_a_zip: bool) {
        let bytes = if is_like_a_zip { [b"PK\x03\x04", &bytes[..]].concat() } else { bytes };
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn arbitrary_changes_are_seen_or_change_nothing(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let file = sample();
        let mut bytes = write(&file).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(read) = read(&bytes) {
            prop_assert_eq!(read, file);
        }
    }
}
