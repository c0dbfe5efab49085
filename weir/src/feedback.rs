//! What people say of verdicts, on its way to `weir.feedback`.

use engine::{Offset, TopicPartition, Verdict};
use runtime::feedback::{Feedback, Say, Scope};
use runtime::format;
use runtime::log::{Log, LogError, Record, Start, read_on};
use runtime::topics::Topics;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of one read.
const WAIT: Duration = Duration::from_millis(500);
/// Longest text that is taken, bytes.
const LONGEST: usize = 2_000;

/// What somebody says; the rest of the record is what the verdict says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Id of the verdict.
    pub(crate) verdict: String,
    /// What is said.
    pub(crate) say: Say,
    /// How far `benign` reaches.
    #[serde(default)]
    pub(crate) scope: Scope,
    /// When muting ends, RFC 3339.
    pub(crate) until: Option<String>,
    /// Who says it.
    pub(crate) by: Option<String>,
    /// Why.
    pub(crate) note: Option<String>,
}

/// Why feedback was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedbackError {
    /// The text is no id of a verdict.
    #[error("`{0}` is no id of a verdict, like `weir.traffic-3-1088`")]
    Id(String),
    /// There is no such verdict.
    #[error("there is no verdict `{0}` any more, or not yet")]
    NoVerdict(String),
    /// The end of muting is no time.
    #[error("`{0}` is no time: write RFC 3339, like `2026-01-31T00:00:00Z`")]
    Until(String),
    /// A text is too long.
    #[error("note, name and end may be {LONGEST} bytes long each")]
    TooLong,
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record cannot be read or written.
    #[error("a record of the log: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes feedback, filled in from its verdict; returns what was written. Blocks.
pub(crate) fn give(log: &dyn Log, topics: &Topics, ask: Ask) -> Result<Feedback, FeedbackError> {
    let Ask { verdict: id, say, scope, until, by, note } = ask;
    if let Some(until) = until.as_ref().filter(|until| engine::time::parse(until).is_none()) {
        return Err(FeedbackError::Until(until.chars().take(40).collect()));
    }
    if [&until, &by, &note].into_iter().flatten().any(|text| text.len() > LONGEST) {
        return Err(FeedbackError::TooLong);
    }
    let verdict = find(log, topics, &id)?.ok_or(FeedbackError::NoVerdict(id))?;
    let feedback = Feedback { until, by, note, ..Feedback::of(&verdict, say, scope) };
    let output = format::entry(&topics.feedback, feedback.verdict.clone(), Some(serde_json::to_vec(&feedback)?.into()));
    log.producer(None)?.append(vec![output])?;
    Ok(feedback)
}

/// A verdict by its id. Verdicts of a partition stand in the order of their exchanges: it is looked for by halves.
fn find(log: &dyn Log, topics: &Topics, id: &str) -> Result<Option<Verdict>, FeedbackError> {
    let (partition, wanted) = place(topics, id).ok_or_else(|| FeedbackError::Id(id.chars().take(200).collect()))?;
    let at = TopicPartition::new(Arc::clone(&topics.verdicts), partition);
    if partition >= log.partitions(&topics.verdicts)? {
        return Ok(None);
    }
    let (Offset(mut low), Offset(mut high)) = log.bounds(&at)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(record) = first_from(log, &at, middle)? else {
            high = middle;
            continue;
        };
        let verdict: Verdict = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
        match place(topics, &verdict.id) {
            Some((_, found)) if found == wanted => return Ok(Some(verdict)),
            Some((_, found)) if found > wanted => high = middle,
            _ => low = record.offset.0 + 1,
        }
    }
    Ok(None)
}

/// Partition and offset of the exchange that a verdict's id names.
fn place(topics: &Topics, id: &str) -> Option<(u32, u64)> {
    let (partition, offset) = id.strip_prefix(&*topics.traffic)?.strip_prefix('-')?.split_once('-')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// The first record at an offset or behind it.
fn first_from(log: &dyn Log, at: &TopicPartition, offset: u64) -> Result<Option<Record>, LogError> {
    let mut reader = log.reader(&[(at.clone(), Start::At(Offset(offset)))])?;
    loop {
        match read_on(&mut *reader, 1, WAIT)?.pop() {
            Some(record) => return Ok(Some(record)),
            None if reader.at_end()? => return Ok(None),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::config::{Config, Sources};
    use runtime::feedback::Said;
    use runtime::log::embedded::EmbeddedLog;
    use runtime::log::{Output, read_to_end};

    /// Verdicts of every third exchange of partition 2.
    fn log() -> (tempfile::TempDir, Arc<dyn Log>, Topics) {
        let folder = tempfile::tempdir().unwrap();
        let topics = Topics::new(&Config::resolve(&Sources::default()).unwrap());
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::options().open(folder.path()).unwrap());
        log.create_topics(topics.specs()).unwrap();
        let verdict = |n: u64| {
            serde_json::json!({
                "id": format!("weir.traffic-2-{}", n * 3), "stage": "evaluating", "label": "anomalous", "score": 90.0, "p": 1e-9, "alpha": 1e-4,
                "api": "a", "endpoint": "GET a/x", "path": "/", "families": ["injection"], "reasons": [], "blind": [],
            })
        };
        let output = |n: u64| Output {
            topic: Arc::clone(&topics.verdicts),
            partition: Some(2),
            key: None,
            value: Some(verdict(n).to_string().into()),
            headers: Vec::new(),
        };
        log.producer(None).unwrap().append((0..57).map(output).collect()).unwrap();
        (folder, log, topics)
    }

    fn ask(verdict: &str, say: Say) -> Ask {
        Ask { verdict: verdict.to_owned(), say, scope: Scope::Endpoint, until: None, by: None, note: None }
    }

    #[test]
    fn every_verdict_is_found_and_no_other() {
        let (_folder, log, topics) = log();
        for n in 0..57 * 3 {
            let id = format!("weir.traffic-2-{n}");
            let found = find(&*log, &topics, &id).unwrap().map(|verdict| verdict.id);
            assert_eq!(found, (n % 3 == 0).then_some(id));
        }
        assert!(find(&*log, &topics, "weir.traffic-1-0").unwrap().is_none());
        assert!(find(&*log, &topics, "weir.traffic-99-0").unwrap().is_none());
        for id in ["", "weir.traffic-2", "other-2-3", "weir.traffic-2-x", "weir.traffic--2-3"] {
            assert!(matches!(find(&*log, &topics, id), Err(FeedbackError::Id(_))), "{id}");
        }
    }

    #[test]
    fn what_is_said_stands_on_the_topic_filled_in_and_can_be_taken_back() {
        let (_folder, log, topics) = log();
        let given = give(&*log, &topics, ask("weir.traffic-2-30", Say::Benign)).unwrap();
        assert_eq!((given.endpoint.as_str(), given.scope), ("GET a/x", Scope::Endpoint));
        give(&*log, &topics, ask("weir.traffic-2-33", Say::Benign)).unwrap();
        give(&*log, &topics, ask("weir.traffic-2-30", Say::Undo)).unwrap();
        let mut said = Said::default();
        let from = [(TopicPartition::new(Arc::clone(&topics.feedback), 0), Start::Oldest)];
        read_to_end(&*log, &from, |record| said.take(record.value.as_deref().unwrap()).unwrap()).unwrap();
        assert_eq!(said.benign(0).map(|feedback| feedback.verdict.as_str()).collect::<Vec<_>>(), ["weir.traffic-2-33"]);
        let bad = Ask { until: Some("soon".to_owned()), ..ask("weir.traffic-2-30", Say::Benign) };
        assert!(matches!(give(&*log, &topics, bad), Err(FeedbackError::Until(_))));
    }
}
