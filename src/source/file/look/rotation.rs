//! Which file is read after which: how reading begins at the start, and goes over rotations.
//!
//! # What can be known
//! A file is known by its inode and its fingerprint, wherever it went. If it cannot be found, what was seen of
//! it and not read is counted as lost; what was written to it after the last look is not known to anybody.
//! Files that came after it are known by the order of their names, beside its own or its predecessor's. Without
//! either, they are those that were changed after the last look at it: rotation deletes the oldest first, so what
//! is left is newer. In that last case alone, a compressor that gave an older file a new time would have it read.
//!
//! Nobody rotates a file both by renaming and by copying; where somebody does between two looks, a copy may be
//! missed.

use super::*;

/// Generations to be entered one after the other, oldest first.
#[derive(Default)]
struct Queue {
    generations: VecDeque<Generation>,
    /// What befell the source behind the newest of them.
    befell: Vec<Incident>,
}

impl Queue {
    fn push(&mut self, mut open: Generation) {
        open.befell.splice(..0, self.befell.drain(..));
        self.generations.push_back(open);
    }
}

impl Tail {
    /// Opens what is at the path, if that is not open yet, and what was there in between.
    pub(super) fn find(&mut self, now: Instant, outcome: &mut Outcome) -> Result<(), Trouble> {
        if self.successors.len() >= SUCCESSORS {
            return Ok(());
        }
        let open = match self.open() {
            Ok(Some(open)) => open,
            Ok(None) => return Ok(()),
            Err(trouble) => {
                self.begin_without_path(now);
                return Err(trouble);
            }
        };
        outcome.replaced = self.looked;
        if self.current.is_none() {
            self.begin(open, now);
            return Ok(());
        }
        if self.successors.is_empty() {
            self.quiet_since = Some(now);
        }
        let mut between = self.between(open.identity);
        between.push(open);
        let room = SUCCESSORS - self.successors.len();
        // What finds no room is found again later, and so is what befell the source before it.
        self.successors.extend(between.generations.into_iter().take(room));
        Ok(())
    }

    /// Opens what is at the path; nothing if that is open already.
    fn open(&self) -> Result<Option<Generation>, Trouble> {
        let found = fs::metadata(&self.path).map_err(|error| trouble(&error))?;
        if self.holds(identity(&found)) {
            return Ok(None);
        }
        let open = Generation::at(&self.path)?;
        // It may have been renamed back between the two calls.
        Ok(Some(open).filter(|open| !self.holds(open.identity)))
    }

    pub(super) fn held(&self) -> impl DoubleEndedIterator<Item = &Generation> {
        self.current.iter().chain(&self.successors)
    }

    fn holds(&self, file: Identity) -> bool {
        self.held().any(|open| open.identity == file)
    }

    /// Begins in the first file: where reading stood, or where the options say.
    fn begin(&mut self, mut open: Generation, now: Instant) {
        let _ = open.observe();
        match self.resume.take() {
            Some(position) => self.resume_at(position, Some(open), now),
            None => {
                let offset = match self.start {
                    Start::Beginning => 0,
                    Start::End => end_of_lines(&mut open, self.max_line_bytes),
                };
                self.enter(open, offset);
            }
        }
    }

    /// While nothing can be opened at the path, the file that was read before may be found under another name.
    fn begin_without_path(&mut self, now: Instant) {
        if self.current.is_none()
            && let Some(position) = self.resume.take()
        {
            self.resume_at(position, None, now);
        }
    }

    /// Goes on at `position`: in the file at the path if it is that one, otherwise in the one it was renamed or
    /// copied to, and then in those that came after it.
    fn resume_at(&mut self, position: Position, mut at_path: Option<Generation>, now: Instant) {
        self.predecessor = position.predecessor;
        let head = at_path.as_ref().and_then(|open| open.head().ok()).unwrap_or_default();
        let is_in_place = at_path.as_ref().is_some_and(|open| open.is(position.file, position.modified_ns));
        let is_long = at_path.as_ref().is_some_and(|open| open.size >= position.offset);
        // A file that was empty may have been filled and emptied since.
        let is_known = position.fingerprint.length > 0 || position.offset > 0;
        let is_it = is_in_place && is_long && is_known && !position.fingerprint.differs(&head);
        if let Some(open) = at_path.take_if(|_| is_it) {
            return self.enter(open, position.offset);
        }
        let except: Vec<Identity> = at_path.iter().map(|open| open.identity).collect();
        let mut found = siblings::search(&self.path, &position, &except).unwrap_or_default();
        let is_unreadable = found.own.as_ref().is_some_and(|own| own.open.is_err());
        let own = found.own.take().and_then(|own| own.open.ok());
        if own.is_none() {
            if at_path.is_none() {
                // Perhaps the file system is not there yet.
                self.resume = Some(position);
                return;
            }
            let begins_alike = position.fingerprint.matches(&head);
            if let Some(open) = at_path.take_if(|_| begins_alike && is_long) {
                // It was copied into place, or the system's numbers have changed.
                return self.enter(open, position.offset);
            }
            if let Some(mut open) = at_path.take_if(|_| begins_alike && is_in_place) {
                // Its end was lost in a crash. What was written since cannot be told from what was read before.
                open.befell.push(Incident::Rotated(Rotation::Truncate));
                let size = open.size;
                return self.enter(open, size);
            }
        }
        let emptied = is_in_place.then_some(position.file);
        let offset = if own.is_some() { position.offset } else { 0 };
        let missing = if is_unreadable { Some(Loss::Unreadable) } else { None };
        let queue = self.since(&position, found, (own, missing), emptied);
        self.go_through(queue, at_path, offset, now);
    }

    /// The generation at `position`, opened as `own`, and those after it. Where the file at the path was `emptied`,
    /// they are copies of it.
    fn since(
        &mut self,
        position: &Position,
        found: Found,
        (own, missing): (Option<Generation>, Option<Loss>),
        emptied: Option<Identity>,
    ) -> Queue {
        let rotation = if emptied.is_some() { Rotation::Truncate } else { Rotation::Rename };
        let mut queue = Queue::default();
        match own {
            Some(mut own) => {
                own.left_by = rotation;
                own.copy_of = emptied;
                own.is_whole |= emptied.is_some();
                if own.is_packed() {
                    own.size = position.size;
                } else {
                    let reaches = own.size.max(position.offset);
                    queue.befell.extend(lost(position.size.saturating_sub(reaches), Loss::Truncated));
                }
                queue.push(own);
            }
            None => {
                let reason = if emptied.is_some() { Loss::Truncated } else { Loss::Removed };
                let unread = position.size.saturating_sub(position.offset);
                queue.befell.extend(lost(unread, missing.unwrap_or(reason)));
                if position.fingerprint.length > 0 {
                    self.predecessor = position.fingerprint;
                    queue.befell.push(Incident::Rotated(rotation));
                }
            }
        }
        self.take(found, emptied, emptied.map(|_| position.fingerprint), &mut queue);
        queue
    }

    /// Enters the first of `queue` at `offset`; the others and the file at the path wait.
    fn go_through(&mut self, mut queue: Queue, at_path: Option<Generation>, offset: u64, now: Instant) {
        if let Some(at_path) = at_path {
            queue.push(at_path);
        }
        let Queue { mut generations, befell } = queue;
        // What finds no room is found again later, and so is what befell the source before it.
        generations.truncate(SUCCESSORS);
        let Some(first) = generations.pop_front() else { return };
        let end = if first.is_packed() { u64::MAX } else { first.size };
        self.enter(first, offset.min(end));
        self.quiet_since = Some(now);
        (self.successors, self.befell) = (generations, befell);
    }

    /// Opens the generations that came between the newest one held and the file at the path.
    fn between(&mut self, at_path: Identity) -> Queue {
        let mut except: Vec<Identity> = self.held().map(|open| open.identity).collect();
        except.push(at_path);
        let predecessor = self.held().rev().nth(1).map_or(self.predecessor, |open| open.fingerprint);
        let Some(newest) = self.successors.back_mut().or(self.current.as_mut()) else {
            return Queue::default();
        };
        let _ = newest.observe();
        // There were more copies than can be held at once.
        let emptied = newest.copy_of.filter(|of| *of == at_path);
        let known = Position {
            file: newest.identity,
            fingerprint: newest.fingerprint,
            offset: 0,
            size: newest.size,
            modified_ns: newest.modified_ns,
            predecessor,
        };
        let found = siblings::search(&self.path, &known, &except).unwrap_or_default();
        let mut queue = Queue { befell: std::mem::take(&mut self.befell), ..Queue::default() };
        self.take(found, emptied, None, &mut queue);
        queue
    }

    /// The current file was emptied: finishes the copy that was made of it, if there is one, and what came
    /// after that, before it is read from its beginning.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        let Some(mut emptied) = self.current.take() else { return };
        let (read, offset) = (self.splitter.position(), self.splitter.delivered());
        let seen = Position {
            file: emptied.identity,
            fingerprint: emptied.fingerprint,
            offset: read,
            size: emptied.size.max(read),
            modified_ns: emptied.modified_ns,
            predecessor: self.predecessor,
        };
        let (mut queue, copy) = self.copies(seen, offset);
        if !copy && emptied.fingerprint.length > 0 {
            self.predecessor = emptied.fingerprint;
        }
        emptied.forget();
        let _ = emptied.observe();
        queue.push(emptied);
        self.enter_first(queue, if copy { offset } else { 0 }, now);
    }

    /// Enters the first of `queue` at `offset`; the others come before the successors.
    fn enter_first(&mut self, queue: Queue, offset: u64, now: Instant) {
        let mut generations = queue.generations;
        let Some(first) = generations.pop_front() else { return };
        for later in generations.into_iter().rev() {
            self.successors.push_front(later);
        }
        self.enter(first, offset);
        self.quiet_since = Some(now);
    }

    /// The current file was empty and no longer is: see [`copies_before`](Self::copies_before).
    pub(super) fn begin_with_copies(&mut self, now: Instant) {
        let Some(file) = self.current.as_ref().map(|current| current.identity) else { return };
        let mut queue = self.copies_before(file, self.predecessor);
        let is_alone = queue.generations.is_empty();
        if let Some(current) = self.current.take() {
            queue.push(current);
        }
        if is_alone {
            self.current = queue.generations.pop_front();
            return self.announce();
        }
        self.enter_first(queue, 0, now);
    }

    /// When the file at the path was filled, copied and emptied since it was seen to be empty, nobody can see
    /// that in itself; but the copy stands behind that of its `predecessor`.
    fn copies_before(&mut self, file: Identity, predecessor: Fingerprint) -> Queue {
        let mut queue = Queue::default();
        let is_at_path = fs::metadata(&self.path).is_ok_and(|found| identity(&found) == file);
        if is_at_path && predecessor.length > 0 {
            let except: Vec<Identity> = self.held().map(|open| open.identity).collect();
            let known = Position { predecessor, ..Position::default() };
            let found = siblings::search(&self.path, &known, &except).unwrap_or_default();
            self.take(found, Some(file), None, &mut queue);
        }
        queue
    }

    /// Copies of a file that was emptied after it was `seen`, its lines read up to `offset`: of itself, if that is
    /// found, and of what was written to it after and emptied, too.
    fn copies(&mut self, seen: Position, offset: u64) -> (Queue, bool) {
        let mut except: Vec<Identity> = self.held().map(|open| open.identity).collect();
        except.push(seen.file);
        // Its own inode is not looked for: it is still its own.
        let known = Position { file: Identity::default(), predecessor: self.predecessor, ..seen };
        let mut found = siblings::search(&self.path, &known, &except).unwrap_or_default();
        let mut queue = Queue::default();
        let own = found.own.take().and_then(|own| own.open.ok());
        let own = own.filter(|own| own.is_packed() || own.size >= known.offset);
        let copy = own.is_some();
        match own {
            Some(mut own) => {
                own.is_whole = true;
                own.left_by = Rotation::Truncate;
                own.copy_of = Some(seen.file);
                // What it lacks of what was seen is counted when it is left.
                own.size = known.size;
                queue.push(own);
            }
            None => {
                queue.befell.extend(lost(known.size - offset, Loss::Truncated));
                queue.befell.push(Incident::Rotated(Rotation::Truncate));
            }
        }
        self.take(found, Some(seen.file), Some(known.fingerprint), &mut queue);
        (queue, copy)
    }

    /// Looks at the files that wait: what is emptied before it is read must be found again, too.
    pub(super) fn observe_successors(&mut self) {
        let current = self.current.as_ref().map(|open| open.fingerprint).filter(|fingerprint| fingerprint.length > 0);
        let mut before = current.unwrap_or(self.predecessor);
        let mut index = 0;
        while let Some(waiting) = self.successors.get_mut(index) {
            let was_empty = waiting.fingerprint.length == 0;
            let change = waiting.observe().unwrap_or(Change::Nothing);
            let (file, fingerprint) = (waiting.identity, waiting.fingerprint);
            let found = match change {
                Change::Truncated => self.copies_of_waiting(index),
                Change::Written if was_empty => self.copies_before(file, before),
                _ => Queue::default(),
            };
            self.put_before(&mut index, found);
            before = if fingerprint.length > 0 { fingerprint } else { before };
            index += 1;
        }
    }

    /// Puts what was found before the file that waits at `index`.
    fn put_before(&mut self, index: &mut usize, mut found: Queue) {
        let Some(mut waiting) = self.successors.remove(*index) else { return };
        let befell = std::mem::take(&mut waiting.befell);
        found.push(waiting);
        if let Some(first) = found.generations.front_mut() {
            first.befell.splice(..0, befell);
        }
        for open in found.generations {
            self.successors.insert(*index, open);
            *index += 1;
        }
        *index -= 1;
    }

    /// Copies of a file that was emptied while it waited.
    fn copies_of_waiting(&mut self, index: usize) -> Queue {
        let Some(emptied) = self.successors.get_mut(index) else { return Queue::default() };
        let seen = Position {
            file: emptied.identity,
            fingerprint: emptied.fingerprint,
            size: emptied.size,
            modified_ns: emptied.modified_ns,
            ..Position::default()
        };
        emptied.forget();
        let _ = emptied.observe();
        // It may have been copied and not yet emptied when the copy was opened.
        let is_it = |open: &Generation| {
            let is_copy = open.copy_of == Some(seen.file) && !open.is_packed();
            is_copy && open.head().is_ok_and(|head| seen.fingerprint.matches(&head))
        };
        if self.held().take(index + 1).any(is_it) {
            return Queue::default();
        }
        self.copies(seen, 0).0
    }

    /// Takes what was found newer into `queue`: copies of a file that was `emptied`, if one was. What is found without
    /// an order and is shorter than the fingerprint `of_emptied` may be a copy of its beginning, so it cannot be read.
    /// What was copied and not yet emptied is read at the path.
    fn take(&self, found: Found, emptied: Option<Identity>, of_emptied: Option<Fingerprint>, queue: &mut Queue) {
        let at_path = emptied.and_then(|_| Generation::at(&self.path).ok());
        for newer in found.newer {
            let Ok(mut open) = newer.open else {
                queue.befell.extend(lost(newer.size, Loss::Unreadable));
                continue;
            };
            if at_path.as_ref().is_some_and(|at_path| at_path.has_all_of(&open)) {
                continue;
            }
            if let Some(of_emptied) = of_emptied
                && !found.is_ordered
                && open.fingerprint.length < of_emptied.length
            {
                queue.befell.extend(lost(open.size, Loss::Truncated));
                continue;
            }
            open.is_whole |= emptied.is_some();
            open.left_by = if emptied.is_some() { Rotation::Truncate } else { Rotation::Rename };
            open.copy_of = emptied;
            queue.push(open);
        }
    }
}

/// The offset behind the last whole line, so that a line being written when reading begins is counted once
/// it is complete. A line that is over-long already is passed over.
fn end_of_lines(open: &mut Generation, max_line_bytes: usize) -> u64 {
    let size = open.size;
    let from = size.saturating_sub(max_line_bytes as u64 + 1);
    let mut last = vec![0; (size - from) as usize];
    let mut held = 0;
    while held < last.len() {
        match open.read_at(&mut last[held..], from + held as u64) {
            Ok((0, _)) | Err(_) => return size,
            Ok((read, _)) => held += read,
        }
    }
    match memrchr(b'\n', &last) {
        Some(newline) => from + newline as u64 + 1,
        None if from == 0 => 0,
        None => size,
    }
}
