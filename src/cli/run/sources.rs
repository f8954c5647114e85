//! What to read: the sources of the configuration and of the command line, each once.

use super::super::Failure;
use super::live::pattern_of;
use super::logs::Logs;
use super::usual;
use crate::config::{Config, Input, Source, Written};

/// The family whose lines are written as operators please.
const HAPROXY: &str = "haproxy";

/// The sources of `config`, then those of the options. HAProxy's are `written` as asked wherever a source does not say so itself;
/// who says how while nothing is to be read at all means its usual log. `usual` are read when nobody says anything.
///
/// # Errors
/// There is no source at all, or an option names none.
pub(super) fn resolve(
    config: &Config,
    logs: &Logs,
    written: Option<Written>,
    usual: Vec<Source>,
) -> Result<Vec<Source>, Failure> {
    let mut sources: Vec<Source> = Vec::new();
    let mut add = |source: Source| {
        // The same twice would count its lines twice.
        if !sources.iter().any(|known| (&known.input, &known.format) == (&source.input, &source.format)) {
            sources.push(source);
        }
    };
    config.sources.iter().cloned().for_each(&mut add);
    for (format, texts) in logs.iter() {
        for text in texts {
            add(named(format, text)?);
        }
    }
    if sources.is_empty() {
        match written {
            Some(_) => sources.push(named(HAPROXY, &usual::haproxy())?),
            None => sources = usual,
        }
    }
    if sources.is_empty() {
        return Err(Failure::Usage(
            "nothing to read: name a log, for example with --haproxy PATH or --mail PATH, or a configuration with \
             `sources` with --config FILE; without either, the usual places are looked at, where nothing was found"
                .to_owned(),
        ));
    }
    if let Some(written) = written {
        let is_asked = |source: &&mut Source| source.format == HAPROXY && source.written == Written::Usual;
        sources.iter_mut().filter(is_asked).for_each(|source| source.written = written.clone());
    }
    Ok(sources)
}

/// The source that the option `--format text` names.
fn named(format: &str, text: &str) -> Result<Source, Failure> {
    let input = Input::of(text).map_err(|error| Failure::Usage(format!("--{format} {text}: {error}")))?;
    Ok(Source { input, format: format.to_owned(), written: Written::Usual, name: None })
}

/// The patterns of what `sources[index]` must not read, if it is a pattern itself: files and earlier patterns that are
/// sources of their own. Their lines would count twice.
pub(super) fn read_by_others(sources: &[Source], index: usize) -> Vec<String> {
    let Some(source) = sources.get(index) else { return Vec::new() };
    let others = sources.iter().enumerate().filter(|(_, other)| other.format == source.format);
    let taken = |(place, other): (usize, &Source)| match &other.input {
        Input::File { path, .. } if place != index => match pattern_of(path) {
            None => Some(glob::Pattern::escape(path)),
            Some(pattern) => (place < index).then(|| pattern.to_owned()),
        },
        _ => None,
    };
    match &source.input {
        Input::File { path, .. } if pattern_of(path).is_some() => others.filter_map(taken).collect(),
        _ => Vec::new(),
    }
}
