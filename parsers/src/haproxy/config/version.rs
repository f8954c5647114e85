//! HAProxy's version numbers and their order (`split_version` in its `haproxy.c`): `2.4-dev18-f6818d-20` < `2.4.0` < `2.4.1-43`.

/// Four numbers; 1 for `dev`, 2 for `rc` and `pre`, 3 for none; its number; the number of the commit.
type Parts = [u64; 7];

/// True when `version` is `other` or newer; `None` when one of them is none.
pub(super) fn is_at_least(version: &str, other: &str) -> Option<bool> {
    Some(parts(version)? >= parts(other)?)
}

fn parts(version: &str) -> Option<Parts> {
    let mut parts = [0, 0, 0, 0, 3, 0, 0];
    let (numbers, tag) = version.split_once('-').map_or((version, None), |(numbers, tag)| (numbers, Some(tag)));
    if numbers.is_empty() {
        return None;
    }
    let mut numbers = numbers.split('.');
    for (part, number) in parts.iter_mut().take(4).zip(&mut numbers) {
        *part = number.parse().ok()?;
    }
    if numbers.next().is_some() {
        return None;
    }
    let Some(tag) = tag else { return Some(parts) };
    let tags = [("dev", 1), ("rc", 2), ("pre", 2)];
    let found = tags.iter().find_map(|(name, value)| Some((tag.strip_prefix(name)?, *value)));
    let commit = match found {
        Some((rest, value)) => {
            let (number, commit) = rest.split_once('-').map_or((rest, None), |(number, rest)| (number, Some(rest)));
            parts[4] = value;
            parts[5] = number.parse().ok()?;
            commit
        }
        None => Some(tag),
    };
    // What distributions append (`1+deb12u4`) counts as zero.
    let commit = commit.and_then(|commit| commit.rsplit('-').next());
    parts[6] = commit.and_then(|commit| commit.parse().ok()).unwrap_or(0);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn versions_have_an_order() {
        let rising =
            ["2.4-dev9", "2.4-dev18", "2.4-dev18-f6818d-20", "2.4-rc1", "2.4", "2.4.0-1", "2.4.1", "2.10", "3"];
        for (index, version) in rising.iter().enumerate() {
            for (other_index, other) in rising.iter().enumerate() {
                assert_eq!(is_at_least(version, other), Some(index >= other_index), "{version} {other}");
            }
        }
        assert_eq!(is_at_least("2.6.12-1+deb12u4", "2.6.12"), Some(true));
        assert_eq!(is_at_least("2.6", "2.6.0"), Some(true));
        for broken in ["", "x", "2.", "1.2.3.4.5", "2.4-dev"] {
            assert_eq!(is_at_least(broken, "2.4"), None, "{broken}");
        }
    }
}
