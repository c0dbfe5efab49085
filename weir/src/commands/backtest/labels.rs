//! Label files: which exchanges of a file are attacks, for sets that say so. Nothing is ever learned from them.

use anyhow::Context as _;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The truth about exchanges, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    truths: HashMap<String, Truth>,
    /// Groups in which something is an attack.
    attacking: HashSet<u64>,
}

/// The truth about one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    /// Whether it belongs to an attack.
    pub(crate) is_attack: bool,
    /// Those that belong together: a session, or one attack; the exchange itself where the file says nothing.
    pub(crate) group: u64,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    label: String,
    #[serde(default)]
    group: String,
}

impl Labels {
    /// Reads CSV files with a header and the columns `id`, `label` (`benign` or `attack`) and perhaps `group`; plain, gzip or zstd.
    pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut labels = Self::default();
        for file in files {
            labels.add(file).with_context(|| format!("reading labels from {}", file.display()))?;
        }
        Ok(labels)
    }

    fn add(&mut self, file: &Path) -> anyhow::Result<()> {
        for row in csv::Reader::from_reader(ingest::decode::open_text(file)?).deserialize() {
            let Row { id, label, group } = row?;
            let is_attack = match label.as_str() {
                "attack" => true,
                "benign" => false,
                other => anyhow::bail!("`{id}` is labelled `{other}`, not `benign` or `attack`"),
            };
            let mut hasher = DefaultHasher::new();
            (file, if group.is_empty() { &id } else { &group }).hash(&mut hasher);
            let group = hasher.finish();
            if is_attack {
                self.attacking.insert(group);
            }
            self.truths.insert(id, Truth { is_attack, group });
        }
        Ok(())
    }

    /// The truth about an exchange, if it is known.
    pub(crate) fn of(&self, id: Option<&str>) -> Option<Truth> {
        self.truths.get(id?).copied()
    }

    /// Whether an exchange is an attack, or belongs together with one.
    pub(crate) fn is_of_attacker(&self, id: Option<&str>) -> bool {
        self.of(id).is_some_and(|truth| self.attacking.contains(&truth.group))
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    fn read(text: &str) -> anyhow::Result<Labels> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("labels.csv");
        std::fs::write(&file, text).unwrap();
        Labels::read(&[file])
    }

    #[test]
    fn columns_are_found_by_name_and_groups_hang_together() {
        let labels = read("label,id,template,group\nattack,a,\"GET /a,b\",g\nbenign,b,,g\nbenign,c,,\n").unwrap();
        let of = |id| labels.of(Some(id)).unwrap();
        assert!(of("a").is_attack && !of("b").is_attack);
        assert!(of("a").group == of("b").group && of("b").group != of("c").group);
        assert!(labels.is_of_attacker(Some("b")) && !labels.is_of_attacker(Some("c")) && !labels.is_of_attacker(Some("d")));
        assert_eq!(labels.of(Some("d")), None);
        assert_eq!(labels.of(None), None);
    }

    #[test]
    fn a_label_that_is_none_is_named() {
        let error = format!("{:#}", read("id,label\nx,maybe\n").unwrap_err());
        assert!(error.contains("`x` is labelled `maybe`"), "{error}");
    }
}
