//! mix
use simulator::*;
use std::collections::BTreeMap;
#[test]
fn mix() {
    let t = std::time::Instant::now();
    let n: u32 = std::env::var("N").ok().and_then(|v| v.parse().ok()).unwrap_or(20_000);
    let mut s = Simulation::new(Config::new(7, 2.0, n));
    println!("new {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let (mut count, mut req, mut resp, mut active) = (0u64, 0u64, 0u64, 0);
    let mut fam: BTreeMap<_, u64> = BTreeMap::new();
    let mut tpl: BTreeMap<_, u64> = BTreeMap::new();
    let mut st: BTreeMap<_, u64> = BTreeMap::new();
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    while let Some((e, l)) = s.next() {
        count += 1;
        active = active.max(s.active());
        req += e.request.bytes.unwrap_or(0);
        resp += e.response.bytes.unwrap_or(0);
        *fam.entry((l.label, l.family, l.split)).or_default() += 1;
        *tpl.entry(l.template).or_default() += 1;
        *st.entry(e.response.status).or_default() += 1;
        *groups.entry(l.group).or_default() += 1;
    }
    println!("{count} in {:?}, req {} resp {} active {active}", t.elapsed(), req / count, resp / count);
    println!("{fam:#?}\n{tpl:#?}\n{st:?}");
    let v = groups.iter().filter(|(k, _)| k.starts_with('v')).map(|(_, n)| *n).collect::<Vec<_>>();
    println!("visits {} mean {}", v.len(), v.iter().sum::<u64>() as f64 / v.len() as f64);
    for (t, n) in groups.iter().filter(|(k, _)| !k.starts_with('v') && !k.starts_with('s') && !k.starts_with('o')) {
        print!("{t}:{n} ");
    }
}
