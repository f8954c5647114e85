//! `log` lines: where a proxy's lines go, and what stands before each (HAProxy's `parse_logger` in `log.c`).
//!
//! ```text
//! log 127.0.0.1:514 len 8192 format rfc5424 local0 info
//! ```

use super::Place;
use super::reader::{Line, Notes};

/// What stands before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Header {
    /// None is asked for: `local`, or `rfc3164` with `log-send-hostname`. A ring has its own.
    Unspecified,
    /// `<134>Jun 13 16:33:35 haproxy[73411]: `
    Local,
    /// The same with a hostname.
    Rfc3164,
    /// RFC 5424, with `log-format-sd` as its structured data.
    Rfc5424,
    /// `<134>`
    Priority,
    /// `<6>`
    Short,
    /// `<6>` and a time
    Timed,
    /// A time.
    Iso,
    /// Nothing.
    Raw,
}

impl Header {
    /// The headers by their names.
    const NAMES: [(&str, Self); 8] = [
        ("local", Self::Local),
        ("rfc3164", Self::Rfc3164),
        ("rfc5424", Self::Rfc5424),
        ("priority", Self::Priority),
        ("short", Self::Short),
        ("timed", Self::Timed),
        ("iso", Self::Iso),
        ("raw", Self::Raw),
    ];

    fn of(name: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, header)| *header)
    }
}

/// A target of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address, as it is written: `127.0.0.1:514`, `/dev/log`, `ring@name`, `stdout`.
    pub address: Vec<u8>,
    /// What stands before each line.
    pub header: Header,
    /// Bytes of a line, at most: what is longer is cut. 1,024 by default.
    pub length: u32,
    /// `sample RANGES:SIZE`: only some of the lines go here.
    pub sample: Option<Vec<u8>>,
    /// The facility's name.
    pub facility: Vec<u8>,
    /// The least important level that goes here, by its name; `debug` by default.
    pub level: Vec<u8>,
    /// The level that more important lines are lowered to; `emerg` by default.
    pub minimum_level: Vec<u8>,
    /// The `log-profile` that decides on the format (3.1).
    pub profile: Option<Vec<u8>>,
    /// Where the line stands. For `log global`, that in `global`.
    pub place: Place,
    /// Which line of `global` this is a copy of: it is not copied twice.
    global: Option<Place>,
}

/// Levels of syslog, by their names in HAProxy.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Facilities of syslog, by their names in HAProxy; `local0` to `local7` beside.
const FACILITIES: [&str; 16] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit",
    "alert", "cron2",
];

/// Reads a `log` line into `targets`. `globals` has the targets of `global` so far, and is `None` in `global` itself.
pub(super) fn read(line: &Line<'_>, targets: &mut Vec<Target>, globals: Option<&[Target]>, notes: &mut Notes) {
    if line.is_negated() {
        targets.clear();
        return;
    }
    if line.text(1) == b"global" && line.text(2).is_empty() {
        let Some(globals) = globals else { return notes.mistake(line.place(1), "log global stands in proxies only") };
        if globals.is_empty() {
            notes.warn(line.place(1), "global has no log line above this one: nothing is logged by it");
        }
        for global in globals {
            let copy = Target { global: Some(global.place), ..global.clone() };
            if !targets.iter().any(|target| target.global == copy.global) {
                targets.push(copy);
            }
        }
        return;
    }
    match target(line) {
        Ok(target) => targets.push(target),
        Err((word, message)) => notes.mistake(line.place(word), message),
    }
}

/// The target of a line, or the number of the word that is wrong and why.
fn target(line: &Line<'_>) -> Result<Target, (usize, &'static str)> {
    if line.text(1).is_empty() || line.text(2).is_empty() {
        return Err((0, "log needs an address and a facility, or the word global"));
    }
    let mut target = Target {
        address: line.text(1).to_vec(),
        header: Header::Unspecified,
        length: 1024,
        sample: None,
        facility: Vec::new(),
        level: b"debug".to_vec(),
        minimum_level: b"emerg".to_vec(),
        profile: None,
        place: line.place(0),
        global: None,
    };
    let mut at = 2;
    loop {
        let value = line.text(at + 1);
        match line.text(at) {
            b"len" => {
                let length = decimal(value).filter(|length| (80..=65_535).contains(length));
                target.length = length.ok_or((at + 1, "the length of a line is 80 to 65535 bytes"))?;
            }
            b"format" => {
                target.header = Header::of(value).ok_or((at + 1, "this is no format of a log target"))?;
            }
            b"profile" => target.profile = Some(value.to_vec()),
            b"sample" => target.sample = Some(value.to_vec()),
            _ => break,
        }
        at += 2;
    }
    let is_local = |name: &[u8]| matches!(name, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7']);
    let facility = line.text(at);
    if !is_local(facility) && !FACILITIES.iter().any(|known| known.as_bytes() == facility) {
        return Err((at, "this is no facility of syslog"));
    }
    target.facility = facility.to_vec();
    for (at, level) in [(at + 1, &mut target.level), (at + 2, &mut target.minimum_level)] {
        let name = line.text(at);
        if name.is_empty() {
            break;
        }
        if !LEVELS.iter().any(|known| known.as_bytes() == name) {
            return Err((at, "this is no level of syslog"));
        }
        *level = name.to_vec();
    }
    if !line.text(at + 3).is_empty() {
        return Err((at + 3, "a log line ends with its levels"));
    }
    Ok(target)
}

/// A number of digits only.
pub(super) fn decimal(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
