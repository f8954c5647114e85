//! HAProxy's `log-format` strings, compiled (HAProxy configuration manual, chapter 8.2.6).
//!
//! ```text
//! log-format "%ci:%cp [%tr] %ft %b/%s %ST %{+Q}r %[ssl_fc_sni]"
//! ```
//!
//! [`lex`] takes the text apart into [`Item`]s, as HAProxy 2.4 to 3.2 does, and says of each which field it is and by
//! which [`Grammar`] its values are written. The text is what is left when haproxy.cfg's own quotes and backslashes are
//! resolved. [`Layout::of`] makes of the items what reads lines, and [`Layout::read`] yields a [`Record`] of each.
//!
//! - [`alias`]: the table behind `%ci` and its kin.
//! - [`expression`]: sample expressions, `%[fetch(arguments),converter,…]`.
//! - [`grammar`]: what HAProxy can write for a value, byte for byte.
//! - [`lexer`]: the text itself: literals, separators, flags, names.
//! - `check`: what of that is asked of the bytes of a value.
//! - `layout`: the compiler: where each value ends, and what cannot be told apart.
//! - `machine`: what runs over a line.
//! - `object`: what runs over a line that is one JSON object or CBOR map.
//! - `encoded`: single values of those kinds, with `json` and `cbor`.
//! - `record`: what it found.
//! - `stretch`: the steps once more, for vector instructions.

pub mod alias;
mod cbor;
mod check;
mod doubt;
mod encoded;
pub mod expression;
pub mod grammar;
mod layout;
pub mod lexer;
mod machine;
mod object;
mod record;
pub(super) mod stretch;

pub use alias::Alias;
pub use expression::{Converter, Expression, Fetch, fetches};
pub use grammar::{Encoding, Escapes, Flags, Grammar, Missing};
pub use layout::{Layout, Note};
pub use lexer::{Format, Item, Kind, Mistake, Type, lex};
pub use machine::Spans;
pub use record::{Place, Record, Request, Value};
