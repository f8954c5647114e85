//! A configuration line cut into words, as HAProxy cuts it (`parse_line` in its `tools.c`; configuration manual, chapters
//! 2.2 and 2.3).
//!
//! ```text
//! log-format "%ci ${SITE-main}"\ %ST   # a comment
//! ```
//!
//! That line has two words: `log-format`, and `%ci main %ST`. Every byte of a word knows the column that it comes from.
//! HAProxy's source, not its manual, decides in doubt: `\$` outside quotes stays `\$`, for instance.

use super::variables::{self, Variables};
use super::{Mistake, Place, Warning};

/// A word of a configuration file, without the quotes and backslashes it was written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    text: Vec<u8>,
    /// The column that each byte of the text comes from.
    columns: Vec<u32>,
    /// The column where the word begins, and the one behind its last character.
    begin: u32,
    end: u32,
    file: usize,
    line: u32,
}

impl Word {
    /// The bytes of the word.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the word begins in its file: at its first character or opening quote.
    pub fn place(&self) -> Place {
        Place { file: self.file, line: self.line, column: self.begin }
    }

    /// Where the byte at `offset` of the text was written. What comes out of an environment variable was written where
    /// its `$` stands; what lies behind the last byte, behind the word.
    pub fn place_of(&self, offset: usize) -> Place {
        let column = self.columns.get(offset).copied().unwrap_or(self.end);
        Place { file: self.file, line: self.line, column }
    }

    /// All `words` as one, with a space between them.
    pub(super) fn join(words: &[Self]) -> Option<Self> {
        let mut joined = words.first()?.clone();
        for word in words.get(1..).unwrap_or_default() {
            joined.text.push(b' ');
            joined.columns.push(word.begin.saturating_sub(1));
            joined.text.extend_from_slice(&word.text);
            joined.columns.extend_from_slice(&word.columns);
            joined.end = word.end;
        }
        Some(joined)
    }
}

/// Cuts `line`, which is line `number` of the file at index `file`, into words. An empty word at the end is none.
/// Variables that are not set are empty, and told in `warnings`.
///
/// # Errors
/// A [`Mistake`] for a quote or a brace that is never closed, a malformed `\x`, `$` or `[*]`. HAProxy skips such a line.
pub(super) fn split(
    line: &[u8],
    (file, number): (usize, u32),
    variables: &Variables<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Word>, Mistake> {
    let indent = line.iter().take_while(|byte| is_space(**byte)).count();
    let mut splitter = Splitter {
        line,
        columns: columns(line),
        at: indent,
        file,
        number,
        words: Vec::new(),
        word: None,
        quote: None,
        variables,
        warnings,
    };
    splitter.run()?;
    Ok(splitter.words)
}

/// What C calls a space.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The column of each byte, counted in characters from 1, and of the end of the line.
fn columns(line: &[u8]) -> Vec<u32> {
    let mut column = 0_u32;
    let starts = line.iter().map(|byte| byte & 0xc0 != 0x80);
    let mut columns = Vec::with_capacity(line.len() + 1);
    for starts_character in starts.chain([true]) {
        column = column.saturating_add(u32::from(starts_character));
        columns.push(column.max(1));
    }
    columns
}

struct Splitter<'s, 'v> {
    line: &'s [u8],
    columns: Vec<u32>,
    at: usize,
    file: usize,
    number: u32,
    words: Vec<Word>,
    /// The word under way.
    word: Option<Word>,
    /// The quote that is open, and where it stands.
    quote: Option<(u8, usize)>,
    variables: &'s Variables<'v>,
    warnings: &'s mut Vec<Warning>,
}

impl Splitter<'_, '_> {
    fn run(&mut self) -> Result<(), Mistake> {
        self.start(self.at);
        while let Some(byte) = self.peek(0) {
            let quoted = self.quote.map(|(quote, _)| quote);
            match byte {
                b'\n' | b'\r' => break,
                b'#' if quoted.is_none() => break,
                b'"' | b'\'' if quoted.is_none() => {
                    self.quote = Some((byte, self.at));
                    self.at += 1;
                }
                b'"' | b'\'' if quoted == Some(byte) => {
                    self.quote = None;
                    self.at += 1;
                }
                b'\\' if quoted != Some(b'\'') => self.escape(quoted)?,
                _ if is_space(byte) && quoted.is_none() => self.separate(),
                b'$' if quoted == Some(b'"') => self.variable()?,
                _ => {
                    self.emit(byte, self.at);
                    self.at += 1;
                }
            }
        }
        if let Some((_, at)) = self.quote {
            return Err(self.mistake(at, "this quote is never closed"));
        }
        self.finish(self.at);
        if self.words.last().is_some_and(|word| word.text.is_empty()) {
            self.words.pop();
        }
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.at + ahead).copied()
    }

    fn column(&self, at: usize) -> u32 {
        self.columns.get(at).or(self.columns.last()).copied().unwrap_or(1)
    }

    fn mistake(&self, at: usize, message: &str) -> Mistake {
        let place = Place { file: self.file, line: self.number, column: self.column(at) };
        Mistake { place, message: message.to_owned() }
    }

    /// Begins a word that is written from `at` on.
    fn start(&mut self, at: usize) {
        let begin = self.column(at);
        let (file, line) = (self.file, self.number);
        self.word = Some(Word { text: Vec::new(), columns: Vec::new(), begin, end: begin, file, line });
    }

    /// Ends the word under way before `at`.
    fn finish(&mut self, at: usize) {
        if let Some(mut word) = self.word.take() {
            word.end = self.column(at);
            // To HAProxy, `\\x00` ends a word.
            let length = memchr::memchr(0, &word.text).unwrap_or(word.text.len());
            word.text.truncate(length);
            word.columns.truncate(length);
            self.words.push(word);
        }
    }

    /// Adds a byte that was written at `at`.
    fn emit(&mut self, byte: u8, at: usize) {
        let column = self.column(at);
        if let Some(word) = &mut self.word {
            word.text.push(byte);
            word.columns.push(column);
        }
    }

    /// Spaces between two words.
    fn separate(&mut self) {
        self.finish(self.at);
        // A carriage return is a space here, although one behind a word ends the line.
        while self.peek(0).is_some_and(is_space) {
            self.at += 1;
        }
        self.start(self.at);
    }

    /// A backslash. Where the next character is nothing special, the backslash stands for itself.
    fn escape(&mut self, quoted: Option<u8>) -> Result<(), Mistake> {
        let start = self.at;
        let (byte, length) = match self.peek(1) {
            Some(next @ (b' ' | b'\\' | b'#' | b'\'' | b'"')) => (next, 2),
            Some(b't') => (b'\t', 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'$') if quoted == Some(b'"') => (b'$', 2),
            Some(b'x') => {
                let digit = |ahead| self.peek(ahead).and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(2), digit(3)) else {
                    return Err(self.mistake(start, "\\x needs two hexadecimal digits"));
                };
                ((high * 16 + low) as u8, 4)
            }
            _ => (b'\\', 1),
        };
        self.emit(byte, start);
        self.at += length;
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`.
    fn variable(&mut self) -> Result<(), Mistake> {
        let dollar = self.at;
        self.at += 1;
        let has_brace = self.peek(0) == Some(b'{');
        self.at += usize::from(has_brace);
        let name = self.name()?;
        let mut value = self.variables.get(&name, self.number);
        let mut splits = false;
        if has_brace && self.peek(0) == Some(b'[') {
            if self.line.get(self.at..self.at + 3) != Some(b"[*]") {
                return Err(self.mistake(self.at, "only [*] may stand in brackets here"));
            }
            splits = true;
            self.at += 3;
        }
        if has_brace {
            let rest = self.line.get(self.at..).unwrap_or_default();
            let closing = memchr::memchr(b'}', rest).filter(|closing| *closing == 0 || rest.first() == Some(&b'-'));
            let Some(closing) = closing else {
                return Err(self.mistake(dollar + 1, "this brace is never closed"));
            };
            if closing > 0 {
                value = value.or_else(|| rest.get(1..closing).map(<[u8]>::to_vec));
            }
            self.at += closing + 1;
        }
        let Some(value) = value else {
            let message = format!("the variable {} is not set: it is read as empty", String::from_utf8_lossy(&name));
            let place = Place { file: self.file, line: self.number, column: self.column(dollar) };
            // Whether that matters depends on the keyword.
            self.warnings.push(Warning { place, is_lossy: false, message });
            self.skip_closing_quote();
            return Ok(());
        };
        self.expand(&value, dollar, splits);
        Ok(())
    }

    /// HAProxy 2.9 to 3.1 skips the quote behind a variable that is not set, and the spaces behind that: what follows
    /// belongs to the same word.
    fn skip_closing_quote(&mut self) {
        if self.variables.join_words_when_unset() && self.peek(0) == Some(b'"') {
            self.quote = None;
            self.at += 1;
            while self.peek(0).is_some_and(is_space) {
                self.at += 1;
            }
        }
    }

    /// Takes the name of a variable; those of HAProxy's own begin with a dot.
    fn name(&mut self) -> Result<Vec<u8>, Mistake> {
        let start = self.at;
        if !self.peek(0).is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.') {
            return Err(self.mistake(start, "a variable's name begins with a letter or an underscore"));
        }
        self.at += 1;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        let name = self.line.get(start..self.at).unwrap_or_default().to_vec();
        if name.starts_with(b".") && !variables::PSEUDO.contains(&name.as_slice()) {
            return Err(self.mistake(start, "HAProxy has .FILE, .LINE and .SECTION only"));
        }
        Ok(name)
    }

    /// Adds the value of the variable at `dollar`; its spaces separate words if it `splits`.
    fn expand(&mut self, value: &[u8], dollar: usize, splits: bool) {
        let mut rest = value.iter().copied().peekable();
        while let Some(byte) = rest.next() {
            if splits && is_space(byte) {
                while rest.next_if(|byte| is_space(*byte)).is_some() {}
                self.finish(self.at);
                self.start(dollar);
            } else {
                self.emit(byte, dollar);
            }
        }
    }
}
