//! `weir calibration`: how often harmless traffic that was not learned from is called so odd, beside how often it should be.

mod rates;

use super::backtest::input;
use super::backtest::judging::Judging;
use super::backtest::labels::Labels;
use super::backtest::learning::{learn_from, read_history, read_judge};
use crate::terminal::Paint;
use anyhow::bail;
use engine::features::Extractor;
use engine::{Label, Model};
use indicatif::ProgressBar;
use rates::Rates;
use runtime::config::Config;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir calibration --train week.ndjson.zst
  weir calibration --train monday.ndjson --score tuesday.ndjson --json
  weir calibration --use-model shop.weir --score tuesday.ndjson --labels labels.csv

Without --score the later part of the training files is held out and judged. Attacks among what is judged count as false alarms unless
labels say which they are.";

/// Share of the training files that is held out where no others are judged.
const HELD_OUT: f64 = 0.3;

/// Compares realised rates of small p-values with nominal ones on traffic that was not learned from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files to learn from, in order.
    #[arg(long, num_args = 1.., value_name = "FILE", required_unless_present = "use_model")]
    train: Vec<PathBuf>,
    /// Files to judge, in order [default: the later part of those to learn from].
    #[arg(long, num_args = 1.., value_name = "FILE", required_unless_present = "train")]
    score: Vec<PathBuf>,
    /// Share of the training files that is held out, between 0 and 1 [default: 0.3].
    #[arg(long, value_name = "SHARE", conflicts_with = "score")]
    held_out: Option<f64>,
    /// Judge with this model instead of learning one.
    #[arg(long, value_name = "IN.weir", conflicts_with = "train")]
    use_model: Option<PathBuf>,
    /// Leave out what is an attack, or of a group with one: CSV with the columns id, label (benign or attack) and perhaps group.
    #[arg(long, num_args = 1.., value_name = "FILE.csv")]
    labels: Vec<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Learns, judges, compares.
pub(crate) fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let labels = Labels::read(&args.labels)?;
    let share = args.held_out.unwrap_or(HELD_OUT);
    if !(share > 0.0 && share < 1.0) {
        bail!("--held-out takes a share between 0 and 1, not {share}");
    }
    let rates = match (&args.use_model, args.score.as_slice()) {
        (Some(path), files) => {
            let (model, config) = read_judge(path, config)?;
            judged(files, 0, &config, &model, &labels)?
        }
        (None, []) => {
            let learned = split(&args.train, config, share)?;
            let model = learned_from(&args.train, config, learned)?;
            // What was learned from is judged too, though not counted: sessions go on across the border.
            judged(&args.train, learned, config, &model, &labels)?
        }
        (None, files) => judged(files, 0, config, &learned_from(&args.train, config, u64::MAX)?, &labels)?,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &rates.report())?;
        return Ok(writeln!(out)?);
    }
    Ok(out.write_all(rates.report().to_text(Paint::of_stdout()).as_bytes())?)
}

/// How many exchanges of the files are learned from when so large a share of them is held out.
fn split(files: &[PathBuf], config: &Config, share: f64) -> anyhow::Result<u64> {
    if files.iter().any(|file| file.as_path() == Path::new("-")) {
        bail!("standard input can be read once only: name other files with --score");
    }
    let all = input::read(files, config, &ProgressBar::hidden(), |_| Ok(()))?.read;
    Ok((all as f64 * (1.0 - share)) as u64)
}

fn learned_from(files: &[PathBuf], config: &Config, most: u64) -> anyhow::Result<Arc<Model>> {
    let (history, _) = read_history(files, config, most)?;
    Ok(learn_from(&history, config, &[])?.0)
}

/// Judges files and counts what comes after the first exchanges.
fn judged(files: &[PathBuf], skipped: u64, config: &Config, model: &Arc<Model>, labels: &Labels) -> anyhow::Result<Rates> {
    let mut rates = Rates::default();
    let mut extractor = Extractor::default();
    let mut seen = 0;
    Judging { files, config, model, before: &[], partitions: 1 }.run(|exchange, verdict| {
        seen += 1;
        if seen <= skipped || labels.is_of_attacker(exchange.id.as_deref()) {
            return Ok(());
        }
        match model.peers(&extractor.extract(exchange)) {
            Some(peers) if verdict.label != Label::Insufficient => rates.add(peers, &verdict),
            _ => rates.insufficient += 1,
        }
        Ok(())
    })?;
    Ok(rates)
}
