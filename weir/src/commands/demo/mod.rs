//! `weir demo`: everything at work on simulated traffic, in a directory of its own.

mod feed;
mod story;

use super::up::Installation;
use crate::console::board::Board;
use crate::terminal::{Paint, count};
use anyhow::{Context as _, bail};
use engine::Stage;
use feed::Feeder;
use ingest::Preparer;
use runtime::config::{Config, Sources};
use runtime::shutdown::Shutdown;
use simulator::Simulation;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use story::Story;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir demo
  weir demo --data ./demo --seed 11";

/// Requests a simulated day, and days: the first is learned, the second has attacks in it.
const REQUESTS_PER_DAY: u32 = 20_000;
const DAYS: f64 = 2.0;
/// Time between two looks at the status.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait for a model.
const PATIENCE: Duration = Duration::from_secs(600);

/// Plays simulated traffic with attacks in it through everything, on the embedded log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seed of the simulation.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Plays the demonstration.
pub(crate) async fn run(args: &Args, config: Config, sources: &Sources) -> anyhow::Result<()> {
    let began = Instant::now();
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listening to signals")?;
    let config = demo_config(config, sources)?;
    let data = config.data.clone();
    let installation = Installation::open(config)?;
    let scene = Scene::open(&installation, args.seed)?;
    let socket = ingest::listen(&installation.config).await?;
    say(&scene.greeting(&installation.config, socket.local_addr()?))?;

    let board = Board::default();
    let following = tokio::task::spawn_blocking({
        let (board, log, status, shutdown) = (board.clone(), scene.log.clone(), installation.topics.status.clone(), shutdown.clone());
        move || board.follow(&*log, &status, &shutdown)
    });
    let serving = tokio::spawn(installation.serve(socket, shutdown.clone()));
    let playing = tokio::task::spawn_blocking({
        let shutdown = shutdown.clone();
        move || {
            let played = scene.play(&board, &shutdown);
            shutdown.cancel();
            played
        }
    });
    let served = serving.await.context("serving")?;
    let story = playing.await.context("playing")?;
    following.await.context("following the status")??;
    served?;
    match story? {
        Some(story) => say(&story.closing(Paint::of_stdout(), &data, began.elapsed())),
        None => say("Stopped early.\n"),
    }
}

/// The configuration of the demonstration: embedded log, a directory of its own, a free port. One partition: a day passes in seconds here, so that
/// what several tell one another would come hours late.
fn demo_config(config: Config, sources: &Sources) -> anyhow::Result<Config> {
    let is_set = |key| sources.flags.iter().any(|flag| flag.key == key);
    let data = if is_set("data") { config.data.clone() } else { fresh_directory()? };
    if data.join("log").exists() {
        bail!("{} holds a log already: the demonstration wants a directory of its own", data.display());
    }
    let mut demo = Config { data, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), token: None, ..config };
    demo.kafka.brokers = None;
    if !is_set("embedded.partitions") {
        demo.embedded.partitions = 1;
    }
    Ok(demo)
}

fn fresh_directory() -> anyhow::Result<PathBuf> {
    let parent = std::env::temp_dir();
    for n in 0..1_000 {
        let path = parent.join(format!("weir-demo-{}-{n}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
        }
    }
    bail!("{} is full of demonstrations", parent.display())
}

/// What is played and on what.
struct Scene {
    log: Arc<dyn runtime::log::Log>,
    feeder: Feeder,
    simulation: simulator::Config,
    needed: u64,
}

impl Scene {
    fn open(installation: &Installation, seed: u64) -> anyhow::Result<Self> {
        let log = Arc::clone(&installation.open.log);
        let preparer = Preparer::configured(&installation.config, &installation.keys().session)?;
        let feeder = Feeder::open(&*log, &installation.topics, preparer)?;
        let simulation = simulator::Config::new(seed, DAYS, REQUESTS_PER_DAY);
        Ok(Self { log, feeder, simulation, needed: installation.config.learning.requests })
    }

    fn greeting(&self, config: &Config, address: SocketAddr) -> String {
        format!(
            "A simulated web shop: about {} requests a day, one day to learn from, one day with attacks among normal use.\n\
             Everything runs in this process, on the embedded log in {}; look on with\n  weir status   --data {1} --listen {address}\n  weir verdicts --data {1} --listen {address} --follow\n\n",
            count(u64::from(REQUESTS_PER_DAY)),
            config.data.display(),
        )
    }

    /// The whole play; `None` when it was stopped.
    fn play(self, board: &Board, shutdown: &Shutdown) -> anyhow::Result<Option<Story>> {
        let paint = Paint::of_stdout();
        say(&format!("{}  the first model comes after {} requests\n", paint.yellow("listening "), count(self.needed)))?;
        let mut rest = Simulation::new(self.simulation).peekable();
        let learning = std::iter::from_fn(|| rest.next_if(|(_, truth)| truth.split == simulator::Split::Train));
        let sent = self.feeder.feed("learning day", learning, shutdown, &mut |_| Ok(()))?;
        say(&format!("{}  {} requests are in the log\n", paint.yellow("listening "), count(sent)))?;
        if !await_model(board, shutdown, paint)? {
            return Ok(None);
        }
        let mut story = Story::new(&*self.log, &self.feeder.topics, paint)?;
        let sent = self.feeder.feed("attack day", rest, shutdown, &mut |truths| story.follow(truths))?;
        story.finish(sent, shutdown)?;
        Ok((!shutdown.is_cancelled()).then_some(story))
    }
}

/// Shows the stages as they pass until a scorer has a model; `false` when stopped before.
fn await_model(board: &Board, shutdown: &Shutdown, paint: Paint) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut shown = String::new();
    while !shutdown.is_cancelled() {
        if began.elapsed() > PATIENCE {
            bail!("no model came within {} s", PATIENCE.as_secs());
        }
        let overview = board.overview();
        let api = overview.apis.iter().find(|api| api.status.stage != Stage::Listening);
        if let Some(api) = api {
            let status = &api.status;
            let line = match (&status.training, &status.model) {
                (Some(training), None) => format!("{}  {}: {}\n", paint.yellow("training  "), status.api, training.phase),
                (_, Some(model)) => format!("{}  {}: model {model}\n\n", paint.green("evaluating"), status.api),
                (None, None) => shown.clone(),
            };
            if line != shown {
                say(&line)?;
                shown = line;
            }
            if status.model.is_some() {
                return Ok(true);
            }
        }
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
