//! This machine: keys, disk and ONNX Runtime.

use super::finding::Finding;
use crate::terminal::count;
use runtime::config::Config;
use runtime::inference::Library;
use runtime::keys::{KeyError, PublicKey, SessionKey, SigningKey};
use std::path::{Path, PathBuf};

/// Free space below which a disk is about to be full.
const LEAST: u64 = 1 << 30;
/// Share of a disk that should be free.
const SHARE: u64 = 10;

/// Keys that are here: readable, belonging together, private ones private. Which of them a machine needs depends on what runs there.
pub(super) fn keys(config: &Config) -> Vec<Finding> {
    let files = config.key_files();
    let make = "`weir keys create` makes keys; copy them to where they are needed (`weir keys create --help`)";
    let mut found = Vec::new();
    let mut have = Vec::new();
    let mut failed = |what: &str, error: &KeyError| match error {
        KeyError::Missing { .. } => {}
        error => found.push(Finding::wrong("keys", format!("{what}: {error}"), make)),
    };
    let sign = SigningKey::load(&files.sign).map_err(|e| failed("signing models", &e)).ok();
    let session = SessionKey::load(&files.session).map_err(|e| failed("naming sessions", &e)).ok();
    let public: Vec<PublicKey> =
        files.public.iter().filter_map(|path| PublicKey::load(path).map_err(|e| failed("trusting models", &e)).ok()).collect();
    for (is_here, path) in [(sign.is_some(), &files.sign), (session.is_some(), &files.session)] {
        if is_here {
            found.extend(open_to_others(path));
            have.push(name(path));
        }
    }
    if !public.is_empty() {
        have.push(format!("{} trusted", public.len()));
    }
    if let Some(sign) = &sign
        && !public.is_empty()
        && !public.iter().any(|key| key.id() == sign.public().id())
    {
        let said = "the key that signs models here is not among those that are trusted: its models would be refused";
        found.push(Finding::wrong("keys", said, "put its public half into `model.public_keys` of every scorer"));
    }
    if have.is_empty() {
        found.push(Finding::warning("keys", format!("none in {}", config.data.display()), make));
    } else if found.is_empty() {
        found.push(Finding::well("keys", have.join(", ")));
    }
    found
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn open_to_others(path: &PathBuf) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let said = format!("{} can be read by others (mode {:o})", path.display(), mode & 0o777);
    (mode & 0o077 != 0).then(|| Finding::wrong("keys", said, format!("chmod 600 {}", path.display())))
}

/// Whether networks of models can be run here; scorers and the trainer need them.
pub(super) fn networks(config: &Config) -> Finding {
    if !config.network.enabled {
        return Finding::well("networks", "turned off (`network.enabled`)");
    }
    match Library::load(config.network.library.as_deref()) {
        Ok(_) => Finding::well("networks", "ONNX Runtime can be loaded"),
        Err(error) => {
            let todo = "fetch it where a scorer or the trainer runs; other machines need none";
            Finding::warning("networks", error.to_string(), todo)
        }
    }
}

/// Room where the data directory is.
pub(super) fn disk(config: &Config) -> Finding {
    let directory = config.data.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("."));
    match rustix::fs::statvfs(directory) {
        Ok(disk) => room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, config),
        Err(error) => Finding::warning("disk", format!("{}: {error}", directory.display()), "is the data directory mounted?"),
    }
}

fn room(free: u64, size: u64, config: &Config) -> Finding {
    let said = format!("{} MiB free of {} MiB where {} is", count(free >> 20), count(size >> 20), config.data.display());
    let embedded = config.kafka.brokers.is_none();
    let todo = if embedded {
        "make room, or let less be kept: `embedded.max_bytes`, `traffic.keep`, `verdicts.keep` (docs/operations.md)"
    } else {
        "make room"
    };
    if free < LEAST {
        Finding::wrong("disk", said, todo)
    } else if embedded && (free < size / SHARE || free < config.embedded.max_bytes / 2) {
        Finding::warning("disk", said, todo)
    } else {
        Finding::well("disk", said)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Health;
    use super::*;
    use runtime::config::{FlagValue, Sources};

    fn config(data: &Path) -> Config {
        let flags = vec![FlagValue { key: "data".to_owned(), value: data.display().to_string() }];
        Config::resolve(&Sources { flags, host_name: "h".to_owned(), ..Sources::default() }).unwrap()
    }

    #[test]
    fn keys_are_well_when_they_belong_together_and_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert_eq!(keys(&config)[0].health, Health::Warning);

        let files = config.key_files();
        let sign = SigningKey::load_or_create(&files.sign).unwrap();
        sign.public().save(&files.public[0]).unwrap();
        SessionKey::load_or_create(&files.session).unwrap();
        assert_eq!(keys(&config), [Finding::well("keys", "model-sign.pem, session.key, 1 trusted")]);

        std::fs::set_permissions(&files.session, std::fs::Permissions::from_mode(0o644)).unwrap();
        let found = keys(&config);
        assert!(found[0].health == Health::Wrong && found[0].said.contains("mode 644"), "{found:?}");

        std::fs::remove_file(&files.public[0]).unwrap();
        SigningKey::load_or_create(&folder.path().join("other.pem")).unwrap().public().save(&files.public[0]).unwrap();
        assert!(keys(&config).iter().any(|finding| finding.said.contains("not among those that are trusted")));
    }

    #[test]
    fn a_disk_is_looked_at_before_it_is_full() {
        let config = config(Path::new("."));
        let size = 1_000 << 30;
        assert_eq!(room(500 << 30, size, &config).health, Health::Well);
        assert_eq!(room(50 << 30, size, &config).health, Health::Warning);
        assert_eq!(room(1 << 29, size, &config).health, Health::Wrong);
        assert_eq!(room(3 << 30, 20 << 30, &config).health, Health::Warning);
    }
}
