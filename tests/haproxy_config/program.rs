//! The HAProxy that is installed: what it says to a configuration, and what it is.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lab::{Lab, find};

/// Variables that HAProxy and the reader get.
pub(crate) const VARIABLES: [(&str, &str); 3] = [("A", "x  y"), ("E", ""), ("B_4", "b")];

/// The value of a variable of [`VARIABLES`].
pub(crate) fn variable(name: &str) -> Option<Vec<u8>> {
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes().to_vec())
}

/// Runs HAProxy in the lab.
pub(crate) fn run(lab: &Lab, arguments: &[&str]) -> Output {
    let [haproxy] = find([("haproxy", "haproxy")]);
    let directory = lab.path("");
    let mut command = Command::new(haproxy);
    command.args(arguments).current_dir(&directory).env_clear().envs(VARIABLES);
    command.output().expect("haproxy runs")
}

/// What HAProxy says to a configuration of this text, a message for each line that it speaks of: its number, and what is
/// behind the place.
pub(crate) fn messages(lab: &Lab, text: &[u8]) -> Vec<(u32, Vec<u8>)> {
    std::fs::write(lab.path("a.cfg"), text).expect("the file can be written");
    let output = run(lab, &["-c", "-f", "a.cfg"]);
    let lines = output.stderr.split(|byte| *byte == b'\n');
    let message = |line: &[u8]| {
        let place = b"parsing [a.cfg:";
        let start = line.windows(place.len()).position(|part| part == place)? + place.len();
        let rest = &line[start..];
        let end = rest.windows(3).position(|part| part == b"]: ")?;
        let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some((number, rest[end + 3..].to_vec()))
    };
    lines.filter_map(message).collect()
}

/// True when HAProxy accepts the file.
pub(crate) fn accepts(lab: &Lab, file: &Path) -> bool {
    run(lab, &["-c", "-f", file.to_str().expect("a plain name")]).status.success()
}

/// Version and features of HAProxy.
pub(crate) fn facts(lab: &Lab) -> (String, String) {
    let text = String::from_utf8(run(lab, &["-vv"]).stdout).expect("UTF-8");
    let behind = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).expect("a line of -vv").trim();
    let version = behind("HAProxy version ").split(' ').next().expect("a version");
    (version.to_owned(), behind("Feature list :").to_owned())
}

/// Numbers by chance, from a seed that is printed where a test fails.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        let seed = std::env::var("SEED").map_or(elapsed.as_nanos() as u64, |seed| seed.parse().expect("a number")) | 1;
        println!("SEED={seed}");
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    /// One of several.
    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}
