//! Siblings: what else is in the directory of a followed file, and which of it were its earlier generations.
//!
//! # Names
//! A sibling is *named as a generation* when its name is the file's with a suffix of digits and separators,
//! at least one digit, and perhaps the extension of a compressor: `.1`, `.2.gz`, `-20261121`,
//! `.1-2026-11-21.zst`. Only such files are ever read without having been seen at the path. A file that was
//! seen there is found under any name in the directory by its inode, and under any longer name by its
//! fingerprint, in its contents if it is compressed.
//!
//! # Order
//! Numbers of fewer than eight digits count rotations, so the higher is older. More digits are a date, so the
//! later is newer. If all names are of one kind, they are in that order, whatever the times of the files are:
//! some compressors do not keep them. Otherwise the times of last change decide.
//!
//! # What is newer
//! Generations behind the one that was being read, or behind its predecessor, in this order. If neither is
//! there any more, rotation has deleted them, and whatever was older before them; then all that were changed
//! after the last look at the lost one are newer.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use super::Position;
use super::fingerprint::Fingerprint;
use super::generation::{Generation, identity, modified_ns};
use super::packed::EXTENSIONS;
use crate::source::Identity;
use crate::source::status::Trouble;

/// Files may be renamed, compressed and removed while they are looked for; then they are looked for again, at most
/// this often.
const SEARCHES: usize = 16;

/// A file beside the followed one.
#[derive(Clone, Debug)]
struct Sibling {
    path: PathBuf,
    identity: Identity,
    /// Bytes, as it is stored.
    size: u64,
    modified_ns: u64,
    suffix: Suffix,
}

/// What was found for a generation that is looked for.
#[derive(Default)]
pub(super) struct Found {
    /// The generation itself, under another name.
    pub(super) own: Option<Opened>,
    /// Later generations, oldest first.
    pub(super) newer: Vec<Opened>,
    /// The place of the generation or of its predecessor in the order of the others was known.
    pub(super) is_ordered: bool,
}

/// What was found, open.
pub(super) struct Opened {
    /// The file, or why it cannot be read.
    pub(super) open: Result<Generation, Trouble>,
    /// Bytes, as it is stored.
    pub(super) size: u64,
}

/// What a name has behind the file's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Suffix {
    /// How often it was rotated.
    Count(u64),
    /// When it was rotated: year first.
    Date(Vec<u64>),
    /// It is not named as a generation.
    Other,
}

impl Sibling {
    /// Opens it.
    ///
    /// # Errors
    /// The trouble it makes; that it is missing, too, when another file has its name by now.
    fn open(&self) -> Result<Generation, Trouble> {
        Generation::rotated(&self.path).and_then(|open| {
            let is_it = open.identity == self.identity;
            is_it.then_some(open).ok_or(Trouble::Missing)
        })
    }

    fn opened(&self) -> Opened {
        Opened { open: self.open(), size: self.size }
    }

    fn is_named(&self) -> bool {
        self.suffix != Suffix::Other
    }

    fn fingerprint_matches(&self, fingerprint: &Fingerprint) -> bool {
        fingerprint.length > 0
            && self
                .open()
                .and_then(|open| open.head().map_err(|_| Trouble::Read))
                .is_ok_and(|head| fingerprint.matches(&head))
    }
}

/// Looks for the generation at `known` beside `path`, and for those after it. Files of `except` are neither,
/// but their places in the order count. What is found was there at one moment.
///
/// # Errors
/// What listing the directory returns.
pub(super) fn search(path: &Path, known: &Position, except: &[Identity]) -> io::Result<Found> {
    let mut siblings = list(path, known.file)?;
    for _ in 1..SEARCHES {
        let found = search_in(siblings.clone(), known, except);
        let again = list(path, known.file)?;
        let names = |siblings: &[Sibling]| {
            siblings.iter().map(|sibling| (sibling.path.clone(), sibling.identity)).collect::<BTreeSet<_>>()
        };
        if names(&again) == names(&siblings) {
            return Ok(found);
        }
        siblings = again;
    }
    Ok(search_in(siblings, known, except))
}

fn search_in(siblings: Vec<Sibling>, known: &Position, except: &[Identity]) -> Found {
    let (mut named, others): (Vec<_>, Vec<_>) = siblings.into_iter().partition(Sibling::is_named);
    sort(&mut named);
    let may_be_it = |sibling: &&Sibling| sibling.identity == known.file || !except.contains(&sibling.identity);
    let candidates: Vec<&Sibling> = others.iter().chain(&named).filter(may_be_it).collect();
    let place = |own: &Sibling| named.iter().position(|sibling| sibling.path == own.path);
    let by_predecessor = || named.iter().rposition(|sibling| sibling.fingerprint_matches(&known.predecessor));
    // The inode of a file that was empty proves little, its predecessor much.
    let first = if known.fingerprint.length == 0 { by_predecessor() } else { None };
    let own = match first {
        Some(_) => None,
        None => by_inode(&candidates, known).or_else(|| by_fingerprint(&candidates, known)),
    };
    let anchor = match own {
        Some(own) => place(own),
        None => first.or_else(by_predecessor),
    };
    // Of one that is not named as a generation, only its time is known.
    let changed_ns = own.map_or(known.modified_ns, |own| own.modified_ns);
    let is_newer = |(index, sibling): &(usize, &Sibling)| match anchor {
        _ if except.contains(&sibling.identity) => false,
        Some(anchor) => *index > anchor,
        None => changed_ns > 0 && sibling.modified_ns > changed_ns,
    };
    Found {
        newer: named.iter().enumerate().filter(is_newer).map(|(_, sibling)| sibling.opened()).collect(),
        own: own.map(Sibling::opened),
        is_ordered: anchor.is_some(),
    }
}

fn by_inode<'a>(siblings: &[&'a Sibling], known: &Position) -> Option<&'a Sibling> {
    let found = siblings.iter().find(|sibling| sibling.identity == known.file)?;
    let is_it = known.fingerprint.length == 0 || found.fingerprint_matches(&known.fingerprint);
    is_it.then_some(found)
}

/// Heads may be alike (the same first line in every file), so the times decide between several: a file that
/// was changed after the last look is no older generation. Of these the oldest is it, best one that is as long
/// as what was read.
fn by_fingerprint<'a>(siblings: &[&'a Sibling], known: &Position) -> Option<&'a Sibling> {
    let is_it = |sibling: &&'a Sibling| sibling.fingerprint_matches(&known.fingerprint);
    let (later, earlier): (Vec<&Sibling>, Vec<&Sibling>) =
        siblings.iter().partition(|sibling| sibling.modified_ns >= known.modified_ns);
    let later: Vec<&Sibling> = later.into_iter().filter(is_it).collect();
    let is_long =
        |sibling: &&&Sibling| sibling.size >= known.offset || sibling.open().is_ok_and(|open| open.is_packed());
    let longest = later.iter().find(is_long).or(later.first()).copied();
    longest.or_else(|| earlier.into_iter().rev().find(is_it))
}

/// Every file beside `path` whose name is longer than its name, and the one that is `wanted`, whatever its
/// name is. Where the path is a symbolic link, the files beside its target.
fn list(path: &Path, wanted: Identity) -> io::Result<Vec<Sibling>> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (Some(directory), Some(name)) = (real.parent(), real.file_name()) else { return Ok(Vec::new()) };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut siblings: Vec<Sibling> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let Ok(entry) = entry else { continue };
        let entry_name = entry.file_name();
        let suffix = entry_name.as_bytes().strip_prefix(name.as_bytes());
        if entry_name == name || (suffix.is_none() && entry.ino() != wanted.inode) {
            continue;
        }
        let path = directory.join(&entry_name);
        let Ok(found) = fs::metadata(&path) else { continue };
        if !found.is_file() || siblings.iter().any(|other| other.identity == identity(&found)) {
            continue;
        }
        siblings.push(Sibling {
            path,
            identity: identity(&found),
            size: found.len(),
            modified_ns: modified_ns(&found),
            suffix: suffix.map_or(Suffix::Other, Suffix::of),
        });
    }
    // A file and what it is just being compressed to are both there for a while.
    let is_packed_too = |sibling: &Sibling| {
        let plain = without_extension(sibling.path.as_os_str().as_bytes());
        siblings.iter().any(|other| other.path != sibling.path && other.path.as_os_str().as_bytes() == plain)
    };
    let doubles: Vec<PathBuf> =
        siblings.iter().filter(|sibling| is_packed_too(sibling)).map(|sibling| sibling.path.clone()).collect();
    siblings.retain(|sibling| !doubles.contains(&sibling.path));
    Ok(siblings)
}

/// Oldest first, see the head of this file.
fn sort(siblings: &mut [Sibling]) {
    let named = || siblings.iter().map(|sibling| &sibling.suffix);
    let is_one_kind = named().all(|suffix| matches!(suffix, Suffix::Count(_)))
        || named().all(|suffix| matches!(suffix, Suffix::Date(_)));
    siblings.sort_by(|one, other| {
        let by_name = if is_one_kind { one.suffix.age_order(&other.suffix) } else { Ordering::Equal };
        by_name.then(one.modified_ns.cmp(&other.modified_ns)).then_with(|| one.path.cmp(&other.path))
    });
}

impl Suffix {
    fn of(suffix: &[u8]) -> Self {
        let plain = without_extension(suffix);
        let is_separator = |byte: &u8| b".-_:+TZ".contains(byte);
        let is_generation = plain.first().is_some_and(|first| b".-_".contains(first))
            && plain.iter().all(|byte| byte.is_ascii_digit() || is_separator(byte));
        let numbers: Vec<&[u8]> = plain.split(is_separator).filter(|digits| !digits.is_empty()).collect();
        let number = |digits: &&[u8]| {
            digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit & 15)))
        };
        let digits: usize = numbers.iter().map(|digits| digits.len()).sum();
        match numbers.first() {
            Some(first) if is_generation && digits < 8 => Suffix::Count(number(first)),
            // What stands before the year is a count.
            Some(_) if is_generation => {
                Suffix::Date(numbers.iter().skip_while(|digits| digits.len() < 4).map(number).collect())
            }
            _ => Suffix::Other,
        }
    }

    fn age_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Suffix::Count(one), Suffix::Count(other)) => Reverse(one).cmp(&Reverse(other)),
            (Suffix::Date(one), Suffix::Date(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

fn without_extension(name: &[u8]) -> &[u8] {
    EXTENSIONS.iter().find_map(|extension| name.strip_suffix(*extension)).unwrap_or(name)
}

/// The name of the file that a file called `name` is a rotated generation of, judged by its name alone.
pub(super) fn generation_of(name: &[u8]) -> Option<&[u8]> {
    let plain = without_extension(name);
    // The longest suffix that is one: from the first separator on that has only digits and separators behind it.
    let starts = (1..plain.len()).filter(|&at| b".-_".contains(&plain[at]));
    let mut generations = starts.filter(|&at| Suffix::of(&plain[at..]) != Suffix::Other);
    generations.next().map(|at| &plain[..at]).or((plain.len() < name.len()).then_some(plain))
}

#[cfg(test)]
mod tests;
