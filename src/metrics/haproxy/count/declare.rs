//! Rows that are there before a line has them, at zero: `increase()` of Prometheus misses what a series begins with, so
//! the first retry of a server, or its first failed check, would never be seen.
//!
//! A haproxy.cfg tells which names lines can have, and together with which others ([`Declared`]). A metric has such rows
//! when all of its labels are names, or words of a small table that goes with it (`phase`, `state`, `result`, `reason`).
//! Status codes, methods and termination states come from traffic: every combination would be far too many, and any
//! choice of them arbitrary. So `requests_total`, `sessions_total`, `terminations_total` and `tls_connections_total` have such
//! rows only where the operator has taken those labels away.
//!
//! Values go through the same policies as those of lines. Half of a metric's rows are kept for what nobody expects.

use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

use tailmeter_parsers::haproxy::config::{Backend, Declared, Frontend, NO_SERVER};
use tailmeter_parsers::haproxy::format::{Layout, Place};
use tailmeter_parsers::haproxy::{Layouts, Means};

use super::Shard;
use crate::metrics::Dialect;
use crate::metrics::haproxy::labels::Field;
use crate::metrics::haproxy::needs::{feeds, gives};
use crate::metrics::haproxy::{
    ABORTED, CONNECTION_ERRORS, HEALTH_CHECKS, INCOMPLETE, METRICS, NO_SERVER_AVAILABLE, SERVER_STATE_CHANGES,
};

/// The timers, and what [`ABORTED`] says of one that is missing. The last one never is.
const PHASES: [(Place, &str); 4] = [
    (Place::TimeRequest, "request"),
    (Place::TimeQueue, "queue"),
    (Place::TimeConnect, "connect"),
    (Place::TimeResponse, "response"),
];

/// How connections of clients usually fail at a listener with TLS. Without TLS they fail in no usual way.
const TLS_ERRORS: [&str; 4] = [
    "ssl_handshake_failure",
    "closed_during_ssl_handshake",
    "error_during_ssl_handshake",
    "timeout_during_ssl_handshake",
];

/// Changes that happen to servers by themselves.
const STATES: [&str; 2] = ["up", "down"];

/// What health checks say mostly.
const RESULTS: [&str; 2] = ["succeeded", "failed"];

/// The values that the labels of a row come from.
#[derive(Clone, Copy, Debug, Default)]
struct Tuple<'d> {
    frontend: &'d [u8],
    backend: &'d [u8],
    server: &'d [u8],
    word: &'static str,
}

impl Tuple<'_> {
    fn value(&self, field: Field) -> &[u8] {
        match field {
            Field::Frontend => self.frontend,
            Field::Backend => self.backend,
            Field::Server => self.server,
            _ => self.word.as_bytes(),
        }
    }
}

/// There is no room for more rows of a metric.
struct Full;

/// The lines of a layout that a frontend writes.
#[derive(Clone, Copy)]
struct Written<'d> {
    declared: &'d Declared,
    layout: &'d Layout,
    frontends: &'d [Vec<u8>],
}

impl<'d> Written<'d> {
    fn frontends(self) -> impl Iterator<Item = (&'d [u8], &'d Frontend)> {
        self.frontends.iter().filter_map(move |name| Some((name.as_slice(), self.declared.frontend(name)?)))
    }

    /// `name` as the value of `label` in such lines: nothing where they do not say it.
    fn said(self, label: &str, name: &'d [u8], metric: usize) -> &'d [u8] {
        if gives(self.layout, label, metric) { name } else { b"" }
    }
}

impl Shard {
    /// Has the rows that lines in `dialect` may need.
    pub(super) fn declare(&mut self, dialect: &Dialect) {
        self.directory.declared = dialect.declared();
        self.held_back.clear();
        let Dialect::Haproxy(layouts) = dialect else { return };
        let Some(declared) = self.directory.declared.clone() else { return };
        for metric in 0..METRICS.len() {
            if self.is_declarable(metric) && self.declare_metric(metric, layouts, &declared).is_err() {
                self.held_back.push(metric);
            }
        }
    }

    /// True when the configuration alone decides on the labels of `metric`.
    fn is_declarable(&self, metric: usize) -> bool {
        let Some(fields) = self.plan.slots[metric].and_then(|slot| self.fields.get(slot.group)) else { return false };
        fields.iter().all(|field| match field {
            Field::Frontend | Field::Backend | Field::Server => true,
            Field::Phase => metric == ABORTED,
            Field::State => metric == SERVER_STATE_CHANGES,
            Field::Result => metric == HEALTH_CHECKS,
            Field::Reason => [CONNECTION_ERRORS, INCOMPLETE].contains(&metric),
            _ => false,
        })
    }

    fn declare_metric(&mut self, metric: usize, layouts: &Arc<Layouts>, declared: &Declared) -> Result<(), Full> {
        match metric {
            SERVER_STATE_CHANGES | HEALTH_CHECKS | NO_SERVER_AVAILABLE => {
                return self.declare_backends(metric, declared);
            }
            CONNECTION_ERRORS => self.declare_usual_errors(declared)?,
            _ => {}
        }
        for (number, layout) in layouts.all().enumerate() {
            let means = layouts.means(number);
            let written = Written { declared, layout, frontends: layouts.frontends(number) };
            match means {
                _ if !feeds(layout, means, metric) => {}
                Means::Error => self.declare_errors(written)?,
                Means::Http | Means::Tcp => self.declare_lines(metric, written)?,
                Means::Step => {}
            }
        }
        Ok(())
    }

    /// Rows of what requests and sessions count in.
    fn declare_lines(&mut self, metric: usize, written: Written<'_>) -> Result<(), Full> {
        let Some(fields) = self.plan.slots[metric].and_then(|slot| self.fields.get(slot.group)) else { return Ok(()) };
        let has = |field| fields.contains(&field);
        let (has_frontend, has_server) = (has(Field::Frontend), has(Field::Server));
        let has_backend = has(Field::Backend) || has_server;
        let mut seen = HashSet::new();
        for (frontend_name, frontend) in written.frontends() {
            for (index, number) in frontend.reaches.iter().enumerate() {
                let Some(backend) = written.declared.backends().get(*number) else { continue };
                let words = words(metric, written.layout, frontend, index == 0);
                // Most labels do not tell every pair from every other.
                let pair = (has_frontend.then_some(frontend_name), has_backend.then_some(*number));
                if words.is_empty() || !seen.insert((pair, words.len())) {
                    continue;
                }
                for server in servers(backend).take(if has_server { usize::MAX } else { 1 }) {
                    for word in &words {
                        let tuple = Tuple {
                            frontend: written.said("frontend_name", frontend_name, metric),
                            backend: written.said("backend_name", &backend.name, metric),
                            server: written.said("server_name", server, metric),
                            word,
                        };
                        self.declare_row(metric, tuple)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows of what HAProxy tells of servers and backends in words of its own.
    fn declare_backends(&mut self, metric: usize, declared: &Declared) -> Result<(), Full> {
        let words = match metric {
            SERVER_STATE_CHANGES => STATES.as_slice(),
            HEALTH_CHECKS => RESULTS.as_slice(),
            _ => &[""],
        };
        let is_meant = |backend: &&Backend| metric != HEALTH_CHECKS || backend.logs_checks;
        for backend in declared.backends().iter().filter(is_meant) {
            for server in &backend.servers {
                for word in words {
                    self.declare_row(metric, Tuple { backend: &backend.name, server, word, ..Tuple::default() })?;
                }
                if metric == NO_SERVER_AVAILABLE {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Rows of failed connections that HAProxy tells in words of its own.
    fn declare_usual_errors(&mut self, declared: &Declared) -> Result<(), Full> {
        let is_usual = |frontend: &Frontend| !frontend.reaches.is_empty() && !frontend.has_error_format;
        for (name, _) in declared.frontends().filter(|(_, frontend)| frontend.has_tls && is_usual(frontend)) {
            for word in TLS_ERRORS {
                self.declare_row(CONNECTION_ERRORS, Tuple { frontend: name, word, ..Tuple::default() })?;
            }
        }
        Ok(())
    }

    /// Rows of failed connections that an `error-log-format` tells.
    fn declare_errors(&mut self, written: Written<'_>) -> Result<(), Full> {
        let has = |place| written.layout.has(place);
        let words: &[&str] = if has(Place::FcErrStr) || has(Place::FcErr) {
            TLS_ERRORS.as_slice()
        } else if gives(written.layout, "reason", CONNECTION_ERRORS) {
            &["ssl_handshake_failure", "other"]
        } else {
            &["other"]
        };
        for (name, _) in written.frontends().filter(|(_, frontend)| frontend.has_tls && !frontend.reaches.is_empty()) {
            for word in words {
                let frontend = written.said("frontend_name", name, CONNECTION_ERRORS);
                self.declare_row(CONNECTION_ERRORS, Tuple { frontend, word, ..Tuple::default() })?;
            }
        }
        Ok(())
    }

    fn declare_row(&mut self, metric: usize, tuple: Tuple<'_>) -> Result<(), Full> {
        let Some(slot) = self.plan.slots[metric] else { return Ok(()) };
        let Some(fields) = self.fields.get(slot.group) else { return Ok(()) };
        let write = |index: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(fields.get(index).map_or(b"", |field| tuple.value(*field)));
        };
        let row = self.directory.directory.declare(slot.group, write).ok_or(Full)?;
        self.cells.base(slot.group, row);
        Ok(())
    }
}

/// The words that go with `metric` in lines of `layout` with this frontend and one of its backends; the first one is the
/// frontend itself.
fn words(metric: usize, layout: &Layout, frontend: &Frontend, is_own: bool) -> Vec<&'static str> {
    match metric {
        ABORTED => {
            // Who has got a backend has sent a request.
            let phases =
                PHASES.iter().filter(|(place, _)| layout.has(*place) && (is_own || *place != Place::TimeRequest));
            phases.map(|(_, phase)| *phase).collect()
        }
        INCOMPLETE if frontend.logasap => vec!["truncated", "logasap"],
        INCOMPLETE => vec!["truncated"],
        _ => vec![""],
    }
}

/// What lines with this backend may have for a server.
fn servers(backend: &Backend) -> impl Iterator<Item = &[u8]> {
    let declared = backend.servers.iter().chain(&backend.applets).map(Vec::as_slice);
    iter::once(NO_SERVER.as_bytes()).chain(declared)
}
