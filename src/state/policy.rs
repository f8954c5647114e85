//! What the file has of label policies: which rules the rows of a group were made by, and random keys of hashes.
//!
//! Rows made by the same rules come back as they are. Under other rules only those values come back that the present
//! rules would show, too: see [`Policy::may_show`](crate::series::Policy::may_show).

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::digest::Digest;
use super::error::Cause;
use super::load::checked;
use super::write::Writer;
use crate::metrics::Plan;
use crate::series::KeptSalt;

/// What made the tables.
pub(super) const TABLES: &str = "
CREATE TABLE group_policies (
    group_id INTEGER PRIMARY KEY,
    policies TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE salts (
    name TEXT PRIMARY KEY,
    salt BLOB NOT NULL,
    period INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Random keys by [name](crate::series::Salt::name).
pub type Salts = BTreeMap<String, KeptSalt>;

/// The fingerprints of the policies of group number `group` of `plan`, by label, with commas in between.
pub(super) fn fingerprints(plan: &Plan, group: usize) -> String {
    let labels = plan.groups.get(group).map(|group| group.labels.as_slice()).unwrap_or_default();
    labels.iter().map(|label| label.policy.fingerprint()).collect::<Vec<_>>().join(",")
}

/// Fingerprints for a group that has rows made by other rules, too: they equal no others, so that each row is judged by its
/// values.
pub(super) fn mixed(fingerprints: &str) -> String {
    fingerprints.split(',').map(|one| format!("?{one}")).collect::<Vec<_>>().join(",")
}

/// By label: true when both lists of fingerprints have the same.
pub(super) fn same(one: Option<&str>, other: &str) -> Vec<bool> {
    let one = one.map(|one| one.split(',').collect::<Vec<_>>()).unwrap_or_default();
    other.split(',').enumerate().map(|(label, other)| one.get(label) == Some(&other)).collect()
}

fn policies_checksum(group: i64, policies: &str) -> u64 {
    Digest::new("group_policies").number(group as u64).text(policies).sum()
}

fn salt_checksum(name: &str, salt: &KeptSalt) -> u64 {
    Digest::new("salts").text(name).bytes(&salt.key).number(salt.period).sum()
}

/// The fingerprints of each group, by its number in the file.
pub(super) fn policies(connection: &Connection, sum: &mut u64) -> Result<BTreeMap<i64, String>, Cause> {
    let mut policies = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM group_policies")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (group, text): (i64, String) = (row.get("group_id")?, row.get("policies")?);
        checked("group_policies", row, policies_checksum(group, &text), sum)?;
        policies.insert(group, text);
    }
    Ok(policies)
}

/// The random keys.
pub(super) fn salts(connection: &Connection, sum: &mut u64) -> Result<Salts, Cause> {
    let mut salts = Salts::new();
    let mut statement = connection.prepare("SELECT * FROM salts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get("name")?;
        let key = row.get_ref("salt")?.as_blob().map_err(rusqlite::Error::from)?;
        let key = key.try_into().map_err(|_| Cause::damaged("a salt has another length"))?;
        let salt = KeptSalt { key, period: row.get::<_, i64>("period")? as u64 };
        checked("salts", row, salt_checksum(&name, &salt), sum)?;
        salts.insert(name, salt);
    }
    Ok(salts)
}

impl Writer<'_> {
    /// Writes the fingerprints `new` of a group of which the file has `old`.
    pub(super) fn policies(&mut self, group: i64, old: Option<&str>, new: Option<&str>) -> rusqlite::Result<()> {
        // Where no label has rules there is nothing to tell.
        let new = new.filter(|new| new.bytes().any(|byte| byte != b','));
        if old == new {
            return Ok(());
        }
        let checksum = |text| policies_checksum(group, text);
        match new {
            None => drop(self.transaction.execute("DELETE FROM group_policies WHERE group_id = ?", [group])?),
            Some(new) => {
                let upsert = "INSERT OR REPLACE INTO group_policies (group_id, policies, checksum) VALUES (?, ?, ?)";
                self.transaction.execute(upsert, params![group, new, checksum(new) as i64])?;
            }
        }
        self.replace(old.map(checksum), new.map(checksum));
        Ok(())
    }

    /// Writes what differs between `old`, which is in the file, and `new`.
    pub(super) fn salts(&mut self, old: &Salts, new: &Salts) -> rusqlite::Result<()> {
        for (name, salt) in new.iter().filter(|(name, salt)| old.get(*name) != Some(salt)) {
            let checksum = salt_checksum(name, salt);
            let upsert = "INSERT OR REPLACE INTO salts (name, salt, period, checksum) VALUES (?, ?, ?, ?)";
            self.transaction.execute(upsert, params![name, salt.key, salt.period as i64, checksum as i64])?;
            self.replace(old.get(name).map(|was| salt_checksum(name, was)), Some(checksum));
        }
        for (name, was) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            self.transaction.execute("DELETE FROM salts WHERE name = ?", [name])?;
            self.replace(Some(salt_checksum(name, was)), None);
        }
        Ok(())
    }
}
