//! Secrets in JSON text, replaced in one pass over its bytes: no tree is built, cut bodies are masked up to where they end, and what is valid
//! stays valid.

use super::Masking;
use super::rules::{Site, Treatment};
use super::secret::{is_jwt, outline};
use crate::decode::string_end;
use std::borrow::Cow;

/// Levels whose names are remembered; deeper ones are treated like the one above them.
const MAX_LEVELS: usize = 64;

/// An open object or array.
struct Level<'t> {
    key: Cow<'t, str>,
    treatment: Treatment,
}

/// A pass over one text.
pub(super) struct Walk<'m, 't> {
    masking: &'m Masking,
    site: Site<'m>,
    /// Whether a rule may fit in here.
    ruled: bool,
    text: &'t str,
    masked: String,
    copied: usize,
    levels: Vec<Level<'t>>,
    /// Levels beyond [`MAX_LEVELS`].
    beyond: usize,
    /// Name of the value that comes next.
    key: Option<Cow<'t, str>>,
}

impl<'m, 't> Walk<'m, 't> {
    pub(super) fn new(masking: &'m Masking, text: &'t str, site: Site<'m>) -> Self {
        let ruled = masking.rules.reach(site.place);
        Self { masking, site, ruled, text, masked: String::new(), copied: 0, levels: Vec::new(), beyond: 0, key: None }
    }

    /// The text with its secrets masked; `None` when it holds none.
    pub(super) fn run(mut self) -> Option<String> {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at = match bytes[at] {
                b'"' => self.string(at),
                b'{' | b'[' => self.open(at),
                b'}' | b']' => self.close(at),
                b'-' | b'0'..=b'9' => self.number(at),
                b't' | b'f' | b'n' => self.word(at),
                b',' => {
                    self.key = None;
                    at + 1
                }
                _ => at + 1,
            };
        }
        if self.copied == 0 {
            return None;
        }
        self.masked.push_str(&self.text[self.copied..]);
        Some(self.masked)
    }

    fn open(&mut self, at: usize) -> usize {
        if self.levels.len() < MAX_LEVELS {
            let treatment = self.treatment();
            let key = self.key.take().unwrap_or_default();
            self.levels.push(Level { key, treatment });
        } else {
            self.beyond += 1;
            self.key = None;
        }
        at + 1
    }

    fn close(&mut self, at: usize) -> usize {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else {
            self.levels.pop();
        }
        self.key = None;
        at + 1
    }

    /// A string: the name of what follows, or a value.
    fn string(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let (end, inner) = match string_end(bytes, start) {
            Some(end) => (end, start + 1..end - 1),
            None => (bytes.len(), start + 1..bytes.len()),
        };
        let mut next = end;
        while next < bytes.len() && bytes[next].is_ascii_whitespace() {
            next += 1;
        }
        if bytes.get(next) == Some(&b':') {
            self.key = self.text.get(inner).map(unescaped);
            return next + 1;
        }
        let inner = self.text.get(inner).unwrap_or_default();
        let replaced = match self.treatment() {
            Treatment::Keep => self.inside(inner),
            Treatment::Secret | Treatment::SecretTexts => Some(self.masking.hasher.mask(&unescaped(inner))),
            Treatment::Outline => Some(outline(&unescaped(inner))),
            Treatment::Drop => Some(String::new()),
        };
        self.key = None;
        if let Some(replaced) = replaced.filter(|replaced| replaced != inner) {
            let closed = end - start == inner.len() + 2;
            self.replace(start, end, &quoted(&replaced, closed));
        }
        end
    }

    /// A value whose name is open: a token all the same, or a text that has secrets within.
    fn inside(&self, inner: &str) -> Option<String> {
        if is_jwt(inner) {
            return Some(self.masking.hasher.mask(inner));
        }
        let text = unescaped(inner);
        let within = || self.masking.stems.is_match(inner).then(|| self.masking.text(&text, self.site.within()?)).flatten();
        within().or_else(|| self.masking.by_kind(&text))
    }

    fn number(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while end < bytes.len() && matches!(bytes[end], b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
            end += 1;
        }
        let number = &self.text[start..end];
        match self.treatment() {
            // A card number is a number for some.
            Treatment::Keep if self.masking.rules.of(number).is_some() => self.replace(start, end, "0"),
            Treatment::Keep | Treatment::SecretTexts => {}
            Treatment::Secret => self.replace(start, end, &quoted(&self.masking.hasher.mask(number), true)),
            Treatment::Outline | Treatment::Drop => self.replace(start, end, "0"),
        }
        self.key = None;
        end
    }

    /// `true`, `false`, `null`: no secrets.
    fn word(&mut self, start: usize) -> usize {
        self.key = None;
        let rest = &self.text.as_bytes()[start..];
        start + rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len()).max(1)
    }

    /// What is done with the value that comes next: what a rule says of its place, else what is done with everything around it, else what its
    /// name says.
    fn treatment(&self) -> Treatment {
        if self.ruled
            && let Some(treatment) = self.masking.rules.at(&self.steps())
        {
            return treatment;
        }
        let around = self.levels.last().map_or(Treatment::Keep, |level| level.treatment);
        match (around, &self.key) {
            (Treatment::Keep, Some(key)) => super::names::secrecy(key.as_bytes()).into(),
            _ => around,
        }
    }

    /// The place of the value that comes next. Elements of an array stand at the place of the array.
    fn steps(&self) -> impl Iterator<Item = &str> + Clone {
        let levels = self.levels.iter().map(|level| &*level.key).filter(|key| !key.is_empty());
        self.site.place.iter().copied().chain(levels).chain(self.key.as_deref())
    }

    fn replace(&mut self, start: usize, end: usize, by: &str) {
        self.masked.push_str(&self.text[self.copied..start]);
        self.masked.push_str(by);
        self.copied = end;
    }
}

/// The text of a string's inside; what is no valid escape stays as it is.
fn unescaped(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(&format!("\"{inner}\"")).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// A JSON string, without its closing mark where the text was cut within it.
fn quoted(text: &str, closed: bool) -> String {
    let mut quoted = serde_json::Value::from(text).to_string();
    if !closed {
        quoted.pop();
    }
    quoted
}
