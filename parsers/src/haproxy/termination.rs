//! What the characters of the termination state mean (HAProxy configuration manual, chapter 8.5).
//!
//! The one table of them: labels know by it what HAProxy writes, METRICS.md explains it to people.

/// A character and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The character.
    pub character: u8,
    /// What it says, as part of a sentence.
    pub meaning: &'static str,
}

const fn meaning(character: u8, meaning: &'static str) -> Meaning {
    Meaning { character, meaning }
}

/// What ended a session whose termination state begins with `state`, and when; `None` for what HAProxy does not write.
pub fn meanings(state: &[u8]) -> Option<[&'static str; 2]> {
    let meaning = |place: usize| {
        let known = TERMINATION.get(place)?.iter();
        known.into_iter().find(|known| state.get(place) == Some(&known.character)).map(|known| known.meaning)
    };
    Some([meaning(0)?, meaning(1)?])
}

/// The characters that may stand at each of the four places: what ended the session, in which phase, what the client's
/// persistence cookie was, what became of the server's. TCP lines have the first two.
pub const TERMINATION: [&[Meaning]; 4] = [
    &[
        meaning(b'-', "nobody: both sides came to their end"),
        meaning(b'C', "the client, which closed or broke its connection"),
        meaning(b'S', "the server, which closed, broke or refused its connection"),
        meaning(b'P', "HAProxy, by a rule, a limit, or because what it was sent is invalid"),
        meaning(b'L', "HAProxy, which answered by itself: statistics, a redirect, `return`"),
        meaning(b'R', "HAProxy, out of a resource such as memory or sockets"),
        meaning(b'I', "HAProxy, by an error of its own: its log may say more"),
        meaning(b'D', "HAProxy, because the server was found to be down (`on-marked-down shutdown-sessions`)"),
        meaning(b'U', "HAProxy, because an active server came back (`on-marked-up shutdown-backup-sessions`)"),
        meaning(b'K', "an administrator, by the statistics socket"),
        meaning(b'c', "HAProxy, by a time-out while the client was expected to send or to receive"),
        meaning(b's', "HAProxy, by a time-out while the server was expected to send or to receive"),
    ],
    &[
        meaning(b'-', "after the end: everything had been sent"),
        meaning(b'R', "while the request was being received"),
        meaning(b'Q', "while it waited in a queue"),
        meaning(b'C', "while the connection to the server was being made"),
        meaning(b'H', "while the response's headers were awaited"),
        meaning(b'D', "while data were being passed on"),
        meaning(b'L', "while the last data went to the client, the server having finished"),
        meaning(b'T', "while the request was held in the tarpit"),
    ],
    &[
        meaning(b'-', "no cookie is used for persistence"),
        meaning(b'N', "there was none"),
        meaning(b'I', "named a server that does not exist"),
        meaning(b'D', "named a server that is down"),
        meaning(b'V', "named a server that could be used"),
        meaning(b'E', "was valid, but unused for longer than `maxidle`"),
        meaning(b'O', "was valid, but first set longer ago than `maxlife`"),
        meaning(b'U', "was there, but something else chose the server, such as `use-server`"),
    ],
    &[
        meaning(b'-', "no cookie is used for persistence"),
        meaning(b'N', "the server sent none, and none was added"),
        meaning(b'I', "HAProxy added one"),
        meaning(b'U', "HAProxy renewed the date in the client's"),
        meaning(b'P', "the server sent one, which passed as it was"),
        meaning(b'R', "the server sent one, which HAProxy changed"),
        meaning(b'D', "the server sent one, which HAProxy removed"),
    ],
];
