//! Reads what a configuration is made from: the one place that looks at the environment and for the file.

use super::source::{FlagValue, Sources};
use std::path::PathBuf;

/// Name of the file that is taken without being asked for.
const FILE: &str = "weir.toml";

/// Why the configuration file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read", path = .path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// Reads the file (`asked`, else `WEIR_CONFIG`, else `./weir.toml` if there is one) and the environment.
///
/// # Errors
/// A file that was asked for, or that is there, cannot be read.
pub fn load_sources(asked: Option<PathBuf>, flags: Vec<FlagValue>) -> Result<Sources, LoadError> {
    let named = asked.or_else(|| std::env::var_os("WEIR_CONFIG").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let file = match std::fs::read_to_string(&path) {
        Ok(text) => Some((path, text)),
        Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(LoadError { path, source }),
    };
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("WEIR_"))?;
        Some((name, value.to_string_lossy().into_owned()))
    };
    let environment = std::env::vars_os().filter_map(text).collect();
    let host_name = gethostname::gethostname().to_string_lossy().into_owned();
    Ok(Sources { file, environment, flags, host_name })
}
