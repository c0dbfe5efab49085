//! The learning side of commands that need no service: files in, a model out, with a bar to look at meanwhile.

use super::input;
use crate::terminal::count;
use anyhow::Context;
use engine::features::Extractor;
use engine::model::Calibrations;
use engine::{Ablation, History, HistoryLimits, LearnConfig, Model, learn_ablated};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::decode::Tally as Reading;
use runtime::config::Config;
use runtime::model_file::{self, ModelFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of history that is kept, at most: what serves the several looks that learning takes.
const HISTORY_BYTES: usize = 384 << 20;

/// Reads files as a history, at most so many exchanges of them from the start. The reading counts all.
pub(crate) fn read_history(files: &[PathBuf], config: &Config, most: u64) -> anyhow::Result<(History, Reading)> {
    let bar = bytes_bar("learning from", files)?;
    let limits = trainer::history_limits(config);
    let mut history = History::new(HistoryLimits { max_bytes: limits.max_bytes.min(HISTORY_BYTES), ..limits });
    let mut extractor = Extractor::default();
    let mut taken = 0;
    let reading = input::read(files, config, &bar, |exchange| {
        if taken < most {
            history.add(extractor.extract(&exchange));
            taken += 1;
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    if taken < config.learning.min_requests {
        let least = count(config.learning.min_requests);
        input::say(&bar, &format!("warning: {} requests are little to learn from; a service waits for {least}", count(taken)));
    }
    Ok((history, reading))
}

/// Learns a model, and what its calibrations would be with each of these things left out.
pub(crate) fn learn_from(history: &History, config: &Config, ablations: &[Ablation]) -> anyhow::Result<(Arc<Model>, Vec<Calibrations>)> {
    let bar = phase_bar();
    let learning = trainer::learn_config(config.alerts, config.apis.clone(), None, LearnConfig::default().label);
    let learning = LearnConfig { pins: config.pins.clone(), ..learning };
    let mut teacher = trainer::network::teacher(&config.network, None);
    let (model, ablated) = learn_ablated(history, &learning, &mut *teacher, ablations, &mut |progress| {
        bar.set_position((progress.done * 1000.0) as u64);
        bar.set_message(match progress.epoch {
            Some(epoch) => format!("network, pass {}, {:.2} nats", epoch.number, epoch.loss),
            None => progress.phase.to_owned(),
        });
    })?;
    bar.finish_and_clear();
    Ok((Arc::new(model), ablated))
}

/// Reads a model file.
pub(crate) fn read_model(path: &Path) -> anyhow::Result<Arc<Model>> {
    Ok(read_model_file(path)?.0)
}

/// Reads a model file that files are to be judged with, and how these are to be read for it: a service learns from masked secrets.
pub(crate) fn read_judge(path: &Path, config: &Config) -> anyhow::Result<(Arc<Model>, Config)> {
    let (model, file) = read_model_file(path)?;
    let mut config = config.clone();
    if !file.manifest().training.offsets.is_empty() {
        config.privacy.mask_files = true;
        let key = config.key_files().session;
        if !key.exists() {
            let text = "a service learned this model from masked secrets, and its key is not there: whatever is secret will look new";
            input::say(&ProgressBar::hidden(), &format!("warning: {text} (`session.key_file`; looked for {})", key.display()));
        }
    }
    Ok((model, config))
}

fn read_model_file(path: &Path) -> anyhow::Result<(Arc<Model>, ModelFile)> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = model_file::read(&bytes).with_context(|| path.display().to_string())?;
    let model = file.model().with_context(|| path.display().to_string())?;
    Ok((Arc::new(model), file))
}

/// A bar over the bytes of files as they lie on disk; standard input has no length, so it shows a count only.
pub(crate) fn bytes_bar(doing: &'static str, files: &[PathBuf]) -> anyhow::Result<ProgressBar> {
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
