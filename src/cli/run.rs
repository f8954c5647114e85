//! `tailmeter run`: follows logs and serves what it counts, until a signal ends it.
//!
//! # Threads
//! HTTP is served and signals are waited for on a runtime of their own; expositions are rendered on its
//! blocking threads. Sources are read and counted on the threads of a second runtime, at most [`MAX_READERS`] and never
//! more than processors. A backlog of gigabytes thus cannot keep a scrape waiting:
//! the two share nothing but the locks of the shards, each held for one block.

mod live;
mod logs;
mod push;
mod running;
mod sources;
mod state;
mod usual;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::block_in_place;

use super::{CompatOption, ConfigOption, Failure, WrittenOptions, say};
use crate::config::{Config, Source};
use crate::http;
use crate::metrics::own;
use crate::pipeline::{Exporter, Wish};
use crate::push::Pushing;
use crate::source::file::{Options, Tailer};

use live::Stage;
use logs::Logs;
use running::Running;
use state::State;

/// Most threads that read files. One parses about a gigabyte a second; more would take processors from the servers
/// whose logs these are.
const MAX_READERS: usize = 4;

/// Follow logs and serve their metrics
///
/// Follows every log of the configuration file and of the options below, through rotations, and serves the metrics
/// at http://ADDR/metrics, with a status page at /. A log that does not exist yet is picked up when it appears. Without a
/// configuration and without an option that names a log, HAProxy's and the mail programs' logs are looked for where
/// they usually are: in files below /var/log, or else in the systemd journal.
///
/// --log-format or --haproxy-config holds for every HAProxy log, except those whose `format` in the configuration file
/// says itself how their lines are written. When no log is named anywhere, it means /var/log/haproxy.log, or else what the
/// systemd journal has of haproxy.
///
/// Every line counts once: counts and the places in the files are kept together in a database in the state directory,
/// so that both are there again after a restart or a crash, and nothing is shown that is not kept. A file that was
/// never read before is read from its beginning. With --no-state nothing is written to disk: counters start at zero,
/// and files that are there at the start are read from their end, so that only what happens from now on counts.
///
/// SIGHUP loads the configuration again: sources and rows change without losing a line or a count. With a mistake in it,
/// the one before stays in use. SIGTERM and SIGINT end the program in an orderly way; a second one ends it at once, with
/// exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    compat: CompatOption,
    #[command(flatten)]
    logs: Logs,
    #[command(flatten)]
    written: WrittenOptions,
    /// Address and port to serve on [default: the configuration's, else 127.0.0.1:9129]
    ///
    /// Port 0 takes a free one, which is printed. With --compat the default port is that of the other program: 9154 for
    /// postfix-exporter.
    #[arg(long, value_name = "ADDR", env = "TAILMETER_LISTEN", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Directory for tailmeter's state; is created, and locked against a second tailmeter [default: see below]
    ///
    /// Without it, the state is kept in $STATE_DIRECTORY, which systemd sets, or else in $XDG_STATE_HOME/tailmeter or
    /// ~/.local/state/tailmeter. The database tailmeter.db in it can be read with sqlite3.
    #[arg(long, value_name = "DIR", env = "TAILMETER_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Keep no state: counters start at zero, files that are there at the start are read from their end
    #[arg(long, env = "TAILMETER_NO_STATE", value_parser = FalseyValueParser::new())]
    no_state: bool,
    /// Let POST /-/reload load the configuration again, as SIGHUP does
    #[arg(long, env = "TAILMETER_ENABLE_LIFECYCLE", value_parser = FalseyValueParser::new())]
    enable_lifecycle: bool,
}

/// How often it is looked whether a record has waited for its next line long enough.
const SETTLING: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  tailmeter run --haproxy /var/log/haproxy.log
  tailmeter run --haproxy '/var/log/haproxy/*.log' --listen 0.0.0.0:9129 --no-state
  tailmeter run --haproxy udp://127.0.0.1:5514
  TAILMETER_CONFIG=/etc/tailmeter.yml tailmeter run";

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are needed, for example 127.0.0.1:9129 or [::]:9129".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, sources) = load(arguments)?;
    let state = State::open(arguments.state_dir.as_deref(), arguments.no_state)?;
    let listener = listen(arguments.listen.unwrap_or(config.listen))?;
    let address = listener.local_addr().map_err(|error| start(&error))?;

    // Before anything takes handles of its telemetry.
    let telemetry = own::install();
    let pipeline = Arc::new(state.pipeline(&config)?);
    let keeping = pipeline.keep().map_err(|error| start(&error))?;
    let readers = runtime(Builder::new_multi_thread().worker_threads(readers()))?;
    // Nobody else's task is held up while it blocks; responses are made on its blocking threads.
    let door = runtime(Builder::new_multi_thread().worker_threads(1))?;
    let options = Options { max_line_bytes: config.max_line_bytes, start: state.start(), ..Options::default() };
    let tailer = Tailer::new(Vec::new(), options);
    let stage = Stage {
        files: tailer.handle(),
        readers: readers.handle().clone(),
        start: state.start(),
        max_line_bytes: config.max_line_bytes,
    };
    let mut running = {
        let _inside = readers.enter();
        Running::start(config, pipeline, keeping, stage, &sources)?
    };
    let (wish, mut wishes) = mpsc::unbounded_channel();
    let reloads = arguments.enable_lifecycle.then(|| wish.clone());
    let exporter = Arc::new(Exporter::new(running.shown(), telemetry, reloads));
    let mut pushing = {
        let _inside = door.enter();
        Pushing::start(&running.config.push, push::scene(&exporter, &state, address))
    };
    let outcome = door.block_on(async {
        // Installed before anybody is told that tailmeter runs.
        let mut signals = Signals::new().map_err(|error| start(&error))?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| start(&error))?;
        announce(&running, &state, address);
        let (stop, stopped) = watch::channel(false);
        let mut reading = readers.spawn(tailer.run(stopping(stopped.clone())));
        let pages = Arc::clone(&exporter);
        let mut serving = tokio::spawn(http::serve(listener, pages, http_options(), stopping(stopped)));
        // Neither ends by itself, unless it has failed.
        loop {
            let settles = running.joins_lines();
            tokio::select! {
                () = signals.wait() => break,
                () = tokio::time::sleep(SETTLING), if settles => block_in_place(|| running.settle()),
                Some(()) = hangup.recv() => {
                    reload(arguments, &mut running, &state, (&exporter, &mut pushing), None).await;
                }
                Some(wish) = wishes.recv() => {
                    reload(arguments, &mut running, &state, (&exporter, &mut pushing), Some(wish)).await;
                }
                outcome = &mut reading => return Err(ended("reading", &outcome)),
                outcome = &mut serving => return Err(ended("serving", &outcome)),
            }
        }
        stop.send_replace(true);
        let last = async {
            let _ = reading.await;
            running.end_tasks().await;
            let _ = serving.await;
        };
        tokio::select! {
            () = last => Ok(signals),
            () = signals.wait() => std::process::exit(1),
        }
    });
    // After the last block; what has been read until a failure is worth keeping, too.
    let kept = running.keeping.end().map_err(|error| Failure::Work(format!("the last checkpoint failed: {error}")));
    // What is pushed has been committed.
    let outcome = outcome.map(|mut signals| {
        door.block_on(async {
            tokio::select! {
                () = pushing.end() => {}
                () = signals.wait() => std::process::exit(1),
            }
        });
    });
    outcome.and(kept)
}

/// The configuration, and what to read by it and by the options.
fn load(arguments: &Arguments) -> Result<(Config, Vec<Source>), Failure> {
    let config = arguments.compat.load(&arguments.config)?;
    let written = arguments.written.written();
    let usual = if arguments.config.is_given() { Vec::new() } else { usual::found(Path::new("/")) };
    let sources = sources::resolve(&config, &arguments.logs, written, usual)?;
    Pushing::check(&config.push).map_err(Failure::Usage)?;
    Ok((config, sources))
}

/// Loads the configuration again, and says what became of that, also to whoever wished for it.
async fn reload(
    arguments: &Arguments,
    running: &mut Running,
    state: &State,
    (exporter, pushing): (&Exporter, &mut Pushing),
    wish: Option<Wish>,
) {
    let outcome = match load(arguments) {
        Ok((config, sources)) => running.reload(config, &sources, state, exporter).await,
        Err(failure) => Err(failure),
    };
    if outcome.is_ok() {
        pushing.change(&running.config.push).await;
    }
    own::record_reload(outcome.is_ok());
    match &outcome {
        Ok(()) => say(format_args!("the configuration was loaded again")),
        Err(failure) => say(format_args!("{failure}\nthe configuration before stays in use")),
    }
    if let Some(wish) = wish {
        // Whoever wished for it may have gone.
        let _ = wish.send(outcome.map_err(|failure| failure.to_string()));
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::AddrInUse => "address in use".to_owned(),
            ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            _ => error.to_string(),
        };
        Failure::Usage(format!("cannot listen on {address}: {reason}"))
    })
}

fn readers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_READERS)
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| start(&error))
}

fn start(error: &io::Error) -> Failure {
    Failure::Work(format!("cannot start: {error}"))
}

fn http_options() -> http::Options {
    http::Options {
        on_accept_error: |error| say(format_args!("cannot accept a connection: {error}")),
        ..http::Options::default()
    }
}

/// Says what is read, and where to look.
fn announce(running: &Running, state: &State, address: SocketAddr) {
    let version = env!("CARGO_PKG_VERSION");
    for live in &running.live {
        let (name, format) = (&live.followed.name, live.followed.format);
        say(format_args!("tailmeter {version}: reading {name} as {format}, {}", live.begins));
    }
    state.announce();
    say(format_args!("http://{address}/metrics"));
}

/// Ready when the program is to stop.
async fn stopping(mut stopped: watch::Receiver<bool>) {
    // A closed channel means that nobody is left who could stop it otherwise.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn ended<T: std::fmt::Debug>(what: &str, outcome: &T) -> Failure {
    Failure::Work(format!("{what} ended by itself: {outcome:?}"))
}

/// The signals that end the program.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
