//! Text of [`WIDTH`] columns, for subcommands that tell people something.

/// The most columns, but for log-formats and paths, which are not cut.
pub(super) const WIDTH: usize = 120;

/// Columns between those of a table.
const GAP: usize = 2;

/// Writes a line at the left edge.
pub(super) fn title(text: &mut String, title: &str) {
    text.push_str(&plain(title));
    text.push('\n');
}

/// Writes a line that is not broken.
pub(super) fn line_of(text: &mut String, line: &str) {
    text.push_str("  ");
    text.push_str(&plain(line));
    text.push('\n');
}

/// Writes `words` with a break where they are too long; what follows a break is indented further.
pub(super) fn paragraph(text: &mut String, words: &str) {
    for (index, line) in wrapped(&plain(words), WIDTH - 2 * GAP).iter().enumerate() {
        text.push_str(if index == 0 { "  " } else { "    " });
        text.push_str(line);
        text.push('\n');
    }
}

/// Writes `rows` in columns that are as wide as they must be, and at most as `widest` says: what is longer is
/// broken.
pub(super) fn table(text: &mut String, rows: Vec<Vec<String>>, widest: &[usize]) {
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
