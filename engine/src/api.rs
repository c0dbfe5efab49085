//! Which API a host belongs to. The Host header is written by attackers: a host earns an API of its own, and the table is bounded.

use crate::features::Features;
use crate::record::{ApiName, SourceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Successful requests after which a host has an API of its own, and sources they must come from.
const SUCCESSES: u64 = 100;
const SOURCES: usize = 3;
/// Hosts counted, and APIs made of them, at most.
const MAX_HOSTS: usize = 10_000;
const MAX_APIS: usize = 256;

/// A declared group of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostGroup {
    /// Name of the API.
    pub name: String,
    /// Hosts, lower case; `*.example.com` takes every sub-domain.
    pub hosts: Vec<String>,
}

impl HostGroup {
    /// Whether a host (lower case) belongs to the group.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.hosts.iter().any(|h| match h.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')),
            None => h == host,
        })
    }
}

/// Counts what hosts have earned, and says which API a request belongs to.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    groups: Vec<HostGroup>,
    hosts: BTreeMap<Box<str>, HostCount>,
    apis: BTreeMap<ApiName, u64>,
}

#[derive(Debug, Clone, Default)]
struct HostCount {
    requests: u64,
    successes: u64,
    sources: Vec<SourceId>,
    unknown_sources: u64,
    has_api: bool,
}

impl Directory {
    /// With declared groups.
    #[must_use]
    pub fn new(groups: Vec<HostGroup>) -> Self {
        Self { groups, ..Self::default() }
    }

    /// Counts one exchange and returns its API.
    pub fn add(&mut self, features: &Features) -> ApiName {
        let api = self.api_of(features);
        *self.apis.entry(api.clone()).or_default() += 1;
        api
    }

    fn api_of(&mut self, features: &Features) -> ApiName {
        if let Some(group) = self.groups.iter().find(|g| g.has(&features.host)) {
            return ApiName::new(group.name.as_str());
        }
        let other = ApiName::new(ApiName::OTHER);
        if features.host.is_empty() || (!self.hosts.contains_key(&features.host) && self.hosts.len() >= MAX_HOSTS) {
            return other;
        }
        let count = self.hosts.entry(features.host.clone()).or_default();
        count.requests += 1;
        if count.has_api {
            return ApiName::new(&*features.host);
        }
        if features.succeeded() != Some(false) {
            count.successes += 1;
            match features.source {
                Some(source) if count.sources.len() < SOURCES && !count.sources.contains(&source) => count.sources.push(source),
                Some(_) => {}
                None => count.unknown_sources += 1,
            }
        }
        if count.successes < SUCCESSES || count.sources.len() as u64 + count.unknown_sources < SOURCES as u64 || self.apis.len() >= MAX_APIS
        {
            return other;
        }
        // What it earned so far moves with it; the present request is counted by the caller.
        count.has_api = true;
        let moved = count.requests - 1;
        let api = ApiName::new(&*features.host);
        if let Some(rest) = self.apis.get_mut(&other) {
            *rest = rest.saturating_sub(moved);
        }
        *self.apis.entry(api.clone()).or_default() += moved;
        api
    }

    /// Requests counted per API (all of them, successful or not).
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<ApiName, u64> {
        &self.apis
    }

    /// Host to API, for hosts with an API of their own (declared groups are not listed).
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<String, ApiName> {
        self.hosts.iter().filter(|(_, c)| c.has_api).map(|(h, _)| (h.to_string(), ApiName::new(&**h))).collect()
    }

    /// Which host belongs where, to be carried in a model.
    #[must_use]
    pub fn map(&self) -> HostMap {
        HostMap { groups: self.groups.clone(), hosts: self.hosts() }
    }
}

/// Which API a host belongs to, as decided once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMap {
    groups: Vec<HostGroup>,
    hosts: BTreeMap<String, ApiName>,
}

impl HostMap {
    /// A map of hosts without groups.
    #[must_use]
    pub fn of_hosts(hosts: BTreeMap<String, ApiName>) -> Self {
        Self { groups: Vec::new(), hosts }
    }

    /// The API of a host (lower case).
    #[must_use]
    pub fn api(&self, host: &str) -> ApiName {
        if let Some(group) = self.groups.iter().find(|g| g.has(host)) {
            return ApiName::new(group.name.as_str());
        }
        if let Some(api) = self.hosts.get(host) {
            return api.clone();
        }
        // Another port of a known host is a part of that API which should not be there.
        let name = |h: &str| h.rsplit_once(':').map_or(h, |(name, _)| name).to_owned();
        let bare = name(host);
        let same = self.hosts.iter().find(|(h, _)| name(h) == bare).map(|(_, api)| api.clone());
        same.unwrap_or_else(|| ApiName::new(ApiName::OTHER))
    }
}

#[cfg(test)]
mod tests {
    use super::{Directory, HostGroup};
    use crate::record::{Exchange, Text};
    use crate::{ApiName, Features};

    fn exchange(host: &str, ip: &str) -> Features {
        let mut e = Exchange { method: "GET".into(), path: "/".into(), host: Some(Text::from(host)), ..Exchange::default() };
        e.response.status = Some(200);
        e.client.ip = Some(Text::from(ip.to_owned()));
        Features::of(&e)
    }

    #[test]
    fn a_host_earns_its_api_and_a_flood_of_hosts_does_not() {
        let mut directory = Directory::new(vec![HostGroup { name: "shop".into(), hosts: vec!["*.shop.example".into()] }]);
        for i in 0..200 {
            directory.add(&exchange("api.example", &format!("10.0.0.{}", i % 5)));
            directory.add(&exchange("one.example", "10.0.0.1"));
        }
        for i in 0..30_000 {
            directory.add(&exchange(&format!("h{i}.example"), "10.0.0.1"));
        }
        assert_eq!(directory.add(&exchange("eu.shop.example", "10.0.0.1")), ApiName::new("shop"));
        assert_eq!(directory.counts()[&ApiName::new("api.example")], 200);
        assert_eq!(directory.hosts().len(), 1);
        assert!(directory.hosts.len() <= super::MAX_HOSTS);
    }
}
