//! Random histories of a file that is written to, rotated in every way, copied, emptied and compressed, read by
//! looks that fall anywhere in between, with crashes: everything is dropped, and reading resumes at a pair of
//! line count and position that the sink held at any moment before.

use std::time::SystemTime;

use super::*;
use crate::source::End;

/// Lines, and every position that could have been committed with them: after how many lines.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    position: Option<Position>,
    pairs: Vec<Pair>,
    befell: Befell,
}

/// How many lines, where reading stood behind them, and what had befallen the source.
type Pair = (usize, Option<Position>, Befell);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Befell {
    lost: u64,
    rotations: u64,
}

#[derive(Clone, Default)]
struct Committing(Arc<Mutex<Log>>);

impl Sink for Committing {
    fn block(&mut self, block: Block<'_>) {
        let mut log = self.0.lock().unwrap();
        let End::Offset(end) = block.end else { panic!("{block:?}") };
        log.lines.extend(String::from_utf8_lossy(block.lines).lines().map(str::to_owned));
        let position = log.position.as_mut().expect("a file was entered first");
        assert!(end > position.offset && end - position.offset == block.bytes, "{position:?} {block:?}");
        position.offset = end;
        log.commit();
    }

    fn stands(&mut self, position: crate::source::Position, befell: &[Incident]) {
        let crate::source::Position::File(position) = position else { panic!("{position:?}") };
        let mut log = self.0.lock().unwrap();
        for incident in befell {
            match incident {
                Incident::Lost(bytes, _) => log.befell.lost += bytes,
                Incident::Rotated(_) => log.befell.rotations += 1,
                Incident::Dropped(_) => panic!("files drop nothing"),
            }
        }
        log.position = Some(position);
        log.commit();
    }

    fn incident(&mut self, incident: Incident) {
        panic!("{incident:?} without a position");
    }
}

impl Log {
    fn commit(&mut self) {
        self.pairs.push((self.lines.len(), self.position, self.befell));
    }

    /// What a restart finds of it, if this pair was the last to be committed.
    fn back_to(&mut self, pair: usize) -> Option<Position> {
        self.pairs.truncate(pair + 1);
        let (lines, position, befell) = self.pairs.last().copied().unwrap_or_default();
        self.lines.truncate(lines);
        self.befell = befell;
        self.position = position;
        position
    }
}

/// Who writes, rotates and compresses.
struct World {
    directory: TempDir,
    path: PathBuf,
    written: Vec<String>,
    partial: String,
    state: u64,
    dated: bool,
    rotations: u64,
    /// Those of a file that had something in it.
    rotated: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.log");
        let dated = seed.is_multiple_of(3);
        World {
            directory,
            path,
            written: Vec::new(),
            partial: String::new(),
            state: seed,
            dated,
            rotations: 0,
            rotated: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }

    fn sibling(&self, number: u64, packed: &str) -> PathBuf {
        self.directory.path().join(format!("mail.log.{number}{packed}"))
    }

    /// The name of the next rotated file. Numbered ones make room for it.
    fn next_name(&mut self) -> PathBuf {
        self.rotations += 1;
        if self.dated {
            return self.directory.path().join(format!("mail.log-{}", 20_261_100 + self.rotations));
        }
        for number in (1..self.rotations).rev() {
            for packed in ["", ".gz"] {
                let from = self.sibling(number, packed);
                if from.exists() {
                    fs::rename(from, self.sibling(number + 1, packed)).unwrap();
                }
            }
        }
        self.sibling(1, "")
    }

    fn write(&mut self, line: &str) {
        append(&self.path, format!("{line}\n").as_bytes());
        self.written.push(std::mem::take(&mut self.partial) + line);
    }

    fn end_partial(&mut self) {
        if !self.partial.is_empty() {
            self.written.push(std::mem::take(&mut self.partial));
        }
    }

    fn rename(&mut self) {
        let to = self.next_name();
        self.note_rotation();
        if fs::rename(&self.path, to).is_ok() {
            self.end_partial();
        }
    }

    fn note_rotation(&mut self) {
        self.rotated += u64::from(fs::metadata(&self.path).is_ok_and(|found| found.len() > 0));
    }

    fn copy(&mut self) {
        if self.path.exists() {
            let to = self.next_name();
            self.note_rotation();
            fs::copy(&self.path, to).unwrap();
        }
    }

    fn truncate(&mut self) {
        if self.path.exists() {
            OpenOptions::new().write(true).truncate(true).open(&self.path).unwrap();
            self.end_partial();
        }
    }

    /// Compresses one of the rotated files. Some compressors keep the time, some leave both files for a while.
    fn compress(&mut self) {
        let names = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path());
        let is_plain =
            |path: &PathBuf| *path != self.path && path.extension().is_none_or(|extension| extension != "gz");
        let mut plain: Vec<PathBuf> = names.filter(is_plain).collect();
        plain.sort();
        if plain.is_empty() {
            return;
        }
        let from = plain[self.random(plain.len() as u64) as usize].clone();
        let to = PathBuf::from(format!("{}.gz", from.display()));
        let mut packed = flate2::write::GzEncoder::new(fs::File::create(&to).unwrap(), flate2::Compression::fast());
        packed.write_all(&fs::read(&from).unwrap()).unwrap();
        let packed = packed.finish().unwrap();
        if self.random(2) == 0 {
            let modified = fs::metadata(&from).unwrap().modified().unwrap_or(SystemTime::now());
            packed.set_modified(modified).unwrap();
        }
        fs::remove_file(from).unwrap();
    }
}

struct Reader {
    tail: Tail,
    now: Instant,
}

impl Reader {
    fn new(path: &Path, log: Arc<Mutex<Log>>, resume: Option<Position>) -> Self {
        let mut file = File::new(path, Box::new(Committing(log)));
        file.resume = resume;
        let options = Options { max_line_bytes: 100, block_bytes: 64, ..options() };
        Reader { tail: Tail::new(file, &options, Arc::default()), now: Instant::now() }
    }

    fn look(&mut self, milliseconds: u64, looks: usize) {
        self.now += Duration::from_millis(milliseconds);
        for _ in 0..looks {
            if !self.tail.look(self.now).more {
                return;
            }
        }
    }
}

/// Begins again where one of the last commits, or any, left it.
fn crash(world: &mut World, log: &Arc<Mutex<Log>>) -> Reader {
    let pairs = log.lock().unwrap().pairs.len() as u64;
    let back = if world.random(2) == 0 { 10 } else { u64::MAX };
    let pair = pairs - 1 - world.random(pairs.min(back));
    let resume = log.lock().unwrap().back_to(pair as usize);
    Reader::new(&world.path, log.clone(), resume)
}

fn history(seed: u64) {
    let mut world = World::new(seed);
    let log: Arc<Mutex<Log>> = Arc::default();
    let mut reader = Reader::new(&world.path, log.clone(), None);
    world.write("first");
    reader.look(100, 1);
    for step in 0..100 {
        match world.random(16) {
            0..5 => {
                let line = format!("{seed}.{step} {}", "x".repeat(world.random(60) as usize));
                world.write(&line);
            }
            5 => {
                for line in 0..world.random(60) {
                    world.write(&format!("{seed}.{step}.{line}"));
                }
            }
            6 if world.path.exists() => {
                let text = format!("p{step}.");
                append(&world.path, text.as_bytes());
                world.partial += &text;
            }
            // Nobody rotates a file both ways.
            7..10 if world.rotations < 14 && seed.is_multiple_of(2) => {
                world.copy();
                match world.random(4) {
                    0 => reader.look(100, 3),
                    1 => reader.look(2000, usize::MAX),
                    2 => {
                        reader = crash(&mut world, &log);
                        reader.look(100, 3);
                    }
                    _ => {}
                }
                world.truncate();
            }
            7 if world.rotations < 14 => world.rename(),
            8 if world.rotations < 14 => {
                world.rename();
                append(&world.path, b"");
            }
            10 => world.compress(),
            11 => {
                reader = crash(&mut world, &log);
            }
            12 => reader.look(2000, usize::MAX),
            13 => reader.look(100, 1),
            _ => reader.look(100, 3),
        }
    }
    if !world.path.exists() || world.partial.is_empty() {
        world.write("last");
    }
    for _ in 0..40 {
        reader.look(2000, usize::MAX);
    }
    let log = log.lock().unwrap();
    let differing = log.lines.iter().zip(&world.written).position(|(line, written)| line != written);
    let both = differing.map(|at| (&log.lines[at], &world.written[at]));
    assert_eq!(both, None, "seed {seed}: delivered, written");
    assert_eq!((log.lines.len(), log.befell.lost), (world.written.len(), 0), "seed {seed}: lines, lost bytes");
    assert_eq!(log.befell.rotations, world.rotated, "seed {seed}: rotations");
}

#[test]
fn any_crash_loses_and_repeats_nothing() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(300);
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let failed: Vec<u64> =
        (first..first + seeds).filter(|seed| std::panic::catch_unwind(|| history(*seed)).is_err()).collect();
    assert!(failed.is_empty(), "{} of {seeds} seeds failed: {failed:?}", failed.len());
}
