//! What a question to a network costs, by how many are asked at once: through the boundary that scorers use, tensors and all.
//!
//! `cargo bench -p trainer`. The networks are as large as those of a shop with 40 endpoints; what they learned does not matter.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that cannot prepare its data has nothing to say")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::neural::values::{KINDS, Rebuilt, Sketch};
use engine::neural::{Answer, Ask, GAPS, Head, Lesson, STATE, Step, Taught, Teacher, ValueLesson, Walk};
use trainer::network::Tutor;

const SLOTS: usize = 89;
const SIZES: [usize; 4] = [1, 16, 64, 256];

fn steps() -> Taught {
    let step = |n: usize| Step { previous: (n % SLOTS) as u16, gap: (n % GAPS) as u8, next: (n * 7 % SLOTS) as u16, weight: 1.0 };
    let walks: Vec<Walk> = (0..200).map(|walk| (0..10).map(|n| step(walk * 10 + n)).collect()).collect();
    let lesson = Lesson { slots: SLOTS, walks: &walks, held_out: &walks[..50], seed: 1, previous: None };
    Tutor::default().teach(&lesson, &mut |_| {}).expect("a network")
}

fn sketch(n: usize) -> Sketch {
    let grams = (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Sketch { field: (n % SLOTS) as u16, kind: (n % KINDS) as u8, grams: grams & grams.rotate_left(41) }
}

fn values() -> Taught {
    let values: Vec<(Sketch, f32)> = (0..2_000).map(|n| (sketch(n), 1.0)).collect();
    let lesson = ValueLesson { slots: SLOTS, values: &values, held_out: &values[..200], seed: 1, previous: None };
    Tutor::default().teach_values(&lesson, &mut |_| {}).expect("a network")
}

fn networks(c: &mut Criterion) {
    let Taught { onnx, mut heads, .. } = steps();
    let head = Head::new(onnx);
    let mut group = c.benchmark_group("step");
    for size in SIZES {
        let ask = |n: usize| Ask { previous: (n % SLOTS) as u16, gap: 1, next: (n * 7 % SLOTS) as u16, state: [0.1; STATE] };
        let asks: Vec<Ask> = (0..size).map(ask).collect();
        let mut answers: Vec<Answer> = Vec::new();
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &asks, |b, asks| {
            b.iter(|| heads.foresee(&head, asks, &mut answers).expect("answers"));
        });
    }
    group.finish();
    let Taught { onnx, mut heads, .. } = values();
    let head = Head::new(onnx);
    let mut group = c.benchmark_group("value");
    for size in SIZES {
        let sketches: Vec<Sketch> = (0..size).map(sketch).collect();
        let mut answers: Vec<Rebuilt> = Vec::new();
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &sketches, |b, sketches| {
            b.iter(|| heads.rebuild(&head, sketches, &mut answers).expect("answers"));
        });
    }
    group.finish();
}

criterion_group!(benches, networks);
criterion_main!(benches);
