//! A model's life with networks, trainer and scorer on one embedded log: taught, published, judged with, taught again, rolled back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::record::{Client, Response, Text};
use engine::{Exchange, Stage, TopicPartition};
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::{SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Log, Output, Start, read_to_end};
use runtime::model_topic::Catalogue;
use runtime::shutdown::Shutdown;
use runtime::status::ApiStatus;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
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
    log: Arc<dyn Log>,
    config: Config,
    key: Arc<SigningKey>,
    scorer: Running,
    trainer: Option<Running>,
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
    fn start(directory: &Path) -> Self {
        let needed = (SESSIONS * 7).to_string();
        let told = [
            ("embedded.partitions", "2"),
            ("learning.requests", needed.as_str()),
            ("learning.min_requests", "500"),
            ("training.every", "1s"),
            ("traffic.keep", "36500d"),
        ];
        let flags = told.map(|(key, value)| FlagValue { key: key.to_owned(), value: value.to_owned() }).to_vec();
        let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::options().open(directory.join("log")).unwrap());
        let key = SigningKey::create(&directory.join("key.pem")).unwrap();
        let scoring = scorer::Settings::new(&config, TrustedKeys::new(vec![key.public()]));
        let training = trainer::Settings::new(&config, key);
        log.create_topics(training.topics.specs()).unwrap();
        let key = Arc::clone(&training.sign_key);
        let its_log = Arc::clone(&log);
        let scorer = Running::start(move |shutdown| scorer::run(&scoring, &its_log, shutdown).unwrap());
        let its_log = Arc::clone(&log);
        let trainer = Running::start(move |shutdown| trainer::run(&training, &its_log, shutdown).unwrap());
        Self { log, config, key, scorer, trainer: Some(trainer) }
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

    /// Verdicts of a model on last steps that carry the network's reason.
    fn foreseen(&self, model: &str) -> usize {
        let is_foreseen = |v: &&engine::Verdict| {
            v.model.as_deref() == Some(model) && v.reasons.iter().any(|r| r.observed.contains("after all of the session so far"))
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

#[test]
fn a_network_is_taught_judged_with_and_taught_again_and_an_older_one_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(directory.path());
    bench.send(&in_time((0..SESSIONS + 60).flat_map(|n| session(n, false)).collect()));
    bench.wait("the first model", |b| b.status().is_some_and(|s| s.stage == Stage::Evaluating));
    let crossed = |from: usize| in_time((from..from + 30).flat_map(|n| session(n, true)).collect());
    bench.send(&crossed(1_000));
    bench.wait("the network's reasons", |b| b.foreseen("v1") >= 25);

    // Each look brings one more session, until time enough has passed for another training.
    let next = std::cell::Cell::new(2_000);
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

    let mut operator = Publisher::open(&bench.log, &bench.topics(), Arc::clone(&bench.key), Role::Operator).unwrap();
    operator.promote("v1").unwrap();
    bench.send(&crossed(9_000));
    bench.wait("reasons of the older model", |b| b.foreseen("v1") >= 50);
    bench.scorer.stop();
}
