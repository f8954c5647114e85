//! What pushes need to know of a running program.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::super::say;
use super::state::State;
use crate::exposition::{Protocol, Rendering, Selection};
use crate::http::Pages;
use crate::pipeline::Exporter;
use crate::push::Scene;

/// What `exporter` shows at `address`, with its counts in `state`.
pub(super) fn scene(exporter: &Arc<Exporter>, state: &State, address: SocketAddr) -> Scene {
    let exporter = Arc::clone(exporter);
    let started = SystemTime::now();
    Scene {
        take: Arc::new(move |out| {
            Rendering::new(exporter.exposition(), Protocol::Text004, Selection::default()).write_all(out);
        }),
        instance: format!("{}:{}", host(), address.port()),
        began: state.began().unwrap_or(started),
        started,
        say,
    }
}

/// The name of this machine.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
