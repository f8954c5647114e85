//! How requests and sessions ended abnormally, in words: what the status page shows of `terminations_total`.

use std::collections::BTreeMap;

use tailmeter_parsers::haproxy::meanings;

use super::TERMINATIONS;
use crate::exposition::Snapshot;
use crate::metrics::{Ending, Plan};
use crate::series::{Directory, OTHER};

/// The endings that were counted, whatever their other labels, the commonest first.
pub fn endings(plan: &Plan, directory: &Directory, snapshot: &Snapshot) -> Vec<Ending> {
    let Some(slot) = plan.slots.get(TERMINATIONS).copied().flatten() else { return Vec::new() };
    let labels = plan.groups.get(slot.group).map(|group| group.labels.as_slice()).unwrap_or_default();
    let Some(place) = labels.iter().position(|label| label.name == "termination_state") else { return Vec::new() };
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for row in snapshot.cells.rows(slot.group) {
        let values = directory.values(slot.group, row).unwrap_or_default();
        if let Some(state) = values.into_iter().nth(place) {
            *counts.entry(state).or_default() += snapshot.cells.sum(slot.group, row, slot.sum);
        }
    }
    let ending = |(state, count): (Vec<u8>, u64)| Ending {
        meaning: sentence(&state),
        state: String::from_utf8_lossy(&state).into_owned(),
        count,
    };
    let mut endings = counts.into_iter().filter(|(_, count)| *count > 0).map(ending).collect::<Vec<_>>();
    endings.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.state.cmp(&other.state)));
    endings
}

/// What `state` says.
fn sentence(state: &[u8]) -> String {
    match meanings(state) {
        // HAProxy always writes two characters of these tables.
        None if state == OTHER => {
            "Not one of HAProxy's states, or one that the policy of the label leaves out.".to_owned()
        }
        None => String::new(),
        Some([by, when]) => format!("By {by}; {when}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_sentences() {
        assert_eq!(
            sentence(b"CD"),
            "By the client, which closed or broke its connection; while data were being passed on."
        );
        assert_eq!(sentence(b"C"), "");
        assert_eq!(sentence(b"??"), "");
    }
}
