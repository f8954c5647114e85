//! An explanation as text of [`WIDTH`] columns.

use super::{Explained, Explanation, Frontend};

/// The most columns, but for log-formats and paths, which are not cut.
const WIDTH: usize = 120;

/// Columns between those of a table.
const GAP: usize = 2;

pub(super) fn of(explanation: &Explanation) -> String {
    let Explanation { layouts, silent, messages, warnings } = explanation;
    let mut text = String::new();
    for layout in layouts {
        write_layout(&mut text, layout);
    }
    if !silent.is_empty() {
        title(&mut text, "Frontends whose sessions have no lines that are counted");
        for frontend in silent {
            let why = if frontend.has_target { "no log-format" } else { "no log line" };
            line_of(&mut text, &format!("{} at {}: {why}", named(frontend), place(&frontend.file, frontend.line)));
        }
        text.push('\n');
    }
    title(&mut text, "By messages that HAProxy writes whatever the log-format");
    table(&mut text, messages.iter().map(|name| vec![(*name).to_owned()]).collect(), &[WIDTH]);
    if !warnings.is_empty() {
        text.push('\n');
        title(&mut text, "About the configuration");
        for warning in warnings {
            let kind = kind(warning.is_lossy);
            let place = format!("{}:{}:{}", warning.file, warning.line, warning.column);
            paragraph(&mut text, &format!("{place}: {kind}: {}", warning.message));
        }
    }
    text
}

fn kind(is_lossy: bool) -> &'static str {
    if is_lossy { "warning" } else { "note" }
}

fn write_layout(text: &mut String, layout: &Explained) {
    title(text, &format!("{}: lines about {}", layout.keyword, layout.about));
    for frontend in &layout.written_by {
        let Frontend { file, line, format_file, format_line, .. } = frontend;
        let (own, asked) = (place(file, *line), place(format_file, *format_line));
        line_of(text, &format!("{} at {own}, {} at {asked}", named(frontend), layout.keyword));
    }
    text.push('\n');
    line_of(text, &layout.log_format);
    text.push('\n');

    let header = ["Column", "Item", "Field", "Written as", "For nothing"].map(str::to_owned).to_vec();
    let items = layout.items.iter().map(|item| {
        let fields = if item.fields.is_empty() { "(not read)".to_owned() } else { item.fields.join(" ") };
        vec![format!("{:>6}", item.column), item.item.clone(), fields, item.written.clone(), item.nothing.clone()]
    });
    table(text, std::iter::once(header).chain(items).collect(), &[6, 26, 30, 36, 12]);
    text.push('\n');

    if layout.metrics.is_empty() {
        line_of(text, "Counts in no metric.");
    } else {
        let header = ["Counts in", "with the labels", "which stay empty"].map(str::to_owned).to_vec();
        let rows = layout.metrics.iter();
        let rows = rows.map(|fed| vec![fed.metric.to_owned(), fed.labels.join(" "), fed.empty_labels.join(" ")]);
        let has_empty = layout.metrics.iter().any(|fed| !fed.empty_labels.is_empty());
        let columns = if has_empty { 3 } else { 2 };
        let rows = std::iter::once(header).chain(rows).map(|mut row| {
            row.truncate(columns);
            row
        });
        table(text, rows.collect(), if has_empty { &[46, 44, 24] } else { &[46, 70] });
    }
    if !layout.labels.is_empty() {
        let shown = |given: &super::Given| given.label.clone() + if given.private { " (private)" } else { "" };
        let labels = layout.labels.iter().map(shown).collect::<Vec<_>>().join(", ");
        text.push('\n');
        paragraph(text, &format!("Labels that can be added: {labels}."));
    }
    for (header, unfed) in
        [("Does not count in", &layout.not_counted), ("Labels without a value", &layout.labels_without_value)]
    {
        if !unfed.is_empty() {
            text.push('\n');
            let header = vec![header.to_owned(), "unless the log-format gets".to_owned()];
            let rows = unfed.iter().map(|unfed| vec![unfed.name.clone(), unfed.add.clone()]);
            table(text, std::iter::once(header).chain(rows).collect(), &[46, 70]);
        }
    }
    if !layout.notes.is_empty() {
        text.push('\n');
    }
    for note in &layout.notes {
        paragraph(text, &format!("Column {}: {}: {}.", note.column, kind(note.is_lossy), note.message));
    }
    text.push('\n');
}

fn named(frontend: &Frontend) -> String {
    format!("{} {}", frontend.kind, frontend.name)
}

fn place(file: &str, line: u32) -> String {
    format!("{file}:{line}")
}

fn title(text: &mut String, title: &str) {
    text.push_str(&plain(title));
    text.push('\n');
}

fn line_of(text: &mut String, line: &str) {
    text.push_str("  ");
    text.push_str(&plain(line));
    text.push('\n');
}

/// Writes `words` with a break where they are too long; what follows a break is indented further.
fn paragraph(text: &mut String, words: &str) {
    for (index, line) in wrapped(&plain(words), WIDTH - 2 * GAP).iter().enumerate() {
        text.push_str(if index == 0 { "  " } else { "    " });
        text.push_str(line);
        text.push('\n');
    }
}

/// Writes `rows` in columns that are as wide as they must be, and at most as `widest` says: what is longer is
/// broken.
fn table(text: &mut String, rows: Vec<Vec<String>>, widest: &[usize]) {
    let broken = rows.into_iter().map(|row| {
        let cells = row.into_iter().zip(widest);
        cells.map(|(cell, width)| wrapped(&plain(&cell), *width)).collect::<Vec<_>>()
    });
    let broken = broken.collect::<Vec<_>>();
    let width = |column: usize| {
        let cells = broken.iter().filter_map(|row| row.get(column)).flatten();
        cells.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..widest.len()).map(width).collect::<Vec<_>>();
    for row in &broken {
        for number in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::from("  ");
            for (cell, width) in row.iter().zip(&widths) {
                let part = cell.get(number).map_or("", String::as_str);
                line.push_str(part);
                line.extend(std::iter::repeat_n(' ', width + GAP - part.chars().count().min(width + GAP)));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
}

/// `text` in lines of at most `width`, broken at spaces where there are some. There is at least one line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.chars().count() > width {
        let end = rest.char_indices().nth(width).map_or(rest.len(), |(end, _)| end);
        let (head, tail) = rest.split_at(end);
        // Alignment on the left is no place to break.
        let indent = head.len() - head.trim_start().len();
        let space = if tail.starts_with(' ') { Some(end) } else { head.rfind(' ') };
        let cut = space.filter(|space| *space > indent).unwrap_or(end);
        let (line, others) = rest.split_at(cut);
        lines.push(line.to_owned());
        rest = others.trim_start();
    }
    lines.push(rest.to_owned());
    lines
}

/// `text` without anything that a terminal would take for a command.
fn plain(text: &str) -> String {
    let shown = |character: char| match character {
        character if character.is_control() => format!("\\x{:02x}", u32::from(character)),
        character => character.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_are_broken() {
        let mut text = String::new();
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        table(&mut text, vec![row(["a", "one two three"]), row(["bcdef", "x\u{1b}"])], &[3, 8]);
        assert_eq!(text, "  a    one two\n       three\n  bcd  x\\x1b\n  ef\n");
        assert_eq!(wrapped("äöü äöü", 3), ["äöü", "äöü"]);
        assert_eq!(wrapped("", 3), [""]);
        assert_eq!(wrapped("    12", 6), ["    12"]);
    }
}
