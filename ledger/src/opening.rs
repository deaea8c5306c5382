//! A row as a leaf: one encoding for one row, whoever encodes it.
//!
//! Version 1: the label, then every column in the order of [`Opening`], each behind its length in four bytes (big-endian).
//! Numbers are big-endian of their column's width, times are Unix microseconds, an absent attempt has length 0. The fields
//! are a count (four bytes) and then each one. Nothing follows.

use crate::tree::{Hash, leaf_hash};

/// Opens every leaf of this version.
const LABEL: &[u8] = b"kura opening v1";
/// A value of a row is no longer than this; longer ones are not of this ledger.
const MAX_VALUE_LEN: usize = 4096;
/// Fields of one opening.
const MAX_FIELDS: u32 = 64;

/// One row of the ledger: every column but its leaf's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The vault node.
    pub node: u16,
    /// Its place among the node's rows, from 1.
    pub sequence: u64,
    /// When, in Unix microseconds.
    pub at_us: i64,
    /// The certificate that asked.
    pub actor: String,
    /// The request.
    pub request: [u8; 16],
    /// Whose record.
    pub merchant: [u8; 16],
    /// The record; the batch, for many at once.
    pub record: [u8; 16],
    /// The class of its data.
    pub class: String,
    /// How many records.
    pub records: u32,
    /// The fields that were opened.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
    /// For which attempt.
    pub attempt: Option<[u8; 16]>,
}

/// The bytes are no leaf of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an opening in the encoding of version 1")]
pub struct NotAnOpening;

impl Opening {
    /// The leaf.
    pub fn encode(&self) -> Vec<u8> {
        let mut leaf = Vec::with_capacity(256);
        put(&mut leaf, LABEL);
        put(&mut leaf, &self.node.to_be_bytes());
        put(&mut leaf, &self.sequence.to_be_bytes());
        put(&mut leaf, &self.at_us.to_be_bytes());
        put(&mut leaf, self.actor.as_bytes());
        put(&mut leaf, &self.request);
        put(&mut leaf, &self.merchant);
        put(&mut leaf, &self.record);
        put(&mut leaf, self.class.as_bytes());
        put(&mut leaf, &self.records.to_be_bytes());
        leaf.extend_from_slice(&len_of(self.fields.len()));
        self.fields.iter().for_each(|field| put(&mut leaf, field.as_bytes()));
        put(&mut leaf, self.purpose.as_bytes());
        put(&mut leaf, self.attempt.as_ref().map_or(&[], |id| id.as_slice()));
        leaf
    }

    /// Its hash as a leaf of the tree.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }

    /// The row behind a leaf.
    ///
    /// # Errors
    /// [`NotAnOpening`] for every text that [`Self::encode`] doesn't give.
    pub fn decode(leaf: &[u8]) -> Result<Self, NotAnOpening> {
        let mut rest = Reader(leaf);
        if rest.value()? != LABEL {
            return Err(NotAnOpening);
        }
        let opening = Self {
            node: u16::from_be_bytes(rest.exactly()?),
            sequence: u64::from_be_bytes(rest.exactly()?),
            at_us: i64::from_be_bytes(rest.exactly()?),
            actor: rest.text()?,
            request: rest.exactly()?,
            merchant: rest.exactly()?,
            record: rest.exactly()?,
            class: rest.text()?,
            records: u32::from_be_bytes(rest.exactly()?),
            fields: rest.fields()?,
            purpose: rest.text()?,
            attempt: rest.attempt()?,
        };
        if rest.0.is_empty() { Ok(opening) } else { Err(NotAnOpening) }
    }
}

/// Node and sequence of a leaf, which stand at its beginning: all that the order of rows is judged by.
///
/// # Errors
/// [`NotAnOpening`].
pub fn place_of(leaf: &[u8]) -> Result<(u16, u64), NotAnOpening> {
    let mut rest = Reader(leaf);
    if rest.value()? != LABEL {
        return Err(NotAnOpening);
    }
    Ok((u16::from_be_bytes(rest.exactly()?), u64::from_be_bytes(rest.exactly()?)))
}

fn len_of(len: usize) -> [u8; 4] {
    // Longer than four bytes can say is longer than anything that is read again.
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

fn put(leaf: &mut Vec<u8>, value: &[u8]) {
    leaf.extend_from_slice(&len_of(value.len()));
    leaf.extend_from_slice(value);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u32, NotAnOpening> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(NotAnOpening)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    fn value(&mut self) -> Result<&'a [u8], NotAnOpening> {
        let len = usize::try_from(self.number()?).map_err(|_| NotAnOpening)?;
        if len > MAX_VALUE_LEN {
            return Err(NotAnOpening);
        }
        let (value, rest) = self.0.split_at_checked(len).ok_or(NotAnOpening)?;
        self.0 = rest;
        Ok(value)
    }

    fn exactly<const N: usize>(&mut self) -> Result<[u8; N], NotAnOpening> {
        self.value()?.try_into().map_err(|_| NotAnOpening)
    }

    fn text(&mut self) -> Result<String, NotAnOpening> {
        String::from_utf8(self.value()?.to_vec()).map_err(|_| NotAnOpening)
    }

    fn fields(&mut self) -> Result<Vec<String>, NotAnOpening> {
        let count = self.number()?;
        if count > MAX_FIELDS {
            return Err(NotAnOpening);
        }
        (0..count).map(|_| self.text()).collect()
    }

    fn attempt(&mut self) -> Result<Option<[u8; 16]>, NotAnOpening> {
        match self.value()? {
            [] => Ok(None),
            id => id.try_into().map(Some).map_err(|_| NotAnOpening),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Opening {
        Opening {
            node: 1,
            sequence: 7,
            at_us: 1_767_225_600_000_001,
            actor: "gateway.kura.internal".to_owned(),
            request: [1; 16],
            merchant: [2; 16],
            record: [3; 16],
            class: "card".to_owned(),
            records: 1,
            fields: vec!["pan".to_owned(), "holder".to_owned()],
            purpose: "authorize".to_owned(),
            attempt: Some([4; 16]),
        }
    }

    /// Each column is in the leaf: a row that differs in one of them alone has another hash.
    #[test]
    fn every_column_is_in_the_leaf() {
        let changes: [fn(&mut Opening); 13] = [
            |row| row.node = 2,
            |row| row.sequence = 8,
            |row| row.at_us += 1,
            |row| row.actor.push('x'),
            |row| row.request = [9; 16],
            |row| row.merchant = [9; 16],
            |row| row.record = [9; 16],
            |row| row.class = "konbini".to_owned(),
            |row| row.records = 2,
            |row| row.fields = vec!["pan".to_owned()],
            |row| row.fields = vec!["panholder".to_owned()],
            |row| row.purpose = "refund".to_owned(),
            |row| row.attempt = None,
        ];
        let mut hashes: Vec<Hash> = changes
            .iter()
            .map(|change| {
                let mut row = sample();
                change(&mut row);
                row.leaf_hash()
            })
            .collect();
        hashes.push(sample().leaf_hash());
        hashes.sort_unstable_by_key(|hash| *hash.as_bytes());
        hashes.dedup();
        assert_eq!(hashes.len(), changes.len() + 1);
    }

    /// The encoding doesn't change under those who verify old exports.
    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(sample().leaf_hash().to_string(), "PfN3rI7MQxEfSbHITxXrekYLQEdTG+iQGUTREVrDbMM=");
        assert_eq!(place_of(&sample().encode()), Ok((1, 7)));
    }

    /// A value may have 4096 bytes and an opening 64 fields, and neither one more.
    #[test]
    fn values_and_fields_have_a_limit() {
        let is_read = |row: Opening| match Opening::decode(&row.encode()) {
            Ok(read) => {
                assert_eq!(read, row);
                true
            }
            Err(NotAnOpening) => false,
        };
        let actor = |len| Opening { actor: "x".repeat(len), ..sample() };
        assert!(is_read(actor(4096)) && !is_read(actor(4097)) && !is_read(actor(4098)));
        let fields = |count| Opening { fields: vec!["pan".to_owned(); count], ..sample() };
        assert!(is_read(fields(64)) && !is_read(fields(65)) && !is_read(fields(66)));
    }

    proptest! {
        /// What was encoded is what is decoded; and no other bytes decode to it: cut, lengthened or changed ones don't decode,
        /// or to another row.
        #[test]
        fn a_row_has_one_encoding(at in any::<usize>(), bit in 0..8_u8, actor in ".{0,40}", fields in prop::collection::vec("[a-z_]{0,9}", 0..5)) {
            let row = Opening { actor, fields, ..sample() };
            let leaf = row.encode();
            prop_assert_eq!(Opening::decode(&leaf), Ok(row.clone()));
            let mut changed = leaf.clone();
            changed[at % leaf.len()] ^= 1 << bit;
            prop_assert_ne!(Opening::decode(&changed), Ok(row.clone()));
            prop_assert!(Opening::decode(&leaf[..at % leaf.len()]).is_err());
            changed.clone_from(&leaf);
            changed.push(0);
            prop_assert!(Opening::decode(&changed).is_err());
        }
    }
}
