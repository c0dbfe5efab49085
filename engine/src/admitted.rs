//! What analysts said to be nothing, as a model has it: such oddities count as normal where they were found.
//!
//! An endpoint is known by its template. Where a later training merges it into another, what was said of it holds for that one.

use crate::model::ApiModel;
use crate::record::Family;
use serde::{Deserialize, Serialize};

/// One kind of finding that is nothing at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Admission {
    /// The endpoint, as verdicts name it.
    pub endpoint: String,
    /// Family of the finding.
    pub family: Family,
    /// Part of the exchange; `None`: anywhere.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// All of a model, by endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Admitted(Vec<Admission>);

impl Admitted {
    pub(crate) fn new(mut all: Vec<Admission>) -> Self {
        all.sort();
        all.dedup();
        Self(all)
    }

    /// Those of an endpoint.
    pub(crate) fn at(&self, endpoint: &str) -> &[Admission] {
        let start = self.0.partition_point(|admission| admission.endpoint.as_str() < endpoint);
        let length = self.0[start..].partition_point(|admission| admission.endpoint == endpoint);
        &self.0[start..start + length]
    }

    pub(crate) fn all(&self) -> &[Admission] {
        &self.0
    }
}

impl Admission {
    /// By the name that its endpoint has in a model of these APIs.
    pub(crate) fn renamed(&self, apis: &[ApiModel]) -> Self {
        let now = apis.iter().find_map(|api| Some(api.paths.endpoint(api.paths.successor(&self.endpoint)?).name()));
        Self { endpoint: now.unwrap_or_else(|| self.endpoint.clone()), ..self.clone() }
    }

    /// Whether it speaks of a finding of this family at this part of the exchange.
    pub(crate) fn admits(&self, family: Family, place: &str) -> bool {
        self.family == family && self.place.as_deref().is_none_or(|own| own == place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(endpoint: &str, place: Option<&str>) -> Admission {
        Admission { endpoint: endpoint.to_owned(), family: Family::Injection, place: place.map(str::to_owned) }
    }

    #[test]
    fn each_endpoint_has_its_own() {
        let all = [admission("b", Some("query.q")), admission("a", None), admission("b", Some("query.q")), admission("b", Some("query.r"))];
        let admitted = Admitted::new(all.to_vec());
        assert_eq!(admitted.all().len(), 3);
        assert_eq!((admitted.at("a").len(), admitted.at("b").len(), admitted.at("c").len()), (1, 2, 0));
        let at = |place| admitted.at("b").iter().any(|admission| admission.admits(Family::Injection, place));
        assert!(at("query.q") && at("query.r") && !at("query.s"));
        assert!(admitted.at("a")[0].admits(Family::Injection, "anywhere") && !admitted.at("a")[0].admits(Family::Volume, "anywhere"));
    }
}
