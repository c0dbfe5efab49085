//! The way of a path through a tree: where each segment leads, and why it divides there as it does.

use super::places::Place;
use super::token::{Form, key};
use super::{Endpoint, Paths, find};
use crate::features::MAX_SEGMENTS;
use crate::features::hash::hash;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Walk<'p> {
    /// Its segments, in order, up to the first that leads nowhere or the one that takes all the rest.
    pub turns: Vec<Turn<'p>>,
    /// Endpoints that end where it ends; empty if it leaves the tree or only leads on.
    pub endpoints: Vec<&'p Endpoint>,
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn<'p> {
    /// As it stands in the path.
    pub segment: &'p str,
    /// Where it leads.
    pub taken: Taken,
    /// Why children here are names or values; `None` behind a value that takes the rest.
    pub place: Option<&'p Place>,
}

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A name.
    Name,
    /// A value of a variable.
    Value,
    /// It and all that follows is one value.
    Rest,
    /// It leads nowhere: nothing like it succeeded here.
    Nowhere,
}

impl Paths {
    /// Follows a path (without query) from the root of a host (lower case); `None`: no path of that host was learned.
    #[must_use]
    pub fn walk<'p>(&'p self, host: &str, path: &'p str) -> Option<Walk<'p>> {
        let mut node = find(&self.hosts, hash(host.as_bytes()))?;
        let mut walk = Walk { turns: Vec::new(), endpoints: Vec::new() };
        for segment in path.strip_prefix('/').unwrap_or(path).splitn(MAX_SEGMENTS, '/') {
            let here = self.nodes.get(node as usize)?;
            let form = Form::of(segment);
            let literal = if form.is_typed() { None } else { find(&here.literals, key(segment, form)) };
            let (taken, next) = match (here.is_tail, literal, here.variable) {
                (true, _, _) => (Taken::Rest, None),
                (_, Some(next), _) => (Taken::Name, Some(next)),
                (_, None, Some(next)) => (Taken::Value, Some(next)),
                (_, None, None) => (Taken::Nowhere, None),
            };
            let place = self.places.binary_search_by_key(&node, |p| p.node).ok().map(|at| &self.places[at]);
            walk.turns.push(Turn { segment, taken, place });
            match (taken, next) {
                (Taken::Nowhere, _) => return Some(walk),
                (_, Some(next)) => node = next,
                (_, None) => break,
            }
        }
        let ends = &self.nodes.get(node as usize)?.ends;
        walk.endpoints = ends.iter().filter_map(|(_, at)| self.endpoints.get(at.0 as usize)).collect();
        walk.endpoints.sort_by(|a, b| (&a.method, &a.operation).cmp(&(&b.method, &b.operation)));
        Some(walk)
    }

    /// Endpoints whose routes the gateway declares, with this path by their routes.
    #[must_use]
    pub fn declared(&self, host: &str, path: &str) -> Vec<&Endpoint> {
        let matches = |route: &str| {
            let (mut route, mut path) = (route.trim_matches('/').split('/'), path.trim_matches('/').split('/'));
            loop {
                match (route.next(), path.next()) {
                    (None, None) => return true,
                    (Some(r), Some(_)) if r.contains("**") || r.starts_with('*') => return true,
                    (Some(r), Some(_)) if r.starts_with(['{', ':', '<']) => {}
                    (Some(r), Some(p)) if r.eq_ignore_ascii_case(p) => {}
                    _ => return false,
                }
            }
        };
        let all = self.declared.iter().filter_map(|(_, at)| self.endpoints.get(at.0 as usize));
        all.filter(|e| &*e.host == host && matches(&e.template)).collect()
    }
}
