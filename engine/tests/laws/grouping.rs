//! Paths of access logs, without bodies, are grouped as those who made them would.

use crate::traffic::{history, learned};
use engine::paths::Taken;
use engine::record::{Client, Exchange, Response, Text};
use engine::{Admission, Family, LearnConfig, Model, learn};
use std::sync::Arc;

const HOST: &str = "api.telephony.example";

/// A request as an access log has it, from one of many clients.
fn line(n: usize, method: &'static str, path: String) -> Exchange<'static> {
    Exchange {
        time: Some(1_767_700_000_000 + n as i64 * 1_000),
        method: method.into(),
        path: Text::from(path),
        host: Some(HOST.into()),
        client: Client { ip: Some(Text::from(format!("203.0.{}.{}", n % 50, n % 7))), user_agent: Some("okhttp/4.12.0".into()) },
        response: Response { status: Some(200), ..Response::default() },
        ..Exchange::default()
    }
}

/// A number without pattern, the same every time.
fn scattered(n: usize) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

const SYLLABLES: [&str; 10] = ["ba", "cor", "del", "fen", "gar", "hol", "im", "jun", "kel", "mor"];

/// One of a hundred words of two syllables.
fn word(n: usize) -> String {
    format!("{}{}", SYLLABLES[n / 10 % 10], SYLLABLES[n % 10])
}

fn sid(kind: &str, n: usize) -> String {
    format!("{kind}{:016x}{:016x}", scattered(n), scattered(n + 7))
}

fn model(lines: Vec<(&'static str, String)>) -> Model {
    let lines: Vec<_> = lines.into_iter().enumerate().map(|(n, (method, path))| line(n, method, path)).collect();
    learned(&lines, "v1")
}

/// What the last segment of a path is.
fn last(model: &Model, path: &str) -> Taken {
    let walk = model.api(HOST).expect("the API").paths.walk(HOST, path).expect("a host that was learned");
    assert_eq!(walk.turns.len(), path.split('/').count() - 1, "{path} leads nowhere");
    walk.turns.last().expect("a segment").taken
}

fn templates(model: &Model) -> Vec<String> {
    let endpoints = model.api(HOST).expect("the API").paths.endpoints().iter();
    let mut all: Vec<String> = endpoints.map(|e| format!("{} {}", e.method, e.template)).collect();
    all.sort();
    all
}

#[test]
fn collections_with_capitals_stay_apart() {
    let names = ["Services", "Rooms", "Calls", "Users", "Flows", "Sims", "Workers", "Queues", "Messages", "SupportingDocumentTypes"];
    let below = ["Bindings", "Participants", "Recordings", "Roles", "Executions", "Usage", "Tasks", "Entries", "Media", "Fields"];
    let lines = (0..3_000).map(|n| {
        let which = n % names.len();
        let (name, one) = (names[which], format!("/v1/{}/{}", names[which], sid("AB", n % 400)));
        // Each is used in its own way: some are listed, some opened, some looked into.
        match scattered(n) as usize % 10 {
            part if part < which => ("POST", format!("/v1/{name}")),
            part if part % 2 == 0 => ("GET", one),
            _ => ("GET", format!("{one}/{}", below[which])),
        }
    });
    let model = model(lines.collect());
    for name in names {
        assert_eq!(last(&model, &format!("/v1/{name}")), Taken::Name);
        assert_eq!(last(&model, &format!("/v1/{name}/{}", sid("AB", 9_999))), Taken::Value);
    }
}

#[test]
fn a_name_beside_identifiers_stays_a_name() {
    let lines = (0..1_000).map(|n| match n % 10 {
        0 => ("GET", "/v1/Workers/Statistics".to_owned()),
        1 => ("GET", "/v1/Workers/search".to_owned()),
        _ => ("GET", format!("/v1/Workers/{}", sid("WK", n))),
    });
    let model = model(lines.collect());
    assert_eq!(templates(&model), ["GET /v1/Workers/Statistics", "GET /v1/Workers/search", "GET /v1/Workers/{id}"]);
}

#[test]
fn names_with_an_extension_are_names() {
    let names = ["lookup", "show", "create", "destroy", "update", "outgoing", "incoming", "list"];
    let lines = (0..800).map(|n| ("GET", format!("/1.1/friendships/{}.json", names[n % names.len()])));
    let model = model(lines.collect());
    assert_eq!(templates(&model).len(), names.len());
    assert_eq!(last(&model, "/1.1/friendships/show.json"), Taken::Name);
}

#[test]
fn many_words_used_alike_are_values_and_few_are_names() {
    let methods = ["GET", "PUT", "DELETE"];
    let tools = (0..2_400).map(|n| (methods[scattered(n) as usize % 3], format!("/v2/tools/{}", word(n % 80))));
    let reports = (0..600).map(|n| ("GET", format!("/v2/reports/{}", word(n % 12))));
    let codes = ["DE", "US", "GB", "FR", "ES", "IT", "NL", "SE", "NO", "DK"];
    let countries = (0..600).map(|n| ("GET", format!("/v2/countries/{}", codes[n % codes.len()])));
    let model = model(tools.chain(reports).chain(countries).collect());
    assert_eq!(last(&model, "/v2/tools/bacor"), Taken::Value);
    assert_eq!(last(&model, "/v2/countries/PL"), Taken::Value);
    assert_eq!(last(&model, "/v2/reports/bacor"), Taken::Name);
}

#[test]
fn one_resource_in_several_formats_is_one_endpoint() {
    let lines = (0..400).map(|n| match n % 8 {
        0..=2 => ("GET", "/v1/calls".to_owned()),
        3 => ("GET", "/v1/Calls.json".to_owned()),
        4 => ("GET", "/v1/calls.csv".to_owned()),
        5 => ("POST", "/v1/calls.json".to_owned()),
        6 => ("GET", format!("/v1/calls/{}", sid("CA", n))),
        _ => ("GET", "/v1/rooms.json".to_owned()),
    });
    let model = model(lines.collect());
    assert_eq!(templates(&model), ["GET /v1/calls", "GET /v1/calls/{id}", "GET /v1/rooms.json", "POST /v1/calls"]);
    assert_eq!(last(&model, "/v1/calls.csv"), Taken::Name);
    // A format that nobody asked for is as new as a name.
    assert_eq!(last(&model, "/v1/rooms.csv"), Taken::Nowhere);
}

#[test]
fn few_requests_tell_names_from_values_by_what_is_done_with_each_and_by_whether_new_ones_keep_coming() {
    let methods = ["GET", "PUT", "DELETE"];
    // Four requests to each of 30: with some any of three things is done, with others always the same.
    let settings = (0..120).map(|n| (methods[scattered(n) as usize % 3], format!("/v2/settings/{}", word(n % 30))));
    let actions = (0..120).map(|n| (methods[scattered(n % 30) as usize % 3], format!("/v2/actions/{}", word(n % 30))));
    let labels = (0..70).map(|n| ("GET", format!("/v2/labels/{}", word(if n < 10 { 0 } else { n }))));
    let others = (0..600).map(|n| ("GET", format!("/v2/{}", word(n % 12))));
    let model = model(settings.chain(actions).chain(labels).chain(others).collect());
    assert_eq!(last(&model, "/v2/settings/bacor"), Taken::Value);
    assert_eq!(last(&model, "/v2/actions/bacor"), Taken::Name);
    assert_eq!(last(&model, "/v2/labels/bacor"), Taken::Value);
}

#[test]
fn names_that_people_gave_are_values_one_below_another() {
    let word = |n: usize| format!("{}{}", SYLLABLES[n / 100 % 10], word(n));
    let below = ["", "/issues", "/pulls", "/commits", "/branches", "/releases", "/labels"];
    let lines = (0..6_000).map(|n| {
        // Each of 150 owners has a few repositories of his own.
        let owner = scattered(n) as usize % 150;
        let repository = 200 + owner * 5 + scattered(n + 1) as usize % (1 + owner % 5);
        ("GET", format!("/repos/{}/{}{}", word(owner), word(repository), below[scattered(n + 2) as usize % below.len()]))
    });
    let mut wanted: Vec<String> = below.iter().map(|rest| format!("GET /repos/{{id}}/{{id2}}{rest}")).collect();
    wanted.sort();
    assert_eq!(templates(&model(lines.collect())), wanted);
}

#[test]
fn endpoints_that_merge_are_known_by_what_they_were() {
    let slug = |n: usize| format!("ham{:03}", n % 600);
    let few = (0..400).map(|n| ("GET", format!("/v2/tags/{}", ["blue", "green", "red"][n % 3])));
    let many = (0..3_000).map(|n| ("GET", format!("/v2/tags/{}", if n % 10 == 0 { "blue".to_owned() } else { slug(n) })));
    let lines = |of: Vec<(&'static str, String)>| -> Vec<_> { of.into_iter().enumerate().map(|(n, (m, p))| line(n, m, p)).collect() };
    let before = learned(&lines(few.collect()), "v1");
    let old = "GET api.telephony.example/v2/tags/blue";
    assert!(before.endpoints().iter().any(|e| format!("{} {}{}", e.method, e.host, e.template) == old));
    let pins = vec!["/v2/tags/{tag}".to_owned()];
    let admitted = vec![Admission { endpoint: old.to_owned(), family: Family::Volume, place: None }];
    let config = LearnConfig { pins, admitted, before: Some(Arc::new(before)), ..LearnConfig::default() };
    let after = learn(&history(&lines(many.collect())), &config, &mut |_| {}).expect("a history that is not empty");
    let merged = after.endpoints().into_iter().find(|e| e.template == "/v2/tags/{id}").expect("one endpoint");
    assert!(merged.formerly.contains(&old.to_owned()) && merged.formerly.len() == 3, "{:?}", merged.formerly);
    // What was said of one holds for what it is part of.
    assert_eq!(after.admissions()[0].endpoint, "GET api.telephony.example/v2/tags/{id}");
    let read = Model::from_parts(&after.to_parts().expect("parts")).expect("a model");
    assert_eq!(read.api(HOST).expect("the API").paths.former(), after.api(HOST).expect("the API").paths.former());
}

#[test]
fn nothing_between_slashes_is_no_value() {
    let lines = (0..600).map(|n| ("GET", format!("/v2/items/{}", if n % 6 == 0 { String::new() } else { (n * 7).to_string() })));
    assert_eq!(templates(&model(lines.collect())), ["GET /v2/items/", "GET /v2/items/{id}"]);
}
