//! Simulated exchanges into the traffic topic, the way the listener writes them.

use engine::Exchange;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::Preparer;
use ingest::decode::GatewayFields;
use runtime::format;
use runtime::log::{Log, LogError, Output, Producer};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use simulator::TrueLabel;

/// Exchanges of one append.
const PIECE: usize = 500;

/// What is true of an exchange, by its id.
pub(super) type Truth = (String, TrueLabel);

/// Writes exchanges.
pub(super) struct Feeder {
    producer: Box<dyn Producer>,
    preparer: Preparer,
    pub(super) topics: Topics,
}

impl Feeder {
    pub(super) fn open(log: &dyn Log, topics: &Topics, preparer: Preparer) -> Result<Self, LogError> {
        Ok(Self { producer: log.producer(None)?, preparer, topics: topics.clone() })
    }

    /// Writes exchanges in pieces; `written` gets the truth about each piece. Returns how many.
    pub(super) fn feed(
        &self,
        doing: &'static str,
        exchanges: impl Iterator<Item = (Exchange<'static>, TrueLabel)>,
        shutdown: &Shutdown,
        written: &mut dyn FnMut(Vec<Truth>) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}: {pos} requests, {per_sec}")?);
        bar.set_message(doing);
        let mut exchanges = exchanges.peekable();
        let mut sent = 0;
        while exchanges.peek().is_some() && !shutdown.is_cancelled() {
            let (outputs, truths): (Vec<Output>, Vec<Truth>) =
                exchanges.by_ref().take(PIECE).map(|(e, truth)| self.output(e, truth)).collect();
            let count = outputs.len() as u64;
            self.producer.append(outputs)?;
            sent += count;
            bar.inc(count);
            bar.suspend(|| written(truths))?;
        }
        bar.finish_and_clear();
        Ok(sent)
    }

    fn output(&self, mut exchange: Exchange<'static>, truth: TrueLabel) -> (Output, Truth) {
        self.preparer.prepare(&mut exchange, &GatewayFields::default());
        let id = exchange.id.as_deref().unwrap_or_default().to_owned();
        let output = Output {
            topic: self.topics.traffic.clone(),
            partition: None,
            key: exchange.session.as_deref().map(|session| session.to_owned().into()),
            // An exchange that the simulator made is always representable; an empty value would end as a dead letter.
            value: serde_json::to_vec(&exchange).ok().map(Into::into),
            headers: vec![format::header()],
        };
        (output, (id, truth))
    }
}
