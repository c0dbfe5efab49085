//! The network of values from lesson to verdict: what profiles cannot see is learned, exported, imported and judged, alone and together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::neural::{Heads, NoHeads, Report};
use engine::record::{Client, Response, Text};
use engine::{
    Effect, Exchange, Features, History, HistoryLimits, Incoming, LearnConfig, Limits, Model, Offset, Partition, RecordPosition,
    TopicPartition, Verdict, learn_with,
};
use runtime::inference::OnnxHeads;
use runtime::model_file::{self, About, ModelFile};
use std::sync::{Arc, LazyLock};
use trainer::network::Tutor;

/// Requests to learn from, and requests of each kind to judge.
const LEARNED: usize = 4_000;
const JUDGED: usize = 100;
/// What the letters of a token are made of; a field of random tokens is judged by their form, not by their letters.
const SYLLABLES: [&str; 8] = ["ba", "ke", "mi", "no", "ru", "sa", "te", "vo"];

/// A request with a token of syllables and digits in turn, or of the same letters and digits in another order.
fn request(number: usize, is_shuffled: bool) -> Exchange<'static> {
    let mut rest = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut dice = |sides: u64| {
        rest = rest.rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ 0x94d0;
        ((rest >> 33) % sides) as usize
    };
    let mut token: Vec<char> = (0..8).flat_map(|_| SYLLABLES[dice(8)].chars().chain(char::from_digit(dice(10) as u32, 10))).collect();
    if is_shuffled {
        (1..token.len()).rev().for_each(|at| token.swap(at, dice(at as u64 + 1)));
    }
    let token: String = token.into_iter().collect();
    Exchange {
        time: Some(1_780_000_000_000 + number as i64 * 1_000),
        method: "GET".into(),
        host: Some("gate.example".into()),
        path: "/entry".into(),
        query: Some(Text::from(format!("ticket={token}"))),
        session: Some(Text::from(format!("s{}", number / 4))),
        client: Client { ip: Some(Text::from(format!("10.{}.{}.7", number / 400, number / 4 % 100))), user_agent: Some("app".into()) },
        response: Response { status: Some(200), ..Default::default() },
        ..Exchange::default()
    }
}

fn learned(label: &str, requests: usize, tutor: &mut Tutor) -> Arc<Model> {
    let mut history = History::new(HistoryLimits::default());
    (0..requests).for_each(|n| {
        history.add(Features::of(&request(n, false)));
    });
    let config = LearnConfig { label: label.to_owned(), ..LearnConfig::default() };
    Arc::new(learn_with(&history, &config, tutor, &mut |_| {}).unwrap())
}

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| learned("v1", LEARNED, &mut Tutor::default()));

/// Verdict bytes of benign and shuffled requests in turn, judged in batches of this size.
fn verdicts(model: &Arc<Model>, heads: &mut dyn Heads, size: usize) -> Vec<String> {
    let mut partition = Partition::new(TopicPartition::new("weir.traffic", 0), Limits::default());
    partition.apply(Effect::Model(Arc::clone(model)));
    let traffic: Vec<Exchange<'_>> = (0..2 * JUDGED)
        .map(|n| Exchange { session: Some(Text::from(format!("judged-{n}"))), ..request(LEARNED + n, n % 2 == 1) })
        .collect();
    let place = |at| RecordPosition { offset: Offset(at as u64), appended_ms: None };
    let records: Vec<Incoming<'_>> = traffic.iter().enumerate().map(|(at, exchange)| Incoming { position: place(at), exchange }).collect();
    let judged = records.chunks(size).flat_map(|batch| partition.judge_all(batch, heads).unwrap());
    judged.map(|j| String::from_utf8(j.verdict.to_json().unwrap()).unwrap()).collect()
}

/// How many are odd: benign, shuffled.
fn odd(verdicts: &[String]) -> (usize, usize) {
    let is_odd = |v: &&String| serde_json::from_str::<Verdict>(v).unwrap().p < 0.01;
    (verdicts.iter().step_by(2).filter(is_odd).count(), verdicts.iter().skip(1).step_by(2).filter(is_odd).count())
}

#[test]
fn what_profiles_do_not_look_at_the_network_sees() {
    let Report::Kept(figures) = &MODEL.apis()[0].value_network else { panic!("{:?}", MODEL.apis()[0].value_network) };
    assert!(figures.separates > 0.7 && figures.parity <= 1e-4, "{figures:?}");
    let (benign, shuffled) = odd(&verdicts(&MODEL, &mut OnnxHeads::default(), 64));
    assert!(benign <= 4 && shuffled * 10 >= JUDGED * 7, "{benign} benign, {shuffled} shuffled");
    let (_, shuffled) = odd(&verdicts(&MODEL, &mut NoHeads, 64));
    assert!(shuffled * 10 <= JUDGED, "{shuffled} without the network");
}

#[test]
fn reasons_name_the_field_and_show_the_odd_part_masked() {
    let said = verdicts(&MODEL, &mut OnnxHeads::default(), 64);
    let reason = said
        .iter()
        .flat_map(|v| serde_json::from_str::<Verdict>(v).unwrap().reasons)
        .find(|r| r.observed.starts_with("a part unlike"))
        .expect("a reason of the network");
    assert_eq!(reason.place, "query.ticket");
    assert!(reason.observed.chars().filter(char::is_ascii_digit).all(|c| c == '0'), "{reason:?}");
}

#[test]
fn batches_of_any_size_give_the_same_bytes() {
    let mut heads = OnnxHeads::default();
    let one = verdicts(&MODEL, &mut heads, 1);
    for size in [3, 64, 200] {
        assert!(verdicts(&MODEL, &mut heads, size) == one, "{size}");
    }
}

#[test]
fn a_model_file_carries_the_network_and_refuses_another() {
    let file = ModelFile::of(&MODEL, About::default()).unwrap();
    let again = Arc::new(model_file::read(&model_file::write(&file).unwrap()).unwrap().model().unwrap());
    let mut heads = OnnxHeads::default();
    assert!(verdicts(&again, &mut heads, 64) == verdicts(&MODEL, &mut heads, 64));
    let mut parts = MODEL.to_parts().unwrap();
    let network = parts.iter_mut().find(|(name, _)| name.ends_with("content.onnx")).unwrap();
    network.1[100] ^= 1;
    assert!(Model::from_parts(&parts).unwrap_err().to_string().contains("not the network"));
}

#[test]
fn the_same_history_gives_the_same_network_and_the_next_version_goes_on_from_it() {
    let head = |model: &Model| model.apis()[0].likeness().unwrap().head.id;
    assert_eq!(head(&learned("v1", LEARNED, &mut Tutor::default())), head(&MODEL));
    let next = learned("v2", LEARNED + 400, &mut Tutor::default().after(Some(Arc::clone(&MODEL))));
    let Report::Kept(figures) = &next.apis()[0].value_network else { panic!("{:?}", next.apis()[0].value_network) };
    assert!(figures.is_warm && figures.epochs <= 6, "{figures:?}");
}
