//! `weir simulate`: traffic of a made-up web shop with labelled attacks, to try Weir on and to measure it with.

use crate::terminal::count;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::{Compression, Config, Summary};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:\n  weir simulate --seed 7 --days 2 --out shop\n  weir backtest --train shop/train.ndjson --score shop/test.ndjson --verdicts verdicts.ndjson";

/// Simulate a web shop, its users and its attackers: NDJSON and labels.csv.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seed of all randomness: the same values give the same files, byte for byte.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Days to simulate; the first part is for learning. Parts of days are allowed.
    #[arg(long, default_value_t = 2.0)]
    days: f64,
    /// Where the files go: traffic.ndjson, train.ndjson, test.ndjson, labels.csv.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Exchanges in a day on average, about.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    requests_per_day: u32,
    /// Accounts of the shop [default: one for 20 exchanges of a day].
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// First moment, RFC 3339 [default: 2026-01-05T00:00:00Z].
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,
    /// Share of the days that is for learning and goes to train.ndjson, 0 to 1.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    learning: f64,
    /// Launches of each technique of attack.
    #[arg(long, default_value_t = 2, value_name = "N")]
    launches: u32,
    /// No attacks.
    #[arg(long)]
    no_attacks: bool,
    /// No harmless look-alikes of attacks: sale, outage, new partner, …
    #[arg(long)]
    no_look_alikes: bool,
    /// Hide attacks in the learning time: so many for each customer's visit, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    poison: f64,
    /// Share of exchanges by kiosks, whose two ways through the shop differ only at their beginning and end, 0 to 1; some cross over: what
    /// a memory of three steps cannot see.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    kiosks: f64,
    /// Leave bodies out.
    #[arg(long)]
    no_bodies: bool,
    /// Pack the files with gzip.
    #[arg(long)]
    gzip: bool,
}

impl Args {
    fn config(&self) -> Config {
        let base = Config::new(self.seed, self.days, self.requests_per_day);
        Config {
            start: self.start.map_or(base.start, jiff::Timestamp::as_millisecond),
            users: self.users.unwrap_or(base.users),
            learning: self.learning,
            attacks: !self.no_attacks,
            launches: self.launches,
            look_alikes: !self.no_look_alikes,
            poison: self.poison,
            kiosks: self.kiosks,
            bodies: !self.no_bodies,
            ..base
        }
    }
}

/// Simulates, and says what was written.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{msg:>14} {wide_bar} {percent:>3} %  {pos} exchanges")?;
    let config = args.config();
    let bar = ProgressBar::new(config.expected()).with_style(style).with_message("simulating");
    let compression = if args.gzip { Compression::Gzip } else { Compression::Plain };
    let summary =
        simulator::write(&args.out, config, compression, |progress| bar.set_position(progress.exchanges)).context("simulating")?;
    bar.finish_and_clear();
    std::io::stdout().lock().write_all(describe(args, &summary).as_bytes())?;
    Ok(())
}

fn describe(args: &Args, summary: &Summary) -> String {
    let mut text =
        format!("{} exchanges: {} to learn from, {} to judge.\n", count(summary.exchanges), count(summary.train), count(summary.test));
    for (title, families) in [("Attacks", &summary.attacks), ("Harmless look-alikes", &summary.look_alikes)] {
        if families.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{title}:");
        for (family, exchanges) in families {
            let _ = writeln!(text, "  {family:<24} {:>10}", count(*exchanges));
        }
    }
    let (dir, ending) = (args.out.display(), if args.gzip { ".gz" } else { "" });
    let _ = writeln!(
        text,
        "Try: weir backtest --train {dir}/train.ndjson{ending} --score {dir}/test.ndjson{ending} --verdicts verdicts.ndjson"
    );
    text
}
