//! What the engine says of small cases written by hand: in `testdata/`, each attack has a harmless look-alike.
//!
//! A case is a folder: `README.md` says why it is an attack or harmless, `calls.ndjson` has one call a line, `expected.json` what must be
//! said of them. A call: who makes it (`as`: an exchange without its call, from `callers.json`), `call` (method, path, query), `send` and
//! `answer` (bodies: text, or JSON), `status`, `after` (milliseconds since the call before, else four seconds), `times` (so often, `{n}`
//! standing for `first`, `first` + 1, …), and what differs from the caller: `ip`, `agent`, `session`, `subject`.
//! What was learned comes from the simulator: one day of a shop.

use crate::traffic::{SHOP, judging, position};
use engine::record::{Exchange, Label, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The afternoon after the day that was learned, epoch milliseconds.
const AFTERNOON: i64 = 1_767_571_200_000 + 2 * 86_400_000 + 14 * 3_600_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The exchanges of a case as JSON records, each with the call that it stands for.
fn exchanges(case: &Path, callers: &Value) -> Vec<(String, Vec<u8>)> {
    let mut now = AFTERNOON;
    let mut records = Vec::new();
    for line in read(&case.join("calls.ndjson")).lines() {
        let call = parse(line);
        let first = call["first"].as_u64().unwrap_or(0);
        for n in first..first + call["times"].as_u64().unwrap_or(1) {
            let repeated = parse(&line.replace("{n}", &n.to_string()));
            now += repeated["after"].as_i64().unwrap_or(4_000);
            let mut exchange = exchange(&repeated, callers);
            exchange["time"] = json!(now);
            records.push((call["call"].as_str().unwrap_or_default().to_owned(), exchange.to_string().into_bytes()));
        }
    }
    records
}

fn exchange(call: &Value, callers: &Value) -> Value {
    let text = |key: &str| call[key].as_str();
    let who = text("as").expect("`as`");
    let mut exchange = callers[who].clone();
    assert!(exchange.is_object(), "no caller {who}");
    let (method, target) = text("call").and_then(|c| c.split_once(' ')).expect("`call`");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    exchange["method"] = json!(method);
    exchange["path"] = json!(path);
    if let Some(query) = query {
        exchange["query"] = json!(query);
    }
    for (key, part) in [("send", "request"), ("answer", "response")] {
        let body = match &call[key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            json => Some(json.to_string()),
        };
        exchange[part]["bytes"] = json!(body.as_ref().map_or(0, String::len));
        if let Some(body) = body {
            if part == "request" {
                exchange[part]["headers"]["content-type"] = json!("application/json");
            }
            exchange[part]["body"] = json!(body);
        }
    }
    exchange["response"]["status"] = call["status"].clone();
    if let Some(ip) = text("ip") {
        exchange["client"]["ip"] = json!(ip);
    }
    if let Some(agent) = text("agent") {
        exchange["client"]["user_agent"] = json!(agent);
        exchange["request"]["headers"]["user-agent"] = json!(agent);
    }
    for key in ["session", "subject"] {
        if let Some(other) = text(key) {
            exchange[key] = json!(other);
        }
    }
    exchange
}

/// What `expected.json` has to say: which calls are anomalous, and of the oddest one its family, and where it shows in what.
fn summary(judged: &[(String, Verdict)]) -> Value {
    let anomalous = || judged.iter().filter(|(_, v)| v.label == Label::Anomalous);
    let calls: BTreeSet<&str> = anomalous().map(|(call, _)| call.as_str()).collect();
    let mut summary = json!({ "anomalous": calls });
    if let Some((_, verdict)) = anomalous().reduce(|a, b| if b.1.score > a.1.score { b } else { a }) {
        summary["family"] = json!(verdict.families.first());
        let reason = verdict.reasons.iter().find(|r| Some(&r.family) == verdict.families.first());
        summary["reason"] =
            reason.map_or(Value::Null, |r| json!({ "detector": r.detector, "where": r.place, "observed": without_numbers(&r.observed) }));
    }
    summary
}

/// How often something was seen is the simulator's to say.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

/// `UPDATE_GOLDEN=1 cargo test -p engine golden` writes what is said now; what changed is then for a person to judge.
#[test]
#[allow(clippy::disallowed_methods, reason = "test data is read and written here, not in the engine")]
fn cases_are_judged_as_expected() {
    let callers = parse(&read(&folder().join("callers.json")));
    let mut cases: Vec<PathBuf> = fs::read_dir(folder()).expect("testdata").map(|entry| entry.expect("an entry").path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    assert!(cases.len() > 10);
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(read(&case.join("README.md")).lines().count() == 1, "{}: why, in one line", case.display());
        let mut partition = judging(&SHOP.model);
        let judged: Vec<(String, Verdict)> = exchanges(case, &callers)
            .into_iter()
            .enumerate()
            .map(|(at, (call, record))| (call, partition.judge(position(at), &Exchange::from_json(&record).expect("an exchange")).verdict))
            .collect();
        let (said, file) = (summary(&judged), case.join("expected.json"));
        if is_update {
            fs::write(&file, format!("{said:#}\n")).expect("a writable file");
        }
        let expected = parse(&read(&file));
        if said != expected {
            wrong.push(format!("{}\n  said     {said}\n  expected {expected}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
