//! What label policies make of values, done in the plainest way; and random policies of all rules.

use std::path::Path;
use std::sync::Arc;

use regex::bytes::Regex;
use tailmeter::config::LabelPolicy;
use tailmeter::series::{Detectors, Hash, Listed, Networks, Pattern, Patterns, Rewrite, Salt, Secret, Template};

use super::lines::{ALLOWED, Random};

/// What is shown for `raw`, as long as there are not too many values; `None` when it falls out.
pub(crate) fn shown(policy: &LabelPolicy, raw: &[u8]) -> Option<Vec<u8>> {
    let mut value = raw.to_vec();
    if policy.lower {
        value = value.iter().map(u8::to_ascii_lowercase).collect();
    }
    if !value.is_empty() {
        if let Some(rule) = policy.rewrite.iter().find(|rule| fits(rule.pattern(), &value)) {
            value = rewritten(rule, &value);
        }
        if let Some(template) = &policy.template {
            value = route(template, &value)?;
        }
        if let Some(networks) = policy.ip_prefix {
            value = network(networks, &value)?;
        }
    }
    if policy.deny.as_ref().is_some_and(|deny| has(deny, &value)) {
        return None;
    }
    let is_allowed = policy.allow.as_ref().map(|allow| has(allow, &value));
    let is_listed = policy.from_file.as_ref().map(|listed| listed.has(&value));
    if !is_allowed.into_iter().chain(is_listed).reduce(|one, other| one || other).unwrap_or(true) {
        return None;
    }
    if let Some(hash) = policy.hash.as_ref().filter(|_| !value.is_empty()) {
        let alone = LabelPolicy { hash: Some(hash.clone()), ..LabelPolicy::default() };
        assert!(alone.apply(&mut value, &mut Vec::new()));
    }
    Some(value)
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("(?s-u)^(?:{pattern})$")).expect(pattern)
}

fn fits(pattern: &str, value: &[u8]) -> bool {
    whole(pattern).find_iter(value).any(|found| found.len() == value.len())
}

fn rewritten(rule: &Rewrite, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    whole(rule.pattern()).captures(value).expect("it fits").expand(rule.to().as_bytes(), &mut out);
    out
}

fn has(patterns: &Patterns, value: &[u8]) -> bool {
    patterns.written().iter().any(|pattern| match pattern {
        Pattern::Value(text) => text.as_bytes() == value,
        Pattern::Prefix(text) => value.starts_with(text.as_bytes()),
        Pattern::Regex(text) => fits(text, value),
    })
}

/// Of all patterns that fit, the one with a word where others have a name, and a name where others have the rest.
fn route(template: &Template, path: &[u8]) -> Option<Vec<u8>> {
    let before = path.split(|byte| b"?#;".contains(byte)).next().unwrap_or_default();
    let inside = before.strip_prefix(b"/").map(|inside| inside.strip_suffix(b"/").unwrap_or(inside));
    let segments =
        inside.map(|inside| inside.split(|byte| *byte == b'/').filter(|_| !inside.is_empty()).collect::<Vec<_>>());
    let rank = |pattern: &str| {
        let mut rest = segments.as_deref()?;
        let mut rank = Vec::new();
        for part in pattern.trim_matches('/').split('/').filter(|part| !part.is_empty()) {
            if part == "*" {
                rank.push(2);
                return Some(rank);
            }
            let (segment, behind) = rest.split_first()?;
            match part.starts_with(':') {
                true if segment.is_empty() => return None,
                false if part.as_bytes() != *segment => return None,
                is_name => rank.push(u8::from(is_name)),
            }
            rest = behind;
        }
        rest.is_empty().then_some(rank)
    };
    let fitting = template.patterns().iter().filter_map(|pattern| Some((rank(pattern)?, pattern)));
    if let Some((_, pattern)) = fitting.min() {
        return Some(pattern.clone().into_bytes());
    }
    if template.detectors().is_none() {
        return None;
    }
    // Which ids are detected is tested where they are.
    let detecting = Template::new(Vec::new(), template.detectors()).expect("no pattern");
    let alone = LabelPolicy { template: Some(detecting), ..LabelPolicy::default() };
    let mut value = path.to_vec();
    assert!(alone.apply(&mut value, &mut Vec::new()));
    Some(value)
}

fn network(networks: Networks, value: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?.split('%').next()?;
    let address = text.parse::<std::net::IpAddr>().ok()?.to_canonical();
    let (mut bytes, bits) = match address {
        std::net::IpAddr::V4(address) => (address.octets().to_vec(), networks.v4),
        std::net::IpAddr::V6(address) => (address.octets().to_vec(), networks.v6),
    };
    for bit in usize::from(bits)..8 * bytes.len() {
        bytes[bit / 8] &= !(0x80 >> (bit % 8));
    }
    let network = match address {
        std::net::IpAddr::V4(_) => std::net::IpAddr::from(<[u8; 4]>::try_from(bytes).expect("four bytes")),
        std::net::IpAddr::V6(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).expect("sixteen bytes")),
    };
    Some(format!("{network}/{bits}").into_bytes())
}

const REWRITES: &[(&str, &str)] = &[
    ("(.*)1", "$1"),
    ("([a-z]+)-(?<rest>.*)", "${rest}-$1"),
    ("app.", "apps"),
    (".", "x$0"),
    ("/.*", "/"),
    ("[^a-z]+", ""),
    ("(a|b)(.*)|(.*)\\xff(.*)", "$1$4$$"),
    ("q.*", "other"),
];
const ROUTES: &[&str] = &["/", "/:a", "/a", "/a/:b", "/b*", "/*", "/:a/*"];
const PATTERNS: &[&str] = &["[a-z]+", "app[0-9]|200", ".*1.*", "[^\\xff]*", "4..", "/.", ""];
const PREFIXES: &[&str] = &["a", "app", "h", "/", "10.", "2", "S", "<", "x"];

/// A policy of any rules that may stand together.
pub(crate) fn policy(random: &mut Random) -> LabelPolicy {
    let mut policy = LabelPolicy { lower: random.once_in(4), ..LabelPolicy::default() };
    if random.once_in(4) {
        let rules = (0..1 + random.below(3)).map(|_| random.pick(REWRITES));
        policy.rewrite = rules.map(|(pattern, to)| Rewrite::new(pattern, to).expect("a rule")).collect();
    }
    match random.below(6) {
        0 => {
            let (mut patterns, mut detectors) = (Vec::new(), Detectors::default());
            for route in ROUTES.iter().filter(|route| !route.ends_with("b*")) {
                if random.once_in(3) {
                    patterns.push((*route).to_owned());
                }
            }
            Detectors::NAMES.iter().filter(|_| random.once_in(2)).for_each(|name| assert!(detectors.add(name)));
            policy.template = Some(Template::new(patterns, detectors).expect("patterns"));
        }
        1 => {
            policy.ip_prefix = Some(Networks { v4: random.below(33) as u8, v6: random.below(129) as u8 });
        }
        _ => {}
    }
    if random.once_in(5) {
        policy.deny = Some(patterns(random));
    }
    if random.once_in(3) {
        policy.allow = Some(patterns(random));
    }
    if random.once_in(6) {
        let text = (0..4).map(|_| random.pick(ALLOWED)).collect::<Vec<_>>().join("\n");
        policy.from_file = Listed::new(Path::new("list"), text.as_bytes()).ok();
    }
    if random.once_in(6) {
        let secret = (!random.once_in(3)).then(|| Secret::new(b"a key of some length"));
        policy.hash = Some(Hash(Arc::new(Salt::new(secret, None))));
    }
    if random.once_in(3) {
        policy.max_values = Some(1 + random.below(4));
    }
    policy.unbounded = random.once_in(4);
    policy
}

fn patterns(random: &mut Random) -> Patterns {
    let written = (0..1 + random.below(6)).map(|_| match random.below(4) {
        0 => Pattern::Prefix(random.pick(PREFIXES).to_owned()),
        1 => Pattern::Regex(random.pick(PATTERNS).to_owned()),
        _ => Pattern::Value(random.pick(ALLOWED).to_owned()),
    });
    Patterns::new(written.collect()).expect("patterns")
}
