//! `paths`: endpoint templates, discovered from traffic, and the lookup that gives every exchange its endpoint.
//!
//! Templates are learned only from successes; a failed request never creates one. See [`learn`] for the evidence.

mod evidence;
mod explain;
mod former;
mod learn;
mod pins;
mod places;
mod token;

pub use evidence::Clue;
pub use explain::{Taken, Turn, Walk};
pub use former::Former;
pub(crate) use learn::learn;
pub(crate) use pins::Pins;
pub use places::{Name, Place, Values};

use crate::features::Features;
use crate::features::hash::{hash, hash_folded};
use crate::record::EndpointId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use token::{Form, key};

/// Index of an endpoint within its API's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointIndex(pub u32);

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Name in the template, unique within it.
    pub name: String,
    /// Type as OpenAPI has it: `integer`, `uuid`, `date`, `email` or `string`.
    pub kind: String,
    /// Position of its segment in the path.
    pub segment: u16,
    /// Why the segment is a variable.
    pub evidence: String,
}

/// A discovered endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Stable identity.
    pub id: EndpointId,
    /// Method, upper case.
    pub method: Box<str>,
    /// Host.
    pub host: Box<str>,
    /// Template (`/v1/orders/{id}`).
    pub template: Box<str>,
    /// Operation behind the path.
    pub operation: Option<Box<str>>,
    /// Variables in order.
    pub variables: Vec<Variable>,
}

impl Endpoint {
    /// `POST api.example.com/v1/orders/{id}`, with `#operation` where there is one.
    #[must_use]
    pub fn name(&self) -> String {
        render_name(&self.method, &self.host, &self.template, self.operation.as_deref())
    }
}

fn render_name(method: &str, host: &str, template: &str, operation: Option<&str>) -> String {
    match operation {
        Some(operation) => format!("{method} {host}{template}#{operation}"),
        None => format!("{method} {host}{template}"),
    }
}

/// Where a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The endpoint; `None`: never a success in training.
    pub endpoint: Option<EndpointIndex>,
    /// Segments that are variables.
    pub variables: SmallVec<[u16; 8]>,
    /// How many segments stand in learned templates.
    pub known_depth: u16,
}

/// One node of a host's tree of segments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Node {
    /// Literal children by folded hash, sorted.
    literals: Vec<(u64, u32)>,
    /// Child for every other value.
    variable: Option<u32>,
    /// Whether everything below is one value.
    is_tail: bool,
    /// Endpoints that end here, by hash of method and operation, sorted.
    ends: Vec<(u64, EndpointIndex)>,
}

/// All templates of one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Paths {
    endpoints: Vec<Endpoint>,
    nodes: Vec<Node>,
    /// Root by hash of host, sorted.
    hosts: Vec<(u64, u32)>,
    /// Endpoints with declared routes, by hash of host, route, method and operation, sorted.
    declared: Vec<(u64, EndpointIndex)>,
    /// Why nodes have the children that they have, by node. Nothing is judged by it.
    places: Vec<Place>,
    /// What became of endpoints of earlier models.
    former: Vec<Former>,
}

impl Paths {
    /// All endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// One endpoint.
    #[must_use]
    pub fn endpoint(&self, index: EndpointIndex) -> &Endpoint {
        &self.endpoints[index.0 as usize]
    }

    /// Nodes in all trees.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Finds the endpoint of an exchange. One hash lookup a segment.
    #[must_use]
    pub fn route(&self, features: &Features) -> Route {
        if let Some(route) = features.route.as_deref() {
            let key = declared_key(&features.host, route, &features.method, features.operation.as_deref());
            let endpoint = find(&self.declared, key);
            let variables = route_variables(route);
            return Route { endpoint, known_depth: if endpoint.is_some() { u16::MAX } else { 0 }, variables };
        }
        let mut route = Route { endpoint: None, variables: SmallVec::new(), known_depth: 0 };
        let Some(mut node) = find(&self.hosts, hash(features.host.as_bytes())) else {
            for (at, segment) in features.segments().enumerate() {
                if Form::of(segment).is_typed() {
                    route.variables.push(at as u16);
                }
            }
            return route;
        };
        let mut known = true;
        for (at, segment) in features.segments().enumerate() {
            let form = Form::of(segment);
            if known {
                let here = &self.nodes[node as usize];
                if here.is_tail {
                    route.variables.push(at as u16);
                    route.known_depth = u16::MAX;
                    break;
                }
                let literal = if form.is_typed() { None } else { find(&here.literals, key(segment, form)) };
                match literal.or(here.variable) {
                    Some(next) => {
                        if literal.is_none() {
                            route.variables.push(at as u16);
                        }
                        node = next;
                        route.known_depth += 1;
                        continue;
                    }
                    None => known = false,
                }
            }
            if form.is_typed() {
                route.variables.push(at as u16);
            }
        }
        if known {
            route.endpoint = find(&self.nodes[node as usize].ends, end_key(&features.method, features.operation.as_deref()));
        }
        route
    }

    /// Name of the endpoint of an exchange, also where none was learned: then typed segments become variables, and long paths are cut.
    #[must_use]
    pub fn name(&self, features: &Features, route: &Route) -> String {
        if let Some(index) = route.endpoint {
            return self.endpoint(index).name();
        }
        if let Some(declared) = features.route.as_deref() {
            return render_name(&features.method, &features.host, declared, features.operation.as_deref());
        }
        let is_tail = route.known_depth == u16::MAX;
        let mut template = String::with_capacity(features.path.len());
        let mut names = Names::default();
        for (at, segment) in features.segments().enumerate() {
            template.push('/');
            if is_tail && route.variables.last() == Some(&(at as u16)) {
                template.push_str("**");
                break;
            }
            if at >= 12 {
                template.push('…');
                break;
            }
            if route.variables.contains(&(at as u16)) {
                template.push('{');
                template.push_str(&names.next(Form::of(segment).variable()));
                template.push('}');
            } else {
                template.push_str(&segment[..segment.floor_char_boundary(48)]);
            }
        }
        render_name(&features.method, &features.host, &template, features.operation.as_deref())
    }
}

/// Gives variables of one template names of their own: `id`, `id2`, `id3`.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn next(&mut self, base: &str) -> String {
        let same = self.0.iter().filter(|n| *n == base).count();
        self.0.push(base.to_owned());
        if same == 0 { base.to_owned() } else { format!("{base}{}", same + 1) }
    }
}

fn find<T: Copy>(sorted: &[(u64, T)], key: u64) -> Option<T> {
    sorted.binary_search_by_key(&key, |(k, _)| *k).ok().map(|at| sorted[at].1)
}

fn end_key(method: &str, operation: Option<&str>) -> u64 {
    hash(method.as_bytes()) ^ operation.map_or(0, |o| hash(o.as_bytes()).rotate_left(7))
}

fn declared_key(host: &str, route: &str, method: &str, operation: Option<&str>) -> u64 {
    hash(host.as_bytes()) ^ hash_folded(route).rotate_left(17) ^ end_key(method, operation).rotate_left(31)
}

fn route_variables(route: &str) -> SmallVec<[u16; 8]> {
    route
        .strip_prefix('/')
        .unwrap_or(route)
        .split('/')
        .enumerate()
        .filter(|(_, s)| s.starts_with(['{', ':', '<', '*']))
        .map(|(at, _)| at as u16)
        .collect()
}
