//! The list of detectors. A new one is a room of its own and a line in each list here.

use crate::access::Access;
use crate::assets::Assets;
use crate::content::{Content, Scratch};
use crate::detect::{Aspect, Explanation, Seen, Signal};
use crate::links::Links;
use crate::neural::Foresight;
use crate::neural::values::Likeness;
use crate::partition::Live;
use crate::paths::Paths;
use crate::probe::Probe;
use crate::record::{Capabilities, Capability, DetectorKind};
use crate::replay::Replay;
use crate::response::Responses;
use crate::sequence::Sequence;
use crate::source::Accounts;
use crate::volume::Volume;
use serde::{Deserialize, Serialize};

/// What all rooms have learned of one API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rooms {
    /// Which endpoints are live.
    pub assets: Assets,
    /// What comes after what.
    pub sequence: Sequence,
    /// The same by a network, where one helps.
    pub foresight: Option<Foresight>,
    /// How often.
    pub volume: Volume,
    /// Which fields and values.
    pub content: Content,
    /// Values again, by a network, where one helps.
    pub likeness: Option<Likeness>,
    /// Who a caller is.
    pub links: Links,
    /// What never repeats.
    pub replay: Replay,
    /// Whose objects are whose.
    pub access: Access,
    /// What comes back.
    pub responses: Responses,
    /// Who tries things out.
    pub probe: Probe,
    /// Whose log-ins are refused.
    pub accounts: Accounts,
}

impl Rooms {
    /// Takes note of who is calling, before any room is asked.
    pub fn arrive(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        self.links.arrive(seen, live);
    }

    /// Asks every room; changes nothing.
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, scratch: &mut Scratch, out: &mut Vec<Signal>) {
        self.score_stateful(seen, live, out);
        self.content.score(seen, Some(live), scratch, out);
        if let Some(likeness) = &self.likeness {
            likeness.score(live.appraised, out);
        }
    }

    /// Asks every room but `content`, whose training asks for itself.
    pub(crate) fn score_stateful(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        self.assets.score(seen, live, out);
        self.sequence.score(seen, live, out);
        if let Some(foresight) = &self.foresight {
            foresight.score(live, out);
        }
        self.volume.score(seen, live, out);
        self.replay.score(seen, live, out);
        self.access.score(seen, live, out);
        self.responses.score(seen, live, out);
        self.probe.score(seen, live, out);
        self.accounts.score(seen, live, out);
    }

    /// Lets every room take note of an exchange that was judged.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        self.assets.observe(seen, live);
        self.sequence.observe(seen, live);
        if let Some(foresight) = &self.foresight {
            foresight.observe(live);
        }
        self.volume.observe(seen, live);
        self.replay.observe(seen, live);
        self.access.observe(seen, live);
        self.responses.observe(seen, live);
        self.content.observe(seen, live);
        self.links.observe(seen, live);
        self.probe.observe(seen, live);
        self.accounts.observe(seen, live);
    }

    /// Asks a room why. Must be called before [`Self::observe`].
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths, aspect: Aspect, scratch: &mut Scratch) -> Option<Explanation> {
        match aspect.detector() {
            DetectorKind::Assets => self.assets.explain(seen, paths, aspect),
            DetectorKind::Sequence if matches!(aspect, Aspect::Foreseen | Aspect::Certain) => self.foresight.as_ref()?.explain(live, paths),
            DetectorKind::Sequence => self.sequence.explain(seen, live, paths, aspect),
            DetectorKind::Volume => self.volume.explain(seen, live),
            DetectorKind::Content if aspect == Aspect::Likeness => {
                self.likeness.as_ref()?.explain(seen, live.appraised, &self.content, scratch)
            }
            DetectorKind::Content => self.content.explain(seen, live, aspect, scratch),
            DetectorKind::Replay => self.replay.explain(seen, live, aspect),
            DetectorKind::Access => self.access.explain(seen, live, paths, aspect),
            DetectorKind::Response => self.responses.explain(seen, live, aspect),
            DetectorKind::Probe => self.probe.explain(seen, live),
            DetectorKind::Source => self.accounts.explain(seen, live),
        }
    }

    /// Detectors that could not look at such a record, in order.
    #[must_use]
    pub fn blind(seen: &Seen<'_>, has_session: bool) -> Vec<DetectorKind> {
        let features = seen.features;
        let hides_body = Self::hides_body(&features.method, features.request_bytes, features.capabilities);
        Self::blind_without(features.capabilities, has_session, seen.is_timely, hides_body)
    }

    /// Whether a request may have had a body that its record does not show: most injections stand there, so content has not looked.
    #[must_use]
    pub fn hides_body(method: &str, bytes: Option<u64>, capabilities: Capabilities) -> bool {
        matches!(method, "POST" | "PUT" | "PATCH") && !capabilities.has(Capability::RequestBody) && bytes != Some(0)
    }

    /// Detectors that cannot look at a record that tells no more than this, in order.
    #[must_use]
    pub fn blind_without(capabilities: Capabilities, has_session: bool, is_timely: bool, hides_body: bool) -> Vec<DetectorKind> {
        let has_caller = has_session || capabilities.has(Capability::SourceAddress);
        DetectorKind::ALL
            .into_iter()
            .filter(|d| match d {
                DetectorKind::Assets => !capabilities.has(Capability::ResponseStatus),
                DetectorKind::Sequence => !has_session,
                DetectorKind::Volume => !has_session || !is_timely,
                DetectorKind::Probe => !has_caller || !capabilities.has(Capability::ResponseStatus),
                DetectorKind::Source => !has_caller,
                DetectorKind::Content => hides_body,
                DetectorKind::Response => !capabilities.has(Capability::ResponseBody) && !capabilities.has(Capability::Sizes),
                DetectorKind::Access => !has_session && !capabilities.has(Capability::Subject),
                DetectorKind::Replay => {
                    !has_session && !capabilities.has(Capability::RequestHeaders) && !capabilities.has(Capability::RequestBody)
                }
            })
            .collect()
    }
}
