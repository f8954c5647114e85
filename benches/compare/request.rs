//! One request of the generated traffic, drawn from the tables in `traffic.rs`, and the count of them
//! all. `generate.rs` writes it as a line.

use std::collections::BTreeMap;

use crate::traffic::{
    ABORTED, ABORTS, Abort, BACKENDS, FRONTENDS, LogNormal, METHODS, NO_METHOD, NO_STATUS, Piece, ROUTES, Random,
    STATUSES, ServerName, WRITING_FROM, Weighted, request_shapes,
};

/// What was written, so that a program's counts can be held against it.
#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    response_bytes: u64,
    statuses: [u64; STATUSES.len() + 1],
    methods: [u64; METHODS.len() + 1],
    /// Requests whose first -1 stands at TR, Tw, Tc, Tr.
    aborted: [u64; 4],
    /// Observations and their sum in milliseconds of TR, Tw, Tc, Tr, Ta.
    pub(crate) timers: [(u64, u64); 5],
    /// Requests by frontend, place (see `Site::places`), status and method.
    tuples: BTreeMap<(usize, usize, usize, usize), u64>,
}

impl Truth {
    pub(crate) fn json(&self) -> String {
        let object = |entries: Vec<(&str, String)>| {
            let fields: Vec<String> = entries.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", fields.join(", "))
        };
        let nonzero = |names: Vec<&'static str>, counts: &[u64]| {
            let pairs = names.into_iter().zip(counts).filter(|(_, count)| **count > 0);
            object(pairs.map(|(name, count)| (name, count.to_string())).collect())
        };
        let statuses = STATUSES.iter().map(|status| status.0).chain(["-1"]).collect();
        let methods = METHODS.iter().map(|method| method.0).chain(["<BADREQ>"]).collect();
        let phases = vec!["request", "queue", "connect", "response"];
        let timers = ["TR", "Tw", "Tc", "Tr", "Ta"].into_iter().zip(self.timers);
        let timer = |(name, (count, sum)): (&'static str, (u64, u64))| {
            (name, format!("{{\"count\": {count}, \"sum_ms\": {sum}}}"))
        };
        let whole = object(vec![
            ("lines", self.lines.to_string()),
            ("bytes", self.bytes.to_string()),
            ("label_tuples", self.tuples.len().to_string()),
            ("response_bytes", self.response_bytes.to_string()),
            ("status_code", nonzero(statuses, &self.statuses)),
            ("http_request_method", nonzero(methods, &self.methods)),
            ("aborted", nonzero(phases, &self.aborted)),
            ("timers", object(timers.map(timer).collect())),
        ]);
        whole + "\n"
    }
}

/// The site behind the load balancer: what the lines are drawn from.
pub(crate) struct Site {
    frontends: Weighted,
    /// By frontend.
    backends: Vec<Weighted>,
    servers: Vec<Weighted>,
    /// `backend/server` of every server, backend by backend, then `backend/<NOSRV>` of every
    /// backend, then `frontend/<NOSRV>` of every frontend.
    pub(crate) places: Vec<String>,
    /// Where each backend's servers start in `places`.
    first_place: Vec<usize>,
    methods: Weighted,
    reading: Weighted,
    writing: Weighted,
    aborts: Weighted,
    pub(crate) shapes: Vec<Vec<Piece>>,
    pub(crate) popularity: Weighted,
    request_ms: LogNormal,
    connect_ms: LogNormal,
    response_ms: Vec<LogNormal>,
    data_ms: LogNormal,
    queue_ms: LogNormal,
    pub(crate) bytes: LogNormal,
}

impl Site {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut places = Vec::new();
        let mut first_place = Vec::new();
        for (backend, prefix, count, ..) in BACKENDS {
            first_place.push(places.len());
            places.extend((1..=count).map(|number| format!("{backend}/{prefix}-{number:02}")));
        }
        places.extend(BACKENDS.iter().map(|backend| format!("{}/<NOSRV>", backend.0)));
        let plain_name = |name: &str| format!("{}/<NOSRV>", name.trim_end_matches('~'));
        places.extend(FRONTENDS.iter().map(|frontend| plain_name(frontend.0)));
        let shapes = request_shapes();
        // Static files answer at once, the old ERP takes its time.
        let medians = [38.0, 14.0, 0.9, 3.0, 55.0, 9.0, 90.0, 420.0];
        Self {
            frontends: Weighted::new(FRONTENDS.iter().map(|frontend| frontend.1)),
            backends: ROUTES.iter().map(|routes| Weighted::new(routed(routes))).collect(),
            servers: BACKENDS.iter().map(|backend| Weighted::zipf(backend.2)).collect(),
            places,
            first_place,
            methods: Weighted::new(METHODS.iter().map(|method| method.1)),
            reading: Weighted::new(STATUSES.iter().map(|status| status.1)),
            writing: Weighted::new(STATUSES.iter().map(|status| status.2)),
            aborts: Weighted::new(ABORTS.iter().map(|abort| abort.weight)),
            popularity: Weighted::zipf(shapes.len()),
            shapes,
            request_ms: LogNormal::new(random, 0.7, 1.7, 9_000),
            connect_ms: LogNormal::new(random, 0.9, 0.8, 3_000),
            response_ms: medians.map(|median| LogNormal::new(random, median, 1.1, 49_000)).into(),
            data_ms: LogNormal::new(random, 1.2, 1.9, 60_000),
            queue_ms: LogNormal::new(random, 60.0, 1.2, 4_900),
            bytes: LogNormal::new(random, 5_200.0, 1.5, 50_000_000),
        }
    }
}

/// The backends' weights, with those left out that are not in `routes`.
fn routed(routes: &[usize]) -> impl Iterator<Item = f64> {
    let weight = |(index, backend): (usize, &(&str, &str, usize, f64, bool))| {
        if routes.contains(&index) { backend.3 } else { 0.0 }
    };
    BACKENDS.iter().enumerate().map(weight)
}

/// One request, drawn; the indexes point into `traffic`'s tables and `Site::places`.
pub(crate) struct Request {
    pub(crate) frontend: usize,
    pub(crate) backend: usize,
    pub(crate) place: usize,
    pub(crate) status: usize,
    pub(crate) method: usize,
    /// TR, Tw, Tc, Tr, Ta; -1 where the phase was not reached.
    pub(crate) timers: [i64; 5],
    pub(crate) bytes: u32,
    pub(crate) abort: Option<&'static Abort>,
    pub(crate) queued: u32,
    pub(crate) retries: &'static str,
}

impl Request {
    pub(crate) fn draw(site: &Site, random: &mut Random) -> Self {
        let frontend = site.frontends.draw(random);
        let backend = site.backends[frontend].draw(random);
        let place = site.first_place[backend] + site.servers[backend].draw(random);
        let method = site.methods.draw(random);
        let statuses = if method < WRITING_FROM { &site.reading } else { &site.writing };
        let status = statuses.draw(random);
        let queued = if random.below(100) == 0 { 1 + random.below(12) } else { 0 };
        let mut timers = [
            i64::from(site.request_ms.draw(random)),
            if queued > 0 { i64::from(site.queue_ms.draw(random)) } else { 0 },
            i64::from(site.connect_ms.draw(random)),
            i64::from(site.response_ms[backend].draw(random)),
            i64::from(site.data_ms.draw(random)),
        ];
        timers[4] += timers[..4].iter().sum::<i64>();
        let bytes = match STATUSES[status].0 {
            "200" | "206" if METHODS[method].0 != "HEAD" => 300 + site.bytes.draw(random),
            _ => 140 + random.below(420),
        };
        let retries = match random.below(1_000) {
            0..=3 => "1",
            4 => "2",
            5 => "+1",
            _ => "0",
        };
        let abort = None;
        let mut request = Self { frontend, backend, place, status, method, timers, bytes, abort, queued, retries };
        if random.below(4096) < ABORTED {
            request.cut_short(&ABORTS[site.aborts.draw(random)], site, random);
        }
        request
    }

    /// Makes this request end as `abort` says.
    fn cut_short(&mut self, abort: &'static Abort, site: &Site, random: &mut Random) {
        let named = |status: &(&str, f64, f64)| status.0 == abort.status;
        self.abort = Some(abort);
        self.status = STATUSES.iter().position(named).unwrap_or(NO_STATUS);
        let servers = site.places.len() - BACKENDS.len() - FRONTENDS.len();
        match abort.server {
            ServerName::Frontend => self.place = servers + BACKENDS.len() + self.frontend,
            ServerName::Backend => self.place = servers + self.backend,
            ServerName::Named => {}
        }
        if abort.reached == 0 {
            self.method = NO_METHOD;
        }
        let waited = match abort.waited_ms {
            0 => random.below(900),
            limit => limit + random.below(3),
        };
        self.timers[abort.reached..4].fill(-1);
        if abort.state == "sQ" {
            self.timers[1] = i64::from(waited);
            self.queued += 1;
            self.timers[4] = self.timers[0] + self.timers[1];
        } else {
            let reached: i64 = self.timers[..abort.reached].iter().sum();
            self.timers[4] = reached + i64::from(waited);
        }
        if abort.reached < 4 {
            self.bytes = abort.bytes;
        }
        self.retries = match (&abort.server, abort.state) {
            (ServerName::Named, "SC" | "sC") => ["3", "+3"][random.below(2) as usize],
            (ServerName::Named, _) => self.retries,
            _ => "0",
        };
    }

    pub(crate) fn count(&self, truth: &mut Truth) {
        truth.lines += 1;
        truth.response_bytes += u64::from(self.bytes);
        truth.statuses[self.status] += 1;
        truth.methods[self.method] += 1;
        if let Some(phase) = self.timers.iter().position(|timer| *timer < 0) {
            truth.aborted[phase] += 1;
        }
        for (cell, timer) in truth.timers.iter_mut().zip(self.timers) {
            if let Ok(milliseconds) = u64::try_from(timer) {
                cell.0 += 1;
                cell.1 += milliseconds;
            }
        }
        *truth.tuples.entry((self.frontend, self.place, self.status, self.method)).or_default() += 1;
    }
}
