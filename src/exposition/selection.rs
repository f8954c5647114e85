//! Which metrics a request asks for.

use super::table::{Head, Type};

/// A choice of metrics: `?name[]=` as the libraries for Python and Java have it, `?family=` for all of a log family.
/// Without names every metric is chosen, without families every family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of metrics, as in any form, or of their samples. A name that nothing has chooses nothing.
    pub names: Vec<String>,
    /// Names of log families; `tailmeter` is the own telemetry.
    pub families: Vec<String>,
}

/// What the samples of a histogram, or of a summary, have behind its name.
const OF_HISTOGRAMS: &[&str] = &["_bucket", "_sum", "_count", "_created"];

impl Selection {
    /// True when metrics of `family` are wanted.
    pub(super) fn has_family(&self, family: &str) -> bool {
        self.families.is_empty() || self.families.iter().any(|wanted| wanted == family)
    }

    /// True when the metric is wanted.
    pub(super) fn has(&self, head: &Head) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| is_name_of(wanted, head))
    }
}

/// True when the metric, or one of its samples, is called `wanted` in some form.
fn is_name_of(wanted: &str, head: &Head) -> bool {
    if wanted == head.name {
        return true;
    }
    match head.kind {
        Type::Counter => {
            let short = head.name.strip_suffix("_total");
            short.is_some_and(|short| wanted.strip_prefix(short).is_some_and(|rest| ["", "_created"].contains(&rest)))
        }
        Type::Gauge => false,
        Type::Histogram | Type::Summary => {
            wanted.strip_prefix(&*head.name).is_some_and(|rest| OF_HISTOGRAMS.contains(&rest))
        }
    }
}
