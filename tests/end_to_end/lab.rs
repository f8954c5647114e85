//! The programs of the run: how they are found and started, how the test waits for them, and that none of
//! them outlives it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long something may take that takes far less on a machine with nothing else to do.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lines of each program's output that a failure shows.
const TAIL: usize = 25;

/// A directory, and the programs that run in it until the lab is dropped.
pub(crate) struct Lab {
    directory: TempDir,
    programs: Vec<Program>,
}

struct Program {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory for the run"), programs: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file; `{directory}` in its text becomes the lab's directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let directory = self.directory.path().to_str().expect("a plain name");
        let path = self.path(name);
        fs::write(&path, text.replace("{directory}", directory)).expect("the file can be written");
        path
    }

    /// Starts a program. What it prints goes to `<name>.output`.
    pub(crate) fn start(&mut self, name: &'static str, program: &Path, arguments: &[&str]) {
        let output = self.path(&format!("{name}.output"));
        let file = File::create(&output).expect("a file for the output");
        // The kernel kills the program when this thread ends, even if that is because the test was killed
        // and nothing was dropped.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        self.programs.push(Program { name, child, output });
    }

    /// Waits until `condition` has a value. Fails when that takes too long or a program has ended meanwhile.
    pub(crate) fn until<T>(&mut self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            for program in &mut self.programs {
                if let Some(status) = program.child.try_wait().expect("a child of this process") {
                    panic!("{} ended ({status}) before: {what}", program.name);
                }
            }
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Lab {
    /// Sends a signal to a program and waits until it has ended by itself.
    #[allow(dead_code, reason = "one of the tests that share this file ends its programs so")]
    pub(crate) fn end(&mut self, name: &str, signal: Signal) {
        let place = self.programs.iter().position(|program| program.name == name).expect("it was started");
        let mut program = self.programs.remove(place);
        let id = i32::try_from(program.child.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("a process id"), signal).expect("it runs");
        self.until(&format!("{name} ends"), || program.child.try_wait().expect("a child of this process").map(drop));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            // It may have ended already.
            let _ = program.child.kill();
            let _ = program.child.wait();
        }
        if std::thread::panicking() {
            let outputs = self.programs.iter().map(|program| &program.output);
            let logs = [self.path("haproxy.log")];
            for path in outputs.chain(&logs) {
                let text = text(path);
                let lines = text.lines().collect::<Vec<_>>();
                let tail = &lines[lines.len().saturating_sub(TAIL)..];
                println!("==> end of {} <==\n{}", path.display(), tail.join("\n"));
            }
        }
    }
}

/// The text of a file that may not exist yet.
pub(crate) fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Finds programs, each given with the Debian package that brings it; fails naming every missing one.
pub(crate) fn find<const N: usize>(programs: [(&str, &str); N]) -> [PathBuf; N] {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&search).collect::<Vec<_>>();
    // Where Debian has its servers, which is not in everybody's PATH.
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = programs.map(|(program, _)| {
        let paths = folders.iter().map(|folder| folder.join(program));
        paths.into_iter().find(|path| path.is_file())
    });
    let pairs = programs.iter().zip(&found);
    let missing = pairs.filter(|(_, path)| path.is_none());
    let packages = missing.map(|((_, package), _)| *package).collect::<BTreeSet<_>>();
    assert!(
        packages.is_empty(),
        "this test runs programs of Debian packages that are not installed: apt-get install {}",
        packages.into_iter().collect::<Vec<_>>().join(" "),
    );
    found.map(|path| path.expect("none is missing"))
}

/// Ports of the loopback address that nobody listened on just now, all different.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners = [(); N].map(|()| listen());
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// True when some process has a UDP socket at `port` of the loopback address.
pub(crate) fn is_udp_bound(port: u16) -> bool {
    let address = format!(" 0100007F:{port:04X} ");
    text(Path::new("/proc/net/udp")).contains(&address)
}
