//! Names of rotated files, and their order.

use super::*;

fn sorted(names: &[(&str, u64)]) -> Vec<String> {
    let sibling = |(name, modified_ns): &(&str, u64)| Sibling {
        path: PathBuf::from(name),
        identity: Identity::default(),
        size: 0,
        modified_ns: *modified_ns,
        suffix: Suffix::of(name.as_bytes()),
    };
    let mut siblings: Vec<Sibling> = names.iter().map(sibling).collect();
    sort(&mut siblings);
    siblings.iter().map(|sibling| sibling.path.display().to_string()).collect()
}

#[test]
fn names_say_what_was_rotated() {
    for (suffix, expected) in [
        (".1", Suffix::Count(1)),
        (".12.gz", Suffix::Count(12)),
        ("-3.zst", Suffix::Count(3)),
        (".0", Suffix::Count(0)),
        ("-20261121", Suffix::Date(vec![20_261_121])),
        (".1-20261121.xz", Suffix::Date(vec![20_261_121])),
        (".2026-11-21", Suffix::Date(vec![2026, 11, 21])),
        ("-20261121.2", Suffix::Date(vec![20_261_121, 2])),
        ("-2026-11-21T10:11:12Z.bz2", Suffix::Date(vec![2026, 11, 21, 10, 11, 12])),
        (".1763727212", Suffix::Date(vec![1_763_727_212])),
        (".99999999999999999999999", Suffix::Date(vec![u64::MAX])),
        (".gz", Suffix::Other),
        (".", Suffix::Other),
        (".bak", Suffix::Other),
        (".1.bak", Suffix::Other),
        ("2", Suffix::Other),
        ("", Suffix::Other),
    ] {
        assert_eq!(Suffix::of(suffix.as_bytes()), expected, "{suffix}");
    }
}

#[test]
fn names_of_one_kind_are_ordered_by_themselves() {
    assert_eq!(sorted(&[(".2.gz", 9), (".10.gz", 1), (".1", 3)]), [".10.gz", ".2.gz", ".1"]);
    assert_eq!(
        sorted(&[("-20261121", 1), ("-20251231", 2), ("-20261121-2", 0)]),
        ["-20251231", "-20261121", "-20261121-2"]
    );
}

#[test]
fn times_decide_between_names_of_several_kinds() {
    assert_eq!(sorted(&[(".2.gz", 9), ("-20261121", 1), (".old", 3)]), ["-20261121", ".old", ".2.gz"]);
}

#[test]
fn a_generation_names_its_file() {
    for (name, expected) in [
        ("mail.log", None),
        ("mail.log.1", Some("mail.log")),
        ("mail.log.1-2026-11-21.gz", Some("mail.log")),
        ("mail.log-20261121.gz", Some("mail.log")),
        ("mail.log.gz", Some("mail.log")),
        ("web-1.log", None),
        ("web-1.log.2", Some("web-1.log")),
        (".1", None),
    ] {
        assert_eq!(generation_of(name.as_bytes()), expected.map(str::as_bytes), "{name}");
    }
}
