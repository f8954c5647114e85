//! What to read: the sources of the configuration and of the command line, each once.

use std::path::Path;

use super::super::Failure;
use super::live::pattern_of;
use crate::config::{Config, Input, Source, Written};

/// The sources of `config`, then those of the options: each a format, what is to be read as that, and how it is written.
/// Who says how but not what means the program's usual log.
///
/// # Errors
/// There is no source at all, or an option names none.
pub(super) fn resolve(config: &Config, options: &[(&str, &[String], Option<Written>)]) -> Result<Vec<Source>, Failure> {
    let mut sources: Vec<Source> = Vec::new();
    let mut add = |source: Source| {
        // The same twice would count its lines twice.
        if !sources.iter().any(|known| (&known.input, &known.format) == (&source.input, &source.format)) {
            sources.push(source);
        }
    };
    config.sources.iter().cloned().for_each(&mut add);
    for (format, texts, written) in options {
        let usual = if texts.is_empty() && written.is_some() { usual_logs(format) } else { Vec::new() };
        for text in texts.iter().chain(&usual) {
            let wrong = |error| Failure::Usage(format!("--{format} {text}: {error}"));
            let input = Input::of(text).map_err(wrong)?;
            let written = written.clone().unwrap_or_default();
            add(Source { input, format: (*format).to_owned(), written, name: None });
        }
    }
    if sources.is_empty() {
        return Err(Failure::Usage(
            "nothing to read: name a log with --haproxy PATH, or a configuration with `sources` with --config FILE"
                .to_owned(),
        ));
    }
    Ok(sources)
}

/// Where the logs of `format` usually are.
fn usual_logs(format: &str) -> Vec<String> {
    let file = format!("/var/log/{format}.log");
    vec![if Path::new(&file).exists() { file } else { format!("journal:{format}") }]
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
