//! What became of the endpoints of an earlier model: templates merge and part as traffic tells more.

use super::token::{Form, key};
use super::{Endpoint, EndpointIndex, Paths, declared_key, end_key, find};
use crate::features::hash::hash;
use crate::record::EndpointId;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// Former endpoints remembered of one API.
const MOST: usize = 1_000;

/// An endpoint of an earlier model, and where its requests go now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Its identity then.
    pub id: EndpointId,
    /// Its name then.
    pub name: String,
    /// What it is part of now.
    pub now: EndpointIndex,
}

impl Paths {
    /// Endpoints of earlier models that are part of others now.
    #[must_use]
    pub fn former(&self) -> &[Former] {
        &self.former
    }

    /// The endpoint that requests to one of this name go to, as another model named it (`GET api.example.com/v1/orders/{id}`); `None`: to none,
    /// or to several.
    #[must_use]
    pub fn successor(&self, name: &str) -> Option<EndpointIndex> {
        let (method, rest) = name.split_once(' ')?;
        let (host, rest) = rest.split_at(rest.find('/')?);
        let (template, operation) = rest.split_once('#').map_or((rest, None), |(template, operation)| (template, Some(operation)));
        if let Some(declared) = find(&self.declared, declared_key(host, template, method, operation)) {
            return Some(declared);
        }
        let mut node = find(&self.hosts, hash(host.as_bytes()))?;
        for segment in template[1..].split('/') {
            let here = self.nodes.get(node as usize)?;
            if here.is_tail {
                break;
            }
            let literal = if segment.starts_with('{') { None } else { find(&here.literals, key(segment, Form::Word)) };
            node = literal.or(here.variable)?;
        }
        find(&self.nodes.get(node as usize)?.ends, end_key(method, operation))
    }

    /// Remembers what became of the endpoints of the model before.
    pub(crate) fn follow(&mut self, before: &Self) {
        let ids: FxHashSet<EndpointId> = self.endpoints.iter().map(|e| e.id).collect();
        let endpoints = before.endpoints.iter().map(|e| (e.id, Endpoint::name(e)));
        let earlier = before.former.iter().map(|f| (f.id, f.name.clone()));
        let gone = endpoints.chain(earlier).filter(|(id, _)| !ids.contains(id));
        let former = gone.filter_map(|(id, name)| Some(Former { id, now: self.successor(&name)?, name })).take(MOST).collect();
        self.former = former;
    }
}
