//! `weir models` on a data directory: which version a name means, and where a rollback goes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use engine::{Exchange, Features, History, HistoryLimits, LearnConfig, Model, learn};
use ingest::Preparer;
use ingest::decode::GatewayFields;
use runtime::config::{Config, Sources};
use runtime::keys::{SessionKey, SigningKey};
use runtime::log::Log;
use runtime::log::embedded::EmbeddedLog;
use runtime::model_file::{self, About, ModelFile, OffsetRange, TrainingRange};
use runtime::topics::Topics;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use trainer::publish::{Publisher, Role};

/// Runs `weir` in a directory where nobody listens; its exit code and what it says.
fn weir(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).args(["--data", "data", "--listen", "127.0.0.1:1"]).current_dir(directory).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A model that has learned next to nothing.
fn model(label: &str) -> Model {
    let mut history = History::new(HistoryLimits::default());
    history.add(Features::of(&Exchange::from_json(br#"{"method":"GET","path":"/","host":"a.example"}"#).unwrap()));
    learn(&history, &LearnConfig { label: label.to_owned(), ..LearnConfig::default() }, &mut |_| {}).unwrap()
}

/// A data directory with these versions, each learned after the one before; their ids.
fn installation(directory: &Path, labels: &[&str]) -> Vec<String> {
    let data = directory.join("data");
    assert_eq!(weir(directory, &["keys", "create"]).0, Some(0));
    let topics = Topics::new(&Config::resolve(&Sources { host_name: "test".to_owned(), ..Sources::default() }).unwrap());
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::options().open(data.join("log")).unwrap());
    log.create_topics(topics.specs()).unwrap();
    let key = Arc::new(SigningKey::load(&data.join("model-sign.pem")).unwrap());
    let mut publisher = Publisher::open(&log, &topics, key, Role::Trainer).unwrap();
    let mut ids: Vec<String> = Vec::new();
    for label in labels {
        let file = ModelFile::of(&model(label), About { parent: ids.last().cloned(), ..About::default() }).unwrap();
        ids.push(publisher.publish(&file).unwrap());
    }
    ids
}

/// A file of a model that was made elsewhere.
fn file(directory: &Path, label: &str) -> PathBuf {
    let file = ModelFile::of(&model(label), About { created_ms: 1, ..About::default() }).unwrap();
    let path = directory.join("elsewhere.weir");
    std::fs::write(&path, model_file::write(&file).unwrap()).unwrap();
    path
}

#[test]
fn a_rollback_goes_back_and_says_when_there_is_nothing_further_back() {
    let directory = tempfile::tempdir().unwrap();
    let ids = installation(directory.path(), &["v1", "v2"]);
    let (code, said) = weir(directory.path(), &["models", "rollback"]);
    assert_eq!((code, said), (Some(0), format!("active: v1 ({})\n", ids[0])));
    let (code, said) = weir(directory.path(), &["models", "rollback"]);
    assert!(code == Some(1) && said.contains("there is no version before the active one"), "{said}");
    assert!(weir(directory.path(), &["models", "list"]).1.starts_with("v1        active"));
}

#[test]
fn a_label_of_two_versions_is_refused_and_their_ids_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let ids = installation(directory.path(), &["v1", "v2"]);
    let path = file(directory.path(), "v1");
    let (code, said) = weir(directory.path(), &["models", "import", path.to_str().unwrap()]);
    let other = said.split(['(', ')']).nth(1).unwrap().to_owned();
    assert!(code == Some(0) && !ids.contains(&other), "{said}");
    for command in [&["promote", "v1"][..], &["rollback", "v1"], &["show", "v1"], &["export", "v1"], &["compare", "v1", "v2"]] {
        let (code, said) = weir(directory.path(), &[&["models"], command].concat());
        assert!(code == Some(1) && said.contains(&ids[0]) && said.contains(&other), "{command:?}: {said}");
    }
    let (code, said) = weir(directory.path(), &["models", "promote", &ids[0][..8]]);
    assert_eq!((code, said), (Some(0), format!("active: v1 ({})\n", ids[0])));
}

/// A service's model of visitors whose cookie says what they agreed to, masked as the installation in a directory masks it.
fn learned_from_masked(directory: &Path, visits: &[String]) -> PathBuf {
    let sources = Sources { host_name: "test".to_owned(), ..Sources::default() };
    let mut config = Config::resolve(&sources).unwrap();
    config.privacy.mask_files = true;
    let key = SessionKey::load(&directory.join("data/session.key")).unwrap();
    let preparer = Preparer::local(&config, Some(&key)).unwrap();
    let mut history = History::new(HistoryLimits::default());
    for visit in visits {
        let mut exchange = Exchange::from_json(visit.as_bytes()).unwrap();
        preparer.prepare(&mut exchange, &GatewayFields::default());
        history.add(Features::of(&exchange));
    }
    let model = learn(&history, &LearnConfig::default(), &mut |_| {}).unwrap();
    let offsets = vec![OffsetRange { topic: "weir.traffic".to_owned(), partition: 0, from: 0, until: visits.len() as u64 }];
    let training = TrainingRange { offsets, ..TrainingRange::default() };
    let file = ModelFile::of(&model, About { training, ..About::default() }).unwrap();
    let path = directory.join("service.weir");
    std::fs::write(&path, model_file::write(&file).unwrap()).unwrap();
    path
}

#[test]
fn a_model_that_a_service_learned_judges_files_masked_with_its_key() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(weir(directory.path(), &["keys", "create"]).0, Some(0));
    let visit = |n: usize| {
        let cookie = format!("sid={n:032x}; consent=all");
        format!(
            r#"{{"time":{},"method":"GET","path":"/items","host":"a.example","client":{{"ip":"192.0.{}.7"}},"request":{{"headers":{{"cookie":"{cookie}"}}}},"response":{{"status":200}}}}"#,
            1_770_000_000_000 + n * 5_000,
            n % 200,
        )
    };
    let visits: Vec<String> = (0..3_000).map(visit).collect();
    let model = learned_from_masked(directory.path(), &visits);
    std::fs::write(directory.path().join("later.ndjson"), (3_000..3_300).map(|n| visit(n) + "\n").collect::<String>()).unwrap();
    let judge =
        || weir(directory.path(), &["backtest", "--use-model", model.to_str().unwrap(), "--score", "later.ndjson", "--verdicts", "v"]);
    let (code, said) = judge();
    assert!(code == Some(0) && said.contains("300 benign, 0 anomalous") && !said.contains("warning"), "{said}");
    std::fs::remove_file(directory.path().join("data/session.key")).unwrap();
    let (code, said) = judge();
    assert!(code == Some(0) && said.contains("warning: a service learned this model from masked secrets"), "{said}");
    assert!(!said.contains(" 0 anomalous"), "with another key the cookie is another: {said}");
}
