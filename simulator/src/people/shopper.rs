//! A customer: arrives, follows a few goals one after the other, leaves.

use super::client::Client;
use super::visit::{Intent, Outcome, Scene, Script, Step};
use super::{account, browse, buy, talk};
use crate::chance::Chance;

/// What a customer wants for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Browse,
    Search,
    Buy,
    Orders,
    Profile,
    Addresses,
    Review,
    Wishes,
    Support,
    News,
    Export,
    /// Turns page after page of one search.
    Pages,
    /// Wrong passwords, a reset, and in at last.
    ForgottenPassword,
    /// Looks at the loyalty card of the later app.
    Loyalty,
}

const GOALS: &[(Goal, u32)] = &[
    (Goal::Browse, 260),
    (Goal::Search, 240),
    (Goal::Buy, 120),
    (Goal::Orders, 100),
    (Goal::Profile, 35),
    (Goal::Addresses, 30),
    (Goal::Review, 50),
    (Goal::Wishes, 55),
    (Goal::Support, 40),
    (Goal::News, 60),
    (Goal::Export, 6),
    (Goal::Pages, 4),
    (Goal::ForgottenPassword, 3),
];

/// A customer's script.
#[derive(Debug, Clone)]
pub(crate) struct Shopper {
    goals: Vec<Goal>,
    begun: bool,
    logs_in: bool,
    registers: bool,
    /// Whether the visit ends with a log-out.
    logs_out: bool,
    /// Factor on times to think.
    pace: f64,
}

impl Shopper {
    /// A customer with everyday goals.
    pub(crate) fn new(client: &Client, chance: &mut Chance) -> Self {
        let mut goals = vec![chance.weighted(GOALS)];
        while goals.len() < 9 && chance.hit(0.56) {
            goals.push(chance.weighted(GOALS));
        }
        let logs_in = client.user.is_some() && chance.hit(if client.kind.is_app() { 0.95 } else { 0.45 });
        let logs_out = chance.hit(0.07);
        let pace = chance.lognormal(1.0, 0.35);
        Self { goals, begun: false, logs_in, registers: false, logs_out, pace }
    }

    /// A customer with given goals, in their order, who logs in first.
    pub(crate) fn with(goals: Vec<Goal>) -> Self {
        Self { goals, begun: false, logs_in: true, registers: false, logs_out: false, pace: 1.0 }
    }

    /// The same, looking at the loyalty card too.
    pub(crate) fn with_loyalty(mut self) -> Self {
        self.goals.push(Goal::Loyalty);
        self
    }

    /// The same, opening an account first.
    pub(crate) fn registering(mut self) -> Self {
        self.registers = true;
        self.logs_in = false;
        self
    }

    /// The same at another pace: 0.5 is twice as fast.
    pub(crate) fn at_pace(mut self, pace: f64) -> Self {
        self.pace *= pace;
        self
    }

    fn arrival(&self, client: &Client, scene: &mut Scene<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        let chance = &mut *scene.chance;
        match &client.bearer {
            Some(bearer) if bearer.expires < scene.now + 30_000 && chance.hit(0.8) => steps.push(Step::new(1, account::refresh)),
            None if self.registers => steps.push(Step::new(chance.think(20_000.0), account::register)),
            None if self.logs_in => {
                if !client.kind.is_app() {
                    steps.push(Step::new(1, browse::home_feed));
                }
                steps.push(Step::new(chance.think(9_000.0), account::log_in));
            }
            _ => {}
        }
        let signed_in = client.bearer.is_some() || self.registers || self.logs_in;
        if signed_in && (client.kind.is_app() || chance.hit(0.6)) {
            steps.push(Step::new(120, account::me));
        }
        if signed_in && client.kind.is_app() {
            steps.push(Step::new(40, account::notifications));
            if chance.hit(0.3) {
                steps.push(Step::new(60, browse::order_status));
            }
        }
        if !steps.iter().any(|s| s.after == 1) || client.kind.is_app() {
            steps.push(Step::new(90, browse::home_feed));
        }
        if chance.hit(0.4) {
            steps.push(Step::new(50, browse::categories));
        }
        steps
    }
}

impl Script for Shopper {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        if !self.begun {
            self.begun = true;
            return self.arrival(client, scene);
        }
        let Some(goal) = self.goals.pop() else { return Vec::new() };
        let mut steps = steps_of(goal, client, scene);
        if client.kind.is_app() && scene.chance.hit(0.4) {
            steps.push(Step::new(scene.chance.between(300, 20_000), account::notifications));
        }
        if self.goals.is_empty() && client.bearer.is_some() && self.logs_out {
            steps.push(Step::new(scene.chance.think(5_000.0), account::log_out));
        }
        for step in steps.iter_mut().filter(|s| s.after > 900) {
            step.after = (step.after as f64 * self.pace) as i64;
        }
        steps
    }
}

/// The steps towards a goal, with the time that people take for them.
pub(crate) fn steps_of(goal: Goal, client: &Client, scene: &mut Scene<'_>) -> Vec<Step> {
    let chance = &mut *scene.chance;
    let mut plan = Plan { chance, steps: Vec::with_capacity(12) };
    match goal {
        Goal::Browse => plan.browse(),
        Goal::Search => plan.search(),
        Goal::Buy => plan.buy(client),
        Goal::Orders => plan.orders(),
        Goal::Profile => plan.profile(),
        Goal::Addresses => plan.addresses(),
        Goal::Review => plan.review(),
        Goal::Wishes => plan.wishes(),
        Goal::Support => plan.support(),
        Goal::News => plan.slow(4_000.0, account::notifications).maybe(0.6, 900.0, account::read_notifications),
        Goal::Export => plan.slow(8_000.0, buy::orders).slow(5_000.0, buy::export),
        Goal::Pages => plan.pages(),
        Goal::ForgottenPassword => plan.forgotten_password(),
        Goal::Loyalty => plan.slow(5_000.0, account::loyalty).maybe(0.3, 9_000.0, browse::home_feed),
    };
    plan.steps
}

struct Plan<'c> {
    chance: &'c mut Chance,
    steps: Vec<Step>,
}

impl Plan<'_> {
    /// A step that a person takes after a while, in median so many milliseconds.
    fn slow(&mut self, median_ms: f64, intent: Intent) -> &mut Self {
        let after = self.chance.think(median_ms);
        self.steps.push(Step::new(after, intent));
        self
    }

    /// A call that the client makes by itself, right after the one before.
    fn quick(&mut self, intent: Intent) -> &mut Self {
        let after = self.chance.between(30, 260);
        self.steps.push(Step::new(after, intent));
        self
    }

    /// A step that only some take.
    fn maybe(&mut self, share: f64, median_ms: f64, intent: Intent) -> &mut Self {
        if self.chance.hit(share) { self.slow(median_ms, intent) } else { self }
    }

    /// Looks at a product, with what the page loads besides.
    fn product(&mut self) -> &mut Self {
        self.slow(7_000.0, browse::view);
        if self.chance.hit(0.55) {
            self.quick(browse::reviews);
        }
        if self.chance.hit(0.4) {
            self.quick(browse::recommendations);
        }
        self
    }

    fn browse(&mut self) -> &mut Self {
        self.slow(5_000.0, browse::category);
        for _ in 0..self.chance.weighted(&[(0, 10), (1, 35), (2, 30), (3, 15), (5, 10)]) {
            self.product();
        }
        self.maybe(0.15, 6_000.0, browse::next_page).maybe(0.1, 9_000.0, browse::view_again).maybe(0.06, 8_000.0, browse::profile_of_other)
    }

    fn search(&mut self) -> &mut Self {
        self.slow(6_000.0, browse::search);
        if self.chance.hit(0.25) {
            self.slow(8_000.0, browse::search);
        }
        while self.chance.hit(0.22) {
            self.slow(9_000.0, browse::next_page);
        }
        for _ in 0..self.chance.weighted(&[(0, 20), (1, 40), (2, 25), (4, 15)]) {
            self.product();
        }
        self
    }

    fn buy(&mut self, client: &Client) -> &mut Self {
        if client.bearer.is_none() {
            let intent: Intent = if client.user.is_some() { account::log_in } else { account::register };
            self.slow(15_000.0, intent);
        }
        self.slow(4_000.0, browse::search).product().slow(9_000.0, buy::add_to_cart).quick(buy::see_cart);
        while self.chance.hit(0.3) {
            self.product().slow(6_000.0, buy::add_to_cart);
        }
        self.maybe(0.15, 5_000.0, buy::change_quantity).maybe(0.1, 4_000.0, buy::take_out).maybe(0.15, 7_000.0, buy::coupon);
        if self.chance.hit(0.35) {
            return self;
        }
        self.slow(6_000.0, buy::open_checkout).quick(account::addresses).slow(9_000.0, account::first_address).maybe(
            0.06,
            30_000.0,
            account::add_address,
        );
        self.slow(8_000.0, buy::choose_address);
        if self.chance.hit(0.12) {
            return self;
        }
        self.slow(14_000.0, buy::pay).slow(5_000.0, buy::order).quick(buy::see_new_order).maybe(0.3, 6_000.0, buy::track)
    }

    fn orders(&mut self) -> &mut Self {
        self.slow(4_000.0, buy::orders);
        self.maybe(0.75, 4_000.0, buy::see_order).maybe(0.6, 5_000.0, buy::track).maybe(0.3, 7_000.0, buy::invoice).maybe(
            0.05,
            9_000.0,
            buy::cancel,
        )
    }

    fn profile(&mut self) -> &mut Self {
        self.slow(5_000.0, account::me).maybe(0.6, 20_000.0, account::change_profile)
    }

    fn addresses(&mut self) -> &mut Self {
        self.slow(5_000.0, account::addresses).maybe(0.4, 5_000.0, account::address).maybe(0.4, 35_000.0, account::add_address);
        self.maybe(0.3, 20_000.0, account::change_address).maybe(0.12, 6_000.0, account::remove_address)
    }

    fn review(&mut self) -> &mut Self {
        self.product().maybe(0.3, 5_000.0, talk::helpful);
        if self.chance.hit(0.15) {
            self.slow(12_000.0, talk::upload).slow(2_000.0, talk::see_upload);
        }
        self.maybe(0.7, 60_000.0, talk::write_review)
    }

    fn wishes(&mut self) -> &mut Self {
        self.quick(account::me).slow(4_000.0, buy::wishes);
        self.maybe(0.5, 6_000.0, browse::view).maybe(0.6, 3_000.0, buy::wish).maybe(0.15, 4_000.0, buy::unwish)
    }

    fn support(&mut self) -> &mut Self {
        self.slow(5_000.0, talk::messages);
        if self.chance.hit(0.2) {
            self.slow(12_000.0, talk::upload).slow(2_000.0, talk::see_upload);
        }
        self.maybe(0.6, 70_000.0, talk::new_message).maybe(0.5, 5_000.0, talk::read_message).maybe(0.35, 45_000.0, talk::answer)
    }

    fn pages(&mut self) -> &mut Self {
        self.slow(4_000.0, browse::search);
        for _ in 0..self.chance.between(12, 40) {
            self.slow(3_500.0, browse::next_page);
        }
        self.product()
    }

    fn forgotten_password(&mut self) -> &mut Self {
        for _ in 0..self.chance.between(2, 4) {
            self.slow(7_000.0, account::wrong_password);
        }
        self.slow(12_000.0, account::forgot_password)
            .slow(55_000.0, account::confirm_reset)
            .slow(4_000.0, account::log_in)
            .quick(account::me)
    }
}
