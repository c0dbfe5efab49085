//! Discovery of templates from a history: a tree of segments per host, each word decided by its own evidence.

use super::evidence::{Child, Clue, Clues, Siblings, Trait, Traits, Use, clues, hear_siblings, is_code, is_plain, odds, without_format};
use super::pins::{Pinned, Pins};
use super::places::Place;
use super::token::{Form, is_word, key};
use super::{Endpoint, EndpointIndex, Names, Node, Paths, Variable, declared_key, end_key, route_variables};
use crate::features::hash::{hash, hash_folded, mix};
use crate::features::{Features, decode};
use crate::record::EndpointId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Rows looked at for one child's traits and echo.
const SAMPLE: usize = 200;
/// Rows of typed siblings looked at.
const TYPED_SAMPLE: usize = 400;
/// Key of all names that do not follow several children.
const OTHER: u64 = 1;
/// Children by which it is seen whether all are used alike: those seen most.
const OFTEN: usize = 256;
/// Most endpoints of one API; rarer ones stay unseen.
pub(super) const MAX_ENDPOINTS: usize = 20_000;

/// One exchange as the tree sees it.
#[derive(Debug)]
struct Row<'h> {
    features: &'h Features,
    segments: Vec<(&'h str, Form, u64)>,
    method: u64,
    is_success: bool,
    has_scalars: bool,
    /// Bit d: segment d stands as a value of an identifier member in its own bodies.
    echoed: u32,
    /// Bit d: everything from segment d on stands as one value in its own bodies.
    tail: u32,
}

/// All exchanges of an API, indexed for evidence.
#[derive(Debug)]
pub(super) struct Rows<'h> {
    rows: Vec<Row<'h>>,
    pool: FxHashSet<u64>,
    parents: FxHashMap<u64, FxHashSet<u64>>,
}

impl<'h> Rows<'h> {
    fn new(history: &[&'h Features]) -> Self {
        let identifiers = identifier_members(history);
        let mut pool = FxHashSet::default();
        let mut parents: FxHashMap<u64, FxHashSet<u64>> = FxHashMap::default();
        let mut rows = Vec::with_capacity(history.len());
        for features in history {
            let segments: Vec<(&str, Form, u64)> = features
                .segments()
                .map(|s| {
                    let form = Form::of(s);
                    (s, form, key(s, form))
                })
                .collect();
            // Unknown status counts as success: there is nothing else to learn from.
            let is_success = features.status() < 400;
            let mut own: FxHashSet<u64> = FxHashSet::default();
            let mut any: FxHashSet<u64> = FxHashSet::default();
            for scalar in features.response.scalars.iter().chain(&features.request_scalars) {
                any.insert(scalar.value);
                if identifiers.contains(&scalar.key) {
                    own.insert(scalar.value);
                }
            }
            let mut echoed = 0;
            let mut tail = 0;
            for (d, (segment, _, _)) in segments.iter().enumerate() {
                if !own.is_empty() && own.contains(&hash_folded(&decode::percent(segment, false))) {
                    echoed |= 1 << d;
                }
                if !any.is_empty() && d + 1 < segments.len() && any.contains(&hash_folded(&decode::percent(rest_from(features, d), false)))
                {
                    tail |= 1 << d;
                }
            }
            if is_success {
                pool.extend(own);
                let mut parent = 0;
                for (segment, form, key) in &segments {
                    if *form == Form::Word && (parent == 0 || is_word(parent)) {
                        parents.entry(hash(segment.as_bytes())).or_default().insert(parent);
                    }
                    parent = *key;
                }
            }
            rows.push(Row {
                features,
                segments,
                method: hash(features.method.as_bytes()),
                is_success,
                has_scalars: !any.is_empty(),
                echoed,
                tail,
            });
        }
        Self { rows, pool, parents }
    }

    /// Rows with the segment at `depth` echoed, and rows with bodies at all.
    pub(super) fn echo_of(&self, rows: &[u32], depth: usize) -> (u32, u32) {
        rows.iter()
            .map(|r| &self.rows[*r as usize])
            .filter(|r| r.has_scalars)
            .fold((0, 0), |(a, b), r| (a + (r.echoed >> depth & 1), b + 1))
    }

    pub(super) fn has_pool(&self) -> bool {
        !self.pool.is_empty()
    }

    pub(super) fn in_pool(&self, word: &str) -> bool {
        self.pool.contains(&hash_folded(&decode::percent(word, false)))
    }

    /// Under how many different literals the word stands.
    pub(super) fn parents_of(&self, word: &str) -> usize {
        self.parents.get(&hash(word.as_bytes())).map_or(0, FxHashSet::len)
    }

    /// What is done below a child: method, whether a value follows, which name (the first that follows other children too; others are one,
    /// for they may be values that belong to this one), and how far it goes.
    fn uses(&self, rows: &[u32], depth: usize, spread: &Traits) -> FxHashMap<u64, u32> {
        let mut out = FxHashMap::default();
        for row in rows.iter().take(SAMPLE).map(|r| &self.rows[*r as usize]) {
            let rest = row.segments.get(depth..).unwrap_or_default();
            let value = rest.first().is_some_and(|(_, form, _)| form.is_typed());
            let mut names = rest.iter().take(3).enumerate().filter(|(_, (_, form, _))| !form.is_typed()).map(|(n, (_, _, key))| (n, *key));
            let is_shared = |(n, key): &(usize, u64)| spread.get(&Trait::Segment(*n as u8, *key)).is_some_and(|children| *children >= 3);
            let name = names.clone().find(is_shared).or_else(|| names.next().map(|_| (0, OTHER))).map_or(0, |(_, key)| key);
            *out.entry(mix(row.method, mix(name, rest.len().min(3) as u64 * 2 + u64::from(value)))).or_default() += 1;
        }
        out
    }

    fn traits(&self, rows: &[u32], depth: usize) -> Traits {
        let mut out = Traits::default();
        for row in rows.iter().map(|r| &self.rows[*r as usize]) {
            let rest = row.segments.get(depth..).unwrap_or_default();
            let mut add = |t| *out.entry(t).or_default() += 1;
            for (n, (_, _, key)) in rest.iter().take(3).enumerate() {
                add(Trait::Segment(n as u8, *key));
            }
            match rest.len() {
                0 => add(Trait::Answer(row.method, row.features.response.keys)),
                2 => add(Trait::EndsAfterTwo(row.method)),
                _ => {}
            }
        }
        out
    }
}

/// The path from its n-th segment on.
fn rest_from(features: &Features, n: usize) -> &str {
    let path = features.path.strip_prefix('/').unwrap_or(&features.path);
    if n == 0 {
        return path;
    }
    path.match_indices('/').nth(n - 1).map_or(path, |(at, _)| &path[at + 1..])
}

/// Members whose values identify things: at least ten distinct values, and at least a tenth of all occurrences distinct.
fn identifier_members(history: &[&Features]) -> FxHashSet<u64> {
    const MAX_DISTINCT: usize = 5_000;
    let mut seen: FxHashMap<u64, (u64, FxHashSet<u64>)> = FxHashMap::default();
    let mut last: FxHashSet<(u64, u64)> = FxHashSet::default();
    for features in history.iter().filter(|f| f.status() < 400) {
        last.clear();
        for scalar in features.response.scalars.iter().chain(&features.request_scalars) {
            if last.insert((scalar.key, scalar.value)) {
                let (count, distinct) = seen.entry(scalar.key).or_default();
                *count += 1;
                if distinct.len() < MAX_DISTINCT {
                    distinct.insert(scalar.value);
                }
            }
        }
    }
    seen.into_iter()
        .filter(|(_, (count, distinct))| distinct.len() >= 10 && (distinct.len() as u64 * 10 >= *count || distinct.len() == MAX_DISTINCT))
        .map(|(k, _)| k)
        .collect()
}

/// Learns the templates of one API. Failed exchanges help to see what is a value, but create nothing.
pub(crate) fn learn(history: &[&Features], pins: &Pins) -> Paths {
    let mut tree = Tree { rows: Rows::new(history), pins, paths: Paths::default() };
    let mut by_host: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut declared: BTreeMap<(&str, &str, &str, Option<&str>), bool> = BTreeMap::new();
    for (at, row) in tree.rows.rows.iter().enumerate() {
        match row.features.route.as_deref() {
            Some(route) => {
                *declared.entry((&row.features.host, route, &row.features.method, row.features.operation.as_deref())).or_default() |=
                    row.is_success;
            }
            None => by_host.entry(&row.features.host).or_default().push(at as u32),
        }
    }
    let declared: Vec<(String, String, String, Option<String>)> = declared
        .into_iter()
        .filter(|(_, ok)| *ok)
        .map(|((h, r, m, o), _)| (h.to_owned(), r.to_owned(), m.to_owned(), o.map(str::to_owned)))
        .collect();
    let by_host: Vec<(String, Vec<u32>)> = by_host.into_iter().map(|(h, rows)| (h.to_owned(), rows)).collect();
    for (host, rows) in by_host {
        let root = tree.node(&rows, &mut Way { host: host.clone(), segments: Vec::new() });
        tree.paths.hosts.push((hash(host.as_bytes()), root));
    }
    tree.paths.hosts.sort_unstable();
    for (host, route, method, operation) in declared {
        tree.declare(&host, &route, &method, operation.as_deref());
    }
    tree.paths.declared.sort_unstable();
    tree.paths.places.sort_unstable_by_key(|place| place.node);
    tree.paths
}

/// The way from a host's root to a node.
struct Way {
    host: String,
    segments: Vec<Step>,
}

#[derive(Clone)]
pub(super) enum Step {
    Literal(String),
    Variable { form: Form, evidence: String },
    Tail,
}

/// The children of a node, divided.
struct Split {
    literals: BTreeMap<u64, Vec<u32>>,
    /// Rows whose segment is a value.
    variable: Vec<u32>,
    place: Place,
}

/// A literal, in all formats that it is asked for in.
struct Name<'h> {
    /// The shortest of its words.
    word: &'h str,
    keys: Vec<u64>,
    rows: Vec<u32>,
}

struct Tree<'h> {
    rows: Rows<'h>,
    pins: &'h Pins,
    paths: Paths,
}

impl<'h> Tree<'h> {
    /// Builds the node that these rows reach, and everything below it; returns its index.
    fn node(&mut self, rows: &[u32], way: &mut Way) -> u32 {
        let depth = way.segments.len();
        let index = self.paths.nodes.len() as u32;
        self.paths.nodes.push(Node::default());
        let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        let mut ends = Vec::new();
        for &r in rows {
            match self.rows.rows[r as usize].segments.get(depth) {
                Some((_, _, key)) => groups.entry(*key).or_default().push(r),
                None => ends.push(r),
            }
        }
        self.end(index, &ends, way);
        if groups.is_empty() {
            return index;
        }
        if depth >= 1 && self.is_tail(&groups, depth) {
            let below: Vec<u32> = groups.into_values().flatten().collect();
            way.segments.push(Step::Tail);
            self.end(index, &below, way);
            way.segments.pop();
            self.paths.nodes[index as usize].is_tail = true;
            return index;
        }
        let Split { literals, variable, mut place } = self.split(groups, depth, &self.pins.at(&way.segments));
        if !variable.is_empty() {
            let form = self.main_form(&variable, depth);
            place.count_values(form, variable.iter().map(|r| self.rows.rows[*r as usize].segments[depth].0));
            way.segments.push(Step::Variable { form, evidence: place.describe() });
            let child = self.node(&variable, way);
            way.segments.pop();
            self.paths.nodes[index as usize].variable = Some(child);
        }
        place.node = index;
        self.paths.places.push(place);
        let mut children = Vec::with_capacity(literals.len());
        for Name { word, keys, rows } in self.names(literals, depth) {
            way.segments.push(Step::Literal(word.to_owned()));
            let child = self.node(&rows, way);
            way.segments.pop();
            children.extend(keys.into_iter().map(|key| (key, child)));
        }
        children.sort_unstable();
        self.paths.nodes[index as usize].literals = children;
        index
    }

    /// Literals that succeeded: what only differs in the format that is asked for (`calls`, `calls.json`) is one.
    fn names(&self, literals: BTreeMap<u64, Vec<u32>>, depth: usize) -> Vec<Name<'h>> {
        let mut names: BTreeMap<String, Name<'h>> = BTreeMap::new();
        for (key, rows) in literals {
            // A word that never succeeded stands for nothing.
            if !rows.iter().any(|r| self.rows.rows[*r as usize].is_success) {
                continue;
            }
            let word = self.rows.rows[rows[0] as usize].segments[depth].0;
            let name = names.entry(without_format(word).to_ascii_lowercase()).or_insert(Name { word, keys: Vec::new(), rows: Vec::new() });
            if (word.len(), word) < (name.word.len(), name.word) {
                name.word = word;
            }
            name.keys.push(key);
            name.rows.extend(rows);
        }
        names.values_mut().for_each(|name| name.rows.sort_unstable());
        names.into_values().collect()
    }

    /// Divides children into literals and the rows of the variable, and says why.
    fn split(&self, mut groups: BTreeMap<u64, Vec<u32>>, depth: usize, pinned: &Pinned<'_>) -> Split {
        let mut variable: Vec<u32> = Vec::new();
        groups.retain(|_, rows| {
            let is_typed = self.rows.rows[rows[0] as usize].segments[depth].1.is_typed();
            if is_typed {
                variable.append(rows);
            }
            !is_typed
        });
        let typed_rows = variable.len();
        let typed_ok: Vec<u32> = variable.iter().copied().take(TYPED_SAMPLE).filter(|r| self.rows.rows[*r as usize].is_success).collect();
        let mut keys = Vec::new();
        let mut children: Vec<Child<'_>> = Vec::new();
        let mut fixed: Vec<Option<(Clue, f32)>> = Vec::new();
        for (key, rows) in &groups {
            let successes: Vec<u32> = rows.iter().copied().filter(|r| self.rows.rows[*r as usize].is_success).collect();
            if successes.is_empty() {
                continue;
            }
            let (word, form, _) = self.rows.rows[rows[0] as usize].segments[depth];
            let sample = &successes[..successes.len().min(SAMPLE)];
            let (traits, echo) = (self.rows.traits(sample, depth + 1), self.rows.echo_of(sample, depth));
            keys.push(*key);
            let certain = match form {
                Form::Version if depth <= 2 => Some((Clue::Version, -99.0)),
                _ => word.is_empty().then_some((Clue::Empty, -99.0)),
            };
            fixed.push(pinned.odds(word).map(|odds| (Clue::Pinned, odds)).or(certain));
            children.push(Child { word, successes, traits, echo });
        }
        let siblings = self.siblings(&children, &typed_ok, depth);
        let mut clues: Vec<Clues> = children
            .iter()
            .zip(&fixed)
            .map(|(c, fixed)| fixed.map_or_else(|| clues(&self.rows, c, &siblings), |clue| Clues::from_slice(&[clue])))
            .collect();
        hear_siblings(&mut clues, &children, siblings.typed.len());
        let values: FxHashSet<u64> = keys.iter().zip(&clues).filter(|(_, c)| odds(c) > 0.0).map(|(k, _)| *k).collect();
        let any_value = typed_rows > 0 || !values.is_empty();
        let known: FxHashSet<u64> = keys.into_iter().collect();
        groups.retain(|key, rows| {
            let form = self.rows.rows[rows[0] as usize].segments[depth].1;
            let never_succeeded = !known.contains(key);
            let goes = values.contains(key) || (never_succeeded && any_value && !(form == Form::Version && depth <= 2));
            if goes {
                variable.append(rows);
            }
            !goes
        });
        variable.sort_unstable();
        let place = Place::new(typed_rows, siblings.echo, children.iter().map(|c| (c.word, c.successes.len())).zip(&clues));
        Split { literals: groups, variable, place }
    }

    /// What words and the typed segments beside them have in common.
    fn siblings(&self, children: &[Child<'_>], typed: &[u32], depth: usize) -> Siblings {
        let mut spread = Traits::default();
        for t in children.iter().flat_map(|c| c.traits.keys()) {
            *spread.entry(*t).or_default() += 1;
        }
        let echoes = children.iter().map(|c| c.echo).chain([self.rows.echo_of(typed, depth)]);
        let mut segments: FxHashSet<&str> = children.iter().map(|c| c.word).collect();
        segments.extend(typed.iter().map(|r| self.rows.rows[*r as usize].segments[depth].0));
        let mut often: Vec<&Child<'_>> = children.iter().collect();
        often.sort_by_key(|c| (std::cmp::Reverse(c.successes.len()), c.word));
        let uses: Vec<FxHashMap<u64, u32>> = often.iter().take(OFTEN).map(|c| self.rows.uses(&c.successes, depth + 1, &spread)).collect();
        Siblings {
            depth,
            words: children.len(),
            once: children.iter().filter(|c| c.successes.len() == 1).count(),
            requests: children.iter().map(|c| c.successes.len()).sum(),
            codes: children.iter().filter(|c| is_code(c.word)).count(),
            spread,
            typed: self.rows.traits(typed, depth + 1),
            echo: echoes.fold((0, 0), |(a, b), (x, y)| (a + x, b + y)),
            signs: (segments.iter().filter(|word| !is_plain(word)).count() as u32, segments.len() as u32),
            used: Use::of(&uses),
        }
    }

    /// Whether one value fills the rest of the path, slashes included.
    fn is_tail(&self, groups: &BTreeMap<u64, Vec<u32>>, depth: usize) -> bool {
        let (mut matching, mut all) = (0, 0);
        for row in groups.values().flatten().map(|r| &self.rows.rows[*r as usize]).filter(|r| r.is_success) {
            all += u32::from(row.segments.len() > depth + 1);
            matching += row.tail >> depth & 1;
        }
        matching >= 2 && matching * 2 >= all
    }

    fn main_form(&self, rows: &[u32], depth: usize) -> Form {
        let mut counts: BTreeMap<Form, usize> = BTreeMap::new();
        for &r in rows.iter().take(1000) {
            *counts.entry(self.rows.rows[r as usize].segments[depth].1).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, n)| *n).map_or(Form::Word, |(form, _)| form)
    }

    /// Makes an endpoint of each method and operation that succeeded here.
    fn end(&mut self, node: u32, rows: &[u32], way: &Way) {
        let mut ends: BTreeMap<(&'h str, Option<&'h str>), bool> = BTreeMap::new();
        for row in rows.iter().map(|r| &self.rows.rows[*r as usize]) {
            *ends.entry((&row.features.method, row.features.operation.as_deref())).or_default() |= row.is_success;
        }
        for ((method, operation), _) in ends.into_iter().filter(|(_, ok)| *ok) {
            if self.paths.endpoints.len() >= MAX_ENDPOINTS {
                return;
            }
            let (template, variables) = way.render();
            let index = self.add(&way.host, method, operation, (template, variables));
            self.paths.nodes[node as usize].ends.push((end_key(method, operation), index));
        }
        self.paths.nodes[node as usize].ends.sort_unstable();
    }

    fn declare(&mut self, host: &str, route: &str, method: &str, operation: Option<&str>) {
        if self.paths.endpoints.len() >= MAX_ENDPOINTS {
            return;
        }
        let segments: Vec<&str> = route.strip_prefix('/').unwrap_or(route).split('/').collect();
        let variables = route_variables(route)
            .into_iter()
            .map(|at| Variable {
                name: segments[at as usize].trim_matches(['{', '}', ':', '<', '>', '*']).to_owned(),
                kind: "string".to_owned(),
                segment: at,
                evidence: "declared by the gateway".to_owned(),
            })
            .collect();
        let index = self.add(host, method, operation, (route.to_owned(), variables));
        self.paths.declared.push((declared_key(host, route, method, operation), index));
    }

    fn add(&mut self, host: &str, method: &str, operation: Option<&str>, (template, variables): (String, Vec<Variable>)) -> EndpointIndex {
        let index = EndpointIndex(self.paths.endpoints.len() as u32);
        let id = identity(method, host, &shape(&template), operation);
        self.paths.endpoints.push(Endpoint {
            id,
            method: method.into(),
            host: host.into(),
            template: template.into(),
            operation: operation.map(Into::into),
            variables,
        });
        index
    }
}

impl Way {
    fn render(&self) -> (String, Vec<Variable>) {
        let mut template = String::new();
        let mut variables = Vec::new();
        let mut names = Names::default();
        for (at, step) in self.segments.iter().enumerate() {
            template.push('/');
            match step {
                Step::Literal(word) => template.push_str(word),
                Step::Tail => {
                    template.push_str("**");
                    variables.push(Variable {
                        name: "rest".to_owned(),
                        kind: "string".to_owned(),
                        segment: at as u16,
                        evidence: "what follows stands as one value in bodies".to_owned(),
                    });
                }
                Step::Variable { form, evidence } => {
                    let name = names.next(form.variable());
                    template.push_str(&format!("{{{name}}}"));
                    variables.push(Variable { name, kind: form.kind().to_owned(), segment: at as u16, evidence: evidence.clone() });
                }
            }
        }
        if template.is_empty() {
            template.push('/');
        }
        (template, variables)
    }
}

/// A template with its variables' names left out: what identity rests on.
fn shape(template: &str) -> String {
    template.split('/').map(|s| if s.starts_with(['{', ':', '<']) { "*" } else { s }).collect::<Vec<_>>().join("/")
}

fn identity(method: &str, host: &str, shape: &str, operation: Option<&str>) -> EndpointId {
    let text = format!("{method}\0{host}\0{}\0{}", shape.to_ascii_lowercase(), operation.unwrap_or_default());
    let mut first = [0u8; 8];
    first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    EndpointId(u64::from_le_bytes(first))
}
