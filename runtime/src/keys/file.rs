//! Small files that are whole or not there.

use super::{KeyError, unreadable};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Mode of a file that only its owner may read.
pub(super) const SECRET: u32 = 0o600;
/// Mode of a file that everybody may read.
pub(super) const PUBLIC: u32 = 0o644;

/// No key file is longer.
const LONGEST: u64 = 64 << 10;

/// Content of a key file.
pub(super) fn bytes(what: &'static str, path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => KeyError::Missing { what, path: path.to_owned() },
        _ => KeyError::File { what, path: path.to_owned(), error },
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST { Err(unreadable(what, path, "far too long for a key")) } else { Ok(bytes) }
}

/// Content of a key file in PEM.
pub(super) fn text(what: &'static str, path: &Path) -> Result<String, KeyError> {
    String::from_utf8(bytes(what, path)?).map_err(|_| unreadable(what, path, "no PEM file"))
}

/// Writes a new file under a passing name and gives it its own once it is whole; two who do this at once do not mix.
pub(super) fn create(what: &'static str, path: &Path, content: &[u8], mode: u32) -> Result<(), KeyError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => KeyError::Exists { what, path: path.to_owned() },
        _ => KeyError::File { what, path: path.to_owned(), error },
    };
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    let name = path.file_name().ok_or_else(|| unreadable(what, path, "no name of a file"))?;
    let passing = directory.join(format!(".{}.{}", name.to_string_lossy(), hex::encode(&super::random(what)?[..8])));
    let written = write(&passing, content, mode).and_then(|()| fs::hard_link(&passing, path)).and_then(|()| sync_directory(directory));
    let removed = fs::remove_file(&passing);
    written.map_err(failed)?;
    removed.map_err(failed)
}

fn write(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a new name in a directory survive power loss.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Loads a key; makes it if there is none; loads it again if somebody else was faster.
pub(super) fn load_or_create<T>(
    path: &Path,
    load: impl Fn(&Path) -> Result<T, KeyError>,
    create: impl Fn(&Path) -> Result<T, KeyError>,
) -> Result<T, KeyError> {
    match load(path) {
        Err(KeyError::Missing { .. }) => match create(path) {
            Err(KeyError::Exists { .. }) => load(path),
            created => created,
        },
        loaded => loaded,
    }
}

/// Says so when a secret is open to others. It is no error: orchestrators mount secrets that way.
pub(super) fn warn_if_others_may_read(what: &'static str, path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o007 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "{what}: everybody on this machine may use the file; mode 600 is enough");
        }
    }
    #[cfg(not(unix))]
    let _ = (what, path);
}
