//! Rules for a label, learned from the values that it had in a sample: for paths templates with the segments that vary, for
//! addresses networks, for the rest the values that matter, domains in place of mailboxes, or a number of values.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Config, LabelPolicy};
use crate::metrics::FAMILIES;

/// Values of a label, with the samples of each.
pub(super) type Values = BTreeMap<Vec<u8>, u64>;

/// Words at one place of a path, at most: where there are more, they vary.
const MAX_WORDS: usize = 12;
/// Segments of a pattern; what is behind them is `*`.
const MAX_DEPTH: usize = 8;
/// Patterns that are proposed, at most: those with the most samples.
const MAX_PATTERNS: usize = 40;
/// Networks that are few enough.
const MAX_NETWORKS: usize = 256;
/// Values that are named, at most.
const MAX_ALLOWED: usize = 20;

/// Rules as they stand between the braces of a policy, the policy that they are, and why these; `None` when the label has rules
/// Learns rules from values, and says why.
type Learn<'a> = &'a dyn Fn() -> Option<(String, String)>;

/// already that make other values of it, so that its own values are not known.
pub(super) fn propose(
    label: &str,
    values: &Values,
    policy: Option<&LabelPolicy>,
) -> Option<(String, LabelPolicy, String)> {
    let is_raw = |policy: &LabelPolicy| policy.fingerprint().is_empty();
    if !policy.is_none_or(is_raw) {
        return None;
    }
    let samples = values.values().sum::<u64>().max(1);
    let share = |is_it: &dyn Fn(&[u8]) -> bool| {
        let fits = values.iter().filter(|(value, _)| is_it(value)).map(|(_, samples)| samples);
        fits.sum::<u64>() * 100 / samples
    };
    let candidates: [(bool, Learn<'_>); 4] = [
        (share(&|value| address(value).is_some()) >= 90, &|| networks(label, values)),
        (share(&|value| value.starts_with(b"/")) >= 80, &|| templates(values)),
        (true, &|| allowed(values, samples)),
        (share(&|value| value.contains(&b'@')) >= 80, &|| Some(domains())),
    ];
    let fits = candidates.into_iter().filter(|(fits, _)| *fits);
    let (rules, reason) =
        fits.filter_map(|(_, learn)| learn()).find(|(rules, _)| read(label, rules).is_some()).unwrap_or_else(|| {
            let reason = "its values have nothing in common: so many are shown, those that come first";
            (format!("max_values: {MAX_ALLOWED}"), reason.to_owned())
        });
    let policy = read(label, &rules)?;
    Some((rules, policy, reason))
}

/// The policy that `rules` are; `None` when they are none.
fn read(label: &str, rules: &str) -> Option<LabelPolicy> {
    let mut config = Config::parse(&format!("labels: {{{label}: {{{rules}}}}}"), "proposal", FAMILIES).ok()?;
    config.labels.remove(label)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The longest networks of which there are few enough.
fn networks(label: &str, values: &Values) -> Option<(String, String)> {
    let count = |rules: &str| {
        let policy = read(label, rules)?;
        let shown = values.keys().filter_map(|value| {
            let mut value = value.clone();
            policy.apply(&mut value, &mut Vec::new()).then_some(value)
        });
        Some(shown.collect::<std::collections::BTreeSet<_>>().len())
    };
    for (v4, v6) in [(24, 48), (16, 32)] {
        let rules = format!("ip_prefix: {{v4: {v4}, v6: {v6}}}");
        let networks = count(&rules)?;
        if networks <= MAX_NETWORKS {
            let reason = format!("its values are addresses, of {networks} networks");
            return Some((format!("{rules}, max_values: {}", guard(networks)), reason));
        }
    }
    let reason = "its values are addresses all over the world: of their networks so many are shown".to_owned();
    Some((format!("ip_prefix: {{v4: 8, v6: 16}}, max_values: {MAX_NETWORKS}"), reason))
}

/// Twice as many as there are, so that some may come.
fn guard(known: usize) -> usize {
    (2 * known).next_multiple_of(50)
}

/// The few values that most samples have.
fn allowed(values: &Values, samples: u64) -> Option<(String, String)> {
    let mut order = values.iter().collect::<Vec<_>>();
    order.sort_unstable_by_key(|(value, samples)| (std::cmp::Reverse(**samples), *value));
    let (mut covered, mut named) = (0, Vec::new());
    for (value, samples_of) in order.into_iter().take(MAX_ALLOWED) {
        named.push(quoted(std::str::from_utf8(value).ok()?)?);
        covered += samples_of;
        if covered * 100 >= samples * 90 {
            let reason = format!("{} of its values have {} % of the samples", named.len(), covered * 100 / samples);
            return Some((format!("allow: [{}]", named.join(", ")), reason));
        }
    }
    None
}

fn domains() -> (String, String) {
    let rules = "rewrite: [{pattern: '.*@(.*)', to: '$1'}], lower: true, max_values: 100";
    (rules.to_owned(), "its values are mailboxes: their domains are fewer".to_owned())
}

/// A YAML text in quotes; `None` for what such a one cannot hold as it is.
fn quoted(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| format!("'{}'", text.replace('\'', "''")))
}

/// What may follow at a place of a path.
#[derive(Default)]
struct Segment {
    samples: u64,
    /// A path ends here.
    ends: u64,
    next: BTreeMap<Vec<u8>, Segment>,
}

/// Patterns of the paths among `values`.
fn templates(values: &Values) -> Option<(String, String)> {
    let (mut root, mut paths) = (Segment::default(), 0);
    for (value, samples) in values {
        let end = value.iter().position(|byte| b"?#;".contains(byte)).unwrap_or(value.len());
        let Some(path) = value.get(..end).and_then(|path| path.strip_prefix(b"/")) else { continue };
        let path = path.strip_suffix(b"/").unwrap_or(path);
        root.take(path, *samples);
        paths += 1;
    }
    let mut patterns = Vec::new();
    root.generalise().write(&mut String::new(), 0, &mut patterns);
    patterns.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    let all = patterns.len();
    patterns.truncate(MAX_PATTERNS);
    let mut texts = patterns.iter().filter_map(|(pattern, _)| quoted(pattern)).collect::<Vec<_>>();
    texts.sort();
    let rest = if all > texts.len() {
        format!(", the commonest of {all}; others are counted as other")
    } else {
        String::new()
    };
    let reason = format!("{paths} paths fit {} patterns{rest}", texts.len());
    (!texts.is_empty()).then(|| (format!("template: [{}]", texts.join(", ")), reason))
}

/// What stands for a segment that varies.
const ANY: &[u8] = b":id";

impl Segment {
    fn take(&mut self, path: &[u8], samples: u64) {
        let mut node = self;
        node.samples += samples;
        for segment in path.split(|byte| *byte == b'/').filter(|_| !path.is_empty()) {
            node = node.next.entry(segment.to_vec()).or_default();
            node.samples += samples;
        }
        node.ends += samples.max(1);
    }

    /// The same with one `:id` for the segments that vary: those that look like ids, and, where there are too many words,
    /// all but those that most paths have.
    fn generalise(mut self) -> Self {
        let mut words = self.next.iter().filter(|(segment, _)| !is_id(segment)).collect::<Vec<_>>();
        words.sort_by_key(|(_, next)| std::cmp::Reverse(next.samples));
        let are_many = words.len() > MAX_WORDS;
        let is_kept = |samples: u64| !are_many || samples * 20 >= self.samples.max(1);
        let kept = words.into_iter().take(MAX_WORDS).filter(|(_, next)| is_kept(next.samples));
        let kept = kept.map(|(segment, _)| segment.clone()).collect::<std::collections::BTreeSet<_>>();
        let mut next: BTreeMap<Vec<u8>, Self> = BTreeMap::new();
        for (segment, node) in std::mem::take(&mut self.next) {
            let name = if kept.contains(&segment) { segment } else { ANY.to_vec() };
            next.entry(name).or_default().merge(node);
        }
        self.next = next.into_iter().map(|(name, node)| (name, node.generalise())).collect();
        self
    }

    fn merge(&mut self, other: Self) {
        self.samples += other.samples;
        self.ends += other.ends;
        for (segment, node) in other.next {
            self.next.entry(segment).or_default().merge(node);
        }
    }

    fn write(&self, path: &mut String, depth: usize, patterns: &mut Vec<(String, u64)>) {
        if depth == MAX_DEPTH && !self.next.is_empty() {
            patterns.push((format!("{path}/*"), self.samples));
            return;
        }
        if self.ends > 0 {
            patterns.push((if path.is_empty() { "/".to_owned() } else { path.clone() }, self.ends));
        }
        for (segment, next) in &self.next {
            let length = path.len();
            path.push('/');
            path.push_str(&String::from_utf8_lossy(segment));
            next.write(path, depth + 1, patterns);
            path.truncate(length);
        }
    }
}

/// True for what is no word: with many digits, long, not ASCII, or with signs that patterns do not have.
fn is_id(segment: &[u8]) -> bool {
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_strange = |byte: &u8| !byte.is_ascii_graphic() || b"@%*:".contains(byte);
    let is_hexadecimal = segment.len() >= 8 && segment.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    segment.is_empty()
        || digits == segment.len()
        || (is_hexadecimal && digits > 0)
        || digits >= 4
        || segment.len() > 32
        || segment.iter().any(is_strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(values: impl IntoIterator<Item = (String, u64)>, label: &str) -> String {
        let values = values.into_iter().map(|(value, samples)| (value.into_bytes(), samples)).collect();
        propose(label, &values, None).unwrap().0
    }

    #[test]
    fn segments_that_vary_become_ids() {
        let paths = (0..200).flat_map(|number| {
            [
                format!("/users/{number}"),
                format!("/users/{number}/orders?page={number}"),
                format!("/files/{:032x}/raw/", number * 7919),
                format!("/blog/{}", char::from(b'a' + (number % 26) as u8).to_string().repeat(1 + number / 26)),
            ]
        });
        let words = ["/", "/login", "/static/app.js", "*", "/a//b"].map(str::to_owned);
        let rules = proposed(paths.chain(words).map(|path| (path, 3)), "http_request_path");
        let expected = "template: ['/', '/a/:id/b', '/blog/:id', '/files/:id/raw', '/login', '/static/app.js', \
            '/users/:id', '/users/:id/orders']";
        assert_eq!(rules, expected);
    }

    #[test]
    fn other_values_get_what_goes_with_them() {
        let addresses = (0..600u32).map(|number| (format!("10.{}.{}.{}", number % 3, number % 5, number % 250), 1));
        assert_eq!(proposed(addresses, "client_ip"), "ip_prefix: {v4: 24, v6: 48}, max_values: 50");
        let addresses = (0..900u32).map(|number| (format!("10.{}.{}.7", number % 9, number % 250), 1));
        assert_eq!(proposed(addresses, "client_ip"), "ip_prefix: {v4: 16, v6: 32}, max_values: 50");
        let few = (0..100).map(|number| (format!("it's {number}"), if number < 2 { 1000 } else { 1 }));
        assert_eq!(proposed(few, "http_request_path"), "allow: ['it''s 0', 'it''s 1']");
        let mailboxes = (0..100).map(|number| (format!("user{number}@example.org"), 1));
        assert!(proposed(mailboxes, "http_request_path").starts_with("rewrite: "));
        let words = (0..100).map(|number| (format!("word{number}"), 1));
        assert_eq!(proposed(words, "http_request_path"), "max_values: 20");
    }

    #[test]
    fn values_that_rules_have_made_say_nothing() {
        let policy = LabelPolicy::allow(["a"]);
        assert!(propose("http_request_path", &Values::from([(b"/a".to_vec(), 1)]), Some(&policy)).is_none());
        assert!(
            propose("http_request_path", &Values::from([(b"/a".to_vec(), 1)]), Some(&LabelPolicy::open())).is_some()
        );
    }
}
