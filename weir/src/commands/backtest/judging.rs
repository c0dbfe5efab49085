//! The judging side of commands that need no service: files in, a verdict for each exchange, in one partition.

use super::input;
use super::learning::bytes_bar;
use engine::{Effect, Exchange, Features, Incoming, Model, Offset, Partition, RecordPosition, TopicPartition, Verdict};
use ingest::decode::Tally as Reading;
use runtime::config::Config;
use runtime::inference;
use std::path::PathBuf;
use std::sync::Arc;

/// Records judged together: networks answer faster in company.
const BATCH: usize = 64;

/// Judges every exchange of the files in time order and hands it on with its verdict. `before`: exchanges in time order whose sessions go
/// on in the files, unless these begin earlier.
pub(crate) fn judge(
    files: &[PathBuf],
    config: &Config,
    model: &Arc<Model>,
    before: &[Features],
    mut take: impl FnMut(&Exchange<'_>, Verdict) -> anyhow::Result<()>,
) -> anyhow::Result<Reading> {
    let bar = bytes_bar("judging", files)?;
    let at = TopicPartition::new(format!("{}traffic", config.topics.prefix), 0);
    let mut partition = Partition::new(at, config.state.limits).with_client_ip(config.privacy.client_ip);
    partition.apply(Effect::Model(Arc::clone(model)));
    let mut heads = inference::heads(&config.network);
    let mut first = Offset(0);
    let mut before = Some(before);
    let mut judge = |exchanges: &mut Vec<Exchange<'static>>| {
        let goes_on = |before: &&[Features]| before.last().is_some_and(|last| exchanges.first().is_some_and(|e| e.time >= last.time));
        for features in before.take().filter(goes_on).unwrap_or_default().chunks(BATCH) {
            partition.recall(features, &mut *heads)?;
        }
        let place = |(n, exchange)| {
            let position = RecordPosition { offset: Offset(first.0 + n as u64), appended_ms: None };
            Incoming { position, exchange }
        };
        let records: Vec<Incoming<'_>> = exchanges.iter().enumerate().map(place).collect();
        let judged = partition.judge_all(&records, &mut *heads)?;
        first = Offset(first.0 + exchanges.len() as u64);
        exchanges.drain(..).zip(judged).try_for_each(|(exchange, judged)| take(&exchange, judged.verdict))
    };
    let mut waiting = Vec::with_capacity(BATCH);
    let reading = input::read(files, config, &bar, |exchange| {
        waiting.push(exchange);
        if waiting.len() < BATCH { Ok(()) } else { judge(&mut waiting) }
    })?;
    judge(&mut waiting)?;
    bar.finish_and_clear();
    Ok(reading)
}
