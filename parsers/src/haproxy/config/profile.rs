//! `log-profile` sections (3.1 and later): formats by the step of a session at which a line is written.
//!
//! ```text
//! log-profile json
//!     log-tag json
//!     on close format "%{+json}o %(client)ci"
//!     on any drop
//! ```

use super::reader::{Line, Notes};
use super::{Place, Word};

/// A `log-profile` section. A target asks for it with `profile NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProfile {
    /// Its name.
    pub name: Vec<u8>,
    /// Where the section begins.
    pub place: Place,
    /// `log-tag`, before that of the proxy.
    pub log_tag: Option<Word>,
    /// What it says of steps. Other steps have the format of the proxy.
    pub steps: Vec<Step>,
}

/// A step of a log profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `accept`, `request`, `connect`, `response`, `close`, `error`, the name of a rule's action, or `any`: every other.
    pub name: Vec<u8>,
    /// The format, if it is not that of the proxy.
    pub format: Option<Word>,
    /// The structured data of RFC 5424, if it is not that of the proxy.
    pub structured_data: Option<Word>,
    /// Nothing is written at this step.
    pub is_dropped: bool,
}

/// Reads a line of the section `profile`.
pub(super) fn read(line: &Line<'_>, profile: &mut LogProfile, notes: &mut Notes) {
    match line.text(0) {
        b"log-tag" => match line.word(1) {
            Some(tag) => profile.log_tag = Some(tag.clone()),
            None => notes.mistake(line.place(0), "log-tag needs a tag"),
        },
        b"on" => step(line, profile, notes),
        _ => {}
    }
}

fn step(line: &Line<'_>, profile: &mut LogProfile, notes: &mut Notes) {
    let name = line.text(1);
    if name.is_empty() {
        return notes.mistake(line.place(0), "on needs the name of a step");
    }
    let index = profile.steps.iter().position(|step| step.name == name).unwrap_or(profile.steps.len());
    if index == profile.steps.len() {
        let name = name.to_vec();
        profile.steps.push(Step { name, format: None, structured_data: None, is_dropped: false });
    }
    let Some(step) = profile.steps.get_mut(index) else { return };
    let mut at = 2;
    while !line.text(at).is_empty() {
        let value = line.word(at + 1);
        match (line.text(at), value) {
            (b"drop", _) if at == 2 => {
                step.is_dropped = true;
                at += 1;
                continue;
            }
            (b"format", Some(_)) => step.format = value.cloned(),
            (b"sd", Some(_)) => step.structured_data = value.cloned(),
            _ => return notes.mistake(line.place(at), "a step has drop, or format and sd with their texts"),
        }
        step.is_dropped = false;
        at += 2;
    }
    if at == 2 {
        notes.mistake(line.place(1), "a step has drop, or format and sd with their texts");
    }
}
