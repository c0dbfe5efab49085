//! `weir bench`: what an installation can do.

mod baseline;
mod records;
mod rig;

use crate::terminal::count;
use anyhow::Context as _;
use hdrhistogram::Histogram;
use records::Records;
use rig::{Rig, Sender, Watcher};
use runtime::config::Config;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Examples of `weir bench kafka`.
const EXAMPLES: &str = "Example:\n  weir bench kafka --brokers localhost:9092 --loads 30,70 --seconds 30";

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Scoring on the configured brokers: exchanges a second, time from append to verdict at several loads, and where the time goes.
    ///
    /// Works on topics of its own, which it removes. Broker, sender, scorer and reader share what this machine has, if they all run on it.
    #[command(after_help = EXAMPLES)]
    Kafka(Args),
}

/// Arguments of `weir bench kafka`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exchanges that are judged as fast as it goes.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..))]
    records: u64,
    /// Loads in percent of that.
    #[arg(long, default_value = "30,50,70,90", value_delimiter = ',', value_name = "PERCENT,…")]
    loads: Vec<u8>,
    /// How long each load lasts, seconds.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// Measures.
pub(crate) fn run(command: &Command, config: Config) -> anyhow::Result<()> {
    let Command::Kafka(args) = command;
    let rig = Rig::open(config)?;
    let measured = measure(args, &rig);
    rig.remove().context("removing the topics that were measured with")?;
    measured
}

fn measure(args: &Args, rig: &Rig) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let model = baseline::model()?;
    rig.publish(&model)?;
    let mut sender = Sender::open(rig, Records::new())?;
    sender.send(args.records)?;
    let workers = rig.config.scorer.workers;
    writeln!(out, "{} exchanges of 3.5 KB, {} partitions, {workers} worker(s)", count(args.records), rig.config.topics.partitions)?;

    let parts = baseline::parts(model)?;
    let ceiling = baseline::ceiling(rig, args.records)?;
    let scorer = rig.score();
    let watcher = Watcher::start(rig)?;
    watcher.wait_for(args.records)?;
    let rate = middle_rate(watcher.seen().into_iter().flatten().collect());
    writeln!(out, "judged    {} a second, {} a worker", count(rate as u64), count((rate / workers as f64) as u64))?;
    writeln!(out, "ceiling   {} a second by a loop of one worker that only parses and produces", count(ceiling as u64))?;
    let whole = Duration::from_secs_f64(workers as f64 / rate.max(1.0));
    let rest = whole.saturating_sub(parts.parse + parts.judge);
    writeln!(
        out,
        "one exchange takes a worker {whole:.1?}: parse {:.1?}, judge {:.1?}, Kafka and state {rest:.1?}",
        parts.parse, parts.judge
    )?;

    writeln!(out, "\n load    sent/s       p50       p99     p99.9   behind at the end")?;
    for percent in &args.loads {
        let load = under_load(&mut sender, &watcher, rate * f64::from(*percent) / 100.0, Duration::from_secs(args.seconds))?;
        let at = |quantile| Duration::from_micros(load.times.value_at_quantile(quantile));
        let (sent, behind) = (count(load.rate as u64), count(load.behind));
        writeln!(out, "{percent:>4} %  {sent:>8}  {:>8.1?}  {:>8.1?}  {:>8.1?}  {behind:>18}", at(0.5), at(0.99), at(0.999))?;
    }
    watcher.stop()?;
    scorer.stop()
}

/// Verdicts a second between the tenth and the ninetieth percent of them.
fn middle_rate(mut seen: Vec<Instant>) -> f64 {
    seen.sort_unstable();
    let at = |tenths: usize| seen.get(seen.len() * tenths / 10);
    match (at(1), at(9)) {
        (Some(from), Some(to)) => seen.len() as f64 * 0.8 / to.duration_since(*from).as_secs_f64().max(1e-9),
        _ => 0.0,
    }
}

/// What came of a load.
struct Load {
    /// Records a second that were sent.
    rate: f64,
    /// Microseconds from the append to the verdict, as a reader of committed records sees it.
    times: Histogram<u64>,
    /// Verdicts that were missing when the last record had been sent.
    behind: u64,
}

fn under_load(sender: &mut Sender, watcher: &Watcher, rate: f64, length: Duration) -> anyhow::Result<Load> {
    let before: Vec<usize> = sender.sent.iter().map(Vec::len).collect();
    let sent = sender.send_at(rate, length)?;
    let behind = sender.count().saturating_sub(watcher.count());
    watcher.wait_for(sender.count())?;
    let mut times = Histogram::new(3)?;
    for ((sent, seen), before) in sender.sent.iter().zip(&watcher.seen()).zip(before) {
        for (sent, seen) in sent.iter().zip(seen).skip(before) {
            times.record(u64::try_from(seen.duration_since(*sent).as_micros()).unwrap_or(u64::MAX))?;
        }
    }
    Ok(Load { rate: sent as f64 / length.as_secs_f64(), times, behind })
}
