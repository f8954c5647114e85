//! A run of the pipeline with a state, as often as a test wants: everything that a process would have of its own.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use tailmeter::config::Config;
use tailmeter::metrics::Dialect;
use tailmeter::metrics::own::{Ledger, METRICS};
use tailmeter::pipeline::{Clock, Feed, Pipeline, Shard};
use tailmeter::source::{Block, End, Identity, Position, Sink, file};
use tailmeter::state::Error;

thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn say(line: fmt::Arguments<'_>) {
    SAID.with_borrow_mut(|said| said.push(line.to_string()));
}

/// What has been said in this test since the last call, without samples of lines.
pub(crate) fn said() -> Vec<String> {
    let said = SAID.take().into_iter();
    said.filter(|line| !line.contains(", masked: ")).collect()
}

/// One process.
pub(crate) struct Run {
    ledger: Ledger,
    pipeline: Pipeline,
    shards: [Shard; 2],
}

impl Run {
    /// Begins with the state in `directory`.
    pub(crate) fn begin(config: &Config, directory: &Path) -> Result<Self, Error> {
        Self::begin_by(config, directory, |pipeline| pipeline)
    }

    /// The same by another clock.
    pub(crate) fn by_clock(config: &Config, directory: &Path, clock: Clock) -> Result<Self, Error> {
        Self::begin_by(config, directory, |pipeline| pipeline.by_clock(clock))
    }

    fn begin_by(config: &Config, directory: &Path, set: impl FnOnce(Pipeline) -> Pipeline) -> Result<Self, Error> {
        let ledger = Ledger::default();
        let pipeline = metrics::with_local_recorder(&ledger, || {
            Pipeline::with_state(config, &directory.join(tailmeter::state::FILE), say).map(set)
        })?;
        let shards = [(); 2].map(|()| pipeline.shard("haproxy", &Dialect::Usual).unwrap());
        Ok(Self { ledger, pipeline, shards })
    }

    /// Feeds of three sources; two share a shard. Each stands where the state says, else at the beginning of a file.
    pub(crate) fn feeds(&self) -> [Feed; 3] {
        metrics::with_local_recorder(&self.ledger, || {
            [(0, "one"), (0, "two"), (1, "three")].map(|(shard, name)| {
                let mut feed = self.shards[shard].feed(name, &format!("the file of {name}"));
                if feed.position().is_none() {
                    let file = Identity { device: u64::MAX, inode: name.len() as u64 };
                    let fingerprint = file::Fingerprint { length: 7, digest: [200; 16] };
                    let position =
                        file::Position { file, fingerprint, modified_ns: 1 << 60, ..file::Position::default() };
                    feed.stands(Position::File(position), &[]);
                }
                feed
            })
        })
    }

    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        self.pipeline.checkpoint()
    }

    /// What a scrape shows: metrics of the log, and tailmeter's own.
    pub(crate) fn scrape(&self) -> (String, String) {
        metrics::with_local_recorder(&self.ledger, || {
            let (mut text, mut own) = (Vec::new(), Vec::new());
            self.pipeline.render(&mut text);
            let names = METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>();
            self.ledger.render(&names, &mut own);
            (String::from_utf8(text).unwrap(), String::from_utf8(own).unwrap())
        })
    }
}

/// Where `feed` stands in its file.
pub(crate) fn offset(feed: &Feed) -> u64 {
    match feed.position() {
        Some(Position::File(position)) => {
            assert_eq!(position.fingerprint, file::Fingerprint { length: 7, digest: [200; 16] });
            assert_eq!((position.modified_ns, position.predecessor), (1 << 60, file::Fingerprint::default()));
            assert_eq!(position.file.device, u64::MAX);
            position.offset
        }
        other => panic!("{other:?}"),
    }
}

/// Feeds whole lines that end at `end`.
pub(crate) fn feed(feed: &mut Feed, lines: &[u8], end: u64) {
    feed.block(Block { lines, bytes: lines.len() as u64, end: End::Offset(end), cut: false });
}

/// The value of an own sample whose labels hold `labels`; 0 when there is none.
pub(crate) fn own(text: &str, name: &str, labels: &str) -> u64 {
    let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    let samples = samples.filter(|(found, _)| found.contains(labels));
    samples.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}
