//! `tailmeter run`: follows logs and serves what it counts, until a signal ends it.
//!
//! # Threads
//! The main thread serves HTTP and waits for signals, on a runtime of its own; expositions are rendered on its
//! blocking threads. Files are read and counted on the threads of a second runtime, as many as there are files, at
//! most [`MAX_READERS`] and never more than processors. A backlog of gigabytes thus cannot keep a scrape waiting:
//! the two share nothing but the locks of the shards, each held for one block.

mod sources;
mod state;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::FalseyValueParser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{ConfigOption, Failure, say};
use crate::config::Config;
use crate::http;
use crate::metrics::own;
use crate::pipeline::{Exporter, Followed, Pipeline};
use crate::source::Position;
use crate::source::file::{File, Options, Start, Tailer};

use sources::Source;
use state::State;

/// Most threads that read files. One parses about a gigabyte a second; more would take processors from the servers
/// whose logs these are.
const MAX_READERS: usize = 4;

/// Follow logs and serve their metrics
///
/// Follows every log of the configuration file and of the options below, through rotations, and serves the metrics
/// at http://ADDR/metrics, with a status page at /. A log that does not exist yet is picked up when it appears.
///
/// Every line counts once: counts and the places in the files are kept together in a database in the state directory,
/// so that both are there again after a restart or a crash, and nothing is shown that is not kept. A file that was
/// never read before is read from its beginning. With --no-state nothing is written to disk: counters start at zero,
/// and files that are there at the start are read from their end, so that only what happens from now on counts.
///
/// SIGTERM and SIGINT end it in an orderly way; a second one ends it at once, with exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigOption,
    /// HAProxy log to follow: a path, or a quoted pattern like '/var/log/haproxy*.log'; may be repeated
    ///
    /// A pattern is looked up once, at the start. TAILMETER_HAPROXY holds one path or pattern.
    #[arg(long, value_name = "PATH|GLOB", env = "TAILMETER_HAPROXY")]
    haproxy: Vec<PathBuf>,
    /// Address and port to serve on [default: the configuration's, else 127.0.0.1:9129]
    ///
    /// Port 0 takes a free one, which is printed.
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
}

const EXAMPLES: &str = "\
Examples:
  tailmeter run --haproxy /var/log/haproxy.log
  tailmeter run --haproxy '/var/log/haproxy/*.log' --listen 0.0.0.0:9129 --no-state
  TAILMETER_CONFIG=/etc/tailmeter.yml tailmeter run";

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are needed, for example 127.0.0.1:9129 or [::]:9129".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let sources = sources::resolve(&config, &[("haproxy", &arguments.haproxy)])?;
    let state = State::open(arguments.state_dir.as_deref(), arguments.no_state)?;
    let listener = listen(arguments.listen.unwrap_or(config.listen))?;
    let address = listener.local_addr().map_err(|error| start(&error))?;

    // Before anything takes handles of its telemetry.
    let telemetry = own::install();
    let pipeline = Arc::new(state.pipeline(&config)?);
    let (tailer, followed, begins) = follow(&pipeline, &config, &sources, state.start())?;
    let pages = Arc::new(Exporter::new(Arc::clone(&pipeline), telemetry, followed));

    let readers = runtime(Builder::new_multi_thread().worker_threads(readers(sources.len())))?;
    let door = runtime(&mut Builder::new_current_thread())?;
    let keeping = pipeline.keep().map_err(|error| start(&error))?;
    let outcome = door.block_on(async {
        // Installed before anybody is told that tailmeter runs.
        let mut signals = Signals::new().map_err(|error| start(&error))?;
        announce(&sources, &begins, &state, address);
        let (stop, stopped) = watch::channel(false);
        let mut reading = readers.spawn(tailer.run(stopping(stopped.clone())));
        let mut serving = tokio::spawn(http::serve(listener, pages, http_options(), stopping(stopped)));
        // Neither ends by itself, unless it has failed.
        tokio::select! {
            () = signals.wait() => {}
            outcome = &mut reading => return Err(ended("reading", &outcome)),
            outcome = &mut serving => return Err(ended("serving", &outcome)),
        }
        stop.send_replace(true);
        let last = async {
            let _ = reading.await;
            let _ = serving.await;
        };
        tokio::select! {
            () = last => Ok(()),
            () = signals.wait() => std::process::exit(1),
        }
    });
    // After the last block; what has been read until a failure is worth keeping, too.
    let kept = keeping.end().map_err(|error| Failure::Work(format!("the last checkpoint failed: {error}")));
    outcome.and(kept)
}

/// What feeds `pipeline` from `sources`, how the endpoint sees it, and where each begins.
fn follow(
    pipeline: &Pipeline,
    config: &Config,
    sources: &[Source],
    start: Start,
) -> Result<(Tailer, Vec<Followed>, Vec<&'static str>), Failure> {
    let mut files = Vec::with_capacity(sources.len());
    let mut shown = Vec::with_capacity(sources.len());
    let mut begins = Vec::with_capacity(sources.len());
    for source in sources {
        let shard =
            pipeline.shard(source.format).ok_or_else(|| Failure::Usage(format!("unknown format {}", source.format)))?;
        let feed = shard.feed(&source.name, &source.name);
        shown.push((source, feed.lines()));
        let position = feed.position();
        let file = File::new(&source.path, Box::new(feed));
        let (file, begin) = match (position, start) {
            (Some(Position::File(position)), _) => (file.resume(position), "from where reading stood"),
            (_, Start::Beginning) => (file, "from its beginning"),
            (_, Start::End) => (file, "from its end"),
        };
        files.push(file);
        begins.push(begin);
    }
    let options = Options { max_line_bytes: config.max_line_bytes, start, ..Options::default() };
    let tailer = Tailer::new(files, options);
    let followed = shown
        .into_iter()
        .zip(tailer.statuses())
        .map(|((source, lines), (_, status))| Followed {
            name: source.name.clone(),
            format: source.format,
            status,
            lines,
        })
        .collect();
    Ok((tailer, followed, begins))
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

fn readers(sources: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    sources.min(processors).clamp(1, MAX_READERS)
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
fn announce(sources: &[Source], begins: &[&str], state: &State, address: SocketAddr) {
    let version = env!("CARGO_PKG_VERSION");
    for (source, begin) in sources.iter().zip(begins) {
        let Source { name, format, .. } = source;
        let when = if source.path.exists() { *begin } else { "which does not exist yet" };
        say(format_args!("tailmeter {version}: reading {name} as {format}, {when}"));
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
