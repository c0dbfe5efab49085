//! Files in, exchanges out, in time order: what cannot be read is named with file and line, counted and skipped.

use anyhow::bail;
use engine::Exchange;
use indicatif::ProgressBar;
use ingest::Preparer;
use ingest::decode::{Options, ReorderBuffer, Tally};
use runtime::config::Config;
use runtime::keys::SessionKey;
use std::io::Write as _;
use std::path::PathBuf;

/// Records between two moves of the progress bar.
const TICK: u64 = 256;

/// Reads every file and hands each exchange to `take`, in time order. Lines that cannot be read are said above the bar.
pub(crate) fn read(
    files: &[PathBuf],
    config: &Config,
    bar: &ProgressBar,
    mut take: impl FnMut(Exchange<'static>) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut records = ReorderBuffer::open(files, &Options::configured(config))?;
    let key_file = Some(config.key_files().session).filter(|file| config.privacy.mask_files && file.exists());
    let preparer = Preparer::local(config, key_file.map(|file| SessionKey::load(&file)).transpose()?.as_ref())?;
    let mut shown = 0;
    let mut taken = 0u64;
    while let Some(record) = records.next() {
        if taken.is_multiple_of(TICK) {
            bar.set_position(records.progress().iter().map(ingest::decode::Progress::read).sum());
            shown = show_bad(records.tally(), shown, bar);
        }
        taken += 1;
        take(preparer.prepared(record))?;
    }
    let tally = records.tally().clone();
    show_bad(&tally, shown, bar);
    if tally.bad_lines() > tally.first_bad.len() as u64 {
        let counts: Vec<String> = tally.bad.iter().map(|(reason, n)| format!("{n} {}", reason.name())).collect();
        say(bar, &format!("lines that could not be read: {}", counts.join(", ")));
    }
    if tally.read == 0 {
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        let why = tally.first_bad.first().map_or_else(|| "nothing in there".to_owned(), ToString::to_string);
        bail!("no request could be read from {} ({why})", names.join(", "));
    }
    Ok(tally)
}

/// Names bad lines that have not been named yet; returns how many have been.
fn show_bad(tally: &Tally, shown: usize, bar: &ProgressBar) -> usize {
    for bad in tally.first_bad.iter().skip(shown) {
        say(bar, &bad.to_string());
    }
    tally.first_bad.len()
}

/// Says something on standard error without tearing the bar.
pub(crate) fn say(bar: &ProgressBar, what: &str) {
    // Nobody is left to be told when standard error is gone.
    bar.suspend(|| drop(writeln!(std::io::stderr(), "{what}")));
}
