use super::*;
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::SessionKey;
use runtime::log::embedded::EmbeddedLog;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const MAX: usize = engine::Exchange::MAX_BYTES;

struct Bench {
    folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    config: Config,
    key: SessionKey,
    following: Option<Following>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = format!("[{{ path = \"{}\" }}]", folder.path().join("access.log").display());
        let flag = |key: &str, value: &str| FlagValue { key: key.to_owned(), value: value.to_owned() };
        let flags = vec![flag("ingest.files", &files), flag("deadletter.keep", "true")];
        let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
        let options = EmbeddedLog::options().topic_record_limit(Topics::new(&config).traffic, MAX + (64 << 10));
        let log: Arc<dyn Log> = Arc::new(options.open(folder.path().join("log")).unwrap());
        log.create_topics(Topics::new(&config).specs()).unwrap();
        let key = SessionKey::create(&folder.path().join("session.key")).unwrap();
        let mut bench = Self { folder, log, config, key, following: None };
        bench.restart();
        bench
    }

    /// A process that begins where the last one was when it was killed.
    fn restart(&mut self) {
        self.following = None;
        let ingest = Ingest::new(&self.config, &self.key, Arc::clone(&self.log));
        self.following = Some(Following::open(&ingest).unwrap());
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn write(&self, path: &Path, lines: std::ops::Range<u32>) {
        self.write_text(path, &lines.map(|n| format!("{{\"method\":\"GET\",\"path\":\"/{n}\"}}\n")).collect::<String>());
    }

    fn write_text(&self, path: &Path, text: &str) {
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Reads until nothing was new many times in a row.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 40 {
            quiet = if self.following.as_mut().unwrap().turn().unwrap() { 0 } else { quiet + 1 };
        }
    }

    fn records(&self, topic: &Arc<str>) -> Vec<runtime::log::Record> {
        let mut records = Vec::new();
        let from: Vec<_> =
            (0..self.log.partitions(topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
        read_to_end(&*self.log, &from, |record| records.push(record)).unwrap();
        records
    }

    /// Numbers of the lines that stand on the traffic topic, sorted.
    fn arrived(&self) -> Vec<u32> {
        let number = |record: &runtime::log::Record| {
            let exchange: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            exchange["path"].as_str().unwrap()[1..].parse().unwrap()
        };
        let mut numbers: Vec<u32> = self.records(&Topics::new(&self.config).traffic).iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn upto(n: u32) -> Vec<u32> {
    (0..n).collect()
}

#[test]
fn lines_arrive_as_they_are_written_and_half_a_line_waits_for_its_end() {
    let mut bench = Bench::new();
    bench.settle();
    bench.write(&bench.path(), 0..3);
    bench.write_text(&bench.path(), "{\"method\":\"GET\",");
    bench.settle();
    assert_eq!(bench.arrived(), upto(3));
    bench.write_text(&bench.path(), "\"path\":\"/3\"}\n");
    bench.settle();
    assert_eq!(bench.arrived(), upto(4));
}

#[test]
fn no_line_is_lost_or_repeated_by_restarts_between_any_two_pieces() {
    let mut bench = Bench::new();
    bench.write(&bench.path(), 0..30_000);
    for _ in 0..20 {
        bench.following.as_mut().unwrap().turn().unwrap();
        bench.restart();
    }
    bench.settle();
    assert_eq!(bench.arrived(), upto(30_000));
}

#[test]
fn a_file_that_is_moved_away_is_read_to_its_end_before_the_new_one() {
    let mut bench = Bench::new();
    bench.write(&bench.path(), 0..10);
    bench.settle();
    let moved = bench.folder.path().join("access.log.1");
    fs::rename(bench.path(), &moved).unwrap();
    bench.write(&moved, 10..15);
    bench.write(&bench.path(), 20..25);
    // The writer does not know yet that its file was moved.
    bench.following.as_mut().unwrap().turn().unwrap();
    bench.write(&moved, 15..20);
    bench.settle();
    assert_eq!(bench.arrived(), upto(25));
}

#[test]
fn files_that_were_moved_away_while_nobody_read_are_found_again() {
    let mut bench = Bench::new();
    bench.write(&bench.path(), 0..10);
    bench.settle();
    bench.write(&bench.path(), 10..20);
    let [first, second] = ["access.log.2", "access.log.1"].map(|name| bench.folder.path().join(name));
    fs::rename(bench.path(), &first).unwrap();
    bench.write(&bench.path(), 20..30);
    fs::rename(bench.path(), &second).unwrap();
    bench.write(&bench.path(), 30..40);
    bench.write_text(&bench.folder.path().join("access.log.3.gz"), "packed");
    // Times of files in the order in which they were written, whatever the clock's grain is.
    for (path, seconds) in [(&first, 100), (&second, 200), (&bench.path(), 300)] {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    }
    bench.restart();
    bench.settle();
    assert_eq!(bench.arrived(), upto(40));
}

#[test]
fn a_file_that_is_cut_short_is_read_from_its_beginning() {
    let mut bench = Bench::new();
    bench.write(&bench.path(), 0..10);
    bench.settle();
    fs::write(bench.path(), "").unwrap();
    bench.settle();
    bench.write(&bench.path(), 10..15);
    bench.settle();
    assert_eq!(bench.arrived(), upto(15));
    // Cut short and filled again while nobody read: it is longer than before, and begins otherwise.
    bench.following = None;
    fs::write(bench.path(), "").unwrap();
    bench.write(&bench.path(), 15..60);
    bench.restart();
    bench.settle();
    assert_eq!(bench.arrived(), upto(60));
}

#[test]
fn what_cannot_be_read_and_lines_without_end_become_dead_letters() {
    let mut bench = Bench::new();
    bench.write(&bench.path(), 0..2);
    bench.write_text(&bench.path(), "neither this nor that\n");
    bench.write_text(&bench.path(), &"x".repeat(MAX * 2 + 77));
    bench.settle();
    bench.restart();
    bench.write_text(&bench.path(), "still the same line\n");
    bench.write(&bench.path(), 2..4);
    bench.settle();
    assert_eq!(bench.arrived(), upto(4));
    let letters = bench.records(&Topics::new(&bench.config).deadletter);
    let reasons: Vec<_> = letters.iter().map(|letter| std::str::from_utf8(letter.header("reason").unwrap()).unwrap()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[1], "too-long");
}
