//! Where ONNX Runtime's shared library is, and loading it once.

use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where the set-up step puts the library, below the project's directory.
pub const USUAL_PLACE: &str = ".cache/onnxruntime";
/// Environment variable that names the library, as all users of ONNX Runtime from Rust have it.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Why ONNX Runtime cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LibraryError {
    /// It is not where it should be.
    #[error(
        "ONNX Runtime's shared library was not found ({looked}). Fetch it with `make setup` or `scripts/fetch-onnxruntime.sh`, or name it by `network.library` or ORT_DYLIB_PATH; `network.enabled = false` judges without networks"
    )]
    Missing {
        /// Where it was looked for.
        looked: String,
    },
    /// It is there, and cannot be used.
    #[error("ONNX Runtime cannot be loaded: {0}")]
    Unusable(String),
}

/// ONNX Runtime, loaded: once a process, whoever asks.
#[derive(Debug, Clone)]
pub struct Library {
    environment: Environment,
}

static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

impl Library {
    /// Loads the library: the one that is named, else the one that `ORT_DYLIB_PATH` names, else the one in the usual place above the
    /// program or the working directory. A process that has loaded one stays with it.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn load(named: Option<&Path>) -> Result<Self, LibraryError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(environment) = &*loaded {
            return Ok(Self { environment: environment.clone() });
        }
        let path = find(named)?;
        let unusable = |why: String| LibraryError::Unusable(format!("{}: {why}", path.display()));
        let builder = ort::init_from(&path).map_err(|e| unusable(e.to_string()))?;
        let environment = builder.with_name("weir").with_telemetry(false).build().map_err(|e| unusable(e.to_string()))?;
        tracing::info!(library = %path.display(), "ONNX Runtime is loaded");
        *loaded = Some(environment.clone());
        Ok(Self { environment })
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

fn find(named: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let chosen = named.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
    let candidates = match chosen {
        Some(path) => vec![path],
        None => usual_places(),
    };
    let is_there = |path: &&PathBuf| path.is_file();
    if let Some(path) = candidates.iter().find(is_there) {
        return path.canonicalize().map_err(|e| LibraryError::Unusable(format!("{}: {e}", path.display())));
    }
    let looked = candidates.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(LibraryError::Missing { looked })
}

/// In the cache of the working directory, and of each directory above the program; beside the program.
fn usual_places() -> Vec<PathBuf> {
    let file = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let program = std::env::current_exe().unwrap_or_default();
    let above = program.ancestors().skip(1).map(|directory| directory.join(USUAL_PLACE).join(&file));
    let beside = program.parent().map(|directory| directory.join(&file));
    std::iter::once(Path::new(USUAL_PLACE).join(&file)).chain(beside).chain(above).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named_with_what_to_do() {
        let error = find(Some(Path::new("/nowhere/libonnxruntime.so"))).unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/libonnxruntime.so") && error.contains("make setup") && error.contains("network.library"),
            "{error}"
        );
    }
}
