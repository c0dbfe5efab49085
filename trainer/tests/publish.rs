//! Publishing, by the trainer and by people beside it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in #[test] functions")]

use engine::{Features, History, HistoryLimits, LearnConfig, Model, learn};
use runtime::config::{Config, Sources};
use runtime::keys::{Pointer, SigningKey, TrustedKeys};
use runtime::log::Log;
use runtime::log::embedded::EmbeddedLog;
use runtime::model_file::{About, ModelFile};
use runtime::model_topic::{Catalogue, NameError, fetch};
use runtime::topics::Topics;
use simulator::Simulation;
use std::sync::{Arc, OnceLock};
use trainer::publish::{PublishError, Publisher, Role};

struct Bench {
    log: Arc<dyn Log>,
    topics: Topics,
    key: Arc<SigningKey>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let topics = Topics::new(&Config::resolve(&Sources { host_name: "bench".to_owned(), ..Sources::default() }).unwrap());
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::options().open(directory.path().join("log")).unwrap());
        log.create_topics(topics.specs()).unwrap();
        let key = Arc::new(SigningKey::create(&directory.path().join("key.pem")).unwrap());
        Self { log, topics, key, _directory: directory }
    }

    fn publisher(&self, role: Role) -> Publisher {
        Publisher::open(&self.log, &self.topics, Arc::clone(&self.key), role).unwrap()
    }

    /// The pointer as a scorer follows it, and the labels of the versions that stand there.
    fn seen(&self) -> (Pointer, Vec<String>) {
        let catalogue = Catalogue::read(&*self.log, &self.topics.models).unwrap();
        let trusted = TrustedKeys::new(vec![self.key.public()]);
        let mut newest: Option<Pointer> = None;
        for record in &catalogue.pointers {
            newest = Some(trusted.verify_pointer(record, newest.map(|p| p.counter)).unwrap());
        }
        (newest.unwrap(), catalogue.versions.into_iter().map(|v| v.label).collect())
    }
}

/// Some version of a model.
fn file(label: &str) -> ModelFile {
    file_after(label, None)
}

/// Some version of a model that was learned after another.
fn file_after(label: &str, parent: Option<&String>) -> ModelFile {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let mut history = History::new(HistoryLimits::default());
        for (exchange, _) in Simulation::new(simulator::Config::new(5, 1.0, 20_000)).take(800) {
            history.add(Features::of(&exchange));
        }
        learn(&history, &LearnConfig::default(), &mut |_| {}).unwrap()
    });
    let mut model = model.clone();
    model.label = label.to_owned();
    ModelFile::of(&model, About { parent: parent.cloned(), ..About::default() }).unwrap()
}

/// Publishes what was learned after the active version.
fn publish_next(trainer: &mut Publisher, label: &str) -> String {
    let parent = trainer.pointer().map(|pointer| pointer.active.clone());
    trainer.publish(&file_after(label, parent.as_ref())).unwrap()
}

#[test]
fn a_person_turns_back_beside_a_trainer_that_runs_and_the_trainer_goes_on_from_there() {
    let bench = Bench::new();
    let mut trainer = bench.publisher(Role::Trainer);
    let v1 = trainer.publish(&file("v1")).unwrap();
    let v2 = trainer.publish(&file("v2")).unwrap();
    let mut person = bench.publisher(Role::Operator);
    assert_eq!(person.pointer().map(|p| (&p.active, p.counter)), Some((&v2, 2)));
    assert_eq!(person.promote("v1").unwrap(), v1);
    assert_eq!(bench.seen().0, Pointer { active: v1.clone(), previous: Some(v2), pinned: Vec::new(), counter: 3 });
    // The trainer has not been told, and looks.
    let v3 = trainer.publish(&file("v3")).unwrap();
    assert_eq!(bench.seen().0, Pointer { active: v3, previous: Some(v1), pinned: Vec::new(), counter: 4 });
    assert!(matches!(person.promote("v9"), Err(PublishError::Name(NameError::Unknown(name))) if name == "v9"));
}

#[test]
fn a_second_trainer_fences_the_first() {
    let bench = Bench::new();
    let mut first = bench.publisher(Role::Trainer);
    first.publish(&file("v1")).unwrap();
    let mut second = bench.publisher(Role::Trainer);
    assert!(matches!(first.publish(&file("v2")), Err(PublishError::Log(_))));
    second.publish(&file("v3")).unwrap();
    assert_eq!(bench.seen().1, ["v1", "v3"]);
}

#[test]
fn old_versions_go_and_what_is_in_use_stays() {
    let bench = Bench::new();
    let mut trainer = bench.publisher(Role::Trainer);
    let first = trainer.publish(&file("v1")).unwrap();
    for n in 2..=26 {
        trainer.publish(&file(&format!("v{n}"))).unwrap();
    }
    let (_, labels) = bench.seen();
    assert_eq!(labels.len(), 24);
    assert_eq!((labels.first().map(String::as_str), labels.last().map(String::as_str)), (Some("v3"), Some("v26")));
    assert!(fetch(&*bench.log, &bench.topics.models, &first).is_err());
    // The oldest is made active, so that it stays as the previous one, beyond the number that is kept, until another is that.
    trainer.promote("v3").unwrap();
    trainer.publish(&file("v27")).unwrap();
    assert_eq!(bench.seen().1[..2], ["v3", "v4"]);
    trainer.publish(&file("v28")).unwrap();
    assert_eq!(bench.seen().1[..2], ["v5", "v6"]);
}

#[test]
fn each_rollback_goes_one_version_further_back_and_never_forward() {
    let bench = Bench::new();
    let mut trainer = bench.publisher(Role::Trainer);
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|label| publish_next(&mut trainer, label));
    let back = || bench.publisher(Role::Operator).roll_back();
    assert_eq!([back().unwrap(), back().unwrap()], [v2, v1.clone()]);
    assert!(matches!(back(), Err(PublishError::NoneBefore)));
    assert_eq!(bench.seen().0.active, v1);
    // By name it goes anywhere, and from there back again.
    assert_eq!(bench.publisher(Role::Operator).promote("v3").unwrap(), v3);
    assert_eq!(back().unwrap(), v1);
}

#[test]
fn a_rollback_passes_over_versions_that_were_rolled_back() {
    let bench = Bench::new();
    let mut trainer = bench.publisher(Role::Trainer);
    let back = || bench.publisher(Role::Operator).roll_back();
    let v1 = publish_next(&mut trainer, "v1");
    publish_next(&mut trainer, "v2");
    assert_eq!(back().unwrap(), v1);
    // The trainer goes on from there, twice.
    trainer.publish(&file_after("v3", Some(&v1))).unwrap();
    let v3 = bench.seen().0.active;
    publish_next(&mut trainer, "v4");
    assert_eq!([back().unwrap(), back().unwrap()], [v3, v1.clone()]);
    // A file from elsewhere has a parent that nobody knows here.
    bench.publisher(Role::Operator).publish(&file_after("elsewhere", Some(&"a".repeat(64)))).unwrap();
    assert_eq!(back().unwrap(), v1);
}

#[test]
fn what_was_learned_after_a_model_that_judges_no_more_does_not_take_over() {
    let bench = Bench::new();
    let mut trainer = bench.publisher(Role::Trainer);
    let v1 = publish_next(&mut trainer, "v1");
    let v2 = publish_next(&mut trainer, "v2");
    bench.publisher(Role::Operator).promote("v1").unwrap();
    assert!(matches!(trainer.succeed(&file_after("v3", Some(&v2))), Err(PublishError::Overtaken)));
    assert!(matches!(trainer.succeed(&file("v3")), Err(PublishError::Overtaken)));
    assert_eq!(
        bench.seen(),
        (Pointer { active: v1.clone(), previous: Some(v2), pinned: Vec::new(), counter: 3 }, vec!["v1".into(), "v2".into()])
    );
    let v3 = trainer.succeed(&file_after("v3", Some(&v1))).unwrap();
    assert_eq!(bench.seen().0.active, v3);
}

#[test]
fn a_label_of_two_versions_names_neither_and_the_beginning_of_an_id_names_one() {
    let bench = Bench::new();
    let mut person = bench.publisher(Role::Operator);
    let first = person.publish(&file("v1")).unwrap();
    let second = person.publish(&file_after("v1", Some(&first))).unwrap();
    let both = PublishError::Name(NameError::Ambiguous { name: "v1".to_owned(), ids: vec![first.clone(), second.clone()] });
    let said = person.promote("v1").unwrap_err().to_string();
    assert_eq!(said, both.to_string());
    assert!(said.contains(&first) && said.contains(&second), "{said}");
    assert_eq!(bench.seen().0.active, second);
    assert_eq!(person.promote(&first[..12]).unwrap(), first);
    assert_eq!(person.promote(&second).unwrap(), second);
    // A number of few digits is no label, and must not happen to be an id.
    for name in ["", &first[..3], "v10"] {
        assert!(matches!(person.promote(name), Err(PublishError::Name(NameError::Unknown(_)))), "{name}");
    }
}
