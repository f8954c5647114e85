//! Log-format text taken apart into items, as HAProxy does it: first of the compiler's stages.
//!
//! ```text
//! %{+Q}o %ci "%%" %{-Q,+X}cp %[src,ipmask(24)] %(took:sint)Ta
//! ```
//!
//! What HAProxy accepts is accepted, and nothing else: a `%` before a sign that starts no item is dropped without a
//! word, unknown flags are passed over. Such oddities are remarks beside the items. Two mistakes of the configuration
//! are not visible here: an alias for HTTP in another mode ([`Alias::is_http`]), and a fetch or converter that the
//! running HAProxy does not have.
//!
//! A `%(` starts a name, as in HAProxy 3.0 and later; earlier versions print the bracket and what follows.

use super::alias::{self, Alias};
use super::expression::Expression;
use super::grammar::{Encoding, Flags, Grammar, Missing};

/// A log-format, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What it is made of, in its order.
    pub items: Vec<Item>,
    /// With [`Encoding::Json`] or [`Encoding::Cbor`] the whole line is one object of the *named* items; literals,
    /// separators and unnamed items are not written. Where `%o` stands does not matter for that.
    pub encoding: Encoding,
    /// That object's CBOR is bytes, not digits.
    pub bin: bool,
    /// What HAProxy accepts, but hardly as it was meant.
    pub remarks: Vec<Mistake>,
}

/// One piece of a log-format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// The flags in force there.
    pub flags: Flags,
    /// `NAME` in `%(NAME)…`, unless empty.
    pub name: Option<String>,
    /// `TYPE` in `%(NAME:TYPE)…`: how an encoding writes the value.
    pub typed: Option<Type>,
    /// Where it starts in the text: the offset of its `%`, or of its first byte.
    pub column: usize,
}

/// The kinds of pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is written as it stands; `%%` and neighbours are merged into it. Never holds a space.
    Literal(String),
    /// One or more spaces in the text. One space is written, unless the last byte of the line so far is such a space,
    /// or there is none: between two values of which the first is nothing there is one space. Before HAProxy 3.0 that
    /// held for captures alone, and an alias that wrote nothing (an empty `%HQ`) left two; an expression does so still.
    Separator,
    /// `%ci` and its kin.
    Alias(&'static Alias),
    /// `%[…]`.
    Expression(Expression),
}

/// Types that a name can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `str`: text, also for numbers.
    Str,
    /// `sint`: a whole number.
    Sint,
    /// `bool`: true or false.
    Bool,
    /// `raw`: what an expression yields, not encoded at all.
    Raw,
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Offset in the text, in bytes; its length when something is missing at the end.
    pub column: usize,
    /// A sentence without its full stop.
    pub message: String,
}

impl Item {
    /// What the field is called: by its name, otherwise as [`Self::canonical`].
    pub fn field(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.canonical())
    }

    /// What the field is called by the catalogue, whatever its name here. Literals and separators are no field.
    pub fn canonical(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(_) | Kind::Separator => None,
            Kind::Alias(alias) => Some(alias.field),
            Kind::Expression(expression) => Some(&expression.field),
        }
    }

    /// What is written for it in `text`, the log-format that it is of. Empty for literals and separators.
    pub fn written<'t>(&self, text: &'t str) -> &'t str {
        let start = text.get(self.column..).unwrap_or_default();
        let mut length = 1;
        for (open, close) in [('(', ')'), ('{', '}')] {
            let rest = start.get(length..).unwrap_or_default();
            if rest.starts_with(open) {
                length += rest.find(close).map_or(rest.len(), |end| end + 1);
            }
        }
        length += match &self.kind {
            Kind::Literal(_) | Kind::Separator => return "",
            Kind::Alias(alias) => alias.letters.len(),
            Kind::Expression(expression) => expression.text.len() + 2,
        };
        start.get(..length).unwrap_or(start)
    }

    /// How its values are written.
    pub const fn grammar(&self) -> Option<Grammar> {
        match &self.kind {
            Kind::Literal(_) | Kind::Separator => None,
            Kind::Alias(alias) => Some(alias.grammar),
            Kind::Expression(expression) => Some(expression.grammar),
        }
    }

    /// True when its value is always between quotes in a line without encoding. (The quotes of [`Grammar::Captures`]
    /// are missing with them; those of [`Grammar::CaptureList`] and of a missing port are part of the value.)
    pub const fn is_quoted(&self) -> bool {
        let may_be = self.flags.quote && matches!(self.flags.encoding, Encoding::None);
        match &self.kind {
            Kind::Literal(_) | Kind::Separator => false,
            Kind::Alias(alias) => match alias.grammar {
                Grammar::CaptureList => false,
                Grammar::Address if self.flags.hexa => false,
                grammar => may_be && grammar.is_quotable(),
            },
            Kind::Expression(_) => may_be,
        }
    }

    /// What it writes when it has no value.
    pub const fn missing(&self) -> Missing {
        match &self.kind {
            Kind::Literal(_) | Kind::Separator => Missing::Never,
            Kind::Alias(alias) => alias.grammar.missing(self.flags),
            Kind::Expression(_) => Missing::of_text(self.flags),
        }
    }
}

/// Takes a log-format apart.
///
/// # Errors
/// The first mistake in it.
pub fn lex(text: &str) -> Result<Format, Mistake> {
    if let Some(column) = text.find('\0') {
        return mistake(column, "a log-format cannot hold a NUL byte");
    }
    let mut lexer = Lexer { text, at: 0, items: Vec::new(), flags: Flags::DEFAULT, common: None, remarks: Vec::new() };
    while let Some(byte) = lexer.peek() {
        match byte {
            b' ' => lexer.separator(),
            b'%' => lexer.percent()?,
            _ => {
                let rest = lexer.rest();
                let length = rest.find([' ', '%']).unwrap_or(rest.len());
                lexer.literal(length);
            }
        }
    }
    Ok(lexer.finish())
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    items: Vec<Item>,
    /// Those for the items to come.
    flags: Flags,
    /// Those that every `%o` so far has set; none without a `%o`.
    common: Option<Flags>,
    remarks: Vec<Mistake>,
}

fn mistake<T>(column: usize, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { column, message: message.into() })
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn remark(&mut self, column: usize, message: String) {
        self.remarks.push(Mistake { column, message });
    }

    fn push(&mut self, kind: Kind, column: usize) {
        self.items.push(Item { kind, flags: self.flags, name: None, typed: None, column });
    }

    /// A space. Spaces at the start, and those behind another, are never written.
    fn separator(&mut self) {
        if self.items.last().is_some_and(|item| item.kind != Kind::Separator) {
            self.push(Kind::Separator, self.at);
        }
        self.at += 1;
    }

    /// The next `length` bytes as they stand.
    fn literal(&mut self, length: usize) {
        let column = self.at;
        let text = self.rest().get(..length).unwrap_or_default();
        self.at += length.max(1);
        match self.items.last_mut() {
            Some(Item { kind: Kind::Literal(before), .. }) => before.push_str(text),
            _ => self.push(Kind::Literal(text.to_owned()), column),
        }
    }

    /// What starts with a `%`: `%[(NAME[:TYPE])][{FLAGS}]` and an alias or an expression, or a literal after all.
    fn percent(&mut self) -> Result<(), Mistake> {
        let column = self.at;
        self.at += 1;
        let (name, typed) = if self.peek() == Some(b'(') { self.name()? } else { (None, None) };
        let flags = if self.peek() == Some(b'{') { Some(self.braces(column)?) } else { None };
        match self.peek() {
            Some(b'[') => {
                let (expression, end) = Expression::read(self.text, self.at + 1)?;
                self.at = end + 1;
                // It is text already when the flags come to it.
                let flags = Flags { hexa: false, ..self.changed(flags) };
                self.items.push(Item { kind: Kind::Expression(expression), flags, name, typed, column });
                Ok(())
            }
            Some(byte) if byte.is_ascii_alphabetic() || (flags.is_some() && byte.is_ascii_digit()) => {
                let rest = self.rest();
                let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
                let letters = rest.get(..length).unwrap_or_default();
                self.at += length;
                let flags = self.changed(flags);
                if letters == "o" {
                    self.flags = flags;
                    self.common = Some(self.common.map_or(flags, |common| in_both(common, flags)));
                    return Ok(());
                }
                let Some(alias) = Alias::of(letters) else {
                    return mistake(column, format!("unknown alias %{letters}{}", alias::advice(letters)));
                };
                self.items.push(Item { kind: Kind::Alias(alias), flags, name, typed, column });
                Ok(())
            }
            None => mistake(column, "the text ends inside of an item; a percent sign is written %%"),
            Some(_) if flags.is_some() => {
                mistake(self.at, "an alias or an [expression] must follow the flags, for example %{+Q}r")
            }
            Some(b'%') => {
                self.literal(1);
                Ok(())
            }
            Some(byte) if byte.is_ascii_digit() || matches!(byte, b' ' | b'\t') => {
                mistake(column, "no alias follows the percent sign; a percent sign itself is written %%")
            }
            Some(_) => {
                let dropped = self.text.get(column..self.at).unwrap_or_default();
                self.remark(column, format!("'{dropped}' is dropped here; a percent sign is written %%"));
                Ok(())
            }
        }
    }

    /// `(NAME)`, `(NAME:TYPE)`, where either can be empty.
    fn name(&mut self) -> Result<(Option<String>, Option<Type>), Mistake> {
        self.at += 1;
        let name = self.word();
        let typed = if self.peek() == Some(b':') {
            self.at += 1;
            let column = self.at;
            match self.word() {
                "str" => Some(Type::Str),
                "sint" => Some(Type::Sint),
                "bool" => Some(Type::Bool),
                "raw" => Some(Type::Raw),
                other => return mistake(column, format!("unknown type '{other}'; str, sint, bool and raw are known")),
            }
        } else {
            None
        };
        match self.rest().chars().next() {
            Some(')') => self.at += 1,
            Some(other) => {
                let message = format!("'{other}' cannot stand in a name: letters, digits, '_' and '-' can");
                return mistake(self.at, message);
            }
            None => return mistake(self.at, "the name's ')' is missing"),
        }
        Ok(((!name.is_empty()).then(|| name.to_owned()), typed))
    }

    /// Letters, digits, `_` and `-`.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let length = rest.bytes().take_while(is_part).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// What stands in `{FLAGS}`, and where.
    fn braces(&mut self, column: usize) -> Result<(usize, &'a str), Mistake> {
        let start = self.at + 1;
        let inside = self.text.get(start..).unwrap_or_default();
        let Some(length) = inside.find('}') else {
            return mistake(column, "the '}' of these flags is missing");
        };
        self.at = start + length + 1;
        Ok((start, inside.get(..length).unwrap_or_default()))
    }

    /// The flags in force, changed by those of an item.
    fn changed(&mut self, own: Option<(usize, &str)>) -> Flags {
        let mut flags = self.flags;
        let Some((start, list)) = own else { return flags };
        let mut column = start;
        for part in list.split(',') {
            // As HAProxy reads it: what stands behind the part's last sign.
            let flag =
                part.rfind(['+', '-']).and_then(|sign| Some((part.get(sign..=sign)? == "+", part.get(sign + 1..)?)));
            match flag {
                Some((on, "Q")) => flags.quote = on,
                Some((on, "X")) => flags.hexa = on,
                Some((on, "M")) => flags.mandatory = on,
                Some((on, "E")) => flags.escape = on,
                Some((on, "bin")) => flags.bin = on,
                Some((on, "json")) => encode(&mut flags, Encoding::Json, on),
                Some((on, "cbor")) => encode(&mut flags, Encoding::Cbor, on),
                _ if part.is_empty() => {}
                _ => self.remark(column, format!("'{part}' is no flag of HAProxy's, which passes over it")),
            }
            column += part.len() + 1;
        }
        flags
    }

    /// Settles what depends on every `%o` of the text.
    fn finish(mut self) -> Format {
        let common = self.common.unwrap_or(Flags::DEFAULT);
        let mut unnamed = Vec::new();
        for item in &mut self.items {
            item.flags.bin = common.bin;
            if common.encoding != Encoding::None {
                item.flags.encoding = common.encoding;
            }
            item.flags.escape &= item.flags.encoding == Encoding::None;
            let is_value = !matches!(item.kind, Kind::Literal(_) | Kind::Separator);
            if is_value && common.encoding != Encoding::None && item.name.is_none() {
                unnamed.push(item.column);
            }
        }
        for column in unnamed {
            self.remark(column, "an item without a name is not written by this encoding".to_owned());
        }
        self.remarks.sort_by_key(|remark| remark.column);
        Format { items: self.items, encoding: common.encoding, bin: common.bin, remarks: self.remarks }
    }
}

/// The encoding that was there first stays until it is taken back.
fn encode(flags: &mut Flags, encoding: Encoding, on: bool) {
    match (flags.encoding, on) {
        (Encoding::None, true) => flags.encoding = encoding,
        (now, false) if now == encoding => flags.encoding = Encoding::None,
        _ => {}
    }
}

/// What two `%o` have in common. Only the encoding and its bytes are asked for.
fn in_both(one: Flags, other: Flags) -> Flags {
    let encoding = if one.encoding == other.encoding { one.encoding } else { Encoding::None };
    Flags { bin: one.bin && other.bin, encoding, ..other }
}

#[cfg(test)]
mod tests;
