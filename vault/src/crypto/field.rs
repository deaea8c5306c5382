//! One sealed field of one row: AES-256-GCM under a DEK, bound to exactly where it stands.
//!
//! Stored: format (1 byte), key id (8 bytes), nonce (12), ciphertext, tag (16). The associated data is the length-prefixed
//! list (table, column, record id, merchant, class, key id): a value that was moved to another row, column or merchant, or
//! changed in any byte, does not open.

use kura_wire::ids::MerchantId;
use kura_wire::sealed_box::length_prefixed;
use zeroize::Zeroizing;

use super::aead::{Aead, sealed_len};
use super::key_provider::DekBytes;

const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 8;
const HEADER_LEN: usize = 1 + KEY_ID_LEN;

/// What kind of data a DEK seals; each merchant has one key for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataClass {
    /// Card numbers and cardholders' names.
    Card,
    /// Convenience store payers: name, phone, e-mail.
    Konbini,
    /// Pay-easy payers: name, postcode, address, phone.
    Payeasy,
    /// E-money payers: e-mail.
    Emoney,
    /// Customers whom merchants keep: name, phone, e-mail, address.
    Customer,
}

impl DataClass {
    /// The word in the database and in the associated data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Konbini => "konbini",
            Self::Payeasy => "payeasy",
            Self::Emoney => "emoney",
            Self::Customer => "customer",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [Self::Card, Self::Konbini, Self::Payeasy, Self::Emoney, Self::Customer];

    /// The class of a word in the database.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row.
    pub record: &'a [u8; 16],
    /// Whose row.
    pub merchant: MerchantId,
    /// The class of its key.
    pub class: DataClass,
}

/// A value that may stand in a `_sealed` column. Only sealing makes one, or reading such a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// What was read from a `_sealed` column.
    pub fn from_column(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For a `_sealed` column.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id of the DEK that it was sealed under.
    pub fn key_id(&self) -> Option<i64> {
        let id = self.0.get(1..=KEY_ID_LEN)?;
        Some(i64::from_be_bytes(id.try_into().ok()?))
    }
}

/// The value does not open: damaged, moved, or under another key. An alert wherever it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed value does not open")]
pub struct FieldError;

/// A DEK, ready for AES.
pub struct FieldKey {
    id: i64,
    key: Aead,
}

impl FieldKey {
    /// The key of this id.
    ///
    /// # Errors
    /// Never in practice: a DEK always has AES-256's length.
    pub fn new(id: i64, dek: &DekBytes) -> Result<Self, FieldError> {
        let key = Aead::new(dek.as_slice()).map_err(|_| FieldError)?;
        Ok(Self { id, key })
    }

    /// Its id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Seals a value for a place.
    ///
    /// # Errors
    /// [`FieldError`] when AES-GCM refuses, which it has no reason to.
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Sealed, FieldError> {
        // Sized at once, so that growing leaves no copy of the plaintext behind; sealed where it lies.
        let mut out = Vec::with_capacity(HEADER_LEN + sealed_len(plaintext.len()));
        out.push(FORMAT);
        out.extend_from_slice(&self.id.to_be_bytes());
        self.key.seal_onto(&mut out, &associated_data(place, self.id), plaintext).map_err(|_| FieldError)?;
        Ok(Sealed(out))
    }

    /// Opens a value where it stands. Who calls this holds a [`crate::commit::LedgerReceipt`].
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, FieldError> {
        let (header, body) = sealed.0.split_at_checked(HEADER_LEN).ok_or(FieldError)?;
        if header.first() != Some(&FORMAT) || sealed.key_id() != Some(self.id) {
            return Err(FieldError);
        }
        self.key.open(&associated_data(place, self.id), body).map_err(|_| FieldError)
    }
}

fn associated_data(place: Place<'_>, key_id: i64) -> Vec<u8> {
    length_prefixed(&[
        place.table.as_bytes(),
        place.column.as_bytes(),
        place.record,
        place.merchant.as_bytes(),
        place.class.as_str().as_bytes(),
        &key_id.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: [u8; 16] = [1; 16];

    fn place(column: &'static str) -> Place<'static> {
        Place {
            table: "cards",
            column,
            record: &RECORD,
            merchant: MerchantId::from_bytes([2; 16]),
            class: DataClass::Card,
        }
    }

    fn key(id: i64) -> FieldKey {
        FieldKey::new(id, &Box::new(Zeroizing::new([7; 32]))).unwrap()
    }

    /// What was sealed opens in its own place, and nowhere else: not in another table, column, row, or for another merchant,
    /// nor when the key's id was relabelled.
    #[test]
    fn a_sealed_value_opens_in_its_own_place_only() {
        let sealed = key(5).seal(place("pan_sealed"), b"4242424242424242").unwrap();
        assert_eq!(key(5).open(place("pan_sealed"), &sealed).unwrap().as_slice(), b"4242424242424242");
        let other_row = [9; 16];
        let moved = [
            Place { table: "payers", ..place("pan_sealed") },
            place("holder_sealed"),
            Place { record: &other_row, ..place("pan_sealed") },
            Place { merchant: MerchantId::from_bytes([3; 16]), ..place("pan_sealed") },
            Place { class: DataClass::Konbini, ..place("pan_sealed") },
        ];
        for place in moved {
            assert_eq!(key(5).open(place, &sealed), Err(FieldError), "{place:?}");
        }
        let mut relabelled = sealed.clone();
        relabelled.0[8] = 6;
        assert_eq!(key(6).open(place("pan_sealed"), &relabelled), Err(FieldError));
    }

    /// Any one changed byte, and any truncation, makes opening fail.
    #[test]
    fn any_changed_byte_makes_opening_fail() {
        let sealed = key(5).seal(place("pan_sealed"), b"4242424242424242").unwrap();
        for at in 0..sealed.0.len() {
            let mut damaged = sealed.clone();
            damaged.0[at] ^= 0x01;
            assert_eq!(key(5).open(place("pan_sealed"), &damaged), Err(FieldError), "byte {at}");
            assert_eq!(key(5).open(place("pan_sealed"), &Sealed(sealed.0[..at].to_vec())), Err(FieldError));
        }
    }

    /// A stored value is sized at once, names its key by the key's own id, and comes back from its column as it was.
    #[test]
    fn a_stored_value_names_its_key() {
        let key = key(5);
        let sealed = key.seal(place("pan_sealed"), b"4242424242424242").unwrap();
        assert_eq!((sealed.0.len(), sealed.0.capacity()), (1 + 8 + 12 + 16 + 16, 1 + 8 + 12 + 16 + 16));
        assert_eq!((sealed.as_bytes()[0], &sealed.as_bytes()[1..9]), (1, 5_i64.to_be_bytes().as_slice()));
        assert_eq!((sealed.key_id(), key.id()), (Some(5), 5));
        assert_eq!(Sealed::from_column(sealed.as_bytes().to_vec()), sealed);
        assert_eq!(Sealed::from_column(vec![1; 8]).key_id(), None);
    }

    /// A class is the word that stands in the database and in the associated data of every value, for ever.
    #[test]
    fn classes_are_their_words() {
        let words = ["card", "konbini", "payeasy", "emoney", "customer"];
        assert_eq!(DataClass::ALL.map(DataClass::as_str), words);
        assert_eq!(words.map(DataClass::parse), DataClass::ALL.map(Some));
        assert_eq!(DataClass::parse("cards"), None);
    }

    /// The same value twice gives two different ciphertexts.
    #[test]
    fn nonces_differ() {
        let key = key(5);
        assert_ne!(key.seal(place("pan_sealed"), b"1").unwrap(), key.seal(place("pan_sealed"), b"1").unwrap());
    }
}
