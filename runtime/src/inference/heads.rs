//! The networks of the models that a worker judges by.

use super::library::Library;
use super::network::{Foreseeing, Kind, Ready, Rebuilding};
use engine::neural::values::{Rebuilt, Sketch};
use engine::neural::{Answer, Ask, Head, HeadError, Heads};
use std::path::PathBuf;

/// Networks of one kind kept ready: of the model that judges, and of one that a state refers to, for a few APIs each.
const READY: usize = 8;

/// Runs networks with ONNX Runtime: one for each worker.
#[derive(Debug, Default)]
pub struct OnnxHeads {
    library: Lazy,
    foreseeing: Shelf<Foreseeing>,
    rebuilding: Shelf<Rebuilding>,
}

impl OnnxHeads {
    /// With a library at a place, or where it usually is. It is loaded with the first network.
    #[must_use]
    pub fn new(named: Option<PathBuf>) -> Self {
        Self { library: Lazy { named, loaded: None }, ..Self::default() }
    }
}

impl Heads for OnnxHeads {
    fn foresee(&mut self, head: &Head, asks: &[Ask], answers: &mut Vec<Answer>) -> Result<(), HeadError> {
        self.foreseeing.answer(&mut self.library, head, asks, answers)
    }

    fn rebuild(&mut self, head: &Head, sketches: &[Sketch], answers: &mut Vec<Rebuilt>) -> Result<(), HeadError> {
        self.rebuilding.answer(&mut self.library, head, sketches, answers)
    }
}

/// The library, once it is needed.
#[derive(Debug, Default)]
struct Lazy {
    /// As configured.
    named: Option<PathBuf>,
    loaded: Option<Library>,
}

impl Lazy {
    fn get(&mut self) -> Result<&Library, HeadError> {
        let library = match self.loaded.take() {
            Some(library) => library,
            None => Library::load(self.named.as_deref()).map_err(|e| HeadError::Missing(e.to_string()))?,
        };
        Ok(self.loaded.insert(library))
    }
}

/// Networks of one kind, ready to run, newest last.
#[derive(Debug)]
struct Shelf<K>(Vec<Ready<K>>);

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Kind> Shelf<K> {
    fn answer(&mut self, library: &mut Lazy, head: &Head, asks: &[K::Ask], answers: &mut Vec<K::Answer>) -> Result<(), HeadError> {
        answers.clear();
        if asks.is_empty() {
            return Ok(());
        }
        let ready = self.ready(library, head)?;
        asks.chunks(ready.largest()).try_for_each(|asks| ready.run(asks, answers))
    }

    fn ready(&mut self, library: &mut Lazy, head: &Head) -> Result<&mut Ready<K>, HeadError> {
        match self.0.iter().position(|ready| ready.id == head.id) {
            Some(at) => {
                let last = self.0.len() - 1;
                self.0.swap(at, last);
            }
            None => {
                let ready = Ready::open(library.get()?, head)?;
                if self.0.len() >= READY {
                    self.0.remove(0);
                }
                self.0.push(ready);
            }
        }
        self.0.last_mut().ok_or_else(|| HeadError::Failed("no network is ready".to_owned()))
    }
}
