//! Prometheus text format, version 0.0.4.
//!
//! The order never depends on the order of the lines: metrics as in the catalogue, rows by their labels.

use std::sync::Arc;

use super::Snapshot;
use crate::metrics::{Compat, Kind, Metric, Plan, Slot, Unit};
use crate::series::{Cells, Directory, RowId};

/// The content type of what [`View::render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the exposition of one family needs to know beside the cells; kept from scrape to scrape.
#[derive(Debug)]
pub struct View {
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    /// By group.
    groups: Vec<Tuples>,
    /// By metric: for each bucket, what closes its labels.
    bounds: Vec<Vec<String>>,
}

/// The rows of a group: their labels, and their order in the exposition.
///
/// The directory's label blocks lie anywhere in memory. Here they stand one behind the other, as they are written.
#[derive(Debug, Default)]
struct Tuples {
    /// Each row and where its block ends in `text`, in the order of the exposition.
    order: Vec<(RowId, usize)>,
    text: Vec<u8>,
}

impl View {
    /// A view of the family that `plan` is for.
    pub fn new(plan: Arc<Plan>, directory: Arc<Directory>) -> Self {
        let groups = plan.groups.iter().map(|_| Tuples::default()).collect();
        let bound = |bound: &f64| match plan.family.compat {
            None => format!("le=\"{bound}\"}} "),
            // As Python does: `5.0`, not `5`. To older Prometheus servers these are two series.
            Some(Compat::HaproxyLogExporter) => format!("le=\"{bound:?}\"}} "),
            Some(Compat::PostfixExporter) => format!("le=\"{}\"}} ", as_go_does(*bound)),
        };
        let bounds = plan.family.metrics.iter().map(|metric| match metric.kind {
            Kind::Histogram(bounds) => bounds.iter().map(bound).collect(),
            _ => Vec::new(),
        });
        let bounds = bounds.collect();
        Self { bounds, plan, directory, groups }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Appends every metric of the family that has a row in `snapshot`: rows made since then are not shown.
    pub fn render(&mut self, snapshot: &Snapshot, out: &mut Vec<u8>) {
        for (group, tuples) in self.groups.iter_mut().enumerate() {
            tuples.refresh(&self.directory, group);
        }
        for (index, metric) in self.plan.family.metrics.iter().enumerate() {
            let Some(slot) = self.plan.slots[index] else { continue };
            let tuples = &self.groups[slot.group];
            if tuples.of(&snapshot.cells, slot.group).next().is_none() {
                continue;
            }
            write_head(metric, out);
            match metric.kind {
                Kind::Histogram(_) => write_histograms(metric, slot, &snapshot.cells, tuples, &self.bounds[index], out),
                Kind::Last => write_last_values(metric, slot, &snapshot.cells, tuples, out),
                _ => write_counters(metric, slot, &snapshot.cells, tuples, out),
            }
        }
    }
}

/// `bound` as Go's client library writes it: `1e+06`, not `1000000`.
fn as_go_does(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent @ 6..))) => format!("{digits}e+{exponent:02}"),
        Some((digits, Ok(exponent @ ..-4))) => format!("{digits}e-{:02}", exponent.unsigned_abs()),
        _ => bound.to_string(),
    }
}

impl Tuples {
    fn refresh(&mut self, directory: &Directory, group: usize) {
        let mut added = Vec::new();
        directory.visit_from(group, self.order.len(), |block| added.push(Arc::clone(block)));
        if added.is_empty() {
            return;
        }
        let known = self.order.len() as RowId;
        let mut rows: Vec<_> = self.all().collect();
        rows.extend((known..).zip(added.iter().map(|block| block.as_bytes())));
        // Two runs, the first one sorted: the stable sort merges them.
        rows.sort_by_key(|(_, block)| *block);
        let length = rows.iter().map(|(_, block)| block.len()).sum();
        let mut sorted = Self { order: Vec::with_capacity(rows.len()), text: Vec::with_capacity(length) };
        for (row, block) in rows {
            sorted.text.extend_from_slice(block);
            sorted.order.push((row, sorted.text.len()));
        }
        *self = sorted;
    }

    fn all(&self) -> impl Iterator<Item = (RowId, &[u8])> {
        let mut start = 0;
        self.order.iter().map(move |(row, end)| {
            let block = &self.text[start..*end];
            start = *end;
            (*row, block)
        })
    }

    /// The rows that have cells, in the order of the exposition.
    fn of(&self, cells: &Cells, group: usize) -> impl Iterator<Item = (RowId, &[u8])> {
        self.all().filter(move |(row, _)| cells.holds(group, *row))
    }
}

fn write_head(metric: &Metric, out: &mut Vec<u8>) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Last => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    for part in ["# HELP ", metric.name, " ", metric.help, "\n# TYPE ", metric.name, " ", kind, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_counters(metric: &Metric, slot: Slot, cells: &Cells, tuples: &Tuples, out: &mut Vec<u8>) {
    for (row, block) in tuples.of(cells, slot.group) {
        write_name(metric.name.as_bytes(), b"", block, out);
        write_value(cells.sum(slot.group, row, slot.sum), metric.unit, out);
        out.push(b'\n');
    }
}

/// Rows whose value has never been set are not shown.
fn write_last_values(metric: &Metric, slot: Slot, cells: &Cells, tuples: &Tuples, out: &mut Vec<u8>) {
    for (row, block) in tuples.of(cells, slot.group) {
        if cells.sum(slot.group, row, slot.sum) == 0 {
            continue;
        }
        write_name(metric.name.as_bytes(), b"", block, out);
        let value = cells.sum(slot.group, row, slot.sum + 1) as i64;
        if value < 0 {
            out.push(b'-');
        }
        write_value(value.unsigned_abs(), metric.unit, out);
        out.push(b'\n');
    }
}

fn write_histograms(metric: &Metric, slot: Slot, cells: &Cells, tuples: &Tuples, bounds: &[String], out: &mut Vec<u8>) {
    let name = [metric.name.as_bytes(), b"_bucket{"].concat();
    let mut buffer = itoa::Buffer::new();
    for (row, block) in tuples.of(cells, slot.group) {
        let mut count = 0;
        let infinity = "le=\"+Inf\"} ";
        let buckets = cells.buckets(slot.group, row, slot.bucket, bounds.len() + 1);
        for (bound, in_bucket) in bounds.iter().map(String::as_str).chain([infinity]).zip(buckets) {
            count += in_bucket;
            out.extend_from_slice(&name);
            out.extend_from_slice(block);
            if !block.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(bound.as_bytes());
            out.extend_from_slice(buffer.format(count).as_bytes());
            out.push(b'\n');
        }
        write_name(metric.name.as_bytes(), b"_sum", block, out);
        write_value(cells.sum(slot.group, row, slot.sum), metric.unit, out);
        out.push(b'\n');
        write_name(metric.name.as_bytes(), b"_count", block, out);
        out.extend_from_slice(buffer.format(count).as_bytes());
        out.push(b'\n');
    }
}

fn write_name(name: &[u8], suffix: &[u8], block: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(suffix);
    if !block.is_empty() {
        out.push(b'{');
        out.extend_from_slice(block);
        out.push(b'}');
    }
    out.push(b' ');
}

/// Writes a cell in the metric's unit. Milliseconds become seconds here, thousandths points and millionths ones, exactly.
fn write_value(mut value: u64, unit: Unit, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let mut one = 1000;
    match unit {
        Unit::Seconds => {}
        Unit::FineSeconds | Unit::Fine => one = 1_000_000,
        // Kept as two's complement.
        Unit::Points if (value as i64) < 0 => {
            out.push(b'-');
            value = value.wrapping_neg();
        }
        Unit::Points => {}
        Unit::None | Unit::Milliseconds | Unit::Bytes => {
            return out.extend_from_slice(buffer.format(value).as_bytes());
        }
    }
    out.extend_from_slice(buffer.format(value / one).as_bytes());
    let mut fraction = value % one;
    if fraction > 0 {
        out.push(b'.');
    }
    while fraction > 0 {
        fraction *= 10;
        out.push(b'0' + (fraction / one) as u8);
        fraction %= one;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_go_does() {
        let bounds =
            [(0.0, "0"), (0.00001, "1e-05"), (0.001, "0.001"), (1.0, "1"), (2.5, "2.5"), (172_800.0, "172800")];
        for (bound, text) in bounds.into_iter().chain([(1e6, "1e+06"), (2.5e6, "2.5e+06"), (1e12, "1e+12")]) {
            assert_eq!(as_go_does(bound), text);
        }
    }

    #[test]
    fn milliseconds_are_written_as_exact_seconds() {
        for (ms, text) in [(0, "0"), (1, "0.001"), (10, "0.01"), (100, "0.1"), (1000, "1"), (12_340, "12.34")] {
            let mut out = Vec::new();
            write_value(ms, Unit::Seconds, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        for (millionths, text) in [(1, "0.000001"), (1_500_000, "1.5"), (20_000_000, "20"), (120_034, "0.120034")] {
            let mut out = Vec::new();
            write_value(millionths, Unit::FineSeconds, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        let mut out = Vec::new();
        write_value(-1_250_i64 as u64, Unit::Points, &mut out);
        assert_eq!(out, b"-1.25");
    }
}
