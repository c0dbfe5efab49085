use super::*;
use proptest::prelude::*;
use std::fs;

fn pointer(counter: u64) -> Pointer {
    Pointer { active: "a1".repeat(32), previous: Some("b2".repeat(32)), pinned: vec!["c3".repeat(32)], counter }
}

fn key(seed: u8) -> SigningKey {
    SigningKey(Ed25519::from_bytes(&[seed; 32]))
}

fn trusting(seeds: &[u8]) -> TrustedKeys {
    TrustedKeys::new(seeds.iter().map(|s| key(*s).public()).collect())
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_for_their_owner_only_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join("keys").join(name);
    let signing = SigningKey::load_or_create(&at("model.key")).unwrap();
    assert_eq!(SigningKey::load_or_create(&at("model.key")).unwrap().0.to_bytes(), signing.0.to_bytes());
    let session = SessionKey::load_or_create(&at("session.key")).unwrap();
    assert_eq!(SessionKey::load(&at("session.key")).unwrap(), session);
    signing.public().save(&at("model.pub")).unwrap();
    assert_eq!(PublicKey::load(&at("model.pub")).unwrap(), signing.public());
    assert!(fs::read_to_string(at("model.key")).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    #[cfg(unix)]
    assert_eq!((mode(&at("model.key")), mode(&at("session.key")), mode(&at("model.pub")) & 0o700), (0o600, 0o600, 0o600));
    assert_eq!(fs::read_dir(directory.path().join("keys")).unwrap().count(), 3, "passing files are left");
    assert_ne!(SessionKey::create(&at("other")).unwrap(), session);
}

#[test]
fn a_key_that_is_there_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(SigningKey::create(&path), Err(KeyError::Exists { .. })));
    assert!(matches!(SessionKey::create(&path), Err(KeyError::Exists { .. })));
    assert!(matches!(SigningKey::load_or_create(&path), Err(KeyError::Unreadable { .. })));
    assert!(matches!(SessionKey::load_or_create(&path), Err(KeyError::Unreadable { .. })));
    assert!(matches!(key(1).public().save(&path), Err(KeyError::Exists { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn errors_name_the_file_and_show_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.key");
    let missing = SessionKey::load(&path).unwrap_err().to_string();
    assert!(missing.contains("session.key") && missing.contains("weir keys create"), "{missing}");
    fs::write(&path, "hunter2").unwrap();
    let short = SessionKey::load(&path).unwrap_err().to_string();
    assert!(short.contains("7 bytes, a session key has 32") && !short.contains("hunter2"), "{short}");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert!(SigningKey::load(&path).unwrap_err().to_string().contains("too long"));
    assert!(matches!(SessionKey::load(directory.path()), Err(KeyError::File { .. })));
    let pem = directory.path().join("model.key");
    SigningKey::create(&pem).unwrap();
    assert!(matches!(PublicKey::load(&pem), Err(KeyError::Unreadable { .. })));
    let shown = format!("{:?} {:?}", key(7), SessionKey([7; 32]));
    assert!(!shown.contains("7, 7") && !shown.contains("0707"), "{shown}");
}

#[test]
fn those_who_make_a_key_at_once_get_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.key");
    let keys: Vec<SessionKey> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| SessionKey::load_or_create(&path).unwrap())).collect();
        makers.into_iter().map(|m| m.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|k| *k == keys[0]));
}

#[test]
fn a_pointer_is_followed_only_if_signed_by_a_trusted_key_and_newer() {
    let record = key(1).sign_pointer(pointer(5)).unwrap();
    let trusted = trusting(&[2, 1]);
    assert_eq!(trusted.verify_pointer(&record, None).unwrap(), pointer(5));
    assert_eq!(trusted.verify_pointer(&record, Some(4)).unwrap(), pointer(5));
    assert_eq!(trusted.verify_pointer(&record, Some(5)), Err(PointerError::Old { counter: 5, newest: 5 }));
    assert_eq!(trusted.verify_pointer(&record, Some(9)), Err(PointerError::Old { counter: 5, newest: 9 }));
    assert_eq!(trusting(&[2]).verify_pointer(&record, None), Err(PointerError::UnknownKey { key: key(1).public().id() }));
    assert!(matches!(trusting(&[]).verify_pointer(&record, None), Err(PointerError::UnknownKey { .. })));
    // Another trusted key's name does not help.
    let text = String::from_utf8(record).unwrap();
    let renamed = text.replace(&key(1).public().id(), &key(2).public().id());
    assert!(matches!(trusted.verify_pointer(renamed.as_bytes(), None), Err(PointerError::WrongSignature { .. })));
    let recounted = text.replace("\"counter\":5", "\"counter\":6");
    assert!(matches!(trusted.verify_pointer(recounted.as_bytes(), None), Err(PointerError::WrongSignature { .. })));
}

/// The wire format: other versions of Weir must read it.
#[test]
fn the_record_of_a_pointer_is_as_documented() {
    let record = String::from_utf8(key(1).sign_pointer(Pointer { previous: None, ..pointer(7) }).unwrap()).unwrap();
    let (a, c) = ("a1".repeat(32), "c3".repeat(32));
    let start = format!(r#"{{"active":"{a}","previous":null,"pinned":["{c}"],"counter":7,"key":"34750f98bd59fcfc","signature":""#);
    assert!(record.starts_with(&start), "{record}");
}

#[test]
fn what_is_no_id_is_neither_signed_nor_followed() {
    let odd = Pointer { active: "v12".to_owned(), ..pointer(1) };
    assert!(matches!(key(1).sign_pointer(odd), Err(PointerError::Unreadable(_))));
    assert!(matches!(trusting(&[1]).verify_pointer(&vec![b' '; 1 << 20], None), Err(PointerError::Unreadable(_))));
}

proptest! {
    #[test]
    fn a_changed_record_is_refused_or_says_the_same(place: prop::sample::Index, byte: u8) {
        let mut record = key(1).sign_pointer(pointer(5)).unwrap();
        let place = place.index(record.len());
        record[place] = byte;
        if let Ok(read) = trusting(&[1]).verify_pointer(&record, None) {
            prop_assert_eq!(read, pointer(5));
        }
    }

    #[test]
    fn arbitrary_records_are_refused(record in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(trusting(&[1]).verify_pointer(&record, None).is_err());
    }
}
