//! `weir backtest`: learn from some files, judge others, say what was found. Reads each file once; memory is bounded by the history's limits.

mod input;
mod summary;
mod tally;

use crate::terminal::{Paint, count};
use anyhow::Context;
use engine::features::Extractor;
use engine::{
    Effect, Exchange, History, HistoryLimits, Incoming, LearnConfig, Model, Offset, Partition, RecordPosition, TopicPartition, learn_with,
};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::decode::Tally as Reading;
use runtime::config::{AlertLevel, Config};
use runtime::inference;
use runtime::model_file::{self, About, ModelFile, TrainingRange};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::{Stages, Summary};
use tally::Tally;

/// Bytes of history that a backtest keeps, at most: what serves the several looks that learning takes.
const HISTORY_BYTES: usize = 384 << 20;

/// Records judged together: networks answer faster in company.
const BATCH: usize = 64;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir backtest --train monday.har --score tuesday.ndjson --verdicts verdicts.ndjson
  weir backtest --train access.log.1.gz --score access.log --verdicts - | jq 'select(.label == \"anomalous\")'
  weir backtest --train a.ndjson --score b.ndjson --verdicts v.ndjson --model shop.weir

Formats are detected: exchanges as NDJSON, HAR 1.2, combined access log, nginx and other JSON logs; plain, gzip or zstd; `-` is
standard input. The same file may stand on both sides.";

/// Learn from some files and judge others, without any service.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files to learn from, in order (`-`: standard input).
    #[arg(long, num_args = 1.., value_name = "FILE", required_unless_present = "use_model")]
    train: Vec<PathBuf>,
    /// Files to judge, in order (`-`: standard input).
    #[arg(long, num_args = 1.., value_name = "FILE")]
    score: Vec<PathBuf>,
    /// Where verdicts go, one JSON object a line (`-`: standard output).
    #[arg(long, value_name = "OUT", required = true)]
    verdicts: PathBuf,
    /// Where the summary goes as JSON.
    #[arg(long, value_name = "OUT.json")]
    report: Option<PathBuf>,
    /// Where the learned model goes.
    #[arg(long, value_name = "OUT.weir")]
    model: Option<PathBuf>,
    /// Judge with this model instead of learning one.
    #[arg(long, value_name = "IN.weir", conflicts_with = "train")]
    use_model: Option<PathBuf>,
}

/// Learns, judges, reports.
pub(crate) fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let mut stages = Stages::default();
    let model = match &args.use_model {
        Some(path) => read_model(path)?,
        None => learn_model(args, config, &mut stages)?,
    };
    let started = Instant::now();
    let (tally, reading) = judge_files(args, config, &model)?;
    stages.judge = started.elapsed();
    let summary = Summary { model: &model, tally: &tally, read: reading, stages, peak_bytes: peak_memory() };
    if let Some(path) = &args.report {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        serde_json::to_writer_pretty(file, &summary.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    if args.verdicts.as_os_str() == "-" {
        // Verdicts have standard output to themselves.
        return Ok(std::io::stderr().lock().write_all(summary.to_text(Paint::plain()).as_bytes())?);
    }
    let mut out = std::io::stdout().lock();
    out.write_all(summary.to_text(Paint::of_stdout()).as_bytes())?;
    writeln!(out, "Verdicts are in {}.", args.verdicts.display())?;
    if let Some(path) = &args.model {
        writeln!(out, "The model is in {0}; its endpoints: weir endpoints --model {0}", path.display())?;
    }
    Ok(())
}

/// Learns from the training files, and writes the model where that was asked for.
fn learn_model(args: &Args, config: &Config, stages: &mut Stages) -> anyhow::Result<Arc<Model>> {
    let started = Instant::now();
    let bar = bytes_bar("learning from", &args.train)?;
    let limits = HistoryLimits {
        max_exchanges: config.history.max_exchanges,
        max_bytes: config.history.max_bytes.min(HISTORY_BYTES),
        keep_ms: i64::try_from(config.history.keep.as_millis()).unwrap_or(i64::MAX),
    };
    let mut history = History::new(limits);
    let mut extractor = Extractor::default();
    let reading = input::read(&args.train, config, &bar, |exchange| {
        history.add(extractor.extract(&exchange));
        Ok(())
    })?;
    bar.finish_and_clear();
    stages.read = started.elapsed();
    stages.trained_on = reading.read;
    if reading.read < config.learning.min_requests {
        let least = count(config.learning.min_requests);
        input::say(&bar, &format!("warning: {} requests are little to learn from; a service waits for {least}", count(reading.read)));
    }
    let started = Instant::now();
    let bar = phase_bar();
    let (alpha, alerts_per_day) = match config.alerts {
        AlertLevel::Alpha(alpha) => (alpha, None),
        AlertLevel::PerDay(n) => (LearnConfig::default().alpha, Some(n)),
    };
    let told = LearnConfig { alpha, alerts_per_day, groups: config.apis.clone(), ..LearnConfig::default() };
    let model = learn_with(&history, &told, &mut *trainer::network::teacher(&config.network, None), &mut |progress| {
        bar.set_position((progress.done * 1000.0) as u64);
        bar.set_message(match progress.epoch {
            Some(epoch) => format!("network, pass {}, {:.2} nats", epoch.number, epoch.loss),
            None => progress.phase.to_owned(),
        });
    })?;
    bar.finish_and_clear();
    stages.learn = started.elapsed();
    if let Some(path) = &args.model {
        let training = TrainingRange { exchanges: reading.read, ..TrainingRange::default() };
        let file = ModelFile::of(&model, About { training, ..About::default() })?;
        std::fs::write(path, model_file::write(&file)?).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(Arc::new(model))
}

/// Reads a model file.
pub(crate) fn read_model(path: &Path) -> anyhow::Result<Arc<Model>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = model_file::read(&bytes).with_context(|| path.display().to_string())?;
    Ok(Arc::new(file.model().with_context(|| path.display().to_string())?))
}

/// Judges the files to be scored in one partition and writes a verdict for each record that could be read.
fn judge_files(args: &Args, config: &Config, model: &Arc<Model>) -> anyhow::Result<(Tally, Reading)> {
    let bar = bytes_bar("judging", &args.score)?;
    let mut out = create(&args.verdicts)?;
    let at = TopicPartition::new(format!("{}traffic", config.topics.prefix), 0);
    let mut partition = Partition::new(at, config.state.limits).with_client_ip(config.privacy.client_ip);
    partition.apply(Effect::Model(Arc::clone(model)));
    let mut heads = inference::heads(&config.network);
    let mut offset = Offset(0);
    let mut tally = Tally::default();
    let mut judge = |exchanges: &mut Vec<Exchange<'static>>| {
        let incoming =
            |(at, exchange)| Incoming { position: RecordPosition { offset: Offset(offset.0 + at as u64), appended_ms: None }, exchange };
        let records: Vec<Incoming<'_>> = exchanges.iter().enumerate().map(incoming).collect();
        for judged in partition.judge_all(&records, &mut *heads)? {
            let mut line = judged.verdict.to_json().context("writing a verdict as JSON")?;
            line.push(b'\n');
            out.write_all(&line).with_context(|| format!("writing {}", args.verdicts.display()))?;
            tally.add(judged.verdict);
        }
        offset = Offset(offset.0 + exchanges.len() as u64);
        exchanges.clear();
        anyhow::Ok(())
    };
    let mut exchanges = Vec::with_capacity(BATCH);
    let reading = input::read(&args.score, config, &bar, |exchange| {
        exchanges.push(exchange);
        if exchanges.len() < BATCH { Ok(()) } else { judge(&mut exchanges) }
    })?;
    judge(&mut exchanges)?;
    out.flush().with_context(|| format!("writing {}", args.verdicts.display()))?;
    bar.finish_and_clear();
    Ok((tally, reading))
}

fn create(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(Box::new(BufWriter::with_capacity(1 << 16, file)))
}

/// A bar over the bytes of files as they lie on disk; standard input has no length, so it shows a count only.
fn bytes_bar(doing: &'static str, files: &[PathBuf]) -> anyhow::Result<ProgressBar> {
    let mut total = Some(0);
    for file in files {
        if file.as_os_str() == "-" {
            total = None;
            continue;
        }
        let length = std::fs::metadata(file).with_context(|| format!("opening {}", file.display()))?.len();
        total = total.map(|t| t + length);
    }
    let bar = match total {
        Some(total) => ProgressBar::new(total)
            .with_style(ProgressStyle::with_template("{msg:>14} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?),
        None => ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg:>14} {bytes} {bytes_per_sec}")?),
    };
    bar.set_message(doing);
    Ok(bar)
}

fn phase_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>14} {wide_bar} {percent}% {eta}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(1000).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Most memory this process has held, bytes, where the system says so.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// `12,345 exchanges`, how many lines could not be read, and how many came late.
fn read_of(reading: &Reading) -> String {
    let mut text = format!("{} exchanges", count(reading.read));
    for (n, what) in [(reading.bad_lines(), "lines could not be read"), (reading.late, "came too late to be put in order")] {
        if n > 0 {
            text.push_str(&format!(", {} {what}", count(n)));
        }
    }
    text
}
