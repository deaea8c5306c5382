//! Rows of `cards` in PostgreSQL's binary COPY format, in the order of the columns in
//! [`crate::store::imports::copy_cards`]. (The format: the manual's chapter on COPY; integers are big-endian.)

use kura_wire::ids::NodeId;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::store::cards::CardRow;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const COLUMNS: i16 = 16;
const END: i16 = -1;
const NULL: i32 = -1;
/// What PostgreSQL counts microseconds from.
const EPOCH: OffsetDateTime = datetime!(2000-01-01 0:00 UTC);
/// Bytes that a row has, about.
const ROW_LEN: usize = 320;

/// Rows on their way into COPY.
pub(super) struct CardCopy {
    out: Vec<u8>,
    node: i16,
}

impl CardCopy {
    /// Of cards that this node imports.
    pub(super) fn with_capacity(rows: usize, node: NodeId) -> Self {
        let mut out = Vec::with_capacity(64 + rows * ROW_LEN);
        out.extend_from_slice(SIGNATURE);
        // No flags, no extension.
        out.extend_from_slice(&[0; 8]);
        Self { out, node: i16::try_from(node.number()).unwrap_or(i16::MAX) }
    }

    pub(super) fn push(&mut self, row: &CardRow) {
        self.out.extend_from_slice(&COLUMNS.to_be_bytes());
        self.field(row.id.as_bytes());
        self.field(row.merchant_id.as_bytes());
        self.field(&[u8::from(row.livemode)]);
        self.field(&row.key_id.to_be_bytes());
        self.field(row.pan_sealed.as_bytes());
        self.nullable(row.holder_sealed.as_ref().map(|sealed| sealed.as_bytes()));
        self.field(&row.fingerprint_hash);
        self.field(row.merchant_fingerprint.as_bytes());
        self.field(row.brand.as_bytes());
        self.field(row.bin.as_bytes());
        self.field(row.last_four.as_bytes());
        self.field(&row.exp_month.to_be_bytes());
        self.field(&row.exp_year.to_be_bytes());
        self.field(&micros(row.created_at));
        self.nullable(row.saved_at.map(micros).as_ref().map(<[u8; 8]>::as_slice));
        self.field(&self.node.to_be_bytes());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(&END.to_be_bytes());
        self.out
    }

    fn field(&mut self, value: &[u8]) {
        // No value comes near 2 GiB: every one of them has its own limit.
        let len = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(value);
    }

    fn nullable(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.field(value),
            None => self.out.extend_from_slice(&NULL.to_be_bytes()),
        }
    }
}

fn micros(at: OffsetDateTime) -> [u8; 8] {
    i64::try_from((at - EPOCH).whole_microseconds()).unwrap_or(i64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty copy is header and end; times count from the year 2000.
    #[test]
    fn the_frame_is_postgresqls() {
        let copy = CardCopy::with_capacity(0, NodeId::new(0).unwrap()).finish();
        assert_eq!(copy, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
        assert_eq!(micros(datetime!(2000-01-01 0:00:01 UTC)), 1_000_000_i64.to_be_bytes());
    }
}
