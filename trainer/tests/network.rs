//! Networks from lesson to verdict: what order 3 cannot see is learned, exported, imported and judged, alone and together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::neural::{Heads, NoHeads, Report, Teacher};
use engine::record::{Client, Text};
use engine::trial::Decision;
use engine::{
    Effect, Exchange, Features, History, HistoryLimits, Incoming, LearnConfig, Limits, Model, Offset, Partition, RecordPosition,
    TopicPartition, learn_with,
};
use runtime::config::Network;
use runtime::inference::OnnxHeads;
use runtime::model_file::{self, About, ModelFile};
use std::sync::{Arc, LazyLock};
use trainer::Contest;
use trainer::network::Tutor;

/// Sessions to learn from, and sessions of each kind to judge.
const SESSIONS: usize = 600;
const JUDGED: usize = 60;

/// How a session begins and how it ends; the four steps in between are the same, so that a memory of three steps cannot tell.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    RedFirst,
    BlueFirst,
    /// Begins like one and ends like the other.
    Crossed,
}

fn session(number: usize, way: Way) -> Vec<Exchange<'static>> {
    let first = if way == Way::BlueFirst { ["blue", "red"] } else { ["red", "blue"] };
    let last = if way == Way::RedFirst { "paint" } else { "plaster" };
    let steps = first.into_iter().chain(["look", "choose", "measure", "weigh", last]);
    let exchange = |(at, step): (usize, &str)| Exchange {
        time: Some(1_780_000_000_000 + (number * 1_000 + at * 1_500) as i64),
        method: "GET".into(),
        host: Some("shop.example".into()),
        path: Text::from(format!("/{step}")),
        session: Some(Text::from(format!("s{number}"))),
        client: Client { ip: Some(Text::from(format!("10.{}.{}.7", number / 200, number % 200))), user_agent: Some("app".into()) },
        response: engine::record::Response { status: Some(200), ..Default::default() },
        ..Exchange::default()
    };
    steps.enumerate().map(exchange).collect()
}

/// The sessions of some numbers and ways, mixed as time mixes them.
fn mixed(ways: impl Iterator<Item = (usize, Way)>) -> Vec<(Way, Exchange<'static>)> {
    let mut all: Vec<_> = ways.flat_map(|(number, way)| session(number, way).into_iter().map(move |e| (way, e))).collect();
    all.sort_by_key(|(_, e)| e.time);
    all
}

fn benign(number: usize) -> (usize, Way) {
    (number, if number * 7 % 11 < 5 { Way::RedFirst } else { Way::BlueFirst })
}

fn learned(exchanges: &[Exchange<'_>], label: &str, teacher: &mut dyn Teacher) -> Arc<Model> {
    let history = history(exchanges);
    let config = LearnConfig { label: label.to_owned(), ..LearnConfig::default() };
    Arc::new(learn_with(&history, &config, teacher, &mut |_| {}).unwrap())
}

fn lesson() -> Vec<Exchange<'static>> {
    mixed((0..SESSIONS).map(benign)).into_iter().map(|(_, e)| e).collect()
}

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| learned(&lesson(), "v1", &mut Tutor::default()));
static JUDGED_TRAFFIC: LazyLock<Vec<(Way, Exchange<'static>)>> = LazyLock::new(|| {
    let crossed = (0..JUDGED).map(|n| (SESSIONS + 2 * n, Way::Crossed));
    mixed((0..JUDGED).map(|n| benign(SESSIONS + 2 * n + 1)).chain(crossed))
});

fn partition(model: &Arc<Model>, sessions: usize) -> Partition {
    let limits = Limits { sessions, ..Limits::default() };
    let mut partition = Partition::new(TopicPartition::new("weir.traffic", 0), limits);
    partition.apply(Effect::Model(Arc::clone(model)));
    partition
}

/// Verdict bytes of the traffic, judged in batches of these sizes.
fn verdicts(partition: &mut Partition, heads: &mut dyn Heads, sizes: &[usize]) -> Vec<String> {
    let traffic: &[(Way, Exchange<'static>)] = &JUDGED_TRAFFIC;
    let position = |at| RecordPosition { offset: Offset(at as u64), appended_ms: None };
    let mut said = Vec::new();
    for size in sizes.iter().cycle() {
        let batch: Vec<Incoming<'_>> = traffic
            .iter()
            .enumerate()
            .skip(said.len())
            .take(*size)
            .map(|(at, (_, exchange))| Incoming { position: position(at), exchange })
            .collect();
        if batch.is_empty() {
            break;
        }
        let judged = partition.judge_all(&batch, heads).unwrap();
        said.extend(judged.iter().map(|j| String::from_utf8(j.verdict.to_json().unwrap()).unwrap()));
    }
    said
}

/// How many of the sessions of each kind have an odd last step: benign, crossed.
fn odd_ends(heads: &mut dyn Heads) -> (usize, usize) {
    let said = verdicts(&mut partition(&MODEL, 1_000), heads, &[64]);
    let mut odd = (0, 0);
    for ((way, exchange), verdict) in JUDGED_TRAFFIC.iter().zip(&said) {
        let verdict: engine::Verdict = serde_json::from_str(verdict).unwrap();
        if exchange.path.starts_with("/p") && verdict.p < 0.01 {
            *(if *way == Way::Crossed { &mut odd.1 } else { &mut odd.0 }) += 1;
        }
    }
    odd
}

#[test]
fn what_three_steps_cannot_tell_the_network_can() {
    let api = &MODEL.apis()[0];
    let Report::Kept(figures) = &api.network else { panic!("{:?}", api.network) };
    assert!(figures.nats + 0.05 < figures.chain_nats && figures.parity <= 1e-4, "{figures:?}");
    let (benign, crossed) = odd_ends(&mut OnnxHeads::default());
    assert!(benign <= 2 && crossed * 10 >= JUDGED * 9, "{benign} benign, {crossed} crossed");
    let (_, crossed) = odd_ends(&mut NoHeads);
    assert!(crossed * 10 <= JUDGED, "{crossed} without the network");
}

#[test]
fn reasons_name_the_steps_that_were_likelier() {
    let said = verdicts(&mut partition(&MODEL, 1_000), &mut OnnxHeads::default(), &[64]);
    let crossed = said.iter().find(|v| v.contains("after all of the session so far")).expect("a reason");
    assert!(crossed.contains("GET shop.example/paint"), "{crossed}");
}

#[test]
fn batches_of_any_size_give_the_same_bytes() {
    let mut heads = OnnxHeads::default();
    let one = verdicts(&mut partition(&MODEL, 1_000), &mut heads, &[1]);
    for sizes in [&[64][..], &[256], &[3, 17, 1, 40]] {
        assert!(verdicts(&mut partition(&MODEL, 1_000), &mut heads, sizes) == one, "{sizes:?}");
    }
    // Sessions that are evicted within a batch were asked about beforehand as if they were not.
    let tight = verdicts(&mut partition(&MODEL, 3), &mut heads, &[1]);
    assert!(tight != one, "three sessions are too few");
    assert!(verdicts(&mut partition(&MODEL, 3), &mut heads, &[64]) == tight);
}

#[test]
fn a_restored_partition_goes_on_with_the_same_bytes() {
    let mut heads = OnnxHeads::default();
    let whole = verdicts(&mut partition(&MODEL, 1_000), &mut heads, &[50]);
    let mut first = partition(&MODEL, 1_000);
    let mut second = partition(&MODEL, 1_000);
    let (mut said, position) = (Vec::new(), |at| RecordPosition { offset: Offset(at as u64), appended_ms: None });
    for (at, (_, exchange)) in JUDGED_TRAFFIC.iter().enumerate() {
        let half = JUDGED_TRAFFIC.len() / 2;
        if at == half {
            first.checkpoint().iter().for_each(|entry| second.restore(entry).unwrap());
        }
        let owner = if at < half { &mut first } else { &mut second };
        let judged = owner.judge_all(&[Incoming { position: position(at), exchange }], &mut heads).unwrap();
        said.push(String::from_utf8(judged[0].verdict.to_json().unwrap()).unwrap());
    }
    assert!(said == whole);
}

#[test]
fn a_model_file_carries_the_network_and_refuses_another() {
    let file = ModelFile::of(&MODEL, About::default()).unwrap();
    let again = Arc::new(model_file::read(&model_file::write(&file).unwrap()).unwrap().model().unwrap());
    let mut heads = OnnxHeads::default();
    let said = verdicts(&mut partition(&again, 1_000), &mut heads, &[64]);
    assert!(said == verdicts(&mut partition(&MODEL, 1_000), &mut heads, &[64]));
    let mut parts = MODEL.to_parts().unwrap();
    let network = parts.iter_mut().find(|(name, _)| name.ends_with(".onnx")).unwrap();
    network.1[100] ^= 1;
    assert!(Model::from_parts(&parts).unwrap_err().to_string().contains("not the network"));
    parts.retain(|(name, _)| !name.ends_with(".onnx"));
    assert!(Model::from_parts(&parts).unwrap_err().to_string().contains("missing"));
}

#[test]
fn the_same_history_gives_the_same_network_and_the_next_version_goes_on_from_it() {
    let again = learned(&lesson(), "v1", &mut Tutor::default());
    assert_eq!(again.apis()[0].foresight().unwrap().head.id, MODEL.apis()[0].foresight().unwrap().head.id);
    let mut more = lesson();
    more.extend((SESSIONS..SESSIONS + 40).flat_map(|n| {
        let mut steps = session(n, Way::RedFirst);
        let mut new = steps[6].clone();
        new.path = "/frame".into();
        new.time = new.time.map(|t| t + 1_000);
        steps.push(new);
        steps
    }));
    let next = learned(&more, "v2", &mut Tutor::default().after(Some(Arc::clone(&MODEL))));
    let Report::Kept(figures) = &next.apis()[0].network else { panic!("{:?}", next.apis()[0].network) };
    let before = MODEL.apis()[0].foresight().unwrap();
    assert!(figures.is_warm && figures.epochs <= 6, "{figures:?}");
    assert!(before.vocabulary().is_start_of(next.apis()[0].foresight().unwrap().vocabulary()));
    assert_eq!(figures.slots as usize, before.slots() + 1);
}

/// The lesson in disorder: every path at some other place; the steps are the same, their order means nothing.
fn shuffled() -> Vec<Exchange<'static>> {
    let mut shuffled = lesson();
    let mut places: Vec<usize> = (0..shuffled.len()).collect();
    places.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let paths: Vec<Text<'static>> = places.iter().map(|at| shuffled[*at].path.clone()).collect();
    for (exchange, path) in shuffled.iter_mut().zip(paths) {
        exchange.path = path;
    }
    shuffled
}

fn history(exchanges: &[Exchange<'_>]) -> History {
    let mut history = History::new(HistoryLimits::default());
    exchanges.iter().for_each(|e| {
        history.add(Features::of(e));
    });
    history
}

#[test]
fn a_challenger_that_learned_from_shuffled_sessions_is_refused_and_one_that_learned_more_is_not() {
    let network = Network { enabled: true, library: None };
    let bad = learned(&shuffled(), "v2", &mut Tutor::default());
    let good = learned(&lesson()[700..], "v3", &mut Tutor::default().after(Some(Arc::clone(&MODEL))));
    let recent = history(&lesson());
    let contest = Contest::hold(&MODEL, &bad, &recent, &network).unwrap();
    assert!(matches!(&contest.decision, Decision::Refuse(why) if why.contains("sessions in disorder")), "{contest:?}");
    let contest = Contest::hold(&MODEL, &good, &recent, &network).unwrap();
    assert_eq!(contest.decision, Decision::Promote, "{contest:?}");
    let newer = lesson().into_iter().map(|e| Exchange { host: Some("new.example".into()), time: e.time.map(|t| t + 1_000_000), ..e });
    let both = history(&lesson().into_iter().chain(newer).collect::<Vec<_>>());
    let with_unknown = Contest::hold(&MODEL, &good, &both, &network).unwrap();
    let judged = |contest: &Contest| (contest.champion.exchanges, contest.challenger.exchanges, contest.champion.disordered);
    assert_eq!(judged(&with_unknown), judged(&contest), "an API that the champion has not learned counts for neither");
}

#[test]
fn a_network_that_learned_from_shuffled_sessions_is_left_out() {
    let model = learned(&shuffled(), "v1", &mut Tutor::default());
    assert!(matches!(&model.apis()[0].network, Report::LeftOut { figures: Some(_), .. }), "{:?}", model.apis()[0].network);
}
