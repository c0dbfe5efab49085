//! The table of endpoints: what stands where, who may call it, and which template is the truth about a path.

use super::ask::{Ask, Reply};
use super::{
    Shop, addresses, admin, auth, cart, catalog, checkout, extras, graphql, legacy, ops, orders, partner, profile, reviews, support, wishes,
};
use crate::wire::{API, Call, PARTNERS};

/// Method and path template of an endpoint, as labels give it: `GET /v2/products/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Template(pub(crate) &'static str);

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// A load balancer: never limited, never faulty.
    Probe,
    /// Whoever is logged in.
    User,
    /// Staff; whether that is checked is up to the handler.
    Staff,
    /// A partner by key and signature.
    Partner,
    /// A provider by signature.
    Provider,
}

impl Access {
    /// Whether the rate limit holds.
    pub(super) fn is_limited(self) -> bool {
        matches!(self, Self::Open | Self::User | Self::Staff)
    }
}

/// An endpoint.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) template: Template,
    pub(super) access: Access,
    /// Median time of an answer, milliseconds.
    pub(super) base_ms: f64,
    pub(super) handler: fn(&mut Shop, &Ask<'_>) -> Reply,
}

const fn route(template: &'static str, access: Access, base_ms: f64, handler: fn(&mut Shop, &Ask<'_>) -> Reply) -> Route {
    Route { template: Template(template), access, base_ms, handler }
}

use Access::{Open, Partner, Probe, Provider, Staff, User};

/// All endpoints; where a literal and a variable both match, the earlier one wins.
#[rustfmt::skip]
static ROUTES: &[Route] = &[
    route("POST /v2/auth/register", Open, 210.0, auth::register),
    route("POST /v2/auth/login", Open, 190.0, auth::login),
    route("POST /v2/auth/refresh", Open, 24.0, auth::refresh),
    route("POST /v2/auth/logout", User, 9.0, auth::logout),
    route("POST /v2/auth/password-reset", Open, 60.0, auth::ask_reset),
    route("POST /v2/auth/password-reset/confirm", Open, 180.0, auth::confirm_reset),
    route("GET /v2/users/me", User, 12.0, profile::show),
    route("PATCH /v2/users/me", User, 25.0, profile::update),
    route("GET /v2/users/me/addresses", User, 11.0, addresses::list),
    route("POST /v2/users/me/addresses", User, 23.0, addresses::add),
    route("GET /v2/users/me/addresses/{id}", User, 10.0, addresses::show),
    route("PUT /v2/users/me/addresses/{id}", User, 22.0, addresses::replace),
    route("DELETE /v2/users/me/addresses/{id}", User, 18.0, addresses::remove),
    route("GET /v2/users/{id}", Open, 10.0, profile::public),
    route("GET /v2/products", Open, 48.0, catalog::list),
    route("GET /v2/products/by-slug/{slug}", Open, 15.0, catalog::by_slug),
    route("GET /v2/products/{id}", Open, 14.0, catalog::show),
    route("GET /v2/products/{id}/reviews", Open, 19.0, reviews::list),
    route("POST /v2/products/{id}/reviews", User, 41.0, reviews::write),
    route("GET /v2/products/{id}/recommendations", Open, 33.0, catalog::recommendations),
    route("POST /v2/reviews/{id}/helpful", User, 12.0, reviews::helpful),
    route("GET /v2/categories", Open, 7.0, catalog::categories),
    route("GET /v2/categories/{slug}", Open, 30.0, catalog::category),
    route("GET /v2/cart", User, 13.0, cart::show),
    route("POST /v2/cart/items", User, 27.0, cart::add),
    route("PATCH /v2/cart/items/{sku}", User, 22.0, cart::change),
    route("DELETE /v2/cart/items/{sku}", User, 17.0, cart::remove),
    route("POST /v2/cart/coupon", User, 21.0, cart::coupon),
    route("POST /v2/checkout", User, 38.0, checkout::open),
    route("PUT /v2/checkout/{id}/address", User, 26.0, checkout::address),
    route("POST /v2/checkout/{id}/payment-intent", User, 420.0, checkout::pay),
    route("POST /v2/checkout/{id}/order", User, 160.0, checkout::order),
    route("GET /v2/orders", User, 22.0, orders::list),
    route("GET /v2/orders/export", User, 95.0, orders::export),
    route("GET /v2/orders/{id}", User, 18.0, orders::show),
    route("POST /v2/orders/{id}/cancel", User, 45.0, orders::cancel),
    route("GET /v2/orders/{id}/tracking", User, 85.0, orders::tracking),
    route("GET /v2/invoices/{number}", User, 34.0, orders::invoice),
    route("GET /v2/messages", User, 14.0, support::list),
    route("POST /v2/messages", User, 40.0, support::open),
    route("GET /v2/messages/{id}", User, 12.0, support::show),
    route("POST /v2/messages/{id}/replies", User, 33.0, support::reply),
    route("GET /v2/wishlists/{id}", User, 14.0, wishes::show),
    route("POST /v2/wishlists/{id}/items", User, 18.0, wishes::add),
    route("DELETE /v2/wishlists/{id}/items/{product}", User, 15.0, wishes::remove),
    route("GET /v2/notifications", User, 6.0, extras::notifications),
    route("POST /v2/notifications/read", User, 8.0, extras::read),
    route("POST /v2/uploads", User, 29.0, extras::announce),
    route("GET /v2/uploads/{id}", User, 9.0, extras::upload),
    route("GET /v2/loyalty/card", User, 13.0, extras::loyalty),
    route("POST /v2/graphql", Open, 42.0, graphql::handle),
    route("GET /v1/products", Open, 70.0, legacy::products),
    route("GET /v1/products/{id}", Open, 24.0, legacy::product),
    route("POST /v1/login", Open, 230.0, auth::login),
    route("GET /v1/users/{id}", Open, 30.0, legacy::user),
    route("GET /v1/export/users", Open, 300.0, legacy::export),
    route("GET /internal/debug", Open, 4.0, legacy::debug),
    route("GET /internal/metrics", Open, 3.0, legacy::metrics),
    route("GET /health/live", Probe, 0.6, ops::live),
    route("GET /health/ready", Probe, 2.2, ops::ready),
    route("POST /webhooks/payments", Provider, 12.0, ops::hook),
    route("POST /webhooks/carrier", Provider, 11.0, ops::hook),
    route("GET /admin/v2/users", Staff, 40.0, admin::users),
    route("GET /admin/v2/users/{id}", Staff, 20.0, admin::user),
    route("POST /admin/v2/users/{id}/lock", Staff, 18.0, admin::lock),
    route("GET /admin/v2/orders", Staff, 50.0, admin::orders),
    route("POST /admin/v2/orders/{id}/refund", Staff, 240.0, admin::refund),
    route("PATCH /admin/v2/products/{id}", Staff, 28.0, admin::product),
    route("GET /admin/v2/stats/daily", Staff, 130.0, admin::stats),
    route("DELETE /admin/v2/reviews/{id}", Staff, 16.0, admin::delete_review),
    route("POST /stock/v1/updates", Partner, 75.0, partner::stock),
    route("POST /stock/v1/prices", Partner, 60.0, partner::prices),
    route("GET /stock/v1/items", Partner, 35.0, partner::items),
    route("GET /stock/v1/orders", Partner, 44.0, partner::orders),
    route("POST /stock/v1/orders/{id}/shipments", Partner, 31.0, partner::ship),
];

/// Templates of all endpoints; GraphQL operations beside their endpoint.
pub(crate) fn templates() -> impl Iterator<Item = Template> {
    ROUTES.iter().map(|r| r.template).chain(graphql::templates())
}

/// What stands at a path.
pub(super) enum Found<'c> {
    /// An endpoint, with the values of its variables.
    Route(&'static Route, [&'c str; 3]),
    /// Another method's endpoint.
    WrongMethod,
    /// Nothing.
    Nothing,
}

/// The table, split into segments once.
#[derive(Debug)]
pub(super) struct Router {
    /// By number of segments: method, segments, endpoint.
    by_length: Vec<Vec<(&'static str, Vec<&'static str>, &'static Route)>>,
}

impl Router {
    pub(super) fn new() -> Self {
        let mut by_length: Vec<Vec<_>> = Vec::new();
        for route in ROUTES {
            let (method, path) = route.template.0.split_once(' ').unwrap_or(("GET", route.template.0));
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            while by_length.len() <= segments.len() {
                by_length.push(Vec::new());
            }
            by_length[segments.len()].push((method, segments, route));
        }
        Self { by_length }
    }

    /// What stands at the path of a call.
    pub(super) fn find<'c>(&self, call: &'c Call) -> Found<'c> {
        let mut parts = [""; 8];
        let mut count = 0;
        for part in call.path.strip_prefix('/').unwrap_or("").split('/') {
            if count == parts.len() {
                return Found::Nothing;
            }
            parts[count] = part;
            count += 1;
        }
        let mut other_method = false;
        for (method, segments, route) in self.by_length.get(count).map_or(&[][..], Vec::as_slice) {
            if (route.access == Partner) != (call.host == PARTNERS) || (call.host != API && call.host != PARTNERS) {
                continue;
            }
            let Some(vars) = matched(segments, &parts[..count]) else { continue };
            if *method == call.method {
                return Found::Route(route, vars);
            }
            other_method = true;
        }
        if other_method { Found::WrongMethod } else { Found::Nothing }
    }
}

fn matched<'c>(segments: &[&str], parts: &[&'c str]) -> Option<[&'c str; 3]> {
    let mut vars = [""; 3];
    let mut next = 0;
    for (segment, part) in segments.iter().zip(parts) {
        if segment.starts_with('{') {
            if part.is_empty() {
                return None;
            }
            vars[next] = part;
            next += 1;
        } else if segment != part {
            return None;
        }
    }
    Some(vars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_win_over_variables() {
        let router = Router::new();
        let found = |method, path: &str| {
            let call = Call::new(method, path);
            match router.find(&call) {
                Found::Route(route, vars) => format!("{} {}", route.template.0, vars[0]),
                Found::WrongMethod => "405".to_owned(),
                Found::Nothing => "404".to_owned(),
            }
        };
        assert_eq!(found("GET", "/v2/users/me"), "GET /v2/users/me ");
        assert_eq!(found("GET", "/v2/users/100300"), "GET /v2/users/{id} 100300");
        assert_eq!(found("GET", "/v2/orders/export"), "GET /v2/orders/export ");
        assert_eq!(found("PUT", "/v2/cart"), "405");
        assert_eq!(found("GET", "/v2/orders/"), "404");
        assert_eq!(found("GET", "/stock/v1/items"), "404");
        assert_eq!(found("GET", "/a/b/c/d/e/f/g/h/i/j"), "404");
    }

    #[test]
    fn no_template_has_more_variables_than_a_request_keeps() {
        assert!(templates().all(|t| t.0.matches('{').count() <= 3));
    }
}
