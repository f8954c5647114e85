//! What a format makes of its definition, in words: for people who want to know why it is slow, or what it looks for.

use super::pattern::why_not_one_pass;
use super::{Format, Machines, Messages};

/// How a format reads its messages.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    /// What is read: a pattern's name or number, or `json`.
    pub what: String,
    /// How.
    pub how: String,
    /// Something about it could be better.
    pub is_slow: bool,
}

impl Format {
    /// How each kind of message is read: in one pass, or why not; and what is searched for first.
    pub fn explain(&self) -> Vec<Explained> {
        match (&self.machines, &self.definition.messages) {
            (Machines::Patterns(patterns), Messages::Patterns(definitions)) => {
                let explained = patterns.iter().zip(definitions).enumerate().map(|(number, (pattern, definition))| {
                    let why = match pattern.is_one_pass() {
                        true => None,
                        false => why_not_one_pass(&definition.text, &|name| self.definition.asks_for(name)),
                    };
                    let literal = pattern
                        .literal()
                        .map(|literal| format!("; lines without `{}` are passed over", literal.escape_ascii()));
                    let how = match &why {
                        _ if pattern.is_one_pass() => "read in one pass".to_owned(),
                        Some(why) => format!("not read in one pass: {why}"),
                        None => "not read in one pass".to_owned(),
                    };
                    let number = format!("pattern {}", number + 1);
                    Explained {
                        what: definition.name.as_ref().map_or(number, |name| format!("pattern `{name}`")),
                        how: how + literal.as_deref().unwrap_or_default(),
                        is_slow: !pattern.is_one_pass(),
                    }
                });
                explained.collect()
            }
            (Machines::Json(pointers), _) => vec![Explained {
                what: "json".to_owned(),
                how: format!("{} values are looked for, in one pass", pointers.len()),
                is_slow: false,
            }],
            _ => Vec::new(),
        }
    }
}
