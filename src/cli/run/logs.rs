//! The options that name logs to follow: one for each format.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::metrics::{FAMILIES, MAIL, formats};

/// What the options name, by format.
#[derive(Debug, Default)]
pub(super) struct Logs(Vec<(&'static str, Vec<String>)>);

impl Logs {
    /// Each format, and what is to be read as that.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(format, texts)| (*format, texts.as_slice()))
    }
}

const HEADING: &str = "Logs to follow (each may be repeated)";

const HOW: &str = "\
A path, or a quoted pattern like '/var/log/haproxy*.log', whose files are followed as they come and go; \
udp://127.0.0.1:5514, tcp://…, unix:///… or unixgram:///… to receive syslog there; journal: or journal:haproxy for \
the systemd journal, or those of its entries; a named pipe; - for standard input.";

fn argument(format: &'static str) -> Arg {
    let variable = format!("TAILMETER_{}", format.to_uppercase());
    let help = match format {
        MAIL => "Log of all mail programs, such as /var/log/mail.log".to_owned(),
        format => format!("Log of {format}"),
    };
    Arg::new(format)
        .long(format)
        .value_name("PATH|GLOB|URL")
        .long_help(format!("{help}\n\n{HOW} {variable} holds one of them."))
        .help(help)
        .env(variable)
        .action(ArgAction::Append)
        .help_heading(HEADING)
}

impl Args for Logs {
    fn augment_args(command: Command) -> Command {
        command.args(formats(FAMILIES).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Logs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let texts = |format| matches.get_many::<String>(format).into_iter().flatten().cloned().collect();
        Ok(Self(formats(FAMILIES).map(|format| (format, texts(format))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
