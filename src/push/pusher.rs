//! Pushes while tailmeter runs: every interval a text is taken and made into batches, which are delivered in order, each
//! until the server has taken or refused it.
//!
//! A text is taken even while the server does not answer: what it missed waits in the buffer, and comes when it is back.
//! At the end the last values go, and behind them the word that all series have ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::buffer::{Batch, Buffer};
use super::client::{Answer, Client, Headers, check};
use super::otlp::Otlp;
use super::remote_write::RemoteWrite;
use super::{PushConfig, Receiver};
use crate::metrics::own::{PushOutcome, PushTelemetry};

/// Series, or data points, of a batch, at most.
pub(super) const MAX_BATCH_SAMPLES: u64 = 2000;
/// A batch of this many bytes, before packing, gets no more.
pub(super) const MAX_BATCH_BYTES: usize = 1 << 20;

/// Pause after a failure; it doubles with every further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that wants to be left alone for longer is asked again then.
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// How long the last values may take.
const LAST_CALL: Duration = Duration::from_secs(5);
/// Refusals are told at most this often.
const SAY_INTERVAL: Duration = Duration::from_secs(60);

/// Appends the exposition of this moment.
pub type Take = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// Takes a line for people, without its newline.
pub type Say = fn(fmt::Arguments<'_>);

/// Where values come from, and what is known of them.
#[derive(Clone)]
pub struct Scene {
    /// Gives the values.
    pub take: Take,
    /// Host and port that tell this tailmeter from others.
    pub instance: String,
    /// Since when counts are kept.
    pub began: SystemTime,
    /// Since when the program runs.
    pub started: SystemTime,
    /// Gets what happens to pushes.
    pub say: Say,
}

/// The time of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment(pub(super) SystemTime);

impl Moment {
    pub(super) fn unix_ms(self) -> i64 {
        self.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }

    pub(super) fn unix_ns(self) -> u64 {
        self.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }
}

/// A protocol: texts to batches, answers to verdicts.
pub(super) trait Protocol: Send + Sync + 'static {
    /// Headers of its requests.
    fn headers(&self) -> Headers;

    /// The values of `text`, which was taken at `moment`, and the end of each series that was in `before` and is not in
    /// `text`.
    fn batches(&self, text: &str, before: &str, moment: Moment) -> Vec<Batch>;

    /// What `answer` means for a batch.
    fn judge(&self, answer: &Answer) -> Verdict;
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has it, except perhaps for some of its samples.
    Delivered { rejected: u64, remark: Option<String> },
    /// The server will never take it.
    Refused(String),
    /// The same again, after a while.
    Later { after: Option<Duration>, why: String },
}

impl Verdict {
    fn outcome(&self) -> PushOutcome {
        match self {
            Self::Delivered { .. } => PushOutcome::Delivered,
            Self::Refused(_) => PushOutcome::Refused,
            Self::Later { .. } => PushOutcome::Failed,
        }
    }
}

/// All pushes of a running tailmeter.
pub struct Pushing {
    scene: Scene,
    config: PushConfig,
    remote_write: Option<Pusher>,
    otlp: Option<Pusher>,
}

impl Pushing {
    /// Makes sure that requests can be made as `config` asks for.
    ///
    /// # Errors
    /// Which file is unusable, and why.
    pub fn check(config: &PushConfig) -> Result<(), String> {
        for (name, receiver) in [("remote_write", &config.remote_write), ("otlp", &config.otlp)] {
            if let Some(receiver) = receiver {
                check(&receiver.server).map_err(|error| format!("push, {name}: {error}"))?;
            }
        }
        Ok(())
    }

    /// Pushes as `config` asks for, from now on. Needs a tokio runtime with time and I/O.
    pub fn start(config: &PushConfig, scene: Scene) -> Self {
        let mut pushing = Self { scene, config: PushConfig::default(), remote_write: None, otlp: None };
        pushing.begin(config);
        pushing
    }

    /// Pushes as `config` asks for, from now on. What changes ends first, with its last values.
    pub async fn change(&mut self, config: &PushConfig) {
        if self.config.remote_write != config.remote_write {
            end(self.remote_write.take()).await;
        }
        if self.config.otlp != config.otlp {
            end(self.otlp.take()).await;
        }
        self.begin(config);
    }

    /// Pushes the last values, for a few seconds at most.
    pub async fn end(mut self) {
        tokio::join!(end(self.remote_write.take()), end(self.otlp.take()));
    }

    fn begin(&mut self, config: &PushConfig) {
        let scene = &self.scene;
        if let (None, Some(receiver)) = (&self.remote_write, &config.remote_write) {
            let protocol = RemoteWrite::new(&receiver.identity, &scene.instance);
            self.remote_write = Some(Pusher::start("remote_write", Box::new(protocol), receiver, scene));
        }
        if let (None, Some(receiver)) = (&self.otlp, &config.otlp) {
            let protocol = Otlp::new(&receiver.identity, &scene.instance, (scene.began, scene.started));
            self.otlp = Some(Pusher::start("otlp", Box::new(protocol), receiver, scene));
        }
        self.config = config.clone();
    }
}

async fn end(pusher: Option<Pusher>) {
    if let Some(pusher) = pusher {
        pusher.end().await;
    }
}

/// Pushes to one server; ended when dropped, without last values.
struct Pusher {
    work: Arc<Work>,
    task: JoinHandle<()>,
    ending: watch::Sender<bool>,
}

/// What taking and delivering share.
struct Work {
    name: &'static str,
    protocol: Box<dyn Protocol>,
    receiver: Receiver,
    take: Take,
    say: Say,
    buffer: Buffer,
    telemetry: PushTelemetry,
    /// When the last text was taken.
    last_ms: AtomicI64,
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pusher {
    fn start(name: &'static str, protocol: Box<dyn Protocol>, receiver: &Receiver, scene: &Scene) -> Self {
        let work = Arc::new(Work {
            name,
            protocol,
            receiver: receiver.clone(),
            take: Arc::clone(&scene.take),
            say: scene.say,
            buffer: Buffer::new(receiver.max_buffer_bytes),
            telemetry: PushTelemetry::new(name),
            last_ms: AtomicI64::new(0),
        });
        let (ending, is_ending) = watch::channel(false);
        let task = {
            let (work, is_ending) = (Arc::clone(&work), is_ending);
            tokio::spawn(async move {
                tokio::join!(Arc::clone(&work).take(is_ending.clone()), work.deliver(is_ending));
            })
        };
        Self { work, task, ending }
    }

    async fn end(mut self) {
        self.ending.send_replace(true);
        // Dropping it ends what is left.
        let _ = timeout(LAST_CALL, &mut self.task).await;
        self.work.telemetry.buffered_bytes.set(0.0);
        let (_, samples) = self.work.buffer.held();
        if samples > 0 {
            self.work.telemetry.dropped_samples.increment(samples);
            self.work.say(format_args!("{samples} samples could not be delivered before the end"));
        }
    }
}

impl Work {
    fn say(&self, what: fmt::Arguments<'_>) {
        (self.say)(format_args!("push, {} to {}: {what}", self.name, self.receiver.server.url));
    }

    /// Takes texts until the end.
    async fn take(self: Arc<Self>, mut is_ending: watch::Receiver<bool>) {
        let mut ticks = interval(self.receiver.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = String::new();
        let mut is_last = false;
        while !is_last {
            tokio::select! {
                _ = ticks.tick() => {}
                // A sender that is gone means the end, too.
                _ = is_ending.wait_for(|is_ending| *is_ending) => is_last = true,
            }
            let work = Arc::clone(&self);
            let taken = tokio::task::spawn_blocking(move || work.take_once(&before, is_last));
            // It may have panicked: then the next one has it all.
            before = taken.await.unwrap_or_default();
        }
        self.buffer.close();
    }

    /// Takes a text, which it returns, and puts it in the buffer. After the last one all series end.
    fn take_once(&self, before: &str, is_last: bool) -> String {
        let moment = self.moment();
        let mut bytes = Vec::new();
        (self.take)(&mut bytes);
        let text =
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let mut dropped = self.buffer.add(self.protocol.batches(&text, before, moment));
        if is_last {
            dropped += self.buffer.add(self.protocol.batches("", &text, self.moment()));
        }
        self.telemetry.dropped_samples.increment(dropped);
        self.telemetry.buffered_bytes.set(self.buffer.held().0 as f64);
        text
    }

    /// Now, later than the moment before: samples of a series need an order. A clock that was set back is followed.
    fn moment(&self) -> Moment {
        let now = Moment(SystemTime::now()).unix_ms();
        let last = self.last_ms.load(Relaxed);
        let ms = if now + 1000 < last { now } else { now.max(last + 1) };
        self.last_ms.store(ms, Relaxed);
        Moment(UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs()))
    }

    /// Delivers batches until the buffer is closed and empty.
    async fn deliver(&self, mut is_ending: watch::Receiver<bool>) {
        let server = &self.receiver.server;
        let mut client = Client::new(server);
        let mut mood = Mood::default();
        loop {
            if self.buffer.held().1 == 0 {
                client.close();
            }
            let Some((number, batch)) = self.buffer.first().await else { return };
            let began = Instant::now();
            let answer = client.send(&Method::POST, self.protocol.headers(), &batch.content).await;
            let verdict = match &answer {
                Ok(answer) => self.protocol.judge(answer),
                Err(silence) => Verdict::Later { after: None, why: silence.to_string() },
            };
            self.telemetry.record(verdict.outcome(), batch.content.len(), began.elapsed());
            match verdict {
                Verdict::Later { after, why } => {
                    let pause = mood.failed(self, &why);
                    let pause = after.map_or(pause, |wish| wish.min(LONGEST_WISH).max(pause));
                    tokio::select! {
                        () = sleep(pause) => {}
                        // Once: the last values may not wait as long.
                        _ = is_ending.wait_for(|is_ending| *is_ending), if !mood.is_ending => {
                            mood = Mood { is_ending: true, failures: 1, ..mood };
                        }
                    }
                    continue;
                }
                Verdict::Refused(why) => {
                    self.telemetry.dropped_samples.increment(batch.samples);
                    mood.refused(self, &why, batch.samples);
                }
                Verdict::Delivered { rejected, remark } => {
                    self.telemetry.dropped_samples.increment(rejected);
                    match remark {
                        Some(remark) => mood.refused(self, &remark, rejected),
                        None if rejected > 0 => mood.refused(self, "the server does not say why", rejected),
                        None => {}
                    }
                    mood.succeeded(self);
                }
            }
            self.buffer.done(number);
            self.telemetry.buffered_bytes.set(self.buffer.held().0 as f64);
        }
    }
}

/// How it goes, and what has been said of it.
#[derive(Default)]
struct Mood {
    /// Failures in a row.
    failures: u32,
    refusal_said: Option<Instant>,
    is_ending: bool,
}

impl Mood {
    /// Tells the first of several failures; returns how long to wait before the next attempt.
    fn failed(&mut self, work: &Work, why: &str) -> Duration {
        if self.failures == 0 {
            work.say(format_args!("{why}; what it misses waits, and is tried again"));
        }
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        // Those who failed together shall not come back together: up to a quarter less.
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), self.failures) % 256;
        pause.min(LONGEST_PAUSE) * (1024 - random as u32) / 1024
    }

    fn refused(&mut self, work: &Work, why: &str, samples: u64) {
        if self.refusal_said.is_none_or(|said| said.elapsed() >= SAY_INTERVAL) {
            work.say(format_args!("{samples} samples were refused: {why}"));
            self.refusal_said = Some(Instant::now());
        }
    }

    fn succeeded(&mut self, work: &Work) {
        if std::mem::take(&mut self.failures) > 0 {
            work.say(format_args!("values are taken again"));
        }
    }
}
