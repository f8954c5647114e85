//! Errors of a configuration file: where, what, the line itself with a mark under the text, and what to
//! write instead.

use std::fmt;

use super::yaml::Place;

/// Most errors kept for one file; the rest are only counted.
const MAX_ERRORS: usize = 50;
/// Longest text of a file repeated in a message, in characters.
const MAX_QUOTED: usize = 60;
/// Longest excerpt of a source line, in characters.
const MAX_EXCERPT: usize = 100;
/// Characters of a cut line that stay visible before the mark.
const EXCERPT_LEAD: usize = 40;

/// One mistake in a configuration file. `Display` shows it with its excerpt, without a final newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// The source line of an error and the stretch of it to mark.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    /// 1-based.
    line: usize,
    /// 1-based, in characters, in the line as it stands in the file.
    column: usize,
    /// The line as shown: cut, tabs widened, control characters replaced.
    text: String,
    /// Characters of `text` before the mark.
    indent: usize,
    /// Characters to mark, at least one.
    width: usize,
}

impl ConfigError {
    /// An error about the file as a whole, which has no line to show.
    pub(super) fn whole_file(file: &str, message: String) -> Self {
        Self { file: file.to_owned(), message, help: None, excerpt: None }
    }

    /// An error about `place` in `source`.
    pub(super) fn at(file: &str, source: &str, place: Place, message: String) -> Self {
        Self { excerpt: Some(Excerpt::new(source, place)), ..Self::whole_file(file, message) }
    }

    /// Adds a line of advice below the excerpt.
    pub(super) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// Name of the file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// 1-based line; `None` when the error is about the file as a whole.
    pub fn line(&self) -> Option<usize> {
        self.excerpt.as_ref().map(|excerpt| excerpt.line)
    }

    /// 1-based column in characters; `None` when the error is about the file as a whole.
    pub fn column(&self) -> Option<usize> {
        self.excerpt.as_ref().map(|excerpt| excerpt.column)
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What can be written instead, in one line.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(excerpt) = &self.excerpt else {
            return write!(f, "{}: {}", self.file, self.message);
        };
        let Excerpt { line, column, .. } = excerpt;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{number} | {}", excerpt.text).trim_end())?;
        let indent = " ".repeat(excerpt.indent);
        write!(f, "{gutter} | {indent}{}", "^".repeat(excerpt.width))?;
        if let Some(help) = &self.help {
            write!(f, "\n{gutter} = {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Excerpt {
    fn new(source: &str, place: Place) -> Self {
        let before = source.get(..place.start).unwrap_or(source);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let row = source.get(start..).unwrap_or_default();
        let row = row.split('\n').next().unwrap_or_default();
        let row = row.strip_suffix('\r').unwrap_or(row);
        let column = before.get(start..).unwrap_or_default().chars().count();
        let marked = place.of(source).split('\n').next().unwrap_or_default();
        let width = marked.trim_end().chars().count();
        let mut excerpt = Self { line, column: column + 1, text: String::new(), indent: column, width: width.max(1) };
        excerpt.show(row, column);
        excerpt
    }

    /// Fills in the line as shown, and moves the mark along with what was cut or widened.
    fn show(&mut self, row: &str, column: usize) {
        let total = row.chars().count();
        let skip = if total > MAX_EXCERPT { column.saturating_sub(EXCERPT_LEAD) } else { 0 };
        let mut shown = 0;
        if skip > 0 {
            self.text.push('…');
            shown = 1;
        }
        let marked = column..column + self.width;
        (self.indent, self.width) = (shown, 0);
        for (index, c) in row.chars().enumerate().skip(skip).take(MAX_EXCERPT) {
            let wide = if c == '\t' { 4 } else { 1 };
            match c {
                '\t' => self.text.push_str("    "),
                c if hides(c) => self.text.push('\u{fffd}'),
                c => self.text.push(c),
            }
            if index < marked.start {
                self.indent += wide;
            } else if index < marked.end {
                self.width += wide;
            }
        }
        self.width = self.width.max(1);
        if total > skip + MAX_EXCERPT {
            self.text.push('…');
        }
    }
}

/// True for characters that would move the cursor or reorder the text around them on a terminal.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text of a file made fit for a message: one line, no control characters, not too long.
pub(super) fn clip(text: &str) -> String {
    clip_to(text, MAX_QUOTED)
}

/// The same with at most `max` characters.
pub(super) fn clip_to(text: &str, max: usize) -> String {
    let text = text.trim_end();
    let clean = |c| match c {
        '\n' | '\t' => ' ',
        c if hides(c) => '\u{fffd}',
        c => c,
    };
    let mut clipped: String = text.chars().take(max).map(clean).collect();
    if text.chars().nth(max).is_some() {
        clipped.push('…');
    }
    clipped
}

/// Every error of a configuration file, in the order of their positions; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    left_out: usize,
}

impl ConfigErrors {
    /// The errors of one file in order, made one by one from `notes` until there are enough; the rest
    /// are only counted. `None` when there are none.
    pub(super) fn collect(notes: impl ExactSizeIterator<Item = ConfigError>) -> Option<Self> {
        let left_out = notes.len().saturating_sub(MAX_ERRORS);
        let errors: Vec<_> = notes.take(MAX_ERRORS).collect();
        (!errors.is_empty()).then_some(Self { errors, left_out })
    }

    /// The errors, in the order of their positions; at least one, at most 50.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self { errors: vec![error], left_out: 0 }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        if self.left_out > 0 {
            write!(f, "\n\nand {} more errors", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
