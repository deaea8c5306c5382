//! The vault's data plane for persons: payers by other means than a card, and customers whom merchants keep.
//!
//! Personal data goes in and comes back masked. There is no way to ask for it open.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{CustomerId, PayerId};
use crate::vault::Context;

/// `POST` [`StorePayer`], answers [`StoredPayer`].
pub const PATH_STORE_PAYER: &str = "/v1/payers/store";
/// `POST` [`FindPayers`], answers a list of [`PayerId`].
pub const PATH_FIND_PAYERS: &str = "/v1/payers/find";
/// `POST` [`StoreCustomer`], answers [`StoredCustomer`].
pub const PATH_STORE_CUSTOMER: &str = "/v1/customers/store";
/// `POST` [`UpdateCustomer`], answers [`StoredCustomer`].
pub const PATH_UPDATE_CUSTOMER: &str = "/v1/customers/update";
/// `POST` [`EraseCustomer`], answers [`ErasedCustomer`].
pub const PATH_ERASE_CUSTOMER: &str = "/v1/customers/erase";
/// `POST` [`FindCustomers`], answers a list of [`CustomerId`].
pub const PATH_FIND_CUSTOMERS: &str = "/v1/customers/find";

/// Records that one look-up by e-mail gives at the most, newest first.
pub const MAX_FOUND: usize = 1000;

/// A person's name, number or address on its way to the vault. Wiped on drop; not shown by Debug; no Display, no comparison.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(Zeroizing<String>);

impl Personal {
    /// Takes a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, on its way into sealing. Named so that every use can be found.
    pub fn reveal_to_sealer(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(hidden)")
    }
}

/// One value for each field that a person may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct PersonFields<T> {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<T>,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<T>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<T>,
    /// The postcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<T>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<T>,
}

// Derived, it would ask for `T: Default`.
impl<T> Default for PersonFields<T> {
    fn default() -> Self {
        Self { name: None, phone: None, email: None, postcode: None, address: None }
    }
}

/// Which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonField {
    /// The name.
    Name,
    /// The telephone number.
    Phone,
    /// The e-mail address.
    Email,
    /// The postcode.
    Postcode,
    /// The address.
    Address,
}

impl PersonField {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Name, Self::Phone, Self::Email, Self::Postcode, Self::Address];

    /// The word in ledgers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Postcode => "postcode",
            Self::Address => "address",
        }
    }
}

impl<T> PersonFields<T> {
    /// The value of a field.
    pub fn of(&self, field: PersonField) -> Option<&T> {
        match field {
            PersonField::Name => self.name.as_ref(),
            PersonField::Phone => self.phone.as_ref(),
            PersonField::Email => self.email.as_ref(),
            PersonField::Postcode => self.postcode.as_ref(),
            PersonField::Address => self.address.as_ref(),
        }
    }

    /// The place of a field.
    pub fn place(&mut self, field: PersonField) -> &mut Option<T> {
        match field {
            PersonField::Name => &mut self.name,
            PersonField::Phone => &mut self.phone,
            PersonField::Email => &mut self.email,
            PersonField::Postcode => &mut self.postcode,
            PersonField::Address => &mut self.address,
        }
    }

    /// The fields that have a value.
    pub fn present(&self) -> impl Iterator<Item = PersonField> + '_ {
        PersonField::ALL.into_iter().filter(|field| self.of(*field).is_some())
    }

    /// Each value turned into another, or the first error.
    ///
    /// # Errors
    /// What `turn` says.
    pub fn try_map<U, E>(&self, turn: impl Fn(PersonField, &T) -> Result<U, E>) -> Result<PersonFields<U>, E> {
        let mut turned = PersonFields::default();
        for field in PersonField::ALL {
            if let Some(value) = self.of(field) {
                *turned.place(field) = Some(turn(field, value)?);
            }
        }
        Ok(turned)
    }
}

/// How somebody pays who pays without a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayerMethod {
    /// At a convenience store: name, phone; e-mail if given.
    Konbini,
    /// Pay-easy: name, phone; postcode and address if given.
    Payeasy,
    /// E-money: e-mail.
    Emoney,
}

/// Keep a payer. Asked twice for one id, the first is kept and both are told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorePayer {
    /// Who asks.
    pub context: Context,
    /// Chosen by the gateway before it asks, so that it may ask again.
    pub payer: PayerId,
    /// Which network will need it.
    pub method: PayerMethod,
    /// Who pays.
    pub fields: PersonFields<Personal>,
}

/// A payer that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredPayer {
    /// The record.
    pub payer: PayerId,
    /// What may be shown.
    pub masked: PersonFields<String>,
}

/// The payers of a method with this e-mail address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindPayers {
    /// Who asks.
    pub context: Context,
    /// Which.
    pub method: PayerMethod,
    /// The address.
    pub email: Personal,
}

/// Keep a customer. Asked twice for one id, the first is kept and both are told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreCustomer {
    /// Who asks.
    pub context: Context,
    /// Chosen by the gateway before it asks, so that it may ask again.
    pub customer: CustomerId,
    /// Name, phone, e-mail, address: any of them.
    pub fields: PersonFields<Personal>,
}

/// A customer that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredCustomer {
    /// The record.
    pub customer: CustomerId,
    /// What may be shown.
    pub masked: PersonFields<String>,
}

/// Change some of a customer's fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateCustomer {
    /// Who asks.
    pub context: Context,
    /// Which.
    pub customer: CustomerId,
    /// Fields that get a new value.
    pub set: PersonFields<Personal>,
    /// Fields that are blanked.
    #[serde(default)]
    pub unset: Vec<PersonField>,
}

/// Blank a customer for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseCustomer {
    /// Who asks.
    pub context: Context,
    /// Which.
    pub customer: CustomerId,
}

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedCustomer {
    /// False when it was erased before.
    pub erased: bool,
}

/// The customers with this e-mail address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindCustomers {
    /// Who asks.
    pub context: Context,
    /// The address.
    pub email: Personal,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debug tells nothing of a person, and what was sent for an unknown field is refused.
    #[test]
    fn persons_are_not_shown() {
        let fields: PersonFields<Personal> = serde_json::from_str(r#"{"name":"山田 太郎"}"#).unwrap();
        assert!(!format!("{fields:?}").contains("山田"));
        assert_eq!(fields.present().collect::<Vec<_>>(), [PersonField::Name]);
        assert!(serde_json::from_str::<PersonFields<Personal>>(r#"{"nickname":"x"}"#).is_err());
    }
}
