//! Throughput of the embedded log on this machine's disk, with records like mirrored exchanges (3 KB of JSON).
//!
//! `cargo bench -p runtime --bench embedded [-- RECORDS]`. One run of each, over enough records that files are written and merged;
//! a micro-benchmark's repetitions would measure caches.

use bytes::Bytes;
use engine::TopicPartition;
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Batch, Cleanup, Event, Log, LogError, Output, Start, TopicSpec, WorkerSpec};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 24;
const BATCH: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(400_000);
    let directory = tempfile::tempdir()?;
    let log = EmbeddedLog::open(directory.path())?;
    let keep = Cleanup::Delete { keep: Duration::from_secs(86_400), max_bytes: None };
    let topic = |name: &str, cleanup| TopicSpec { name: name.into(), partitions: PARTITIONS, cleanup };
    log.create_topics(&[topic("traffic", keep), topic("verdicts", keep), topic("state", Cleanup::Compact)])?;
    measured("append, 1 thread, batches of 1000", records, || append(&log, records, BATCH))?;
    measured("append, 4 threads, batches of 1000", records, || append_from(&log, 4, records, BATCH))?;
    measured("append, 8 threads, batches of 1", records / 40, || append_from(&log, 8, records / 40, 1))?;
    let all = records * 2 + records / 40 / 8 * 8;
    measured("read", all, || read(&log, all))?;
    measured("worker: poll 2000, verdicts, state, commit", all, || work(&log, all))?;
    let began = Instant::now();
    log.maintain(runtime::clock::now_ms() + 120_000)?;
    report(&format!("maintain: {:.1} s, {} MiB on disk", began.elapsed().as_secs_f64(), log.disk_bytes()? >> 20))?;
    let began = Instant::now();
    drop(log);
    let _log = EmbeddedLog::open(directory.path())?;
    report(&format!("close and reopen: {:.2} s", began.elapsed().as_secs_f64()))?;
    Ok(())
}

fn measured(what: &str, records: usize, run: impl FnOnce() -> Result<(), LogError>) -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    run()?;
    let seconds = began.elapsed().as_secs_f64();
    report(&format!("{what}: {:.0} records/s ({records} in {seconds:.1} s)", records as f64 / seconds))
}

fn report(line: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// About 3 KB that compress as JSON does.
fn exchange(n: usize) -> Bytes {
    let mut text = format!(r#"{{"id":"{n}","method":"POST","path":"/v1/orders/{n}","request":{{"body":""#);
    let mut seed = n as u64 + 1;
    while text.len() < 3000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!(r#"{{\"sku\":{},\"name\":\"item of the day\",\"qty\":{}}},"#, seed >> 33, seed % 9));
    }
    text.into()
}

fn append(log: &EmbeddedLog, records: usize, batch: usize) -> Result<(), LogError> {
    let topic: Arc<str> = "traffic".into();
    let values: Vec<Bytes> = (0..100).map(exchange).collect();
    let producer = log.producer(None)?;
    for first in (0..records).step_by(batch) {
        let output = |n: usize| Output {
            topic: Arc::clone(&topic),
            partition: None,
            key: Some(Bytes::from((n % 5000).to_string())),
            value: Some(values[n % values.len()].clone()),
            headers: vec![("weir-format", Bytes::from_static(b"1"))],
        };
        producer.append((first..records.min(first + batch)).map(output).collect())?;
    }
    Ok(())
}

fn append_from(log: &EmbeddedLog, threads: usize, records: usize, batch: usize) -> Result<(), LogError> {
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| append(log, records / threads, batch))).collect();
        handles.into_iter().try_for_each(|h| h.join().unwrap_or_else(|_| Err(LogError::NoTopic("a thread ended".to_owned()))))
    })
}

fn read(log: &EmbeddedLog, records: usize) -> Result<(), LogError> {
    let from: Vec<_> = (0..PARTITIONS).map(|p| (TopicPartition::new("traffic", p), Start::Oldest)).collect();
    let mut reader = log.reader(&from)?;
    let mut seen = 0;
    while seen < records {
        seen += reader.read(2000, Duration::ZERO)?.len();
    }
    Ok(())
}

fn work(log: &EmbeddedLog, records: usize) -> Result<(), LogError> {
    let spec = WorkerSpec { group: "g".to_owned(), topics: vec!["traffic".into()], instance: "i".to_owned(), number: 0, of: 1 };
    let mut worker = log.worker(&spec)?;
    let (verdicts, state): (Arc<str>, Arc<str>) = ("verdicts".into(), "state".into());
    let mut seen = 0;
    while seen < records {
        for event in worker.poll(2000, Duration::ZERO)? {
            let Event::Records(read) = event else { continue };
            seen += read.len();
            let mut batch = Batch::default();
            for (n, record) in read.iter().enumerate() {
                let answer = |topic: &Arc<str>, bytes| Output {
                    topic: Arc::clone(topic),
                    partition: Some(record.at.partition),
                    key: record.key.clone(),
                    value: record.value.as_ref().map(|v| v.slice(..bytes)),
                    headers: vec![],
                };
                batch.outputs.push(answer(&verdicts, 350));
                if n % 8 == 0 {
                    batch.outputs.push(answer(&state, 700));
                }
                batch.positions.push((record.at.clone(), record.offset.next()));
            }
            worker.commit(batch).map_err(|e| LogError::Fatal { doing: "committing".to_owned(), why: e.to_string() })?;
        }
    }
    Ok(())
}
