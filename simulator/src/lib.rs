//! A lifelike web shop and its users, partners, machines and attackers, as a gateway would mirror them: exchanges in time order, each with
//! its true label. Made from a seed alone: it never reads a clock, never sleeps, opens no connection and keeps no more in memory than the
//! shop's capped tables and the visits that are going on, however long it runs. Only [`write`] touches files.
//!
//! ```
//! use simulator::{Config, Simulation};
//!
//! let mut simulation = Simulation::new(Config::new(7, 0.1, 20_000));
//! let (exchange, truth) = simulation.next().expect("a day has more than one exchange");
//! assert!(exchange.time.is_some());
//! assert_eq!(truth.split.name(), "train");
//! ```

mod attacks;
mod chance;
mod config;
mod hard;
mod ids;
mod json;
mod label;
mod output;
mod people;
mod shop;
mod simulation;
mod text;
mod wire;

pub use config::Config;
pub use label::{Label, Split, TrueLabel};
pub use output::{Compression, Progress, Summary, WriteError, write};
pub use simulation::Simulation;

/// Method and path template of every endpoint of the shop, as labels give them.
pub fn templates() -> impl Iterator<Item = &'static str> {
    shop::templates().map(|template| template.0)
}
