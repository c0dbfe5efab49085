//! `weir keys`: the keys that an installation shares.

use anyhow::{Context as _, bail};
use ingest::session::gateway_key;
use runtime::config::{Config, KeyFiles};
use runtime::keys::{PublicKey, SessionKey, SigningKey};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes the keys that are missing; those that are there stay as they are.
    ///
    /// model-sign.pem signs models: only the trainer may have it. model-public.pem is what scorers trust.
    /// session.key is shared by every ingest, so that one session has one name.
    #[command(after_help = "Example:\n  weir keys create --dir /etc/weir/keys")]
    Create(Create),
    /// Prints the key with which a gateway names sessions, to find them on the block list; it unmasks nothing.
    ///
    /// A session is the first half of HMAC-SHA256 over `session`, the name of the header or cookie (`authorization`), and its value
    /// (`bearer TOKEN`, the scheme in lower case), each followed by a zero byte; in hex.
    #[command(after_help = "Example:\n  weir keys gateway > /etc/nginx/weir-gateway.key")]
    Gateway,
}

/// Arguments of `weir keys create`.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Where the files go [default: the data directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Makes keys.
pub(crate) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Create(Create { dir }) => create(dir.as_deref().unwrap_or(&config.data)),
        Command::Gateway => {
            let key = gateway_key(SessionKey::load(&config.key_files().session)?.as_bytes());
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(writeln!(std::io::stdout(), "{hex}")?)
        }
    }
}

fn create(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let files = KeyFiles::in_directory(directory);
    let mut out = std::io::stdout().lock();
    let mut report = |path: &Path, was_there: bool, what: &str| {
        let done = if was_there { "kept" } else { "made" };
        writeln!(out, "{done}  {}  {what}", path.display())
    };

    let was_there = files.sign.exists();
    let signing = SigningKey::load_or_create(&files.sign)?;
    report(&files.sign, was_there, "signs models; for the trainer alone")?;
    for path in &files.public {
        let was_there = path.exists();
        if !was_there {
            signing.public().save(path)?;
        } else if PublicKey::load(path)?.id() != signing.public().id() {
            bail!("{} does not belong to {}: models signed with the one would not be trusted", path.display(), files.sign.display());
        }
        report(path, was_there, "whose models are trusted; for scorers (model.public_keys)")?;
    }
    let was_there = files.session.exists();
    SessionKey::load_or_create(&files.session)?;
    report(&files.session, was_there, "hashes sessions; for every ingest (session.key_file)")?;
    Ok(())
}
