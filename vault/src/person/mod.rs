//! Personal data in the open, and the rules that it keeps to. Values are checked and brought into one form here, masked in
//! the moment in which they are sealed, and seen again by nobody but a payment network.

mod check;
mod mask;

use kura_wire::payer::{PayerMethod, PersonField, PersonFields, Personal};
use kura_wire::vault::VaultErrorCode;
use zeroize::Zeroizing;

pub use check::{check, normalized_email};
pub use mask::mask;

use crate::crypto::field::DataClass;

/// A person's checked values.
pub type Person = PersonFields<Zeroizing<String>>;

/// The `_sealed` column of a field.
pub const fn sealed_column(field: PersonField) -> &'static str {
    match field {
        PersonField::Name => "name_sealed",
        PersonField::Phone => "phone_sealed",
        PersonField::Email => "email_sealed",
        PersonField::Postcode => "postcode_sealed",
        PersonField::Address => "address_sealed",
    }
}

/// The class of a method's payers.
pub const fn class_of(method: PayerMethod) -> DataClass {
    match method {
        PayerMethod::Konbini => DataClass::Konbini,
        PayerMethod::Payeasy => DataClass::Payeasy,
        PayerMethod::Emoney => DataClass::Emoney,
    }
}

/// What a class must have, and what it may have.
fn fields_of(class: DataClass) -> (&'static [PersonField], &'static [PersonField]) {
    use PersonField::{Address, Email, Name, Phone, Postcode};
    match class {
        DataClass::Konbini => (&[Name, Phone], &[Email]),
        DataClass::Payeasy => (&[Name, Phone], &[Postcode, Address]),
        DataClass::Emoney => (&[Email], &[]),
        DataClass::Customer => (&[], &[Name, Phone, Email, Address]),
        DataClass::Card => (&[], &[]),
    }
}

/// Checks what was sent for a new record of a class. No more is kept than the class needs.
///
/// # Errors
/// The first rule that is broken, without a word of the data.
pub fn read_person(class: DataClass, sent: &PersonFields<Personal>) -> Result<Person, VaultErrorCode> {
    let (required, _) = fields_of(class);
    if required.iter().any(|field| sent.of(*field).is_none()) {
        return Err(VaultErrorCode::PayerFieldMissing);
    }
    read_changes(class, sent)
}

/// Checks what was sent to change a record of a class.
///
/// # Errors
/// The first rule that is broken, without a word of the data.
pub fn read_changes(class: DataClass, sent: &PersonFields<Personal>) -> Result<Person, VaultErrorCode> {
    let (required, optional) = fields_of(class);
    if sent.present().any(|field| !required.contains(&field) && !optional.contains(&field)) {
        return Err(VaultErrorCode::PayerFieldUnexpected);
    }
    sent.try_map(|field, value| check(field, value.reveal_to_sealer()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(PersonField, &str)]) -> PersonFields<Personal> {
        let mut sent = PersonFields::default();
        for (field, value) in fields {
            *sent.place(*field) = Some(Personal::new((*value).to_owned()));
        }
        sent
    }

    /// Each class takes its own fields, all that it must have, and no other.
    #[test]
    fn no_more_is_kept_than_a_class_needs() {
        use PersonField::{Address, Email, Name, Phone};
        let person = [(Name, "山田 太郎"), (Phone, "090-1234-5678")];
        let with = |field, value| [person[0], person[1], (field, value)];
        assert!(read_person(DataClass::Konbini, &sent(&person)).is_ok());
        assert!(read_person(DataClass::Konbini, &sent(&with(Email, "a@b.example"))).is_ok());
        let unexpected = Some(VaultErrorCode::PayerFieldUnexpected);
        assert_eq!(read_person(DataClass::Konbini, &sent(&with(Address, "東京都"))).err(), unexpected);
        assert_eq!(read_person(DataClass::Payeasy, &sent(&with(Email, "a@b.example"))).err(), unexpected);
        assert_eq!(read_person(DataClass::Emoney, &sent(&with(Email, "a@b.example"))).err(), unexpected);
        let missing = Some(VaultErrorCode::PayerFieldMissing);
        assert_eq!(read_person(DataClass::Konbini, &sent(&person[..1])).err(), missing);
        assert_eq!(read_person(DataClass::Emoney, &sent(&[])).err(), missing);
        assert!(read_person(DataClass::Customer, &sent(&[])).is_ok());
        assert!(read_changes(DataClass::Konbini, &sent(&person[..1])).is_ok());
    }
}
