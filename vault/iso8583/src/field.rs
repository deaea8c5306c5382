//! The fields of the dialect: number, length and characters of each, in one table.

use std::fmt;

/// How a field's length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always this many characters.
    Fixed(usize),
    /// Two digits of length in front (LLVAR), from the first to the second bound.
    TwoDigits(usize, usize),
    /// Three digits of length in front (LLLVAR), from the first to the second bound.
    ThreeDigits(usize, usize),
}

impl Length {
    /// Digits in front of the value.
    pub const fn prefix_len(self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::TwoDigits(..) => 2,
            Self::ThreeDigits(..) => 3,
        }
    }

    /// The longest value.
    pub const fn max(self) -> usize {
        match self {
            Self::Fixed(len) | Self::TwoDigits(_, len) | Self::ThreeDigits(_, len) => len,
        }
    }

    /// Whether a value may be this long.
    pub const fn allows(self, len: usize) -> bool {
        match self {
            Self::Fixed(fixed) => len == fixed,
            Self::TwoDigits(min, max) | Self::ThreeDigits(min, max) => min <= len && len <= max,
        }
    }
}

/// Which characters a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Characters {
    /// `0` to `9`.
    Digits,
    /// `0` to `9`, `A` to `Z`.
    UpperAlphanumeric,
    /// ASCII from space to tilde.
    Printable,
}

impl Characters {
    /// Whether all of these are.
    pub fn allow(self, value: &str) -> bool {
        let allowed = match self {
            Self::Digits => |byte: u8| byte.is_ascii_digit(),
            Self::UpperAlphanumeric => |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            Self::Printable => |byte: u8| matches!(byte, b' '..=b'~'),
        };
        value.bytes().all(allowed)
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $length:expr, $characters:ident;)*) => {
        /// A field that this dialect has. There are no others: a message that carries one is refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field {
            $($(#[$doc])* $name = $number,)*
        }

        impl Field {
            /// All of them, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number, from 2 to 128.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The field of this number, if the dialect has it.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// How long its value is.
            pub const fn length(self) -> Length {
                use Length::{Fixed, ThreeDigits, TwoDigits};
                match self {
                    $(Self::$name => $length,)*
                }
            }

            /// What its value is made of.
            pub const fn characters(self) -> Characters {
                match self {
                    $(Self::$name => Characters::$characters,)*
                }
            }
        }
    };
}

fields! {
    /// Primary account number. Secret.
    Pan = 2, TwoDigits(12, 19), Digits;
    /// `000000` purchase, `200000` refund, `330000` verification.
    ProcessingCode = 3, Fixed(6), Digits;
    /// Minor units.
    Amount = 4, Fixed(12), Digits;
    /// MMDDhhmmss, UTC.
    TransmittedAt = 7, Fixed(10), Digits;
    /// System trace audit number.
    Stan = 11, Fixed(6), Digits;
    /// Expiry, YYMM.
    Expiry = 14, Fixed(4), Digits;
    /// How the card was read: `010`, keyed by the cardholder; `100`, kept by the merchant, who charges by itself.
    EntryMode = 22, Fixed(3), Digits;
    /// The circumstances: `59`, e-commerce.
    ConditionCode = 25, Fixed(2), Digits;
    /// Retrieval reference: what the network knows this message by.
    Reference = 37, Fixed(12), UpperAlphanumeric;
    /// The issuer's approval.
    ApprovalCode = 38, Fixed(6), UpperAlphanumeric;
    /// `00` approved.
    ResponseCode = 39, Fixed(2), UpperAlphanumeric;
    /// Terminal.
    Terminal = 41, Fixed(8), Printable;
    /// Merchant.
    Merchant = 42, Fixed(15), Printable;
    /// `reversed`, in the answer to an inquiry.
    AdditionalResponse = 44, TwoDigits(1, 25), Printable;
    /// Elements; the CVC is one of them. Secret.
    PrivateData = 48, ThreeDigits(1, 255), Printable;
    /// ISO 4217, numeric.
    Currency = 49, Fixed(3), Digits;
    /// `001` sign-on, `301` echo.
    NetworkManagementCode = 70, Fixed(3), Digits;
    /// MTI, STAN and time of the message that this one is about.
    OriginalData = 90, Fixed(42), Digits;
    /// Elements; the reference of the message that this one is about is one of them.
    OriginalReference = 120, ThreeDigits(1, 255), Printable;
}

impl Field {
    /// Characters that the field takes in a message at the most.
    pub(crate) const fn max_encoded_len(self) -> usize {
        self.length().prefix_len() + self.length().max()
    }

    /// Checks a value against the table.
    pub(crate) fn check(self, value: &str) -> Result<(), FieldError> {
        if !self.length().allows(value.len()) {
            return Err(FieldError { field: self, kind: FieldErrorKind::Length });
        }
        if !self.characters().allow(value) {
            return Err(FieldError { field: self, kind: FieldErrorKind::Characters });
        }
        Ok(())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldErrorKind {
    /// Too short, too long, or a length that isn't a number.
    #[error("wrong length")]
    Length,
    /// A character that the field may not hold.
    #[error("wrong characters")]
    Characters,
}

/// A value that doesn't fit its field. Holds nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {}: {kind}", field.number())]
pub struct FieldError {
    /// The field.
    pub field: Field,
    /// What is wrong.
    pub kind: FieldErrorKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table ascends, and number and field name each other.
    #[test]
    fn fields_and_numbers_name_each_other() {
        assert!(Field::ALL.is_sorted());
        for field in Field::ALL {
            assert_eq!(Field::from_number(field.number()), Some(*field));
        }
        let known = (0..=u8::MAX).filter(|number| Field::from_number(*number).is_some()).count();
        assert_eq!(known, Field::ALL.len());
    }

    /// Magnetic stripe, chip and PIN data have no field: they can't be sent by mistake (PCI DSS 3.3.1).
    #[test]
    fn track_chip_and_pin_data_have_no_field() {
        for number in [34, 35, 36, 45, 52, 53, 55] {
            assert_eq!(Field::from_number(number), None);
        }
    }

    /// Length and characters are both held to.
    #[test]
    fn values_are_held_to_the_table() {
        let kind = |field: Field, value: &str| field.check(value).err().map(|error| error.kind);
        assert_eq!(kind(Field::Pan, "4242424242424242"), None);
        assert_eq!(kind(Field::Pan, "42424242424"), Some(FieldErrorKind::Length));
        assert_eq!(kind(Field::Pan, "42424242424242424242"), Some(FieldErrorKind::Length));
        assert_eq!(kind(Field::Pan, "4242 4242 4242 4"), Some(FieldErrorKind::Characters));
        assert_eq!(kind(Field::Reference, "abcdef012345"), Some(FieldErrorKind::Characters));
        assert_eq!(kind(Field::Merchant, "éééé1234567"), Some(FieldErrorKind::Characters));
        assert_eq!(kind(Field::PrivateData, ""), Some(FieldErrorKind::Length));
    }
}
