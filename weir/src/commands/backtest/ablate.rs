//! `--ablate`: the same files judged again and again, each time with one thing left out: what that contributes.

use super::Args;
use super::judging::judge;
use super::labels::Labels;
use super::quality::{Cases, Quality};
use crate::terminal::{Paint, count};
use anyhow::Context as _;
use engine::model::Calibrations;
use engine::{Ablation, Label, Model};
use runtime::config::Config;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// What judging comes to with something left out.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Contribution {
    /// What is left out: a detector or a step; `nothing` first, for comparison.
    pub(super) without: &'static str,
    /// Verdicts that are anomalous.
    pub(super) anomalous: u64,
    /// How well they tell attacks from the rest, where labels say.
    pub(super) quality: Option<Quality>,
}

/// Judges the files once with each of these left out.
pub(super) fn ablate(
    args: &Args,
    config: &Config,
    model: &mut Arc<Model>,
    (ablations, calibrations): (&[Ablation], Vec<Calibrations>),
    labels: &Labels,
) -> anyhow::Result<Vec<Contribution>> {
    let mut all = Vec::with_capacity(ablations.len());
    for (ablation, calibrations) in ablations.iter().zip(calibrations) {
        let whole = Arc::get_mut(model).context("the model is still in use")?.recalibrate(calibrations);
        let mut cases = Cases::new(args.unit);
        let mut anomalous = 0;
        judge(&args.score, config, model, |exchange, verdict| {
            anomalous += u64::from(verdict.label == Label::Anomalous);
            if let Some(truth) = labels.of(exchange.id.as_deref()) {
                cases.add(truth, &verdict);
            }
            Ok(())
        })?;
        all.push(Contribution { without: ablation.name(), anomalous, quality: cases.quality() });
        drop(Arc::get_mut(model).context("the model is still in use")?.recalibrate(whole));
    }
    Ok(all)
}

/// For a person.
pub(super) fn table(contributions: &[Contribution], paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.bold("Left out, in turn"));
    let _ =
        writeln!(text, "  {:<28} {:>7} {:>9} {:>9} {:>10} {:>10} {:>10}", "", "AUC", "at 1 %", "at 0.1 %", "found", "wrong", "anomalous");
    for Contribution { without, anomalous, quality } in contributions {
        let share = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{:.1} %", 100.0 * s));
        let of = |f: fn(&Quality) -> f64| share(quality.as_ref().map(f));
        let _ = writeln!(
            text,
            "  {without:<28} {:>7} {:>9} {:>9} {:>10} {:>10} {:>10}",
            quality.map_or_else(|| "–".to_owned(), |q| format!("{:.4}", q.auc)),
            share(quality.and_then(|q| q.at_1_percent)),
            share(quality.and_then(|q| q.at_0_1_percent)),
            of(|q| q.found.share()),
            quality.map_or_else(|| "–".to_owned(), |q| format!("{:.2} %", 100.0 * q.wrong.share())),
            count(*anomalous)
        );
    }
    text
}
