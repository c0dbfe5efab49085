//! The stage of an attack: attackers, their disguise as everyday users, and the burst in which they show.

use super::Technique;
use crate::ids::UserId;
use crate::people::{Client, Goal, Kind, Outcome, Scene, Script, Shopper, Step, Visit, data_centre, stranger};
use crate::wire::Call;
use engine::record::Family;
use std::collections::VecDeque;

/// Scripts one after the other.
pub(super) struct Chain(VecDeque<Box<dyn Script>>);

impl Script for Chain {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, last: Outcome) -> Vec<Step> {
        while let Some(script) = self.0.front_mut() {
            let steps = script.next(client, scene, last);
            if !steps.is_empty() {
                return steps;
            }
            self.0.pop_front();
        }
        Vec::new()
    }
}

/// Rounds of an attack: the steps of each come from a function of the round's number and the answer before; an empty round ends it.
pub(super) struct Rounds<F> {
    round: u32,
    rounds: u32,
    steps: F,
}

impl<F: FnMut(u32, &mut Client, &mut Scene<'_>, Outcome) -> Vec<Step>> Rounds<F> {
    /// So many rounds.
    pub(super) fn new(rounds: u32, steps: F) -> Self {
        Self { round: 0, rounds, steps }
    }
}

impl<F: FnMut(u32, &mut Client, &mut Scene<'_>, Outcome) -> Vec<Step>> Script for Rounds<F> {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, last: Outcome) -> Vec<Step> {
        if self.round >= self.rounds {
            return Vec::new();
        }
        self.round += 1;
        (self.steps)(self.round - 1, client, scene, last)
    }
}

/// Who takes part in a launch.
pub(super) struct Cast<'s, 'w> {
    pub(super) scene: &'s mut Scene<'w>,
    technique: &'static Technique,
    number: u32,
    pub(super) visits: Vec<(i64, Visit)>,
}

impl<'s, 'w> Cast<'s, 'w> {
    /// An empty stage.
    pub(super) fn new(scene: &'s mut Scene<'w>, technique: &'static Technique, number: u32) -> Self {
        Self { scene, technique, number, visits: Vec::new() }
    }

    /// What the technique is an attack of.
    pub(super) fn family(&self) -> Family {
        self.technique.family
    }

    fn group(&self) -> String {
        format!("{}-{}", self.technique.name, self.number)
    }

    /// A customer, any one.
    pub(super) fn somebody(&mut self) -> UserId {
        self.scene.shop.accounts.any_customer(self.scene.chance)
    }

    /// A client with an account of its own, as a customer would use it.
    pub(super) fn insider(&mut self) -> Client {
        let kind = self.scene.chance.weighted(&[(Kind::Web, 60), (Kind::Ios, 20), (Kind::Android, 20)]);
        let user = self.somebody();
        let mut client = Client::of_customer(self.scene.shop, user, kind, self.scene.chance);
        if self.scene.chance.hit(0.4) {
            client.address = stranger(self.scene.chance);
        }
        client
    }

    /// A client without an account, in a browser or a script that says it is one.
    pub(super) fn outsider(&mut self) -> Client {
        let address = if self.scene.chance.hit(0.5) { stranger(self.scene.chance) } else { data_centre(self.scene.chance) };
        Client::of_stranger(Kind::Web, address, self.scene.chance)
    }

    /// A tool with its own user agent.
    pub(super) fn tool(&mut self, agent: &'static str) -> Client {
        let address = data_centre(self.scene.chance);
        Client::program(Kind::Machine, agent, address, self.scene.chance)
    }

    /// Everyday use, the attack, everyday use again: by somebody who logs in.
    pub(super) fn logged_in(&mut self, assault: impl Script + 'static) {
        let client = self.insider();
        self.between_goals(client, assault);
    }

    /// The same with a given client.
    pub(super) fn between_goals(&mut self, client: Client, assault: impl Script + 'static) {
        let lead = self.goals();
        let tail = if self.scene.chance.hit(0.5) { self.goals() } else { Vec::new() };
        let chain: VecDeque<Box<dyn Script>> =
            [Box::new(Shopper::with(lead)) as Box<dyn Script>, Box::new(assault), Box::new(Tail(tail))].into();
        self.enter(0, client, Chain(chain));
    }

    /// The attack by somebody who looks around without an account before.
    pub(super) fn passing_by(&mut self, assault: impl Script + 'static) {
        let client = self.outsider();
        let shopper = Shopper::new(&client, self.scene.chance);
        let chain: VecDeque<Box<dyn Script>> = [Box::new(shopper) as Box<dyn Script>, Box::new(assault)].into();
        self.enter(0, client, Chain(chain));
    }

    /// The bare attack, so many milliseconds after the launch.
    pub(super) fn enter(&mut self, after: i64, client: Client, script: impl Script + 'static) {
        let visit = Visit::new(client, self.group(), script).hostile();
        self.visits.push((self.scene.now + after, visit));
    }

    /// One or two goals that need nothing special.
    fn goals(&mut self) -> Vec<Goal> {
        const GOALS: &[Goal] = &[Goal::Browse, Goal::Search, Goal::Orders, Goal::Wishes, Goal::News, Goal::Search, Goal::Buy];
        (0..=self.scene.chance.below(2)).map(|_| self.scene.chance.pick(GOALS)).collect()
    }
}

/// Goals at the end of a visit.
struct Tail(Vec<Goal>);

impl Script for Tail {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        self.0.pop().map(|goal| crate::people::steps_of(goal, client, scene)).unwrap_or_default()
    }
}

/// An attack's call after a pause such as a person working by hand makes.
pub(super) fn by_hand(family: Family, scene: &mut Scene<'_>, call: Call) -> Step {
    Step::attack(scene.chance.think(6_000.0), family, call)
}

/// An attack's call at the pace of a script.
pub(super) fn by_script(family: Family, scene: &mut Scene<'_>, call: Call) -> Step {
    Step::attack(scene.chance.between(60, 400), family, call)
}
