//! Attackers: every family of the record format, in several techniques. Most of what an attacker sends is everyday use; only the calls that
//! do harm or probe for it are labelled.

mod account_takeover;
mod adaptive;
mod disguise;
mod excessive_data;
mod function_access;
mod fuzzing;
mod improper_asset;
mod injection;
mod mass_assignment;
mod misconfiguration;
mod object_access;
mod payloads;
mod replay;
mod sensitive_data;
mod sequence;
mod volume;
mod words;

use crate::chance::Chance;
use crate::config::Config;
use crate::people::{Rhythm, Scene, Visit, level};
use disguise::Cast;
use engine::record::Family;

/// One way to attack.
#[derive(Debug)]
pub(crate) struct Technique {
    /// Name, with which the groups of labels start.
    pub(crate) name: &'static str,
    /// What it is an attack of.
    pub(crate) family: Family,
    /// Whether it needs so many calls that it has no place in a poisoned learning time.
    loud: bool,
    /// Puts the attackers on stage.
    start: fn(&mut Cast<'_, '_>),
}

const fn quiet(name: &'static str, family: Family, start: fn(&mut Cast<'_, '_>)) -> Technique {
    Technique { name, family, loud: false, start }
}

const fn loud(name: &'static str, family: Family, start: fn(&mut Cast<'_, '_>)) -> Technique {
    Technique { name, family, loud: true, start }
}

/// All techniques.
#[rustfmt::skip]
static TECHNIQUES: &[Technique] = &[
    quiet("sqli", Family::Injection, injection::sql),
    quiet("nosql", Family::Injection, injection::nosql),
    quiet("xss", Family::Injection, injection::script),
    quiet("traversal", Family::Injection, injection::traversal),
    quiet("ssrf", Family::Injection, injection::ssrf),
    quiet("command", Family::Injection, injection::command),
    quiet("template", Family::Injection, injection::template),
    quiet("log4j", Family::Injection, injection::log4j),
    quiet("adaptive_sqli", Family::Injection, adaptive::injection),
    quiet("assign_role", Family::MassAssignment, mass_assignment::role),
    quiet("assign_price", Family::MassAssignment, mass_assignment::price),
    quiet("assign_at_registration", Family::MassAssignment, mass_assignment::registration_with_role),
    quiet("export_all", Family::ExcessiveData, excessive_data::export),
    quiet("feed_all", Family::ExcessiveData, excessive_data::feed),
    quiet("card_in_text", Family::SensitiveData, sensitive_data::card),
    quiet("mail_in_search", Family::SensitiveData, sensitive_data::search),
    quiet("secret_in_field", Family::SensitiveData, sensitive_data::secret),
    quiet("old_users", Family::ImproperAsset, improper_asset::users),
    quiet("debug", Family::ImproperAsset, improper_asset::debug),
    quiet("old_login", Family::ImproperAsset, improper_asset::login),
    quiet("invoices", Family::ObjectAccess, object_access::invoices),
    quiet("addresses", Family::ObjectAccess, object_access::addresses),
    quiet("orders", Family::ObjectAccess, object_access::orders),
    quiet("slow_invoices", Family::ObjectAccess, object_access::slowly),
    quiet("mimic", Family::ObjectAccess, adaptive::mimic),
    quiet("partner_replay", Family::Replay, replay::partner),
    quiet("token_theft", Family::Replay, replay::token),
    quiet("hook_replay", Family::Replay, replay::hook),
    quiet("skip_payment", Family::Sequence, sequence::payment),
    quiet("skip_all", Family::Sequence, sequence::all),
    quiet("scalper", Family::Sequence, sequence::scalper),
    loud("flood", Family::Volume, volume::flood),
    loud("scrape", Family::Volume, volume::scrape),
    loud("slow_scrape", Family::Volume, volume::slowly),
    loud("coupons", Family::Volume, volume::coupons),
    loud("stuffing", Family::AccountTakeover, account_takeover::one_source),
    loud("stuffing_distributed", Family::AccountTakeover, account_takeover::distributed),
    loud("brute_force", Family::AccountTakeover, account_takeover::one_account),
    loud("reset_bomb", Family::AccountTakeover, account_takeover::resets),
    quiet("admin_read", Family::FunctionAccess, function_access::read),
    quiet("admin_write", Family::FunctionAccess, function_access::write),
    quiet("dotfiles", Family::Misconfiguration, misconfiguration::files),
    quiet("stack_traces", Family::Misconfiguration, misconfiguration::traces),
    quiet("cors", Family::Misconfiguration, misconfiguration::cors),
    loud("ffuf", Family::Fuzzing, fuzzing::paths),
    loud("restler", Family::Fuzzing, fuzzing::bodies),
    loud("parameters", Family::Fuzzing, fuzzing::parameters),
];

/// A technique that will be used at a moment.
#[derive(Debug)]
pub(crate) struct Launch {
    /// When, epoch milliseconds.
    pub(crate) at: i64,
    technique: &'static Technique,
    number: u32,
}

impl Launch {
    /// The visits of its attackers, and when they begin.
    pub(crate) fn visits(&self, scene: &mut Scene<'_>) -> Vec<(i64, Visit)> {
        scene.now = self.at;
        let mut cast = Cast::new(scene, self.technique, self.number);
        (self.technique.start)(&mut cast);
        cast.visits
    }
}

/// Who attacks when, in time order.
pub(crate) fn plan(config: &Config, chance: &mut Chance) -> Vec<Launch> {
    let mut launches = Vec::new();
    let mut number = 0;
    let mut add = |technique, span: (i64, i64), chance: &mut Chance| {
        number += 1;
        launches.push(Launch { at: moment(span, chance), technique, number });
    };
    let (start, middle, end) = (config.start, config.learning_ends(), config.end());
    if config.attacks && end > middle {
        for technique in TECHNIQUES {
            for _ in 0..config.launches {
                add(technique, (middle, end), chance);
            }
        }
    }
    if config.poison > 0.0 {
        let quiet: Vec<&'static Technique> = TECHNIQUES.iter().filter(|t| !t.loud).collect();
        let visits = f64::from(config.requests_per_day) * (middle - start) as f64 / 86_400_000.0 / 14.0;
        for _ in 0..(visits * config.poison.min(1.0)) as u32 {
            add(chance.pick(&quiet), (start, middle), chance);
        }
    }
    launches.sort_by_key(|l| (l.at, l.number));
    launches
}

/// A moment in a span: half of the attackers hide in the crowd, half come at any hour. The last tenth is left for them to finish.
fn moment((from, until): (i64, i64), chance: &mut Chance) -> i64 {
    let draw = |chance: &mut Chance| from + (chance.unit() * 0.9 * (until - from) as f64) as i64;
    let mut at = draw(chance);
    if chance.hit(0.5) {
        for _ in 0..20 {
            if chance.unit() * 2.0 < level(Rhythm::Customers, at) {
                break;
            }
            at = draw(chance);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_family_has_a_technique() {
        let families: BTreeSet<Family> = TECHNIQUES.iter().map(|t| t.family).collect();
        let expected: BTreeSet<Family> = Family::ALL.into_iter().filter(|f| *f != Family::Unknown).collect();
        assert_eq!(families, expected);
    }

    #[test]
    fn launches_lie_behind_the_learning_time_unless_it_is_poisoned() {
        let mut config = Config::new(3, 1.0, 20_000);
        let clean = plan(&config, &mut Chance::new(3, 0));
        assert_eq!(clean.len(), TECHNIQUES.len() * 2);
        assert!(clean.iter().all(|l| (config.learning_ends()..config.end()).contains(&l.at)));
        config.poison = 0.05;
        let poisoned = plan(&config, &mut Chance::new(3, 0)).into_iter().filter(|l| l.at < config.learning_ends()).count();
        assert!((25..45).contains(&poisoned), "{poisoned}");
    }
}
