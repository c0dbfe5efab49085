//! What the parts say of themselves on the status topic: ingest, models, scorers, outputs.

use super::finding::Finding;
use crate::console::board::Overview;
use crate::terminal::count;
use engine::Stage;
use runtime::config::Config;

/// Exchanges that wait before somebody should look.
const BEHIND: u64 = 10_000;

/// What to do about a process that says nothing.
const SILENT: &str = "it has ended without a word, or cannot reach the log: its own log says; start it again";

/// Ingest, model, scorers and outputs. `now_ms`: by this machine's clock.
pub(super) fn parts(overview: &Overview, config: &Config, now_ms: i64) -> Vec<Finding> {
    let mut found = ingest(overview, config, now_ms);
    found.push(model(overview));
    found.push(trainer(overview, now_ms));
    found.extend(scorers(overview, now_ms));
    found.extend(outputs(overview, config, now_ms));
    found
}

fn trainer(overview: &Overview, now_ms: i64) -> Finding {
    let start = "start one: `weir train` on Kafka, or `weir up`";
    match &overview.trainer {
        None => Finding::warning("trainer", "none has ever said anything: nothing is learned", start),
        Some(trainer) => match trainer.life.silent_s(now_ms) {
            Some(silent) => Finding::wrong("trainer", format!("silent for {} s", count(silent.unsigned_abs())), SILENT),
            None if trainer.life.ended => Finding::warning("trainer", "none runs: it has ended, and nothing more is learned", start),
            None => Finding::well("trainer", format!("{} exchanges remembered", count(trainer.remembered))),
        },
    }
}

fn outputs(overview: &Overview, config: &Config, now_ms: i64) -> Vec<Finding> {
    let each = overview.outputs.iter().map(|output| {
        let said = format!("{}: {} taken, {} wait", output.output, count(output.delivered), count(output.lag));
        if output.life.ended {
            return Finding::well("output", format!("{}: ended in good order", output.output));
        }
        if let Some(silent) = output.life.silent_s(now_ms) {
            return Finding::wrong("output", format!("{said}; silent for {} s", count(silent.unsigned_abs())), SILENT);
        }
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
    });
    let mut found: Vec<Finding> = each.collect();
    let runs = |name: &String| overview.outputs.iter().any(|output| output.output == *name && !output.life.ended);
    let idle: Vec<&str> = config.outputs.keys().filter(|name| !runs(name)).map(String::as_str).collect();
    if !idle.is_empty() {
        let said = format!("nobody forwards to {}", idle.join(", "));
        found.push(Finding::wrong("output", said, "start one: `weir forward` on Kafka, or `weir up`; its log says why it ended"));
    }
    found
}

fn ingest(overview: &Overview, config: &Config, now_ms: i64) -> Vec<Finding> {
    let each = overview.ingest.iter().map(|ingest| {
        let said = format!("{}: {} exchanges taken since it started", ingest.instance, count(ingest.accepted));
        if let Some(silent) = ingest.life.silent_s(now_ms) {
            Finding::wrong("ingest", format!("{said}; silent for {} s", count(silent.unsigned_abs())), SILENT)
        } else if ingest.life.ended {
            Finding::well("ingest", format!("{}: ended in good order", ingest.instance))
        } else if !ingest.unread.is_empty() {
            let said = format!("{said}; cannot read {}", ingest.unread.join(", "));
            Finding::wrong("ingest", said, "put the path right, or make it readable; what comes later is read from its beginning")
        } else if ingest.dead_letters > ingest.accepted / 10 {
            let said = format!("{said}, {} records could not be read", count(ingest.dead_letters));
            Finding::warning("ingest", said, "`weir ingest check` says which and why")
        } else {
            Finding::well("ingest", said)
        }
    });
    let mut found: Vec<Finding> = each.collect();
    if overview.ingest.iter().all(|ingest| ingest.life.ended) {
        let none = if overview.ingest.is_empty() { "none has ever said anything" } else { "none runs: all have ended" };
        let waits = config.ingest.topics.iter().map(|topic| format!("topic {}", topic.name));
        let waits: Vec<String> = waits.chain(config.ingest.files.iter().map(|file| file.path.display().to_string())).collect();
        found.push(if !waits.is_empty() {
            let said = format!("{none}; nobody reads {}", waits.join(", "));
            Finding::wrong("ingest", said, "start one: `weir ingest` on Kafka, or `weir up`")
        } else if overview.apis.is_empty() {
            Finding::warning(
                "ingest",
                none,
                "start one: `weir ingest` on Kafka, or `weir up`; gateways may write exchanges themselves, too",
            )
        } else {
            Finding::well("ingest", format!("{none}; exchanges come without"))
        });
    }
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
            if let Some(silent) = scorer.life.silent_s(now_ms) {
                let said = format!("{said}; silent for {} s", count(silent.unsigned_abs()));
                Finding::wrong("scorer", said, SILENT)
            } else if scorer.life.ended {
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
    if overview.scorers.iter().all(|scorer| scorer.life.ended) {
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
    use runtime::config::{FlagValue, Sources};
    use runtime::status::{IngestStatus, Life, OutputStatus, PartitionStatus, ScorerStatus, TrainerStatus};

    const NOW: i64 = 1_767_571_200_000;
    const RUNS: Life = Life { said_ms: NOW - 1_000, ended: false };
    const SILENT: Life = Life { said_ms: NOW - 120_000, ended: false };
    const ENDED: Life = Life { said_ms: NOW - 120_000, ended: true };

    fn scorer(lag: u64) -> ScorerStatus {
        let partitions = [(0, PartitionStatus { lag, ..PartitionStatus::default() })].into();
        ScorerStatus { instance: "s".to_owned(), partitions, life: RUNS, ..ScorerStatus::default() }
    }

    fn configured(flags: &[(&str, &str)]) -> Config {
        let flags = flags.iter().map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        Config::resolve(&Sources { flags, host_name: "test".to_owned(), ..Sources::default() }).unwrap()
    }

    fn healths(overview: &Overview) -> Vec<(&'static str, Health)> {
        let found = parts(overview, &configured(&[]), NOW);
        found
            .iter()
            .filter(|finding| !["ingest", "trainer"].contains(&finding.check))
            .map(|finding| (finding.check, finding.health))
            .collect()
    }

    #[test]
    fn ingest_that_should_run_and_does_not_is_told() {
        let of = |ingest: &[&IngestStatus], flags: &[(&str, &str)]| -> Vec<Health> {
            let overview = Overview { ingest: ingest.iter().copied().cloned().collect(), ..Overview::default() };
            let found = parts(&overview, &configured(flags), NOW);
            found.iter().filter(|finding| finding.check == "ingest").map(|finding| finding.health).collect()
        };
        let raw = [("ingest.topics", "[{ name = \"kong\" }]")];
        let runs = IngestStatus { instance: "i".to_owned(), accepted: 100, life: RUNS, ..IngestStatus::default() };
        let silent = IngestStatus { life: SILENT, ..runs.clone() };
        let ended = IngestStatus { life: ENDED, ..silent.clone() };
        let unreadable = IngestStatus { dead_letters: 50, ..runs.clone() };
        assert_eq!(of(&[&runs], &raw), [Health::Well]);
        assert_eq!(of(&[&unreadable], &raw), [Health::Warning]);
        let unread = IngestStatus { unread: vec!["file /var/log/typo.log: No such file".to_owned()], ..runs.clone() };
        assert_eq!(of(&[&unread], &raw), [Health::Wrong]);
        assert_eq!(of(&[&silent, &runs], &raw), [Health::Wrong, Health::Well]);
        assert_eq!(of(&[&ended], &raw), [Health::Well, Health::Wrong]);
        assert_eq!(of(&[], &raw), [Health::Wrong]);
        // Whoever reads nothing by ingest may write exchanges without it.
        assert_eq!(of(&[], &[]), [Health::Warning]);
    }

    #[test]
    fn who_is_missing_or_behind_is_told() {
        assert_eq!(healths(&Overview::default()), [("model", Health::Warning), ("scorer", Health::Wrong)]);
        let overview = Overview { scorers: vec![scorer(5), scorer(BEHIND + 1)], ..Overview::default() };
        assert_eq!(healths(&overview)[1..], [("scorer", Health::Well), ("scorer", Health::Warning)]);
        let silent = ScorerStatus { life: SILENT, ..scorer(0) };
        let ended = ScorerStatus { life: ENDED, ..silent.clone() };
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

    #[test]
    fn an_output_that_nobody_forwards_to_is_wrong() {
        let config = configured(&[("outputs.siem", "{ to = \"file:///tmp/alerts.json\" }")]);
        let of = |outputs: &[OutputStatus]| -> Vec<Health> {
            let overview = Overview { outputs: outputs.to_vec(), ..Overview::default() };
            super::outputs(&overview, &config, NOW).iter().map(|finding| finding.health).collect()
        };
        let runs = OutputStatus { output: "siem".to_owned(), life: RUNS, ..OutputStatus::default() };
        assert_eq!(of(&[]), [Health::Wrong]);
        assert_eq!(of(std::slice::from_ref(&runs)), [Health::Well]);
        assert_eq!(of(&[OutputStatus { life: SILENT, ..runs.clone() }]), [Health::Wrong]);
        assert_eq!(of(&[OutputStatus { life: ENDED, ..runs }]), [Health::Well, Health::Wrong]);
    }

    #[test]
    fn a_trainer_that_does_not_run_is_told() {
        let of = |status: Option<TrainerStatus>| trainer(&Overview { trainer: status, ..Overview::default() }, NOW).health;
        let runs = TrainerStatus { life: RUNS, ..TrainerStatus::default() };
        assert_eq!(of(None), Health::Warning);
        assert_eq!(of(Some(TrainerStatus { life: SILENT, ..runs.clone() })), Health::Wrong);
        assert_eq!(of(Some(TrainerStatus { life: ENDED, ..runs.clone() })), Health::Warning);
        assert_eq!(of(Some(runs)), Health::Well);
    }
}
