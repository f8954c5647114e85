//! Messages under way in the file: a record each.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rusqlite::{Connection, Statement, params};

use super::checkpoint::{Mailroom, Messages, SourceKey};
use super::digest::Digest;
use super::error::Cause;
use super::load::checked;
use super::write::Writer;
use crate::metrics::{Fate, Message};

/// What made the table.
pub(super) const TABLE: &str = "
CREATE TABLE messages (
    source TEXT NOT NULL,
    format TEXT NOT NULL,
    family TEXT NOT NULL,
    id INTEGER NOT NULL,
    began_ms INTEGER NOT NULL,
    lead_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    fate INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (source, format, family, id)
) STRICT, WITHOUT ROWID;
";

impl Writer<'_> {
    /// Writes what differs between `old`, which is in the file, and `new`.
    pub(super) fn messages(&mut self, old: &Messages, new: &Messages) -> rusqlite::Result<()> {
        if old == new {
            return Ok(());
        }
        let upsert = "INSERT OR REPLACE INTO messages (source, format, family, id, began_ms, lead_ms, attempts, fate,
            message_id, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let delete = "DELETE FROM messages WHERE source = ? AND format = ? AND family = ? AND id = ?";
        let (mut upsert, mut delete) = (self.transaction.prepare(upsert)?, self.transaction.prepare(delete)?);
        let mut changes = Changes { upsert: &mut upsert, delete: &mut delete };
        for (room, new) in new {
            changes.write(self, room, old.get(room).map(Vec::as_slice).unwrap_or_default(), new)?;
        }
        for (room, old) in old.iter().filter(|(room, _)| !new.contains_key(*room)) {
            changes.write(self, room, old, &[])?;
        }
        Ok(())
    }
}

struct Changes<'s, 't> {
    upsert: &'s mut Statement<'t>,
    delete: &'s mut Statement<'t>,
}

impl Changes<'_, '_> {
    /// Both are ordered by id.
    fn write(
        &mut self,
        writer: &mut Writer<'_>,
        room: &Mailroom,
        mut old: &[Message],
        mut new: &[Message],
    ) -> rusqlite::Result<()> {
        loop {
            let order = match (old.first(), new.first()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.id.cmp(&new.id),
            };
            let was = old.first().filter(|_| order != Ordering::Greater);
            let is = new.first().filter(|_| order != Ordering::Less);
            match (was, is) {
                (was, Some(is)) if was != Some(is) => self.upsert(writer, room, was, is)?,
                (Some(was), None) => {
                    let (source, format) = (&room.source.source, &room.source.format);
                    self.delete.execute(params![source, format, room.family, was.id as i64])?;
                    writer.replace(Some(checksum(room, was)), None);
                }
                _ => {}
            }
            old = old.get(usize::from(was.is_some())..).unwrap_or_default();
            new = new.get(usize::from(is.is_some())..).unwrap_or_default();
        }
    }

    fn upsert(
        &mut self,
        writer: &mut Writer<'_>,
        room: &Mailroom,
        was: Option<&Message>,
        is: &Message,
    ) -> rusqlite::Result<()> {
        let checked = checksum(room, is);
        self.upsert.execute(params![
            room.source.source,
            room.source.format,
            room.family,
            is.id as i64,
            is.began_ms as i64,
            is.lead_ms as i64,
            is.attempts,
            is.fate.0,
            is.message_id as i64,
            checked as i64
        ])?;
        writer.replace(was.map(|was| checksum(room, was)), Some(checked));
        Ok(())
    }
}

/// Reads all of them.
pub(super) fn load(connection: &Connection, sum: &mut u64) -> Result<Messages, Cause> {
    let mut messages: Messages = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM messages")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let source = SourceKey { source: row.get("source")?, format: row.get("format")? };
        let room = Mailroom { source, family: row.get("family")? };
        let number = |name: &str| row.get::<_, i64>(name).map(|number| number as u64);
        let message = Message {
            id: number("id")?,
            began_ms: number("began_ms")?,
            lead_ms: number("lead_ms")?,
            attempts: row.get("attempts")?,
            fate: Fate(row.get("fate")?),
            message_id: number("message_id")?,
        };
        checked("messages", row, checksum(&room, &message), sum)?;
        messages.entry(room).or_default().push(message);
    }
    messages.values_mut().for_each(|messages| messages.sort_unstable_by_key(|message| message.id));
    Ok(messages)
}

fn checksum(room: &Mailroom, message: &Message) -> u64 {
    let digest = Digest::new("messages").text(&room.source.source).text(&room.source.format).text(&room.family);
    let Message { id, began_ms, lead_ms, attempts, fate, message_id } = *message;
    let digest = digest.number(id).number(began_ms).number(lead_ms).number(attempts.into());
    digest.number(fate.0.into()).number(message_id).sum()
}
