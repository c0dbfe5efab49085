//! `weir backtest`: learn from some files, judge others, say what was found. Memory is bounded by the history's limits, and each file is
//! read once, unless each detector is to be left out in turn.

mod ablate;
pub(crate) mod input;
pub(crate) mod judging;
pub(crate) mod labels;
pub(crate) mod learning;
mod quality;
mod summary;
mod tally;

use crate::cli::WrongUse;
use crate::terminal::{Paint, count};
use ablate::{Contribution, ablate};
use anyhow::{Context, bail};
use engine::model::Calibrations;
use engine::{Ablation, Features, Model};
use ingest::decode::Tally as Reading;
use judging::Judging;
use labels::Labels;
use learning::{learn_from, read_history, read_judge};
use quality::{Cases, Unit};
use runtime::config::Config;
use runtime::model_file::{self, About, ModelFile, TrainingRange};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use summary::{Stages, Summary};
use tally::Tally;

/// Exchanges of the training that are gone through again before the others are judged, the newest, at most: sessions go on.
const LAST: usize = 100_000;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir backtest --train monday.har --score tuesday.ndjson --verdicts verdicts.ndjson
  weir backtest --train access.log.1.gz --score access.log --verdicts - | jq 'select(.label == \"anomalous\")'
  weir backtest --train a.ndjson --score b.ndjson --verdicts v.ndjson --model shop.weir
  weir backtest --train a.ndjson --score b.ndjson --verdicts v.ndjson --labels labels.csv --ablate

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
    /// Judge as a service with so many partitions does: each sees its own sessions, and hears of the others what they tell.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    partitions: u32,
    /// Which of the judged are attacks: CSV with the columns id, label (benign or attack) and perhaps group.
    #[arg(long, num_args = 1.., value_name = "FILE.csv")]
    labels: Vec<PathBuf>,
    /// What counts as one case where there are labels.
    #[arg(long, value_enum, default_value_t, requires = "labels")]
    unit: Unit,
    /// Judge again with each detector, and each step of calibration, left out, and by each question alone: what each contributes.
    #[arg(long, conflicts_with = "use_model")]
    ablate: bool,
}

/// Learns, judges, reports.
pub(crate) fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    if args.ablate && args.score.iter().any(|file| file.as_os_str() == "-") {
        bail!("--ablate reads files several times, which standard input cannot give");
    }
    keep_inputs(args)?;
    // Before minutes of learning.
    for file in args.score.iter().filter(|file| file.as_os_str() != "-") {
        File::open(file).with_context(|| format!("opening {}", file.display()))?;
    }
    let labels = Labels::read(&args.labels)?;
    let ablations: Vec<Ablation> = if args.ablate { Ablation::all().collect() } else { Vec::new() };
    let mut stages = Stages::default();
    let (Learned { mut model, calibrations, last }, judging) = match &args.use_model {
        Some(path) => {
            let (model, config) = read_judge(path, config)?;
            (Learned { model, calibrations: Vec::new(), last: Vec::new() }, config)
        }
        None => (learn_model(args, config, &ablations, &mut stages)?, config.clone()),
    };
    let started = Instant::now();
    let (tally, cases, reading) = judge_files(args, &judging, (&model, &last), &labels)?;
    stages.judge = started.elapsed();
    let mut contributions = vec![Contribution { what: "nothing", is_alone: false, anomalous: tally.anomalous, quality: cases.quality() }];
    if args.ablate {
        contributions.extend(ablate(args, config, (&mut model, &last), (&ablations, calibrations), &labels)?);
    }
    let summary = Summary { model: &model, tally: &tally, read: reading, stages, contributions, peak_bytes: peak_memory() };
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

/// Refuses to write over a file that is read, or twice to the same.
fn keep_inputs(args: &Args) -> anyhow::Result<()> {
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let read: Vec<PathBuf> = args.train.iter().chain(&args.score).chain(&args.labels).chain(&args.use_model).map(real).collect();
    let outputs = [("--verdicts", Some(&args.verdicts)), ("--report", args.report.as_ref()), ("--model", args.model.as_ref())];
    let mut written: Vec<PathBuf> = Vec::new();
    for (flag, path) in outputs.into_iter().filter_map(|(flag, path)| Some((flag, path.filter(|path| path.as_os_str() != "-")?))) {
        let real = real(path);
        if read.contains(&real) {
            bail!(WrongUse(format!("{flag} {}: that file is read; write to another", path.display())));
        }
        if written.contains(&real) {
            bail!(WrongUse(format!("{flag} {}: something else is written there; write to another", path.display())));
        }
        written.push(real);
    }
    Ok(())
}

/// What was learned from.
struct Learned {
    model: Arc<Model>,
    /// By ablation.
    calibrations: Vec<Calibrations>,
    /// The newest exchanges, in time order.
    last: Vec<Features>,
}

/// Learns from the training files, and writes the model where that was asked for.
fn learn_model(args: &Args, config: &Config, ablations: &[Ablation], stages: &mut Stages) -> anyhow::Result<Learned> {
    let started = Instant::now();
    let (history, reading) = read_history(&args.train, config, u64::MAX)?;
    stages.read = started.elapsed();
    let started = Instant::now();
    let (model, calibrations) = learn_from(&history, config, ablations)?;
    stages.learn = started.elapsed();
    let exchanges = reading.read;
    stages.learned = Some(reading);
    if let Some(path) = &args.model {
        let training = TrainingRange { exchanges, ..TrainingRange::default() };
        let file = ModelFile::of(&model, About { training, ..About::default() })?;
        std::fs::write(path, model_file::write(&file)?).with_context(|| format!("writing {}", path.display()))?;
    }
    let mut in_time: Vec<&Features> = history.iter().filter(|f| f.time.is_some()).collect();
    in_time.sort_by_key(|f| f.time);
    let last = in_time.split_off(in_time.len().saturating_sub(LAST)).into_iter().cloned().collect();
    Ok(Learned { model, calibrations, last })
}

/// Judges the files to be scored in one partition and writes a verdict for each record that could be read.
fn judge_files(
    args: &Args,
    config: &Config,
    (model, last): (&Arc<Model>, &[Features]),
    labels: &Labels,
) -> anyhow::Result<(Tally, Cases, Reading)> {
    let written = partial(&args.verdicts);
    let mut out = create(&written)?;
    let mut tally = Tally::default();
    let mut cases = Cases::new(args.unit);
    let judging = Judging { files: &args.score, config, model, before: last, partitions: args.partitions };
    let reading = judging.run(|exchange, verdict| {
        let mut line = verdict.to_json().context("writing a verdict as JSON")?;
        line.push(b'\n');
        out.write_all(&line).with_context(|| format!("writing {}", args.verdicts.display()))?;
        if let Some(truth) = labels.of(exchange.id.as_deref()) {
            cases.add(truth, &verdict);
        }
        tally.add(verdict);
        Ok(())
    })?;
    out.flush().with_context(|| format!("writing {}", args.verdicts.display()))?;
    if written != args.verdicts {
        std::fs::rename(&written, &args.verdicts).with_context(|| format!("writing {}", args.verdicts.display()))?;
    }
    Ok((tally, cases, reading))
}

/// Where verdicts go until all are written: beside their file, so that a run that fails leaves what another one wrote. What is no file
/// (standard output, a pipe) is written at once.
fn partial(path: &Path) -> PathBuf {
    let is_other = path.as_os_str() == "-" || std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    let mut name = path.as_os_str().to_owned();
    if !is_other {
        name.push(".partial");
    }
    PathBuf::from(name)
}

fn create(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(Box::new(BufWriter::with_capacity(1 << 16, file)))
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
