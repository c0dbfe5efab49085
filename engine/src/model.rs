//! What was learned: immutable, shared by reference, written as parts of a `.weir` file.

use crate::admitted::{Admission, Admitted};
use crate::api::HostMap;
use crate::features::Features;
use crate::fuse::{Calibration, Peers};
use crate::learn::{EndpointFacts, Row, class_of, session_of};
use crate::neural::values::Likeness;
use crate::neural::{self, Foresight, Report, values};
use crate::paths::{EndpointIndex, Paths, Route};
use crate::rate::Rate;
use crate::record::ApiName;
use crate::rooms::Rooms;
use crate::sequence::ChainSize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A model of one or more APIs.
#[derive(Debug, Clone)]
pub struct Model {
    /// Label (`v12`).
    pub label: String,
    hosts: HostMap,
    apis: Vec<ApiModel>,
    admitted: Admitted,
}

/// A calibration for each API of a model, in their order.
#[derive(Debug, Clone, Default)]
pub struct Calibrations(pub(crate) Vec<Calibration>);

/// Name of the part that tells of the others.
const HEAD: &str = "head.json";
/// What the networks of an API are of, in the names of their parts.
const STEPS: &str = "sequence";
const VALUES: &str = "content";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    label: String,
    hosts: HostMap,
    apis: Vec<ApiPart>,
    #[serde(default)]
    admitted: Admitted,
}

/// What the head says of an API's part. The indexes in a part hang together; the hash keeps out one in which they may not.
#[derive(Debug, Serialize, Deserialize)]
struct ApiPart {
    name: ApiName,
    blake3: String,
}

/// What was learned of one API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiModel {
    /// The API.
    pub name: ApiName,
    /// Level below which a verdict is anomalous, as configured.
    pub alpha: f64,
    /// Its endpoints.
    pub paths: Paths,
    /// What is known of each endpoint.
    pub facts: Vec<EndpointFacts>,
    crowd: Option<u64>,
    /// What each detector learned.
    pub rooms: Rooms,
    /// From scores to probabilities.
    pub calibration: Calibration,
    /// By endpoint: whether its requests carry free text.
    pub free_text: Vec<bool>,
    /// What came of teaching a network that foresees steps.
    pub network: Report<neural::Figures>,
    /// What came of teaching one that rebuilds values.
    pub value_network: Report<values::Figures>,
    stats: Stats,
    response_fields: Vec<Vec<(u16, String)>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stats {
    requests: u64,
    sessions: u64,
    from: Option<i64>,
    until: Option<i64>,
    breadth_known: bool,
    set_aside: u64,
}

/// Why parts are no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A part is missing.
    #[error("model part `{0}` is missing")]
    Missing(String),
    /// A part cannot be read.
    #[error("model part `{name}` cannot be read: {why}")]
    Damaged {
        /// The part.
        name: String,
        /// What the decoder said.
        why: String,
    },
}

impl Model {
    /// Version of the format of the parts.
    pub const FORMAT: u32 = 14;

    pub(crate) fn new(label: String, hosts: HostMap, apis: Vec<ApiModel>, admitted: Admitted) -> Self {
        Self { label, hosts, apis, admitted }
    }

    /// Findings that analysts said to be nothing, which count as normal from this model on.
    #[must_use]
    pub fn admissions(&self) -> &[Admission] {
        self.admitted.all()
    }

    /// See [`Self::admissions`].
    pub(crate) fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The model of a host's API, if the model has one; else that of `other`, if it has that.
    #[must_use]
    pub fn api(&self, host: &str) -> Option<&ApiModel> {
        self.api_named(&self.hosts.api(host))
    }

    /// An API by its name.
    #[must_use]
    pub fn api_named(&self, name: &ApiName) -> Option<&ApiModel> {
        self.apis.iter().find(|a| a.name == *name)
    }

    /// The API of a host as the model sees it.
    #[must_use]
    pub fn api_name(&self, host: &str) -> ApiName {
        self.hosts.api(host)
    }

    /// Whom a request is compared with; `None` where no API of the model takes it.
    #[must_use]
    pub fn peers(&self, features: &Features) -> Option<Peers> {
        let api = self.api(&features.host)?;
        Some(api.peers(features, &api.paths.route(features)))
    }

    /// Puts other calibrations in the place of the model's, which it returns. They come from the learning that made the model.
    #[must_use]
    pub fn recalibrate(&mut self, calibrations: Calibrations) -> Calibrations {
        let old = self.apis.iter_mut().zip(calibrations.0).map(|(api, new)| std::mem::replace(&mut api.calibration, new));
        Calibrations(old.collect())
    }

    /// All APIs.
    #[must_use]
    pub fn apis(&self) -> &[ApiModel] {
        &self.apis
    }

    /// Networks of all APIs.
    pub fn heads(&self) -> impl Iterator<Item = &neural::Head> {
        self.apis.iter().flat_map(|api| api.foresight().map(|f| &f.head).into_iter().chain(api.likeness().map(|l| &l.head)))
    }

    /// The model as named parts, to be put into a model file. Deterministic.
    ///
    /// # Errors
    /// A part cannot be encoded.
    pub fn to_parts(&self) -> Result<Vec<(String, Vec<u8>)>, ModelError> {
        let mut parts = Vec::with_capacity(self.apis.len() + 1);
        let mut apis = Vec::with_capacity(self.apis.len());
        for (at, api) in self.apis.iter().enumerate() {
            let name = part_name(at);
            let bytes = postcard::to_stdvec(api).map_err(|e| damaged(&name, &e))?;
            apis.push(ApiPart { name: api.name.clone(), blake3: digest(&bytes) });
            parts.push((name, bytes));
            if let Some(foresight) = &api.rooms.foresight {
                parts.push((network_name(at, STEPS), foresight.head.onnx.to_vec()));
            }
            if let Some(likeness) = &api.rooms.likeness {
                parts.push((network_name(at, VALUES), likeness.head.onnx.to_vec()));
            }
        }
        let head = Head { label: self.label.clone(), hosts: self.hosts.clone(), apis, admitted: self.admitted.clone() };
        parts.insert(0, (HEAD.to_owned(), serde_json::to_vec_pretty(&head).map_err(|e| damaged(HEAD, &e))?));
        Ok(parts)
    }

    /// A model from its parts.
    ///
    /// # Errors
    /// A part is missing or damaged.
    pub fn from_parts(parts: &[(String, Vec<u8>)]) -> Result<Self, ModelError> {
        let part = |name: &str| {
            parts.iter().find(|(n, _)| n == name).map(|(_, b)| b.as_slice()).ok_or_else(|| ModelError::Missing(name.to_owned()))
        };
        let head: Head = serde_json::from_slice(part(HEAD)?).map_err(|e| damaged(HEAD, &e))?;
        let apis = head
            .apis
            .iter()
            .enumerate()
            .map(|(at, expected)| {
                let name = part_name(at);
                let bytes = part(&name)?;
                if digest(bytes) != expected.blake3 {
                    return Err(damaged(&name, &"its hash is not the one in the head"));
                }
                let mut api: ApiModel = postcard::from_bytes(bytes).map_err(|e| damaged(&name, &e))?;
                let network = |head: &neural::Head, of: &str| {
                    let name = network_name(at, of);
                    head.with_file(part(&name)?).ok_or_else(|| damaged(&name, &"it is not the network that the API's part names"))
                };
                if let Some(foresight) = &mut api.rooms.foresight {
                    foresight.head = network(&foresight.head, STEPS)?;
                }
                if let Some(likeness) = &mut api.rooms.likeness {
                    likeness.head = network(&likeness.head, VALUES)?;
                }
                Ok(api)
            })
            .collect::<Result<Vec<ApiModel>, _>>()?;
        Ok(Self { label: head.label, hosts: head.hosts, apis, admitted: head.admitted })
    }

    /// What a person wants to know of the model: per API counts, alpha, metrics, gates. Goes into the manifest as `apis`.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        let apis: serde_json::Map<String, serde_json::Value> = self.apis.iter().map(|a| (a.name.to_string(), a.summary())).collect();
        serde_json::Value::Object(apis)
    }

    /// How large the Markov chain of each API is.
    pub fn chains(&self) -> impl Iterator<Item = (&ApiName, ChainSize)> {
        self.apis.iter().map(|a| (&a.name, a.rooms.sequence.size(&a.paths)))
    }

    /// Requests of the history that were too odd to be learned from.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        self.apis.iter().map(|a| a.stats.set_aside).sum()
    }

    /// Discovered endpoints, for `weir endpoints`.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointView> {
        self.apis.iter().flat_map(ApiModel::endpoints).collect()
    }
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn part_name(at: usize) -> String {
    format!("api-{at}.bin")
}

fn network_name(at: usize, of: &str) -> String {
    format!("api-{at}-{of}.onnx")
}

fn damaged(name: &str, why: &impl std::fmt::Display) -> ModelError {
    ModelError::Damaged { name: name.to_owned(), why: why.to_string() }
}

/// What learning gives besides the endpoints.
pub(crate) struct Knowledge {
    pub(crate) facts: Vec<EndpointFacts>,
    /// A session that is no caller's: most of everything has it.
    pub(crate) crowd: Option<u64>,
    pub(crate) rooms: Rooms,
    pub(crate) calibration: Calibration,
    pub(crate) network: Report<neural::Figures>,
    pub(crate) value_network: Report<values::Figures>,
    /// Requests that were too odd to be learned from.
    pub(crate) set_aside: u64,
}

impl ApiModel {
    /// The network that foresees steps, where it has one.
    #[must_use]
    pub fn foresight(&self) -> Option<&Foresight> {
        self.rooms.foresight.as_ref()
    }

    /// The network that rebuilds values, where it has one.
    #[must_use]
    pub fn likeness(&self) -> Option<&Likeness> {
        self.rooms.likeness.as_ref()
    }

    pub(crate) fn new(name: ApiName, alpha: f64, paths: Paths, knowledge: Knowledge, rows: &[Row<'_>]) -> Self {
        let Knowledge { facts, crowd, rooms, calibration, network, value_network, set_aside } = knowledge;
        let mut responses: Vec<BTreeSet<(u16, String)>> = vec![BTreeSet::new(); facts.len()];
        for row in rows {
            let Some(EndpointIndex(e)) = row.route.endpoint else { continue };
            let known = &mut responses[e as usize];
            for member in row.features.response.members.iter().filter(|m| !m.name.contains(['.', '['])) {
                if known.len() < 64 {
                    known.insert((row.features.status(), member.name.to_string()));
                }
            }
        }
        let sessions: BTreeSet<u64> = rows.iter().filter_map(|r| r.session).collect();
        let times = || rows.iter().filter_map(|r| r.features.time);
        let free_text = (0..facts.len() as u32).map(|e| rooms.content.has_free_text(Some(EndpointIndex(e)))).collect();
        let stats = Stats {
            requests: rows.len() as u64,
            sessions: sessions.len() as u64,
            from: times().min(),
            until: times().max(),
            breadth_known: rows.iter().any(|r| r.network.is_some() || r.features.subject.is_some()),
            set_aside,
        };
        let response_fields = responses.into_iter().map(|set| set.into_iter().collect()).collect();
        Self { name, alpha, paths, facts, crowd, rooms, calibration, free_text, network, value_network, stats, response_fields }
    }

    /// The session of a request, unless it tells no callers apart.
    pub(crate) fn session_of(&self, features: &Features) -> Option<u64> {
        session_of(features).filter(|session| self.crowd != Some(*session))
    }

    /// Whom a request with this route is compared with.
    #[must_use]
    pub fn peers(&self, features: &Features, route: &Route) -> Peers {
        let facts = route.endpoint.map(|e| &self.facts[e.0 as usize]);
        let known = route.endpoint.filter(|_| facts.is_some_and(|f| f.is_known));
        Peers {
            class: class_of(&features.method, facts),
            has_free_text: known.is_some_and(|e| self.free_text[e.0 as usize]),
            is_known: known.is_some(),
        }
    }

    /// Share of successes in training that were at endpoints too rare to be known.
    pub(crate) fn unknown_share(&self) -> f64 {
        let successes = |is_known| self.facts.iter().filter(|f| f.is_known == is_known).map(|f| f.successes).sum();
        let (unknown, known): (u64, u64) = (successes(false), successes(true));
        Rate { events: unknown, of: unknown + known }.share()
    }

    fn summary(&self) -> serde_json::Value {
        let known = self.facts.iter().filter(|f| f.is_known).count();
        serde_json::json!({
            "requests": self.stats.requests,
            "set_aside": self.stats.set_aside,
            "sessions": self.stats.sessions,
            "has_crowd": self.crowd.is_some(),
            "from": self.stats.from.map(crate::time::rfc3339),
            "until": self.stats.until.map(crate::time::rfc3339),
            "endpoints": self.facts.len(),
            "known_endpoints": known,
            "fields": self.rooms.content.profiles(),
            "alpha": self.alpha,
            "calibration_rows": self.calibration.rows,
            "markov": self.rooms.sequence.size(&self.paths),
            "network": self.network.to_json(neural::Figures::to_json),
            "value_network": self.value_network.to_json(values::Figures::to_json),
            "poisoning": if self.stats.breadth_known { "breadth and tails" } else { "tails only" },
        })
    }

    fn endpoints(&self) -> Vec<EndpointView> {
        self.paths
            .endpoints()
            .iter()
            .zip(&self.facts)
            .enumerate()
            .map(|(at, (endpoint, facts))| EndpointView {
                id: endpoint.id,
                api: self.name.clone(),
                method: endpoint.method.to_string(),
                host: endpoint.host.to_string(),
                template: endpoint.template.to_string(),
                variables: endpoint.variables.iter().map(|v| (v.name.clone(), v.kind.clone())).collect(),
                operation: endpoint.operation.as_deref().map(str::to_owned),
                requests: facts.requests,
                successes: facts.successes,
                statuses: facts.statuses.clone(),
                fields: self.rooms.content.describe(EndpointIndex(at as u32)),
                response_fields: self.response_fields[at].clone(),
                first_seen: self.rooms.assets.first_seen(EndpointIndex(at as u32)),
                evidence: endpoint.variables.iter().map(|v| format!("{{{}}}: {}", v.name, v.evidence)).collect(),
                formerly: self.paths.former().iter().filter(|f| f.now.0 == at as u32).map(|f| f.name.clone()).collect(),
            })
            .collect()
    }
}

/// One discovered endpoint, for people and for OpenAPI.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointView {
    /// Stable id.
    pub id: crate::record::EndpointId,
    /// API it belongs to.
    pub api: ApiName,
    /// Method, upper case.
    pub method: String,
    /// Host.
    pub host: String,
    /// Template: `/v1/orders/{id}`.
    pub template: String,
    /// Variables of the template in order, with a type (`integer`, `uuid`, `string`, …).
    pub variables: Vec<(String, String)>,
    /// Operation name behind the path (GraphQL, JSON-RPC, gRPC).
    pub operation: Option<String>,
    /// Requests in the training history.
    pub requests: u64,
    /// Successful ones.
    pub successes: u64,
    /// Statuses seen, with counts.
    pub statuses: Vec<(u16, u64)>,
    /// Query, form and body fields.
    pub fields: Vec<FieldView>,
    /// Top-level fields of responses: (status, name).
    pub response_fields: Vec<(u16, String)>,
    /// First success in the history, epoch milliseconds.
    pub first_seen: Option<i64>,
    /// Why each variable segment is one.
    pub evidence: Vec<String>,
    /// Endpoints of earlier models that are part of it now.
    pub formerly: Vec<String>,
}

/// One request field of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FieldView {
    /// `query`, `form` or `body`.
    pub place: String,
    /// Name; JSON paths as `a.b[].c`.
    pub name: String,
    /// `integer`, `number`, `boolean`, `string`, `null`, `array` or `object`.
    pub kind: String,
    /// Share of the endpoint's requests that carry it, 0 to 1.
    pub share: f64,
}
