//! Values -> keyed hashes: who has no key can neither read the values nor try what they could be.
//!
//! HMAC-SHA-256 of the value, of which 64 bits are shown: of a million values two share a hash once in 37 million times.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::hexadecimal;

/// Hexadecimal digits that are shown.
const DIGITS: usize = 16;

/// What keys are made of. It shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Fewest bytes of a key that nobody can try.
    pub const MIN_BYTES: usize = 16;

    /// The key in `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Makes hashes with the key that a [`Salt`] has at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash(pub Arc<Salt>);

impl Hash {
    /// Makes the hash of a value.
    pub(super) fn apply(&self, value: &mut Vec<u8>) {
        let digest = self.0.current().keyed.of(value);
        value.clear();
        value.extend_from_slice(hexadecimal(&digest[..DIGITS / 2]).as_bytes());
    }

    /// True when `value` can be a hash.
    pub(super) fn may_show(&self, value: &[u8]) -> bool {
        value.len() == DIGITS && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// A key, and when another one takes its place: with the first block of lines in a new period of `rotate`, counted from
/// 1970-01-01 UTC, so that days end at midnight.
///
/// - Without a secret it is random. The state keeps it; an exchanged one is nowhere any more.
/// - With a secret, that is the key; if it is exchanged, the keys are made of the secret and the period, and are so the same
///   for all who have the secret.
pub struct Salt {
    secret: Option<Secret>,
    rotate: Option<Duration>,
    current: Mutex<Current>,
    turns: AtomicU64,
}

struct Current {
    key: [u8; 32],
    period: u64,
    keyed: Keyed,
}

/// What the state keeps of a random key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The key.
    pub key: [u8; 32],
    /// The period that it is for; 0 when it is for ever.
    pub period: u64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(secret of period {})", self.period)
    }
}

impl Salt {
    /// The key of `secret`, or a random one, exchanged after each `rotate` if there is one.
    pub fn new(secret: Option<Secret>, rotate: Option<Duration>) -> Self {
        let period = period(rotate, SystemTime::now());
        let current = Mutex::new(Current::begin(secret.as_ref(), rotate, period));
        Self { secret, rotate, current, turns: AtomicU64::new(0) }
    }

    /// What a random key is known by in the state, whatever has it; `None` for one that a secret gives.
    pub fn name(&self) -> Option<String> {
        let rotate =
            || self.rotate.map_or_else(|| "for ever".to_owned(), |rotate| format!("{} ms", rotate.as_millis()));
        self.secret.is_none().then(rotate)
    }

    /// True when it is exchanged from time to time.
    pub fn rotates(&self) -> bool {
        self.rotate.is_some()
    }

    /// Exchanges the key if its time is over. Returns how often that has happened: what was made with another number is of
    /// another key.
    pub fn turn(&self, now: SystemTime) -> u64 {
        let period = period(self.rotate, now);
        let mut current = self.current();
        // A clock that is set back exchanges nothing.
        if period > current.period {
            *current = Current::begin(self.secret.as_ref(), self.rotate, period);
            self.turns.fetch_add(1, Relaxed);
        }
        self.turns.load(Relaxed)
    }

    /// What the state is to keep.
    pub fn keep(&self) -> Kept {
        let current = self.current();
        Kept { key: current.key, period: current.period }
    }

    /// Goes on with what a state has kept, or another salt of the same name.
    pub fn take_up(&self, kept: Kept) {
        let mut current = self.current();
        if (kept.key, kept.period) != (current.key, current.period) {
            *current = Current::of(kept.key, kept.period);
            self.turns.fetch_add(1, Relaxed);
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which period of `rotate` it is; always the first one without.
fn period(rotate: Option<Duration>, now: SystemTime) -> u64 {
    let since_ms = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let rotate_ms = rotate.map_or(u128::MAX, |rotate| rotate.as_millis().max(1));
    u64::try_from(since_ms / rotate_ms).unwrap_or(u64::MAX)
}

impl PartialEq for Salt {
    /// Which key it has at the moment makes no difference.
    fn eq(&self, other: &Self) -> bool {
        (&self.secret, self.rotate) == (&other.secret, other.rotate)
    }
}

impl Eq for Salt {}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salt").field("secret", &self.secret).field("rotate", &self.rotate).finish_non_exhaustive()
    }
}

impl Current {
    /// The key of a period that begins.
    fn begin(secret: Option<&Secret>, rotate: Option<Duration>, period: u64) -> Self {
        match (secret, rotate) {
            (None, _) => Self::of(random(), period),
            // As any other program makes HMACs with it.
            (Some(Secret(secret)), None) => Self { key: [0; 32], period, keyed: Keyed::new(secret) },
            (Some(Secret(secret)), Some(_)) => Self::of(Keyed::new(secret).of(&period.to_be_bytes()), period),
        }
    }

    fn of(key: [u8; 32], period: u64) -> Self {
        Self { key, period, keyed: Keyed::new(&key) }
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key: its two digests, as they stand behind the key.
#[derive(Clone)]
struct Keyed {
    inner: Sha256,
    outer: Sha256,
}

impl Keyed {
    /// Bytes of a block of the digest.
    const BLOCK: usize = 64;

    fn new(key: &[u8]) -> Self {
        let short = if key.len() > Self::BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
        let block = |pad: u8| {
            let mut block = [pad; Self::BLOCK];
            block.iter_mut().zip(&short).for_each(|(byte, key)| *byte ^= key);
            Sha256::new().chain_update(block)
        };
        Self { inner: block(0x36), outer: block(0x5c) }
    }

    fn of(&self, text: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// Bytes that nobody can guess.
fn random() -> [u8; 32] {
    let mut key = [0; 32];
    let mut rest = key.as_mut_slice();
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Every Linux that this runs on has it. Should a filter forbid the call: what seeds the hash maps is random, too.
            Err(_) => {
                rest.chunks_mut(8).for_each(|chunk| {
                    let word = RandomState::new().hash_one(0u8).to_ne_bytes();
                    chunk.iter_mut().zip(word).for_each(|(byte, random)| *byte = random);
                });
                break;
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(salt: &Arc<Salt>, value: &[u8]) -> String {
        let mut value = value.to_vec();
        Hash(Arc::clone(salt)).apply(&mut value);
        String::from_utf8(value).expect("digits")
    }

    /// RFC 4231, cases 1, 2, 6 and 7.
    #[test]
    fn the_test_vectors_come_out() {
        let cases: [(&[u8], &[u8], &str); 4] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to \
                be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, text, expected) in cases {
            assert_eq!(hexadecimal(&Keyed::new(key).of(text)), expected);
        }
    }

    #[test]
    fn a_secret_gives_the_same_hashes_everywhere() {
        let secret = || Some(Secret::new(b"0123456789abcdef"));
        let [one, two] = [(); 2].map(|()| Arc::new(Salt::new(secret(), None)));
        assert_eq!(hashed(&one, b"ann"), hashed(&two, b"ann"));
        assert_ne!(hashed(&one, b"ann"), hashed(&one, b"bob"));
        assert!(Hash(Arc::clone(&one)).may_show(hashed(&one, b"ann").as_bytes()));
        assert_eq!((one.name(), one.turn(SystemTime::now())), (None, 0));
        let other = Arc::new(Salt::new(Some(Secret::new(b"0123456789abcdeF")), None));
        assert_ne!(hashed(&one, b"ann"), hashed(&other, b"ann"));
        assert_ne!(one, other);
        assert!(!format!("{one:?} {:?}", one.keep()).contains("0123"));
    }

    #[test]
    fn keys_are_exchanged_at_the_end_of_a_period() {
        let day = Duration::from_secs(86_400);
        let midnight = UNIX_EPOCH + day * 40_000;
        for secret in [None, Some(Secret::new(b"0123456789abcdef"))] {
            let [one, two] = [(); 2].map(|()| Arc::new(Salt::new(secret.clone(), Some(day))));
            let turns = one.turn(midnight);
            let before = hashed(&one, b"ann");
            assert_eq!(one.turn(midnight + day - Duration::from_millis(1)), turns);
            assert_eq!(one.turn(midnight - day), turns, "a clock that is set back");
            assert_eq!(hashed(&one, b"ann"), before);
            assert_eq!(one.turn(midnight + day), turns + 1);
            assert_ne!(hashed(&one, b"ann"), before);
            two.turn(midnight + day);
            assert_eq!(hashed(&one, b"ann") == hashed(&two, b"ann"), secret.is_some());
            two.take_up(one.keep());
            assert_eq!(hashed(&one, b"ann"), hashed(&two, b"ann"));
        }
    }
}
