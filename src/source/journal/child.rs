//! A running `journalctl`: started so that nothing of it stays behind, and its standard error, which is told and
//! counted but never in the way.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use memchr::memchr;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// How long a process may go on after it closed its output.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a line of standard error that are shown.
const SHOWN_BYTES: usize = 240;

/// A line of standard error is shown at most this often.
const SHOWN_EVERY: Duration = Duration::from_secs(60);

/// A process in a group of its own, which dies with this value.
pub(super) struct Child {
    process: tokio::process::Child,
    group: Option<Pid>,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Child {
    /// Starts `command`, with pipes for its output and nothing for its input.
    pub(super) fn start(command: &mut Command) -> io::Result<Child> {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.process_group(0).kill_on_drop(true).spawn()?;
        let group = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        Ok(Child { process, group, stdout, stderr })
    }

    /// Waits for its end, and helps if that takes too long.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(PATIENCE, self.process.wait()).await {
            return status;
        }
        self.kill();
        self.process.wait().await
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn stop(mut self) {
        self.kill();
        let _ = timeout(PATIENCE, self.process.wait()).await;
    }

    /// Kills the whole group, if the process has not been waited for: its number may be somebody else's since.
    fn kill(&mut self) {
        if let (Some(group), Some(_)) = (self.group, self.process.id()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Standard error, line by line. What `journalctl` writes there is about journal files, not from logs.
pub(super) struct Complaints {
    line: Vec<u8>,
    shown: Option<Instant>,
    unshown: u64,
}

impl Complaints {
    pub(super) fn new() -> Self {
        Complaints { line: Vec::new(), shown: None, unshown: 0 }
    }

    /// Reads once, and calls `each` for every line, with a text to show if it is time for one. False at the end.
    pub(super) async fn read(
        &mut self,
        stderr: &mut (impl AsyncRead + Unpin),
        each: &mut (dyn FnMut(Option<String>) + Send),
    ) -> bool {
        let mut buffer = [0; 1024];
        let read = stderr.read(&mut buffer).await.unwrap_or(0);
        let mut rest = &buffer[..read];
        while let Some(newline) = memchr(b'\n', rest) {
            self.extend(&rest[..newline]);
            rest = &rest[newline + 1..];
            self.close(each);
        }
        self.extend(rest);
        if read == 0 && !self.line.is_empty() {
            self.close(each);
        }
        read > 0
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = SHOWN_BYTES.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
    }

    fn close(&mut self, each: &mut (dyn FnMut(Option<String>) + Send)) {
        let text = String::from_utf8_lossy(&self.line).replace(char::is_control, " ");
        self.line.clear();
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOWN_EVERY) {
            self.unshown += 1;
            return each(None);
        }
        self.shown = Some(Instant::now());
        each(Some(match std::mem::take(&mut self.unshown) {
            0 => text,
            unshown => format!("{text} (and {unshown} lines before it)"),
        }));
    }
}
