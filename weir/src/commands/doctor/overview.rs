//! What the parts say of themselves on the status topic: models, scorers, outputs.

use super::finding::Finding;
use crate::console::board::Overview;
use crate::terminal::count;
use engine::Stage;

/// Exchanges that wait before somebody should look.
const BEHIND: u64 = 10_000;

/// Model, scorers and outputs. `now_ms`: by this machine's clock.
pub(super) fn parts(overview: &Overview, now_ms: i64) -> Vec<Finding> {
    let mut found = vec![model(overview)];
    found.extend(scorers(overview, now_ms));
    found.extend(overview.outputs.iter().map(|output| {
        let said = format!("{}: {} taken, {} wait", output.output, count(output.delivered), count(output.lag));
        match &output.failing {
            Some(why) => Finding::wrong(
                "output",
                format!("{said}; {why}"),
                "put the receiver right: what waits is kept as long as its topic keeps it",
            ),
            None if output.lost > 0 => {
                let lost = format!("{said}; {} lost to retention", count(output.lost));
                Finding::warning("output", lost, "raise `alerts.keep` or `verdicts.keep`")
            }
            None => Finding::well("output", said),
        }
    }));
    found
}

fn model(overview: &Overview) -> Finding {
    let judged: Vec<String> = overview
        .apis
        .iter()
        .filter(|api| api.status.stage == Stage::Evaluating)
        .filter_map(|api| Some(format!("{} by {}", api.status.api, api.status.model.as_ref()?)))
        .collect();
    // The least that one still needs; none where one has enough: it is being taught.
    let needed = overview.apis.iter().map(|api| api.status.needed).min().filter(|needed| *needed > 0);
    match (judged.is_empty(), overview.apis.is_empty(), needed) {
        (false, ..) => Finding::well("model", judged.join(", ")),
        (true, true, _) => Finding::warning(
            "model",
            "none: no traffic has been seen",
            "send exchanges, then see `weir ingest check`; on Kafka: does a trainer run?",
        ),
        (true, false, Some(needed)) => {
            let said = format!("none yet: {} more requests are needed", count(needed));
            Finding::warning("model", said, "wait, or lower `learning.requests` or `learning.max_wait`")
        }
        (true, false, None) => {
            Finding::warning("model", "none yet, and enough was seen", "a training is going on, or failed: the trainer's log says")
        }
    }
}

fn scorers(overview: &Overview, now_ms: i64) -> Vec<Finding> {
    if overview.scorers.is_empty() {
        return vec![Finding::wrong("scorer", "none has ever said anything", "start one: `weir up`, or `weir score` on Kafka")];
    }
    let models: std::collections::BTreeSet<_> = overview.scorers.iter().filter_map(|scorer| scorer.model.as_ref()).collect();
    let mut found: Vec<Finding> = overview
        .scorers
        .iter()
        .map(|scorer| {
            let lag: u64 = scorer.partitions.values().map(|partition| partition.lag).sum();
            let evicted: u64 = scorer.partitions.values().map(|partition| partition.evicted).sum();
            let restoring = scorer.partitions.values().filter(|partition| partition.restoring).count();
            let said = format!("{}: {} partitions, {} exchanges wait", scorer.instance, scorer.partitions.len(), count(lag));
            if let Some(silent) = scorer.silent_s(now_ms) {
                let said = format!("{said}; silent for {} s", count(silent.unsigned_abs()));
                Finding::wrong("scorer", said, "it has ended without a word, or cannot reach the log: its own log says; start it again")
            } else if scorer.ended {
                Finding::well("scorer", format!("{}: ended in good order", scorer.instance))
            } else if lag > BEHIND {
                Finding::warning("scorer", said, "start more scorers, up to one a partition; if one has stopped, start it again")
            } else if restoring > 0 {
                Finding::warning("scorer", format!("{said}; {restoring} are being restored"), "wait: it goes on by itself")
            } else if evicted > 0 {
                let said = format!("{said}; {} sessions lost their context to the cap", count(evicted));
                Finding::warning("scorer", said, "raise `state.max_sessions`, unless somebody floods you with sessions")
            } else {
                Finding::well("scorer", said)
            }
        })
        .collect();
    if overview.scorers.iter().all(|scorer| scorer.ended) {
        found.push(Finding::wrong("scorer", "none runs: all have ended", "start one: `weir up`, or `weir score` on Kafka"));
    }
    if models.len() > 1 {
        found.push(Finding::warning(
            "scorer",
            "scorers judge by different models",
            "wait some seconds; if it stays so, one has stopped or does not trust the trainer's key",
        ));
    }
    let dead: u64 = overview.scorers.iter().map(|scorer| scorer.dead_letters).sum();
    if dead > 0 {
        found.push(Finding::warning("scorer", format!("{} records could not be read", count(dead)), "`weir ingest check` names them"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::finding::Health;
    use super::*;
    use runtime::status::{OutputStatus, PartitionStatus, ScorerStatus};

    const NOW: i64 = 1_767_571_200_000;

    fn scorer(lag: u64) -> ScorerStatus {
        let partitions = [(0, PartitionStatus { lag, ..PartitionStatus::default() })].into();
        ScorerStatus { instance: "s".to_owned(), partitions, said_ms: NOW - 1_000, ..ScorerStatus::default() }
    }

    fn healths(overview: &Overview) -> Vec<(&'static str, Health)> {
        parts(overview, NOW).iter().map(|finding| (finding.check, finding.health)).collect()
    }

    #[test]
    fn who_is_missing_or_behind_is_told() {
        assert_eq!(healths(&Overview::default()), [("model", Health::Warning), ("scorer", Health::Wrong)]);
        let overview = Overview { scorers: vec![scorer(5), scorer(BEHIND + 1)], ..Overview::default() };
        assert_eq!(healths(&overview)[1..], [("scorer", Health::Well), ("scorer", Health::Warning)]);
        let silent = ScorerStatus { said_ms: NOW - 120_000, ..scorer(0) };
        let ended = ScorerStatus { ended: true, ..silent.clone() };
        let overview = Overview { scorers: vec![ended.clone()], ..Overview::default() };
        assert_eq!(healths(&overview)[1..], [("scorer", Health::Well), ("scorer", Health::Wrong)]);
        let overview = Overview { scorers: vec![silent, ended], ..Overview::default() };
        assert_eq!(healths(&overview)[1..], [("scorer", Health::Wrong), ("scorer", Health::Well)]);
    }

    #[test]
    fn an_output_that_takes_nothing_is_wrong() {
        let failing = OutputStatus { output: "siem".to_owned(), failing: Some("refused".to_owned()), ..OutputStatus::default() };
        let lossy = OutputStatus { output: "file".to_owned(), lost: 3, ..OutputStatus::default() };
        let overview = Overview { scorers: vec![scorer(0)], outputs: vec![failing, lossy], ..Overview::default() };
        assert_eq!(healths(&overview)[2..], [("output", Health::Wrong), ("output", Health::Warning)]);
    }
}
