//! `--ablate`: the same files judged again and again, each time with one thing left out, or by one question alone: what that contributes.

use super::Args;
use super::judging::Judging;
use super::labels::Labels;
use super::quality::{Cases, Quality};
use crate::terminal::{Paint, count};
use anyhow::Context as _;
use engine::model::Calibrations;
use engine::{Ablation, Features, Label, Model};
use runtime::config::Config;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// What judging comes to with something left out, or with nothing else.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Contribution {
    /// A detector, a step or a question; `nothing` is left out first, for comparison.
    pub(super) what: &'static str,
    /// Whether it is all that was asked, rather than what was left out.
    pub(super) is_alone: bool,
    /// Verdicts that are anomalous.
    pub(super) anomalous: u64,
    /// How well they tell attacks from the rest, where labels say.
    pub(super) quality: Option<Quality>,
}

/// Judges the files once for each of these.
pub(super) fn ablate(
    args: &Args,
    config: &Config,
    (model, last): (&mut Arc<Model>, &[Features]),
    (ablations, calibrations): (&[Ablation], Vec<Calibrations>),
    labels: &Labels,
) -> anyhow::Result<Vec<Contribution>> {
    let mut all = Vec::with_capacity(ablations.len());
    for (ablation, calibrations) in ablations.iter().zip(calibrations) {
        let whole = Arc::get_mut(model).context("the model is still in use")?.recalibrate(calibrations);
        let mut cases = Cases::new(args.unit);
        let mut anomalous = 0;
        let judging = Judging { files: &args.score, config, model, before: last, partitions: args.partitions };
        judging.run(|exchange, verdict| {
            anomalous += u64::from(verdict.label == Label::Anomalous);
            if let Some(truth) = labels.of(exchange.id.as_deref()) {
                cases.add(truth, &verdict);
            }
            Ok(())
        })?;
        let is_alone = matches!(ablation, Ablation::AllBut(_));
        all.push(Contribution { what: ablation.name(), is_alone, anomalous, quality: cases.quality() });
        drop(Arc::get_mut(model).context("the model is still in use")?.recalibrate(whole));
    }
    Ok(all)
}

/// For a person.
pub(super) fn table(contributions: &[Contribution], paint: Paint) -> String {
    let mut text = String::new();
    for (at, Contribution { what, is_alone, anomalous, quality }) in contributions.iter().enumerate() {
        if at == 0 || *is_alone != contributions[at - 1].is_alone {
            let heads = [
                if *is_alone { "Alone, in turn" } else { "Left out, in turn" },
                "AUC",
                "at 1 %",
                "at 0.1 %",
                "found",
                "wrong",
                "anomalous",
            ];
            let [title, heads @ ..] = heads;
            let heads = heads.map(|head| format!("{head:>9}")).join("  ");
            let _ = writeln!(text, "\n{}{heads}", paint.bold(&format!("{title:<34}")));
        }
        let share = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{:.1} %", 100.0 * s));
        let of = |f: fn(&Quality) -> f64| share(quality.as_ref().map(f));
        let _ = writeln!(
            text,
            "  {what:<32}{:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}",
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
