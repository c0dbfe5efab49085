//! A model's life with networks, trainer and scorer on one log, embedded or on a broker: taught, published, judged with, taught again beside
//! the champion, a bad challenger refused, rolled back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::record::{Client, Response, Text};
use engine::trial::Decision;
use engine::{Exchange, Features, History, HistoryLimits, LearnConfig, Model, Stage, TopicPartition, learn_with};
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::{SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, Output, Start, read_to_end};
use runtime::model_topic::{Catalogue, fetch};
use runtime::shutdown::Shutdown;
use runtime::status::ApiStatus;
use runtime::testkit::Broker;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use trainer::Contest;
use trainer::network::Tutor;
use trainer::publish::{Publisher, Role};

/// Sessions before the first training; each is of seven steps.
const SESSIONS: usize = 500;

/// A session whose last step hangs on its first two, four steps before: more than three steps of memory can tell.
fn session(number: usize, is_crossed: bool) -> Vec<Exchange<'static>> {
    let is_red = number * 7 % 11 < 5;
    let first = if is_red { ["red", "blue"] } else { ["blue", "red"] };
    let last = if is_red == is_crossed { "plaster" } else { "paint" };
    let steps = first.into_iter().chain(["look", "choose", "measure", "weigh", last]);
    let exchange = |(at, step): (usize, &str)| Exchange {
        time: Some(1_780_000_000_000 + (number * 1_000 + at * 1_500) as i64),
        method: "GET".into(),
        host: Some("shop.example".into()),
        path: Text::from(format!("/{step}")),
        session: Some(Text::from(format!("s{number}"))),
        client: Client { ip: Some(Text::from(format!("10.{}.{}.7", number / 200, number % 200))), user_agent: Some("app".into()) },
        response: Response { status: Some(200), ..Response::default() },
        ..Exchange::default()
    };
    steps.enumerate().map(exchange).collect()
}

fn in_time(mut exchanges: Vec<Exchange<'static>>) -> Vec<Exchange<'static>> {
    exchanges.sort_by_key(|e| e.time);
    exchanges
}

struct Bench {
    directory: tempfile::TempDir,
    log: Arc<dyn Log>,
    config: Config,
    key: Arc<SigningKey>,
    scorer: Running,
    trainer: Option<Running>,
    /// Exchanges sent so far.
    sent: Cell<usize>,
}

/// A service on a thread.
struct Running {
    shutdown: Shutdown,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(serve: impl FnOnce(&Shutdown) + Send + 'static) -> Self {
        let shutdown = Shutdown::new();
        let its_own = shutdown.clone();
        Self { shutdown, thread: std::thread::spawn(move || serve(&its_own)) }
    }

    fn stop(self) {
        self.shutdown.cancel();
        self.thread.join().unwrap();
    }
}

impl Bench {
    /// On an embedded log.
    fn embedded() -> Self {
        Self::start(&[], |directory| Arc::new(EmbeddedLog::options().open(directory.join("log")).unwrap()))
    }

    /// On a broker, with topics of its own.
    fn on_broker() -> Self {
        let brokers = Broker::shared().brokers();
        let log = KafkaLog::options(&brokers).open().unwrap();
        Self::start(&[("kafka.brokers", &brokers), ("topics.prefix", "networks.")], |_| Arc::new(log))
    }

    fn start(flags: &[(&str, &str)], log: impl FnOnce(&Path) -> Arc<dyn Log>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let needed = (SESSIONS * 7).to_string();
        let told = [
            ("embedded.partitions", "2"),
            ("topics.partitions", "2"),
            ("learning.requests", needed.as_str()),
            ("learning.min_requests", "500"),
            ("training.every", "1s"),
            ("traffic.keep", "36500d"),
        ];
        let flag = |(key, value): &(&str, &str)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() };
        let flags = told.iter().chain(flags).map(flag).collect();
        let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
        let log = log(directory.path());
        let key = SigningKey::create(&directory.path().join("key.pem")).unwrap();
        let scoring = scorer::Settings::new(&config, TrustedKeys::new(vec![key.public()]));
        let training = trainer::Settings::new(&config, key);
        log.create_topics(training.topics.specs()).unwrap();
        let key = Arc::clone(&training.sign_key);
        let its_log = Arc::clone(&log);
        let scorer = Running::start(move |shutdown| scorer::run(&scoring, &its_log, shutdown).unwrap());
        let its_log = Arc::clone(&log);
        let trainer = Running::start(move |shutdown| trainer::run(&training, &its_log, shutdown).unwrap());
        Self { directory, log, config, key, scorer, trainer: Some(trainer), sent: Cell::new(0) }
    }

    fn topics(&self) -> runtime::topics::Topics {
        runtime::topics::Topics::new(&self.config)
    }

    fn send(&self, exchanges: &[Exchange<'static>]) {
        let topic = self.topics().traffic;
        let output = |exchange: &Exchange<'static>| Output {
            topic: Arc::clone(&topic),
            partition: None,
            key: exchange.session.as_deref().map(|s| s.to_owned().into()),
            value: Some(serde_json::to_vec(exchange).unwrap().into()),
            headers: Vec::new(),
        };
        self.sent.set(self.sent.get() + exchanges.len());
        self.log.producer(None).unwrap().append(exchanges.iter().map(output).collect()).unwrap();
    }

    /// Waits until a look at the log shows it.
    fn wait(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(240);
        while !is_there(self) {
            assert!(Instant::now() < until, "{what} did not come");
            assert!(!self.scorer.thread.is_finished(), "the scorer ended before {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn verdicts(&self) -> Vec<engine::Verdict> {
        let topic = self.topics().verdicts;
        let from: Vec<_> = (0..2).map(|n| (TopicPartition::new(Arc::clone(&topic), n), Start::Oldest)).collect();
        let mut all = Vec::new();
        read_to_end(&*self.log, &from, |record| all.push(serde_json::from_slice(&record.value.unwrap()).unwrap())).unwrap();
        all
    }

    /// Sends sessions that cross over, each when all before were judged, until so many more carry the network's reason by a model.
    fn cross_until(&self, first: usize, model: Option<&str>) {
        let (next, before) = (Cell::new(first), self.foreseen(model));
        self.wait("the network's reasons", |b| {
            if b.verdicts().len() == b.sent.get() {
                b.send(&session(next.replace(next.get() + 1), true));
            }
            b.foreseen(model) >= before + 10
        });
    }

    /// Verdicts that carry the network's reason, by a model or by any.
    fn foreseen(&self, model: Option<&str>) -> usize {
        let is_foreseen = |v: &&engine::Verdict| {
            model.is_none_or(|model| v.model.as_deref() == Some(model))
                && v.reasons.iter().any(|r| r.observed.contains("after all of the session so far"))
        };
        self.verdicts().iter().filter(is_foreseen).count()
    }

    fn status(&self) -> Option<ApiStatus> {
        let from = [(TopicPartition::new(self.topics().status, 0), Start::Oldest)];
        let mut newest = None;
        read_to_end(&*self.log, &from, |record| {
            if let Ok(status) = serde_json::from_slice::<ApiStatus>(record.value.as_deref().unwrap_or_default())
                && &*status.api.0 == "shop.example"
            {
                newest = Some(status);
            }
        })
        .unwrap();
        newest
    }

    fn manifests(&self) -> Vec<serde_json::Value> {
        let versions = Catalogue::read(&*self.log, &self.topics().models).unwrap().versions;
        versions.iter().map(|v| serde_json::to_value(&v.manifest).unwrap()).collect()
    }
}

/// A model that learned from sessions whose steps were shuffled: the steps are the same, their order means nothing.
fn shuffled() -> Arc<Model> {
    let steps = in_time((0..SESSIONS).flat_map(|n| session(n, false)).collect());
    let mut places: Vec<u64> = (0..steps.len() as u64).collect();
    places.sort_by_key(|at| (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let mut history = History::new(HistoryLimits::default());
    for (step, other) in steps.iter().zip(places) {
        history.add(Features::of(&Exchange { path: steps[other as usize].path.clone(), ..step.clone() }));
    }
    let config = LearnConfig { label: "shuffled".to_owned(), ..LearnConfig::default() };
    Arc::new(learn_with(&history, &config, &mut Tutor::default(), &mut |_| {}).unwrap())
}

#[test]
fn a_life_on_an_embedded_log() {
    life(Bench::embedded());
}

#[test]
fn a_life_on_a_broker() {
    life(Bench::on_broker());
}

fn life(mut bench: Bench) {
    bench.send(&in_time((0..SESSIONS + 60).flat_map(|n| session(n, false)).collect()));
    bench.wait("the first model", |b| b.status().is_some_and(|s| s.stage == Stage::Evaluating));
    bench.cross_until(1_000, None);

    // Each look brings one more session, until time enough has passed for another training.
    let next = Cell::new(2_000);
    bench.wait("a second model", |b| {
        b.send(&session(next.replace(next.get() + 1), false));
        b.manifests().len() > 1
    });
    bench.trainer.take().unwrap().stop();
    let manifests = bench.manifests();
    let network = |n: usize, what: &str| manifests[n].pointer(&format!("/apis/shop.example/network/{what}")).cloned();
    assert_eq!(network(0, "figures/warm_start"), Some(false.into()));
    assert_eq!(network(1, "figures/warm_start"), Some(true.into()));
    assert_eq!(manifests[1].pointer("/contest/decision"), Some(&"Promote".into()));

    // A challenger that knows no order is refused on what the trainer remembers.
    let history = trainer::remembered(&*bench.log, &bench.topics(), trainer::history_limits(&bench.config)).unwrap();
    let active = manifests[1]["id"].as_str().unwrap();
    let champion = Arc::new(fetch(&*bench.log, &bench.topics().models, active).unwrap().model().unwrap());
    let contest = Contest::hold(&champion, &shuffled(), &history, &bench.config.network).unwrap();
    assert!(matches!(&contest.decision, Decision::Refuse(why) if why.contains("sessions in disorder")), "{contest:?}");

    let mut operator = Publisher::open(&bench.log, &bench.topics(), Arc::clone(&bench.key), Role::Operator).unwrap();
    operator.promote("v1").unwrap();
    bench.cross_until(9_000, Some("v1"));
    bench.scorer.stop();
    drop(bench.directory);
}
