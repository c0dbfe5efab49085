//! From the first request to the model on the topic, on an embedded log; nothing is lost or counted twice on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, NEEDED, exchanges};
use engine::{Features, History, HistoryLimits, LearnConfig, Stage, learn};
use runtime::model_file::{About, ModelFile};
use runtime::model_topic::fetch;
use std::time::{Duration, Instant};

#[test]
fn enough_requests_become_a_signed_model() {
    let mut bench = Bench::new(0);
    bench.start();
    bench.send(&exchanges(NEEDED + 600));
    bench.wait_for_stage(Stage::Evaluating);
    bench.stop();

    let (catalogue, pointer) = bench.published();
    let pointer = pointer.unwrap();
    let model = fetch(&*bench.log, &bench.settings.topics.models, &pointer.active).unwrap().model().unwrap();
    assert_eq!((model.label.as_str(), pointer.counter, catalogue.versions.len()), ("v1", 1, 1));
    assert!(!model.endpoints().is_empty());
    let statuses = bench.statuses();
    assert!(
        statuses.values().any(|s| s.stage == Stage::Evaluating && s.model.as_deref() == Some("v1") && s.alpha.is_some()),
        "{statuses:?}"
    );
}

#[test]
fn too_few_requests_are_listened_to() {
    let mut bench = Bench::new(0);
    bench.start();
    bench.send(&exchanges(600));
    bench.wait_for_history(600);
    bench.stop();
    let statuses = bench.statuses();
    assert!(statuses.values().all(|s| s.stage == Stage::Listening && s.model.is_none()), "{statuses:?}");
    assert!(bench.published().0.versions.is_empty());
}

#[test]
fn aborts_and_a_restart_lose_nothing_and_count_nothing_twice() {
    let mut bench = Bench::new(3);
    let all = exchanges(1_400);
    bench.start();
    bench.send(&all[..700]);
    bench.wait_for_history(700);
    bench.stop();
    bench.start();
    bench.send(&all[700..]);
    bench.wait_for_history(1_400);
    bench.stop();
    assert_eq!(bench.remembered(), 1_400);
    // One more start tells what it knows from the history alone.
    bench.start();
    bench.send(&exchanges(1_401)[1_400..]);
    bench.wait_for_history(1_401);
    bench.stop();
    let seen: u64 = bench.statuses().values().map(|s| s.seen).sum();
    assert!((1_400..=1_401).contains(&seen), "{seen}");
}

#[test]
fn a_restart_is_no_reason_to_train_again_and_time_is() {
    let mut bench = Bench::new(0);
    let all = exchanges(NEEDED + 800);
    bench.start();
    bench.send(&all[..NEEDED + 600]);
    bench.wait_for_stage(Stage::Evaluating);
    bench.stop();
    bench.start();
    bench.send(&all[NEEDED + 600..NEEDED + 700]);
    bench.wait_for_history(NEEDED + 700);
    bench.stop();
    assert!(bench.statuses().values().all(|s| s.training.is_none()), "{:?}", bench.statuses());
    assert_eq!(bench.published().0.versions.len(), 1);

    bench.settings.every = Duration::ZERO;
    bench.start();
    bench.send(&all[NEEDED + 700..]);
    let until = Instant::now() + Duration::from_secs(60);
    while bench.published().0.versions.len() < 2 {
        assert!(Instant::now() < until, "no second version came");
        std::thread::sleep(Duration::from_millis(20));
    }
    bench.stop();
}

#[test]
fn what_people_say_is_nothing_is_learned_as_normal_until_it_ends() {
    let mut bench = Bench::new(0);
    let all = exchanges(NEEDED + 600);
    let say = |verdict: &str, scope: &str, until: Option<&str>| {
        serde_json::json!({
            "verdict": verdict, "say": "benign", "scope": scope, "endpoint": "GET api.shop.example/v2/products", "family": "injection",
            "where": format!("query.{verdict}"), "until": until,
        })
    };
    let said =
        [say("once", "once", None), say("here", "endpoint-field", None), say("ended", "endpoint-field", Some("2001-01-01T00:00:00Z"))];
    let outputs = said.iter().map(|feedback| runtime::log::Output {
        topic: std::sync::Arc::clone(&bench.settings.topics.feedback),
        partition: Some(0),
        key: None,
        value: Some(feedback.to_string().into()),
        headers: Vec::new(),
    });
    bench.log.producer(None).unwrap().append(outputs.collect()).unwrap();
    bench.start();
    bench.send(&all);
    bench.wait_for_stage(Stage::Evaluating);
    bench.stop();

    let model = fetch(&*bench.log, &bench.settings.topics.models, &bench.published().1.unwrap().active).unwrap().model().unwrap();
    let places: Vec<_> = model.admissions().iter().map(|admission| admission.place.as_deref()).collect();
    assert_eq!(places, [Some("query.here")]);
    assert!(bench.statuses().values().any(|status| status.admitted == 1));
}

#[test]
fn a_trainer_that_runs_follows_who_goes_back_and_learns_on_from_there() {
    let mut bench = Bench::new(0);
    // By the time of traffic: none comes meanwhile.
    bench.settings.every = Duration::from_secs(5);
    bench.start();
    bench.send(&exchanges(NEEDED + 600));
    let v1 = bench.go_back();

    let more = exchanges(NEEDED + 900);
    let mut more = more[NEEDED + 600..].iter().cycle();
    let until = Instant::now() + Duration::from_secs(60);
    while bench.published().0.versions.len() < 3 {
        assert!(Instant::now() < until, "no third version came");
        bench.send(&[more.next().unwrap().clone()]);
        std::thread::sleep(Duration::from_millis(50));
    }
    bench.wait_for_model("v3");
    bench.stop();
    let manifest = &bench.published().0.versions[2].manifest;
    assert_eq!(
        (&manifest["label"], &manifest["parent"], &manifest["contest"]["champion"]["model"]),
        (&"v3".into(), &v1.into(), &"v1".into())
    );
}

#[test]
fn a_model_from_elsewhere_that_comes_during_a_training_is_what_the_next_one_is_compared_with() {
    let mut bench = Bench::new(0);
    bench.settings.every = Duration::ZERO;
    let all = exchanges(NEEDED + 600);
    let mut history = History::new(HistoryLimits::default());
    for exchange in &all {
        history.add(Features::of(exchange));
    }
    let config = LearnConfig { label: "elsewhere".to_owned(), ..LearnConfig::default() };
    let elsewhere = ModelFile::of(&learn(&history, &config, &mut |_| {}).unwrap(), About::default()).unwrap();
    bench.start();
    bench.send(&all);
    bench.wait_for_stage(Stage::Training);
    let id = bench.operator().publish(&elsewhere).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let later = |bench: &Bench| {
        let versions = bench.published().0.versions;
        let at = versions.iter().position(|version| version.id == id).unwrap();
        versions.get(at + 1).cloned()
    };
    let next = loop {
        if let Some(next) = later(&bench) {
            break next;
        }
        assert!(Instant::now() < until, "nothing came after it: {:?}", bench.statuses());
        bench.send(&all[..1]);
        std::thread::sleep(Duration::from_millis(50));
    };
    bench.stop();
    assert_eq!((&next.manifest["parent"], &next.manifest["contest"]["champion"]["model"]), (&id.into(), &"elsewhere".into()));
}
