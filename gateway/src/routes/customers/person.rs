//! What is known of a person, on its way to the vault.

use kura_wire::payer::{PersonFields, Personal};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::endpoint::types::Text;

/// An address. It is sealed in the vault as a whole, and comes back masked as a whole, in `line1`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    line1: Option<Text<200>>,
    /// Building and room.
    line2: Option<Text<200>>,
    /// City, ward, town.
    city: Option<Text<100>>,
    /// Prefecture.
    state: Option<Text<100>>,
    /// Postcode.
    postal_code: Option<Text<20>>,
    /// Two letters.
    country: Option<Text<2>>,
}

impl Address {
    /// The postcode, and the rest in the order of Japanese addresses.
    pub fn into_parts(mut self) -> (Option<Personal>, Option<Personal>) {
        let postcode = self.postal_code.take().map(|text| Personal::new(text.into_string()));
        (postcode, self.into_personal())
    }

    /// In the order of Japanese addresses. `None` where there is nothing in it.
    pub fn into_personal(self) -> Option<Personal> {
        let parts = [
            self.country.map(Text::into_string),
            self.postal_code.map(Text::into_string),
            self.state.map(Text::into_string),
            self.city.map(Text::into_string),
            self.line1.map(Text::into_string),
            self.line2.map(Text::into_string),
        ];
        let whole = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!whole.is_empty()).then(|| Personal::new(whole))
    }
}

/// The fields of a person that the vault keeps of a customer.
pub fn fields(
    name: Option<Text>,
    email: Option<Text>,
    phone: Option<Text>,
    address: Option<Address>,
) -> PersonFields<Personal> {
    let personal = |text: Option<Text>| text.map(|text| Personal::new(text.into_string()));
    PersonFields {
        name: personal(name),
        email: personal(email),
        phone: personal(phone),
        address: address.and_then(Address::into_personal),
        ..PersonFields::default()
    }
}
