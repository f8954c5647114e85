//! An explanation as text.

use super::super::columns::{WIDTH, line_of, paragraph, table, title};
use super::{Explained, Explanation, Frontend};

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
