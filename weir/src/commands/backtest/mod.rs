//! `weir backtest`: learn from some files, judge others, say what was found. Reads each file once; memory is bounded by the history's limits.

mod input;
mod summary;
mod tally;

use crate::terminal::{Paint, count};
use anyhow::{Context, bail};
use engine::{Effect, History, HistoryLimits, LearnConfig, Limits, Model, Offset, Partition, RecordPosition, TopicPartition, learn};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::{Stages, Summary};
use tally::Tally;

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
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut stages = Stages::default();
    let model = obtain_model(args, &mut stages)?;
    if let Some(path) = &args.model {
        bail!("writing {} is not possible yet", path.display());
    }
    let started = Instant::now();
    let (tally, reading) = judge_files(args, &model)?;
    stages.judge = started.elapsed();
    let summary = Summary { model: &model, tally: &tally, read: reading, stages, peak_bytes: peak_memory() };
    if let Some(path) = &args.report {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        serde_json::to_writer_pretty(file, &summary.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    if args.verdicts.as_os_str() == "-" {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(summary.to_text(Paint::of_stdout()).as_bytes())?;
    writeln!(out, "Verdicts are in {}.", args.verdicts.display())?;
    Ok(())
}

/// Learns from the training files, or reads the model that was asked for.
fn obtain_model(args: &Args, stages: &mut Stages) -> anyhow::Result<Arc<Model>> {
    let started = Instant::now();
    let bar = bytes_bar("learning from", &args.train)?;
    let mut history = History::new(HistoryLimits::default());
    let reading = input::read(&args.train, &bar, &mut |exchange| {
        history.add(engine::Features::of(&exchange));
        Ok(())
    })?;
    bar.finish_and_clear();
    stages.read = started.elapsed();
    stages.trained_on = reading.exchanges;
    if reading.exchanges == 0 {
        bail!("nothing to learn from: none of {} could be read", named(&args.train));
    }
    let started = Instant::now();
    let bar = phase_bar();
    let model = learn(&history, &LearnConfig::default(), &mut |progress| {
        bar.set_position((progress.done * 1000.0) as u64);
        bar.set_message(progress.phase);
    })?;
    bar.finish_and_clear();
    stages.learn = started.elapsed();
    Ok(Arc::new(model))
}

/// Judges the files to be scored in one partition and writes a verdict for each record that could be read.
fn judge_files(args: &Args, model: &Arc<Model>) -> anyhow::Result<(Tally, input::Reading)> {
    let bar = bytes_bar("judging", &args.score)?;
    let mut out = create(&args.verdicts)?;
    let mut partition = Partition::new(TopicPartition::new("weir.traffic", 0), Limits::default());
    partition.apply(Effect::Model(Arc::clone(model)));
    let mut offset = Offset(0);
    let mut tally = Tally::default();
    let reading = input::read(&args.score, &bar, &mut |exchange| {
        let judged = partition.judge(RecordPosition { offset, appended_ms: None }, &exchange);
        offset = offset.next();
        let mut line = judged.verdict.to_json().context("writing a verdict as JSON")?;
        line.push(b'\n');
        out.write_all(&line).with_context(|| format!("writing {}", args.verdicts.display()))?;
        tally.add(judged.verdict);
        Ok(())
    })?;
    out.flush().with_context(|| format!("writing {}", args.verdicts.display()))?;
    bar.finish_and_clear();
    if reading.exchanges == 0 && !args.score.is_empty() {
        bail!("nothing to judge: none of {} could be read", named(&args.score));
    }
    Ok((tally, reading))
}

fn create(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(Box::new(BufWriter::with_capacity(1 << 16, file)))
}

fn named(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    names.join(", ")
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
    let style = ProgressStyle::with_template("{msg:>14} {wide_bar} {percent}%").unwrap_or_else(|_| ProgressStyle::default_bar());
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

/// `12,345 exchanges`, and how many lines could not be read.
fn read_of(reading: &input::Reading) -> String {
    let bad = if reading.bad == 0 { String::new() } else { format!(" ({} lines could not be read)", count(reading.bad)) };
    format!("{} exchanges{bad}", count(reading.exchanges))
}
