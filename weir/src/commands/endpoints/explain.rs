//! `weir endpoints explain`: where a path leads, and why each of its segments is a name or a value.

use super::ModelSource;
use crate::terminal::{Paint, clean, count};
use anyhow::bail;
use engine::Model;
use engine::paths::{Clue, Endpoint, Name, Place, Taken, Turn, Walk};
use runtime::config::Config;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

/// Examples for `--help`.
pub(super) const EXAMPLES: &str = "Examples:
  weir endpoints explain /v1/orders/42
  weir endpoints explain 'GET https://api.example.com/v1/orders/search?q=x' --model shop.weir

Weights are log odds: above 0 for a value, below 0 for a name.";

/// Names beside a variable that are compared with it: those nearest to being values.
const NEIGHBOURS: usize = 5;

/// Says to which endpoint a path leads, and why each of its segments is a name or a value.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A path, with or without method, host and query.
    path: String,
    /// Only this host [default: all that the model knows].
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    source: ModelSource,
}

/// A path as it was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    method: Option<String>,
    host: Option<String>,
    path: &'a str,
}

impl<'a> Asked<'a> {
    fn parse(text: &'a str) -> Self {
        let (method, rest) = match text.trim().split_once(' ') {
            Some((method, rest)) => (Some(method.to_ascii_uppercase()), rest.trim()),
            None => (None, text.trim()),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let after_scheme = rest.split_once("://").map_or(rest, |(_, after)| after);
        match after_scheme.find('/') {
            Some(0) => Self { method, host: None, path: after_scheme },
            Some(at) => Self { method, host: Some(after_scheme[..at].to_ascii_lowercase()), path: &after_scheme[at..] },
            None => Self { method, host: Some(after_scheme.to_ascii_lowercase()), path: "/" },
        }
    }
}

/// Explains.
pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let asked = Asked::parse(&args.path);
    let model = args.source.model(config).await?;
    let text = explain(&model, &asked, args.host.as_deref(), Paint::of_stdout())?;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn explain(model: &Model, asked: &Asked<'_>, host: Option<&str>, paint: Paint) -> anyhow::Result<String> {
    let wanted = host.map(str::to_ascii_lowercase).or_else(|| asked.host.clone());
    let mut text = String::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for api in model.apis() {
        let hosts: BTreeSet<&str> = api.paths.endpoints().iter().map(|e| &*e.host).collect();
        known.extend(&hosts);
        for host in hosts.into_iter().filter(|host| wanted.as_deref().is_none_or(|w| w == *host)) {
            let _ = writeln!(text, "{}", paint.bold(&clean(&format!("{host}{}", asked.path))));
            let declared = api.paths.declared(host, asked.path);
            if !declared.is_empty() {
                text.push_str("  where the gateway declares the route, that is the endpoint:\n");
                arrive(&mut text, asked, &declared);
            }
            match api.paths.walk(host, asked.path) {
                Some(walk) => follow(&mut text, asked, &walk, paint),
                None if declared.is_empty() => text.push_str("  no path of this host was learned\n"),
                None => {}
            }
        }
    }
    if text.is_empty() {
        let hosts = known.into_iter().map(clean).collect::<Vec<_>>().join(", ");
        bail!("the model knows no host `{}`; it knows {hosts}", clean(wanted.as_deref().unwrap_or_default()));
    }
    Ok(text)
}

/// The way of a path, segment by segment, and where it ends.
fn follow(text: &mut String, asked: &Asked<'_>, walk: &Walk<'_>, paint: Paint) {
    for turn in &walk.turns {
        let what = match turn.taken {
            Taken::Name => "a name".to_owned(),
            Taken::Value => format!("a value ({})", turn.place.and_then(|p| p.values.as_ref()).map_or("any", |v| v.kind.as_str())),
            Taken::Rest => "a value, with all that follows: bodies hold the rest of the path as one".to_owned(),
            Taken::Nowhere => "leads nowhere: nothing like it ever succeeded here".to_owned(),
        };
        let what = if turn.taken == Taken::Nowhere { paint.red(&what) } else { what };
        let _ = writeln!(text, "  /{}  {what}", clean(turn.segment));
        if let Some(place) = turn.place {
            reasons(text, turn, place, paint);
        }
    }
    match (walk.turns.last().map(|t| t.taken), walk.endpoints.as_slice()) {
        (Some(Taken::Nowhere), _) => text.push_str("  It is no endpoint.\n"),
        (_, []) => text.push_str("  No endpoint ends here: longer paths lead through it.\n"),
        (_, endpoints) => arrive(text, asked, endpoints),
    }
}

/// Endpoints at the end of a path: those of the method that was asked for, else all.
fn arrive(text: &mut String, asked: &Asked<'_>, endpoints: &[&Endpoint]) {
    let is_asked = |e: &&&Endpoint| asked.method.as_deref().is_none_or(|m| m == &*e.method);
    for endpoint in endpoints.iter().filter(is_asked) {
        let _ = writeln!(text, "  = {}", clean(&endpoint.name()));
    }
    if !endpoints.iter().any(|e| is_asked(&e)) {
        let methods: BTreeSet<&str> = endpoints.iter().map(|e| &*e.method).collect();
        let methods = clean(&methods.into_iter().collect::<Vec<_>>().join(", "));
        let _ = writeln!(text, "  No endpoint with this method; with {methods} there is one.");
    }
}

/// Why a place divides as it does: what was merged, and which names beside it were not.
fn reasons(text: &mut String, turn: &Turn<'_>, place: &Place, paint: Paint) {
    let mut say = |what: String| {
        let _ = writeln!(text, "      {}", paint.dim(&what));
    };
    let said = |name: &Name| format!("{:.1}: {}", name.odds(), weights(&name.clues));
    match turn.taken {
        Taken::Name => {
            if let Some(name) = place.names.iter().find(|name| name.word.eq_ignore_ascii_case(turn.segment)) {
                say(said(name));
            }
            let others = (place.names.len() as u64 + u64::from(place.more_names)).saturating_sub(1);
            if others > 0 {
                say(format!("{} other names beside it", count(others)));
            }
        }
        Taken::Nowhere => {
            let names: Vec<String> = place.names.iter().map(|name| clean(&name.word)).collect();
            let more = if place.more_names > 0 { format!(", and {} more", count(place.more_names.into())) } else { String::new() };
            say(format!("known here: {}{more}", names.join(", ")));
        }
        Taken::Value | Taken::Rest => {
            merged(place).into_iter().for_each(&mut say);
            for name in place.names.iter().take(NEIGHBOURS) {
                say(format!("beside it the name `{}` ({} requests), {}", clean(&name.word), count(name.requests.into()), said(name)));
            }
        }
    }
}

/// What speaks for the variable of a place.
fn merged(place: &Place) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(values) = &place.values {
        parts.push(format!("{} distinct values in {} requests", count(values.distinct.into()), count(values.requests.into())));
    }
    if place.typed > 0 {
        parts.push(format!("{} requests with values by their form", count(place.typed.into())));
    }
    if place.words > 0 {
        parts.push(format!("{} words, on average: {}", count(place.words.into()), weights(&place.clues)));
    }
    let (echoed, looked_at) = place.echo;
    if looked_at > 0 {
        parts.push(format!("echoed in the bodies of {} of {} requests looked at", count(echoed.into()), count(looked_at.into())));
    }
    parts
}

fn weights(clues: &[(Clue, f32)]) -> String {
    clues.iter().map(|(clue, odds)| format!("{clue} {odds:+.1}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn a_path_may_bring_method_host_and_query() {
        let of = |method: Option<&str>, host: Option<&str>, path| Asked {
            method: method.map(str::to_owned),
            host: host.map(str::to_owned),
            path,
        };
        assert_eq!(Asked::parse("/v1/a?b=c"), of(None, None, "/v1/a"));
        assert_eq!(Asked::parse("get https://A.example/v1?x"), of(Some("GET"), Some("a.example"), "/v1"));
        assert_eq!(Asked::parse("a.example"), of(None, Some("a.example"), "/"));
    }
}
