//! Files that come and go while others are read: patterns, the handle, and what a busy one leaves to the rest.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use tailmeter::source::file::{Fingerprint, Pattern};

use super::*;

/// The lines of each file that a pattern made a sink for.
#[derive(Clone, Default)]
struct Made(Arc<Mutex<BTreeMap<String, Following>>>);

/// A sink that knows whether its file is gone.
#[derive(Clone, Default)]
struct Following {
    lines: Lines,
    left: Arc<Mutex<bool>>,
}

impl Sink for Following {
    fn block(&mut self, block: Block<'_>) {
        self.lines.block(block);
    }

    fn left(&mut self, _: &[tailmeter::source::Incident]) {
        *self.left.lock().unwrap() = true;
    }
}

impl Made {
    fn make(&self) -> impl FnMut(&Path) -> File + Send + use<> {
        let made = self.clone();
        move |path| {
            let following = Following::default();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            made.0.lock().unwrap().insert(name, following.clone());
            File::new(path, Box::new(following))
        }
    }

    fn all(&self) -> Vec<(String, Vec<String>)> {
        let text = |(name, following): (&String, &Following)| (name.clone(), following.lines.text());
        self.0.lock().unwrap().iter().map(text).collect()
    }

    fn has_left(&self, name: &str) -> bool {
        self.0.lock().unwrap().get(name).is_some_and(|following| *following.left.lock().unwrap())
    }
}

fn expected(files: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned =
        |(name, lines): &(&str, &[&str])| ((*name).to_owned(), lines.iter().map(|line| (*line).to_owned()).collect());
    files.iter().map(owned).collect()
}

struct Tailing {
    handle: tailmeter::source::file::Handle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn tailing(files: Vec<File>, options: Options) -> Tailing {
    let (stop, stopped) = oneshot::channel::<()>();
    let tailer = Tailer::new(files, options);
    let handle = tailer.handle();
    Tailing { handle, stop, task: tokio::spawn(tailer.run(async { drop(stopped.await) })) }
}

impl Tailing {
    async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

#[test]
fn a_pattern_follows_what_comes_and_leaves_what_goes() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        append(&at("a.log"), "a1\n");
        append(&at("a.log.1"), "rotated long ago\n");
        append(&at("a.log.2.gz"), "not even compressed\n");
        append(&at("debug.log"), "left out\n");
        let made = Made::default();
        let pattern = Pattern::new(at("*.log*").to_str().unwrap(), made.make()).unwrap();
        let pattern = pattern.exclude(at("debug*").to_str().unwrap()).unwrap();
        let tailing = tailing(Vec::new(), Options { tick: Duration::from_millis(20), ..options(wakes) });
        let status = tailing.handle.add_pattern(pattern);
        eventually("what was there", || made.all() == expected(&[("a.log", &["a1"])])).await;
        append(&at("b.log"), "b1\n");
        eventually("what came", || made.all() == expected(&[("a.log", &["a1"]), ("b.log", &["b1"])])).await;
        // Rotated: the old file is read to its end, and is none by itself.
        append(&at("a.log"), "a2\n");
        fs::rename(at("a.log"), at("a.log.1")).unwrap();
        append(&at("a.log"), "a3\n");
        let both = [("a.log", &["a1", "a2", "a3"][..]), ("b.log", &["b1"])];
        eventually("the rotation", || made.all() == expected(&both)).await;
        let together = || status.up() && status.lag_bytes() == 0 && status.read_bytes() == 12;
        eventually("both together", together).await;
        // Gone for good: its last line is whole.
        append(&at("b.log"), "b2\nb3");
        eventually("its lines", || made.all()[1].1.len() == 2).await;
        fs::remove_file(at("b.log")).unwrap();
        eventually("left", || made.has_left("b.log")).await;
        assert_eq!(made.all()[1].1, ["b1", "b2", "b3"]);
        append(&at("b.log"), "again\n");
        eventually("a new one", || made.all()[1].1 == ["again"]).await;
        tailing.handle.remove(&at("*.log*")).await;
        append(&at("a.log"), "nobody reads this\n");
        tailing.stop().await;
        assert_eq!(made.all(), expected(&[("a.log", &["a1", "a2", "a3"]), ("b.log", &["again"])]));
        assert!(!made.has_left("a.log"));
    });
}

#[test]
fn files_are_added_and_removed_while_others_are_read() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        let sinks = [Lines::default(), Lines::default(), Lines::default()];
        let tailing = tailing(vec![File::new(&one, Box::new(sinks[0].clone()))], options(wakes));
        append(&one, "1\n");
        eventually("one", || sinks[0].count() == 1).await;
        let status = tailing.handle.add(File::new(&two, Box::new(sinks[1].clone())));
        append(&two, "2\n");
        eventually("two", || sinks[1].count() == 1).await;
        // Removing looks a last time, and drops the sink before it returns.
        append(&two, "3\n");
        let shared = Arc::strong_count(&sinks[1].0);
        tailing.handle.remove(&two).await;
        assert_eq!(sinks[1].text(), ["2", "3"]);
        assert_eq!(Arc::strong_count(&sinks[1].0), shared - 1);
        eventually("left", || status.left()).await;
        append(&two, "4\n");
        let again = File::new(&two, Box::new(sinks[2].clone())).start(Start::End);
        let status = tailing.handle.add(again);
        eventually("looked", || status.looked_once()).await;
        append(&two, "5\n");
        append(&one, "6\n");
        eventually("both", || sinks[2].count() == 1 && sinks[0].count() == 2).await;
        assert_eq!(sinks[2].text(), ["5"]);
        tailing.handle.remove(Path::new("unknown")).await;
        tailing.stop().await;
    });
}

/// A sink that is slow, and counts bytes.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<u64>>);

impl Sink for Slow {
    fn block(&mut self, block: Block<'_>) {
        std::thread::sleep(Duration::from_millis(1));
        *self.0.lock().unwrap() += block.bytes;
    }
}

#[test]
fn a_backlog_starves_nobody_and_does_not_hold_up_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (busy, quiet) = (directory.path().join("busy"), directory.path().join("quiet"));
        let text = "0123456789abcde\n".repeat(65_536);
        let file = fs::File::create(&busy).unwrap();
        for megabyte in 0..400 {
            file.write_all_at(text.as_bytes(), megabyte << 20).unwrap();
        }
        append(&quiet, "");
        let (slow, lines) = (Slow::default(), Lines::default());
        let files = vec![File::new(&busy, Box::new(slow.clone())), File::new(&quiet, Box::new(lines.clone()))];
        let tailing = tailing(files, options(false));
        let read = || *slow.0.lock().unwrap();
        eventually("the busy one", || read() > 0).await;
        for round in 1..=3 {
            append(&quiet, "x\n");
            eventually("the quiet one", || lines.count() == round).await;
        }
        assert!(read() < 400 << 20, "the busy one has not been read to its end meanwhile");
        let asked = Instant::now();
        tailing.stop().await;
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
        assert!(read() < 400 << 20);
    });
}

#[test]
fn a_compressed_backlog_does_not_hold_up_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.log");
        append(&path, "new\n");
        let text = "0123456789abcde\n".repeat(65_536);
        let packed = fs::File::create(directory.path().join("mail.log.1.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        for _ in 0..200 {
            packed.write_all(text.as_bytes()).unwrap();
        }
        packed.finish().unwrap();
        let fingerprint = Fingerprint::of(text.as_bytes());
        // Half of it was read before.
        let position = Position { fingerprint, offset: 100 << 20, ..Position::default() };
        let slow = Slow::default();
        let file = File::new(&path, Box::new(slow.clone())).resume(position);
        let tailing = tailing(vec![file], options(false));
        let read = || *slow.0.lock().unwrap();
        eventually("the first block", || read() > 0).await;
        let asked = Instant::now();
        tailing.stop().await;
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
        assert!(read() < 100 << 20, "{}", read());
    });
}

#[test]
fn a_hole_of_gigabytes_is_passed_over() {
    both(|wakes| async move {
        let running = Running::start(b"before\ncut", options(wakes)).await;
        running.has(&["before"]).await;
        let file = OpenOptions::new().write(true).open(&running.path).unwrap();
        let asked = Instant::now();
        file.write_all_at(b"behind\n", 1 << 40).unwrap();
        running.has(&["before", "cut", "behind"]).await;
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert_eq!(running.status.offset(), (1 << 40) + 7);
    });
}
