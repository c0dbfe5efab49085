//! The judging side of commands that need no service: files in, a verdict for each exchange, in one partition.

use super::input;
use super::learning::bytes_bar;
use engine::{Effect, Exchange, Model, Offset, Partition, RecordPosition, TopicPartition, Verdict};
use ingest::decode::Tally as Reading;
use runtime::config::Config;
use std::path::PathBuf;
use std::sync::Arc;

/// Judges every exchange of the files in time order and hands it on with its verdict.
pub(crate) fn judge(
    files: &[PathBuf],
    config: &Config,
    model: &Arc<Model>,
    mut take: impl FnMut(&Exchange<'_>, Verdict) -> anyhow::Result<()>,
) -> anyhow::Result<Reading> {
    let bar = bytes_bar("judging", files)?;
    let at = TopicPartition::new(format!("{}traffic", config.topics.prefix), 0);
    let mut partition = Partition::new(at, config.state.limits).with_client_ip(config.privacy.client_ip);
    partition.apply(Effect::Model(Arc::clone(model)));
    let mut offset = Offset(0);
    let reading = input::read(files, config, &bar, |exchange| {
        let judged = partition.judge(RecordPosition { offset, appended_ms: None }, &exchange);
        offset = offset.next();
        take(&exchange, judged.verdict)
    })?;
    bar.finish_and_clear();
    Ok(reading)
}
