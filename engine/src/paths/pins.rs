//! Templates that a user pinned: discovery keeps to them, whatever traffic says.

use super::learn::Step;

/// Log odds of what is pinned: beyond all evidence.
const SURE: f32 = 99.0;

/// Templates, each as its segments.
#[derive(Debug, Default)]
pub(crate) struct Pins(Vec<Vec<Segment>>);

#[derive(Debug)]
enum Segment {
    /// A name, case folded.
    Name(String),
    /// A value.
    Value,
}

/// What pins say of one place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pinned<'p> {
    names: Vec<&'p str>,
    is_value: bool,
}

impl Pins {
    /// From templates like `/v2/categories/{slug}`.
    pub(crate) fn new(templates: &[String]) -> Self {
        let segment = |s: &str| if s.starts_with(['{', ':', '<', '*']) { Segment::Value } else { Segment::Name(s.to_lowercase()) };
        Self(templates.iter().map(|t| t.trim_matches('/').split('/').map(segment).collect()).collect())
    }

    /// What they say of the children of a node.
    pub(super) fn at(&self, way: &[Step]) -> Pinned<'_> {
        let mut pinned = Pinned::default();
        for pin in &self.0 {
            let is_on_it = pin.iter().zip(way).all(|(segment, step)| match (segment, step) {
                (Segment::Name(name), Step::Literal(word)) => *name == word.to_lowercase(),
                (Segment::Value, Step::Variable { .. }) => true,
                _ => false,
            });
            match pin.get(way.len()).filter(|_| is_on_it) {
                Some(Segment::Name(name)) => pinned.names.push(name),
                Some(Segment::Value) => pinned.is_value = true,
                None => {}
            }
        }
        pinned
    }
}

impl Pinned<'_> {
    /// Log odds for a word's being a value, where they say anything of it.
    pub(super) fn odds(&self, word: &str) -> Option<f32> {
        if self.names.iter().any(|name| *name == word.to_lowercase()) {
            return Some(-SURE);
        }
        self.is_value.then_some(SURE)
    }
}

#[cfg(test)]
mod tests {
    use super::Pins;
    use crate::paths::learn::Step;

    #[test]
    fn a_pin_makes_values_below_its_names_and_keeps_the_names_that_are_pinned_too() {
        let pins = Pins::new(&["/v2/Categories/{slug}".to_owned(), "/v2/categories/new".to_owned()]);
        let way = |words: &[&str]| words.iter().map(|w| Step::Literal((*w).to_owned())).collect::<Vec<_>>();
        let here = pins.at(&way(&["v2", "categories"]));
        assert_eq!([here.odds("toys"), here.odds("New")], [Some(99.0), Some(-99.0)]);
        assert_eq!(pins.at(&way(&["v2"])).odds("categories"), Some(-99.0));
        assert_eq!(pins.at(&way(&["v2", "orders"])).odds("toys"), None);
        assert_eq!(pins.at(&way(&["v2", "categories", "toys"])).odds("x"), None);
    }
}
