//! The binary as a shell sees it: exit codes, what goes to which stream, what stays secret.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `weir` in a directory, with nothing of the tests' own environment that could configure it.
fn weir(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wrong_use_is_2_and_says_everything_on_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("weir.toml"), "tokn = \"hunter2\"\n[topics]\npartitions = \"many\"\n").unwrap();
    let output = weir(directory.path(), &["config", "check", "--listen", "0.0.0.0:1"], &[("WEIR_KAFKA__PROPERTIES__GROUP_ID", "mine")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    let expected = [
        "the configuration has 4 errors",
        "weir.toml:1: `tokn`: there is no such key (did you mean `token`?)",
        "weir.toml:3: `topics.partitions`: `many` is not a whole number",
        "environment variable WEIR_KAFKA__PROPERTIES__GROUP_ID: `kafka.properties.group.id`: this property cannot be set",
        "flag --listen: `listen`: 0.0.0.0:1 can be reached from other machines",
    ];
    for part in expected {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");

    assert_eq!(weir(directory.path(), &["no-such-command"], &[]).status.code(), Some(2));
    assert_eq!(weir(directory.path(), &["config", "check", "--config", "nowhere.toml"], &[]).status.code(), Some(2));
}

#[test]
fn a_file_named_by_a_variable_is_shown_with_its_lines_and_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("other.toml"), "learning.requests = 5000\ntoken = \"hunter2\"\n").unwrap();
    let output = weir(directory.path(), &["config", "show"], &[("WEIR_CONFIG", "other.toml"), ("WEIR_DATA", "d")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let line =
        |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(line("learning.requests"), "learning.requests = 5000 # other.toml:1");
    assert_eq!(line("data"), "data = \"d\" # environment variable WEIR_DATA");
    assert_eq!(line("token"), "token = \"[redacted]\" # other.toml:2");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn keys_are_made_once_and_a_foreign_public_key_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let first = weir(directory.path(), &["keys", "create", "--dir", "keys"], &[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(text(&first.stdout).matches("made").count(), 3);
    let session = std::fs::read(directory.path().join("keys/session.key")).unwrap();

    let second = weir(directory.path(), &["keys", "create", "--dir", "keys"], &[]);
    assert_eq!(text(&second.stdout).matches("kept").count(), 3);
    assert_eq!(std::fs::read(directory.path().join("keys/session.key")).unwrap(), session);

    weir(directory.path(), &["keys", "create", "--dir", "others"], &[]);
    std::fs::copy(directory.path().join("others/model-public.pem"), directory.path().join("keys/model-public.pem")).unwrap();
    let third = weir(directory.path(), &["keys", "create", "--dir", "keys"], &[]);
    assert_eq!(third.status.code(), Some(1));
    assert!(text(&third.stderr).contains("does not belong to"), "{}", text(&third.stderr));
}

#[test]
fn a_backtest_says_what_each_detector_contributes_and_calibration_how_well_levels_hold() {
    let directory = tempfile::tempdir().unwrap();
    let simulate = ["simulate", "--days", "1.2", "--learning", "0.4", "--requests-per-day", "800", "--launches", "1", "--out", "shop"];
    assert_eq!(weir(directory.path(), &simulate, &[]).status.code(), Some(0));
    let test = std::fs::read_to_string(directory.path().join("shop/test.ndjson")).unwrap();
    let few: String = test.split_inclusive('\n').step_by(4).take(900).collect();
    std::fs::write(directory.path().join("few.ndjson"), few).unwrap();
    let files = ["--train", "shop/train.ndjson", "--score", "few.ndjson", "--labels", "shop/labels.csv"];
    let json = |name: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(directory.path().join(name)).unwrap()).unwrap() };

    let backtest = [&["backtest", "--verdicts", "v.ndjson", "--report", "r.json", "--unit", "group", "--ablate"], &files[..]].concat();
    let output = weir(directory.path(), &backtest, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Markov chain"), "{}", text(&output.stdout));
    let report = json("r.json");
    let auc = |how: &str, what: &str| {
        let row = report[how].as_array().unwrap().iter().find(|row| row["what"] == what).unwrap();
        row["quality"]["auc"].as_f64().unwrap()
    };
    assert!(auc("left_out", "content") < auc("left_out", "nothing") && auc("left_out", "session evidence") > 0.5);
    let alone: Vec<f64> = engine::detect::Aspect::ALL.iter().map(|aspect| auc("alone", aspect.name())).collect();
    assert!(
        alone.iter().any(|auc| *auc > 0.6) && alone.contains(&0.5),
        "one finds much, one that nothing concerns finds nothing: {alone:?}"
    );

    let calibration = weir(directory.path(), &[&["calibration", "--json"], &files[..]].concat(), &[]);
    assert_eq!(calibration.status.code(), Some(0), "{}", text(&calibration.stderr));
    let report: serde_json::Value = serde_json::from_slice(&calibration.stdout).unwrap();
    let all = &report["requests"][0];
    let (of, levels) = (all["of"].as_u64().unwrap(), all["levels"].as_array().unwrap());
    assert!((50..500).contains(&of) && levels.len() == 1, "{report}");
    assert!(levels.iter().all(|l| l["low"].as_f64() < l["realised"].as_f64() && l["realised"].as_f64() < l["high"].as_f64()), "{report}");

    let from_pipe = weir(directory.path(), &["calibration", "--train", "-"], &[]);
    assert_eq!(from_pipe.status.code(), Some(1));
    assert!(text(&from_pipe.stderr).contains("standard input can be read once only"));
}

#[test]
fn what_would_arrive_and_be_stored_is_shown_of_a_file_and_of_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let record = serde_json::json!({
        "method": "POST", "host": "a.example", "path": "/v1/orders?token=hunter2hunter2", "time": "2026-01-05T10:00:00Z",
        "request": {"headers": {"authorization": "Bearer hunter2hunter2"}, "body": "{\"qty\":1}"}, "response": {"status": 201},
    });
    std::fs::write(directory.path().join("a.ndjson"), format!("{record}\nno record\n")).unwrap();
    let shown = weir(directory.path(), &["ingest", "check", "a.ndjson", "--privacy"], &[]);
    let said = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{said}");
    for expected in ["1 requests to a.example", "never known: ", "detectors that are blind: ", "~h:", "\"path\": \"/v1/orders\""] {
        assert!(said.contains(expected), "`{expected}` is not said:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let mut piped = Command::new(env!("CARGO_BIN_EXE_weir"));
    let file = std::fs::File::open(directory.path().join("a.ndjson")).unwrap();
    let output = piped.args(["ingest", "check", "-"]).current_dir(directory.path()).stdin(file).output().unwrap();
    assert!(text(&output.stdout).contains("-: 1 requests to a.example"), "{}", text(&output.stdout));
}

#[test]
fn a_backtest_writes_over_nothing_that_it_reads() {
    let directory = tempfile::tempdir().unwrap();
    let line = "203.0.113.9 - - [03/Feb/2026:08:15:00 +0100] \"GET / HTTP/1.1\" 200 1 \"-\" \"curl/8\"\n";
    std::fs::write(directory.path().join("access.log"), line).unwrap();
    let backtest =
        |more: &[&str]| weir(directory.path(), &[&["backtest", "--train", "access.log", "--score", "access.log"], more].concat(), &[]);
    let refused = backtest(&["--verdicts", "./access.log"]);
    assert_eq!((refused.status.code(), text(&refused.stderr).contains("that file is read")), (Some(2), true), "{}", text(&refused.stderr));
    let refused = backtest(&["--verdicts", "v.ndjson", "--report", "v.ndjson"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(directory.path().join("access.log")).unwrap(), line);
    // Nor, where it fails, over what an earlier one wrote.
    for (name, text) in [("empty.log", ""), ("v.ndjson", "of yesterday")] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let failed = weir(directory.path(), &["backtest", "--train", "access.log", "--score", "empty.log", "--verdicts", "v.ndjson"], &[]);
    assert!(!failed.status.success());
    assert_eq!(std::fs::read_to_string(directory.path().join("v.ndjson")).unwrap(), "of yesterday");
}

#[test]
fn shells_and_man_are_told_every_command() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&weir(directory.path(), &["completions", shell], &[]).stdout);
        assert!(["backtest", "feedback", "doctor"].iter().all(|command| script.contains(command)), "{script}");
    }
    let page = text(&weir(directory.path(), &["man"], &[]).stdout);
    assert!(page.contains(".TH weir 1") && page.contains("backtest"), "{page}");
}
