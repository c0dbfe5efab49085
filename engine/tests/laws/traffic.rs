//! Traffic of the simulated shop, the models learned from it, and the bytes that a partition makes of it.

use engine::record::Exchange;
use engine::{
    Effect, Features, History, HistoryLimits, LearnConfig, Limits, Model, Offset, Partition, RecordPosition, TopicPartition, learn,
};
use simulator::{Config, Label, Simulation};
use std::sync::{Arc, LazyLock};

/// Exchanges in the order in which they came.
pub(crate) type Traffic = Vec<Exchange<'static>>;

/// A day of the shop without attacks and look-alikes, and the day after: what a model is learned from, and what nobody has learned.
pub(crate) struct Shop {
    pub(crate) learned_day: Traffic,
    pub(crate) next_day: Traffic,
    pub(crate) model: Arc<Model>,
}

/// A shop large enough for levels and findings.
pub(crate) static SHOP: LazyLock<Shop> = LazyLock::new(|| shop(7, 16_000));

/// A shop for laws that hold at any size.
pub(crate) static SMALL_SHOP: LazyLock<Shop> = LazyLock::new(|| shop(11, 2_000));

/// The first day is left out: on it nobody has a token yet, and so every session begins with a log-in.
fn shop(seed: u64, requests_per_day: u32) -> Shop {
    let config = Config { attacks: false, look_alikes: false, ..Config::new(seed, 3.0, requests_per_day) };
    let dawn = |days: i64| config.start + days * 86_400_000;
    let (dawns, mut learned_day, mut next_day) = ([dawn(1), dawn(2)], Traffic::new(), Traffic::new());
    for (exchange, _) in Simulation::new(config) {
        match exchange.time {
            Some(time) if time < dawns[0] => {}
            Some(time) if time < dawns[1] => learned_day.push(exchange),
            _ => next_day.push(exchange),
        }
    }
    let model = Arc::new(learned(&learned_day, "v1"));
    Shop { learned_day, next_day, model }
}

/// An afternoon of a shop under attack.
pub(crate) fn attacked(seed: u64, days: f64, requests_per_day: u32) -> Traffic {
    let config = Config { learning: 0.0, launches: 1, ..Config::new(seed, days, requests_per_day) };
    let traffic: Vec<_> = Simulation::new(config).collect();
    assert!(traffic.iter().any(|(_, truth)| truth.label == Label::Attack), "no attack was launched");
    traffic.into_iter().map(|(exchange, _)| exchange).collect()
}

/// A history that holds all of it.
pub(crate) fn history<'e>(traffic: impl IntoIterator<Item = &'e Exchange<'static>>) -> History {
    let mut history = History::new(HistoryLimits::default());
    for exchange in traffic {
        history.add(Features::of(exchange));
    }
    history
}

pub(crate) fn learned<'e>(traffic: impl IntoIterator<Item = &'e Exchange<'static>>, label: &str) -> Model {
    let config = LearnConfig { label: label.to_owned(), ..LearnConfig::default() };
    learn(&history(traffic), &config, &mut |_| {}).expect("a history that is not empty")
}

/// An empty partition.
pub(crate) fn partition(number: u32, limits: Limits) -> Partition {
    Partition::new(TopicPartition::new("traffic", number), limits)
}

/// An empty partition with a model.
pub(crate) fn judging(model: &Arc<Model>) -> Partition {
    let mut partition = partition(0, Limits::default());
    partition.apply(Effect::Model(Arc::clone(model)));
    partition
}

/// Position of a record that the log took at its own time.
pub(crate) fn position(offset: usize) -> RecordPosition {
    RecordPosition { offset: Offset(offset as u64), appended_ms: None }
}
