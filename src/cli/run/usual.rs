//! Logs where they usually are: what is read when nobody says what.

use std::path::Path;

use crate::config::{Input, JournalInput, Source, Written};
use crate::metrics::MAIL;

/// Where Debian, Red Hat, SUSE and the programs themselves put logs, by format: the first that is there is read.
const FILES: &[(&str, &[&str])] = &[
    ("haproxy", &["/var/log/haproxy.log", "/var/log/haproxy/haproxy.log"]),
    (MAIL, &["/var/log/mail.log", "/var/log/maillog", "/var/log/mail"]),
    ("exim", &["/var/log/exim4/mainlog", "/var/log/exim/main.log", "/var/log/exim/mainlog"]),
    ("dovecot", &["/var/log/dovecot.log"]),
    ("rspamd", &["/var/log/rspamd/rspamd.log"]),
];

/// Where the journal's files are, on disk or in memory.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// The entries of mail programs: syslog's facility `mail`.
const MAIL_FACILITY: &str = "SYSLOG_FACILITY=2";

/// The logs that are there below `root`: of HAProxy and of mail programs in files, or else in the journal.
pub(super) fn found(root: &Path) -> Vec<Source> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    // Each machine has a folder there.
    let is_journal = |path: &&str| below(path).read_dir().is_ok_and(|mut folders| folders.next().is_some());
    let has_journal = JOURNALS.iter().any(is_journal);
    let mut sources = Vec::new();
    for (format, paths) in FILES.iter().filter(|(format, _)| crate::metrics::format(format).is_some()) {
        let file = paths.iter().map(|path| below(path)).find(|path| path.is_file());
        let input = match (file.as_deref().and_then(Path::to_str), *format) {
            (Some(path), _) => Input::File { path: path.to_owned(), exclude: Vec::new() },
            (None, "haproxy") if has_journal => journal(|journal| journal.identifiers.push("haproxy".to_owned())),
            (None, MAIL) if has_journal => journal(|journal| journal.matches.push(MAIL_FACILITY.to_owned())),
            _ => continue,
        };
        let name = matches!(&input, Input::Journal(_)).then(|| format!("journal:{format}"));
        sources.push(Source { input, format: (*format).to_owned(), written: Written::Usual, name });
    }
    sources
}

fn journal(ask: impl FnOnce(&mut JournalInput)) -> Input {
    let mut journal = JournalInput::default();
    ask(&mut journal);
    Input::Journal(journal)
}

/// The log of HAProxy, or else what the journal has of it.
pub(super) fn haproxy() -> String {
    let paths = FILES.iter().find(|(format, _)| *format == "haproxy").map_or(&[][..], |(_, paths)| paths);
    let file = paths.iter().find(|path| Path::new(path).is_file());
    file.map_or("journal:haproxy", |file| file).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn labels(root: &Path) -> Vec<(String, String)> {
        let label = |source: Source| (source.format.clone(), source.label().replace(root.to_str().unwrap_or(""), ""));
        found(root).into_iter().map(label).collect()
    }

    #[test]
    fn files_come_before_the_journal() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        assert_eq!(labels(root), []);
        fs::create_dir_all(root.join("run/log/journal/0123456789abcdef"))?;
        let pair = |format: &str, label: &str| (format.to_owned(), label.to_owned());
        assert_eq!(labels(root), [pair("haproxy", "journal:haproxy"), pair("mail", "journal:mail")]);
        fs::create_dir_all(root.join("var/log"))?;
        fs::write(root.join("var/log/maillog"), "")?;
        assert_eq!(labels(root), [pair("haproxy", "journal:haproxy"), pair("mail", "/var/log/maillog")]);
        fs::write(root.join("var/log/mail.log"), "")?;
        fs::write(root.join("var/log/haproxy.log"), "")?;
        assert_eq!(labels(root), [pair("haproxy", "/var/log/haproxy.log"), pair("mail", "/var/log/mail.log")]);
        Ok(())
    }
}
