//! The command line: one file per subcommand, and what they share. Thin: the work is done by the stages that
//! [`pipeline`](crate::pipeline) names.
//!
//! # Exit codes
//! 0: done. 1: failed at work, for example because a file could not be read. 2: never started: wrong usage,
//! a mistake in the configuration, an address in use.

mod check;
mod columns;
mod explain;
mod files;
mod parse;
mod push;
pub mod reference;
mod replay;
mod run;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

use crate::config::{Config, Written};
use crate::metrics::{Compat, Dialect, FAMILIES, formats};

/// What `--version` says behind the name.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TAILMETER_REVISION"), ")");

/// Turns HAProxy and mail-server logs into Prometheus metrics.
///
/// tailmeter follows log files, parses their lines, and shows what it counted at /metrics. Every line is
/// parsed, ignored (known, nothing to count) or rejected, and counted as such: nothing disappears silently.
#[derive(Debug, Parser)]
#[command(
    name = "tailmeter",
    version = VERSION,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tailmeter run --haproxy /var/log/haproxy.log
  tailmeter replay --format haproxy /var/log/haproxy.log.1
  journalctl -u haproxy -o cat | tailmeter parse --format haproxy -
  tailmeter explain --haproxy-config /etc/haproxy/haproxy.cfg

Exit codes: 0 done, 1 failed at work, 2 wrong usage or configuration, or the address is in use.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Replay(replay::Arguments),
    Parse(parse::Arguments),
    Explain(explain::Arguments),
    Check(check::Arguments),
}

/// Why the program ends with something else than 0.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Exit code 2: it never started.
    #[error("{0}")]
    Usage(String),
    /// Exit code 1: it failed at work.
    #[error("{0}")]
    Work(String),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Work(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the program with the arguments and the environment of the process; returns its exit code.
pub fn main() -> ExitCode {
    main_with(std::env::args_os())
}

fn main_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to stdout, which may be closed: nothing is left to be done then.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Parse(arguments) => parse::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(format_args!("error: {failure}"));
            failure.exit_code()
        }
    }
}

/// Writes a line for people to stderr, whole, so that lines of several threads do not mix. The only place
/// that does. Without time and level: journald and container runtimes add theirs.
fn say(line: fmt::Arguments<'_>) {
    let text = format!("{line}\n");
    // Nobody can be told that stderr is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What `--format` may name: the log families, and the formats that `config` describes.
fn format_named(name: &str, config: &Config) -> Result<&'static str, Failure> {
    let families = FAMILIES.iter().copied().chain(config.formats.iter().map(|format| format.family));
    let families = families.collect::<Vec<_>>();
    formats(&families).find(|format| *format == name).ok_or_else(|| {
        let known = formats(&families).collect::<Vec<_>>().join(", ");
        Failure::Usage(format!("unknown format {name} [possible values: {known}]"))
    })
}

/// The configuration at `path`, or the defaults without one; with the metrics of `compat`, if that is asked for.
fn configuration(path: Option<&Path>, compat: Option<Compat>) -> Result<Config, Failure> {
    match path {
        Some(path) => Config::load_for(path, compat).map_err(|errors| Failure::Usage(errors.to_string())),
        None => Ok(Config::with_compat(compat)),
    }
}

/// The options that say how HAProxy's lines are written.
#[derive(Debug, clap::Args)]
struct WrittenOptions {
    /// Lines are written by this log-format of HAProxy
    ///
    /// The text is what HAProxy's documentation calls a custom log format, as it stands between the quotes of
    /// haproxy.cfg: '%ci:%cp [%tr] %ft %b/%s %ST %{+Q}r'.
    #[arg(long, value_name = "STRING", env = "TAILMETER_LOG_FORMAT", conflicts_with = "haproxy_config")]
    log_format: Option<String>,
    /// Lines are written as this haproxy.cfg says; may be repeated
    ///
    /// Every frontend's format, the names of captured headers and the names of frontends come from it. Several files, or
    /// folders of them, are given in the order in which HAProxy gets them. TAILMETER_HAPROXY_CONFIG holds one.
    #[arg(long, value_name = "FILE", env = "TAILMETER_HAPROXY_CONFIG")]
    haproxy_config: Vec<PathBuf>,
}

impl WrittenOptions {
    /// How lines are written by them; `None` without one.
    fn written(&self) -> Option<Written> {
        match &self.log_format {
            Some(text) => Some(Written::LogFormat(text.clone())),
            None if self.haproxy_config.is_empty() => None,
            None => Some(Written::HaproxyConfig(self.haproxy_config.clone())),
        }
    }
}

/// The options that say which lines to read or to explain: their family, and how they are written.
#[derive(Debug, clap::Args)]
struct LinesOptions {
    /// Log family of the lines, or a format that the configuration describes
    #[arg(long, value_name = "FORMAT", env = "TAILMETER_FORMAT",
        required_unless_present_any = ["log_format", "haproxy_config"])]
    format: Option<String>,
    #[command(flatten)]
    written: WrittenOptions,
}

impl LinesOptions {
    /// The name of the format, which `config` may describe, and the dialect of the lines.
    fn dialect(&self, config: &Config) -> Result<(&'static str, Dialect), Failure> {
        let (format, written) = self.written(config)?;
        Ok((format, understand(&written)?))
    }

    /// The name of the format, which `config` may describe, and how its lines are written.
    fn written(&self, config: &Config) -> Result<(&'static str, Written), Failure> {
        const HAPROXY: &str = "haproxy";
        let format = self.format.as_deref();
        let Some(written) = self.written.written() else {
            let format = format.unwrap_or(HAPROXY);
            return Ok((format_named(format, config)?, Written::Usual));
        };
        if let Some(format) = format.filter(|format| *format != HAPROXY) {
            return Err(Failure::Usage(format!(
                "--log-format and --haproxy-config are for {HAPROXY}, not for {format}"
            )));
        }
        Ok((HAPROXY, written))
    }
}

/// What reads lines that are `written` so; says what could not be known for sure.
fn understand(written: &Written) -> Result<Dialect, Failure> {
    let understood = written.understand().map_err(|error| Failure::Usage(error.to_string()))?;
    understood.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
    Ok(understood.dialect)
}

/// The option `--config`, which every subcommand has that counts or cuts lines.
#[derive(Debug, clap::Args)]
struct ConfigOption {
    /// Configuration file (YAML): sources, labels, limits
    #[arg(long, value_name = "FILE", env = "TAILMETER_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigOption {
    /// True when there is a configuration file.
    fn is_given(&self) -> bool {
        self.config.is_some()
    }

    fn load(&self) -> Result<Config, Failure> {
        configuration(self.config.as_deref(), None)
    }
}

/// The option `--compat`, which every subcommand has that shows metrics of logs.
#[derive(Debug, clap::Args)]
struct CompatOption {
    /// Show the metrics of another program in place of tailmeter's own, so that what is built on them keeps working
    #[arg(long, value_name = "PROGRAM", env = "TAILMETER_COMPAT", value_parser = program_name())]
    compat: Option<String>,
}

impl CompatOption {
    /// The configuration that `option` names, for these metrics.
    fn load(&self, option: &ConfigOption) -> Result<Config, Failure> {
        configuration(option.config.as_deref(), self.compat.as_deref().and_then(Compat::named))
    }
}

/// The value of `--compat`.
fn program_name() -> PossibleValuesParser {
    PossibleValuesParser::new(Compat::ALL.iter().map(|compat| compat.name()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_has_its_environment_variable() {
        let program = Arguments::command();
        for command in program.get_subcommands() {
            let options = command.get_arguments().filter_map(|argument| {
                let long = argument.get_long().filter(|long| *long != "help")?;
                Some((long, argument.get_env()))
            });
            for (long, variable) in options {
                let expected = format!("TAILMETER_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(variable, Some(expected.as_ref()), "--{long}");
            }
        }
    }
}
