//! What was learned: immutable, shared by reference, written as parts of a `.weir` file.

use serde::{Deserialize, Serialize};

/// A model of one or more APIs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Label (`v12`).
    pub label: String,
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
    pub const FORMAT: u32 = 1;

    /// The model as named parts, to be put into a model file. Deterministic.
    ///
    /// # Errors
    /// A part cannot be encoded.
    pub fn to_parts(&self) -> Result<Vec<(String, Vec<u8>)>, ModelError> {
        let bytes = postcard::to_stdvec(self).map_err(|e| ModelError::Damaged { name: "model".to_owned(), why: e.to_string() })?;
        Ok(vec![("model".to_owned(), bytes)])
    }

    /// A model from its parts.
    ///
    /// # Errors
    /// A part is missing or damaged.
    pub fn from_parts(parts: &[(String, Vec<u8>)]) -> Result<Self, ModelError> {
        let (name, bytes) = parts.iter().find(|(n, _)| n == "model").ok_or_else(|| ModelError::Missing("model".to_owned()))?;
        postcard::from_bytes(bytes).map_err(|e| ModelError::Damaged { name: name.clone(), why: e.to_string() })
    }

    /// What a person wants to know of the model: per API counts, alpha, metrics, gates. Goes into the manifest as `apis`.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    /// Discovered endpoints, for `weir endpoints`.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointView> {
        Vec::new()
    }
}

/// One discovered endpoint, for people and for OpenAPI.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointView {
    /// Stable id.
    pub id: crate::record::EndpointId,
    /// API it belongs to.
    pub api: crate::record::ApiName,
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
    /// Query, header, cookie and body fields: (place: `query`|`header`|`cookie`|`body`, name, type, share of requests in \[0, 1\]).
    pub fields: Vec<FieldView>,
    /// Top-level fields of responses: (status class, name).
    pub response_fields: Vec<(u16, String)>,
    /// First time seen in the history, epoch milliseconds.
    pub first_seen: Option<i64>,
    /// Why each variable segment is one.
    pub evidence: Vec<String>,
}

/// One request field of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FieldView {
    /// `query`, `header`, `cookie`, `form` or `body`.
    pub place: String,
    /// Name; JSON paths as `a.b[].c`.
    pub name: String,
    /// `integer`, `number`, `boolean`, `string`, `null`, `array` or `object`.
    pub kind: String,
    /// Share of the endpoint's requests that carry it, 0 to 1.
    pub share: f64,
}
