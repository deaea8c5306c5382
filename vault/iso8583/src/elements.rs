//! What stands inside fields 48, 90 and 120: the CVC, what became of it, the proof of 3-D Secure, and which message another one
//! is about.

use std::fmt;

use zeroize::Zeroizing;

use crate::field::{Field, FieldError};
use crate::message::Message;
use crate::mti::Mti;

const CVC: &str = "92";
const CVC_RESULT: &str = "87";
const REFERENCE: &str = "37";
const ECI: &str = "42";
const AUTHENTICATION_VALUE: &str = "43";
const AUTHENTICATION_ID: &str = "66";

/// Bytes of field 90: MTI, STAN, transmission time; then zeros.
const MTI_END: usize = 4;
const STAN_END: usize = 10;
const TIME_END: usize = 20;
const ZEROS: &str = "0000000000000000000000";

/// A field's inside is not as the dialect has it. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {}: malformed inside", field.number())]
pub struct ElementError {
    /// The field.
    pub field: Field,
}

/// What the issuer said of a CVC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CvcResult {
    /// `M`.
    Match,
    /// `N`.
    NoMatch,
    /// `P`.
    NotProcessed,
}

impl CvcResult {
    /// The letter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Match => "M",
            Self::NoMatch => "N",
            Self::NotProcessed => "P",
        }
    }

    /// The result of this letter.
    pub fn parse(letter: &str) -> Option<Self> {
        [Self::Match, Self::NoMatch, Self::NotProcessed].into_iter().find(|result| result.as_str() == letter)
    }
}

/// What proves to an issuer that 3-D Secure took place: electronic commerce indicator, authentication value, and the access
/// control server's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof<'a> {
    /// Two digits.
    pub eci: &'a str,
    /// Base64. Secret until it is used.
    pub value: Option<&'a str>,
    /// Which authentication.
    pub transaction_id: Option<&'a str>,
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({}, hidden)", self.eci)
    }
}

/// A retrieval reference: twelve digits or upper-case letters. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference([u8; 12]);

impl Reference {
    /// `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        Field::Reference.check(text).ok()?;
        text.as_bytes().try_into().ok().map(Self)
    }

    /// The twelve characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The message that another one is about: fields 90 and 120. Holds nothing secret, and may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Its type, a request.
    pub mti: Mti,
    /// Its field 11, six digits.
    pub stan: String,
    /// Its field 7, ten digits.
    pub transmitted_at: String,
    /// Its field 37.
    pub reference: Reference,
}

impl Original {
    /// Names a request; `None` if it lacks field 7, 11 or 37.
    pub fn of(request: &Message) -> Option<Self> {
        Some(Self {
            mti: request.mti(),
            stan: request.field(Field::Stan)?.to_owned(),
            transmitted_at: request.field(Field::TransmittedAt)?.to_owned(),
            reference: Reference::new(request.field(Field::Reference)?)?,
        })
    }
}

impl Message {
    /// Puts the CVC into field 48.
    ///
    /// # Errors
    /// [`FieldError`] for anything but three or four digits.
    pub fn set_cvc(&mut self, cvc: &str) -> Result<&mut Self, FieldError> {
        if !is_cvc(cvc) {
            return Err(FieldError { field: Field::PrivateData, kind: crate::FieldErrorKind::Characters });
        }
        self.put_element(CVC, cvc)
    }

    /// Puts the proof of who the cardholder is into field 48.
    ///
    /// # Errors
    /// [`FieldError`] for what is not of its length or has other characters.
    pub fn set_proof(&mut self, proof: Proof<'_>) -> Result<&mut Self, FieldError> {
        let wrong = FieldError { field: Field::PrivateData, kind: crate::FieldErrorKind::Length };
        let fits = |text: &str, max: usize| !text.is_empty() && text.len() <= max;
        if proof.eci.len() != 2
            || !proof.value.is_none_or(|value| fits(value, 40))
            || !proof.transaction_id.is_none_or(|id| fits(id, 36))
        {
            return Err(wrong);
        }
        self.put_element(ECI, proof.eci)?;
        for (tag, part) in [(AUTHENTICATION_VALUE, proof.value), (AUTHENTICATION_ID, proof.transaction_id)] {
            if let Some(part) = part {
                self.put_element(tag, part)?;
            }
        }
        Ok(self)
    }

    /// The proof, if there is one.
    ///
    /// # Errors
    /// [`ElementError`] when field 48 is not made of elements.
    pub fn proof(&self) -> Result<Option<Proof<'_>>, ElementError> {
        let element = |tag| self.element(Field::PrivateData, tag);
        let (value, transaction_id) = (element(AUTHENTICATION_VALUE)?, element(AUTHENTICATION_ID)?);
        Ok(element(ECI)?.map(|eci| Proof { eci, value, transaction_id }))
    }

    /// Behind what field 48 has already, in place of an element of the same tag. Exactly one allocation, wiped.
    fn put_element(&mut self, tag: &str, value: &str) -> Result<&mut Self, FieldError> {
        let before = self.field(Field::PrivateData).unwrap_or_default();
        let mut elements = Zeroizing::new(String::with_capacity(before.len() + 4 + value.len()));
        let mut rest = before;
        while let Some((element, after)) = first_element(rest) {
            if !element.starts_with(tag) {
                elements.push_str(element);
            }
            rest = after;
        }
        elements.push_str(tag);
        elements.push_str(&format!("{:02}", value.len()));
        elements.push_str(value);
        self.set(Field::PrivateData, &elements)
    }

    /// The CVC, if there is one.
    ///
    /// # Errors
    /// [`ElementError`] when field 48 is not made of elements, or the CVC is not three or four digits.
    pub fn cvc(&self) -> Result<Option<&str>, ElementError> {
        match self.element(Field::PrivateData, CVC)? {
            Some(cvc) if !is_cvc(cvc) => Err(ElementError { field: Field::PrivateData }),
            cvc => Ok(cvc),
        }
    }

    /// Puts into field 48 what became of the CVC.
    ///
    /// # Errors
    /// None in practice: the element fits.
    pub fn set_cvc_result(&mut self, result: CvcResult) -> Result<&mut Self, FieldError> {
        self.set(Field::PrivateData, &[CVC_RESULT, "01", result.as_str()].concat())
    }

    /// What became of the CVC, if the answer says so.
    ///
    /// # Errors
    /// [`ElementError`] when field 48 is not made of elements, or holds another letter.
    pub fn cvc_result(&self) -> Result<Option<CvcResult>, ElementError> {
        let malformed = ElementError { field: Field::PrivateData };
        self.element(Field::PrivateData, CVC_RESULT)?
            .map(|letter| CvcResult::parse(letter).ok_or(malformed))
            .transpose()
    }

    /// Says in fields 90 and 120 which message this one is about.
    ///
    /// # Errors
    /// [`FieldError`] when STAN or time is not of its length.
    pub fn set_original(&mut self, original: &Original) -> Result<&mut Self, FieldError> {
        Field::Stan.check(&original.stan)?;
        Field::TransmittedAt.check(&original.transmitted_at)?;
        let data = [original.mti.as_str(), &original.stan, &original.transmitted_at, ZEROS].concat();
        self.set(Field::OriginalData, &data)?;
        self.set(Field::OriginalReference, &[REFERENCE, "12", original.reference.as_str()].concat())
    }

    /// Which message this one is about; `None` when fields 90 and 120 are both absent.
    ///
    /// # Errors
    /// [`ElementError`] when one of them is absent, or not as the dialect has it.
    pub fn original(&self) -> Result<Option<Original>, ElementError> {
        let data = self.field(Field::OriginalData);
        let reference = self.element(Field::OriginalReference, REFERENCE)?;
        match (data, reference) {
            (None, None) if self.field(Field::OriginalReference).is_none() => Ok(None),
            (Some(data), Some(reference)) => read_original(data, reference).map(Some),
            (Some(_), None) => Err(ElementError { field: Field::OriginalReference }),
            (None, _) => Err(ElementError { field: Field::OriginalData }),
        }
    }

    /// The value behind a tag. All of the field must be made of elements, and no tag may come twice.
    fn element(&self, field: Field, tag: &str) -> Result<Option<&str>, ElementError> {
        let malformed = ElementError { field };
        let mut rest = self.field(field).unwrap_or_default();
        let mut found = None;
        while !rest.is_empty() {
            let (name, after) = rest.split_at_checked(2).ok_or(malformed)?;
            let (len, after) = after.split_at_checked(2).ok_or(malformed)?;
            if !crate::Characters::Digits.allow(len) {
                return Err(malformed);
            }
            let len: usize = len.parse().map_err(|_| malformed)?;
            let (value, after) = after.split_at_checked(len).ok_or(malformed)?;
            if name == tag && found.replace(value).is_some() {
                return Err(malformed);
            }
            rest = after;
        }
        Ok(found)
    }
}

/// The first element, tag and length and value, and what is behind it.
fn first_element(elements: &str) -> Option<(&str, &str)> {
    let len: usize = elements.get(2..4)?.parse().ok()?;
    elements.split_at_checked(4 + len)
}

fn is_cvc(cvc: &str) -> bool {
    matches!(cvc.len(), 3 | 4) && crate::Characters::Digits.allow(cvc)
}

fn read_original(data: &str, reference: &str) -> Result<Original, ElementError> {
    let malformed = ElementError { field: Field::OriginalData };
    let part = |range: std::ops::Range<usize>| data.get(range).ok_or(malformed);
    let mti = Mti::parse(part(0..MTI_END)?).filter(|mti| matches!(mti, Mti::Request(_))).ok_or(malformed)?;
    if data.get(TIME_END..) != Some(ZEROS) {
        return Err(malformed);
    }
    Ok(Original {
        mti,
        stan: part(MTI_END..STAN_END)?.to_owned(),
        transmitted_at: part(STAN_END..TIME_END)?.to_owned(),
        reference: Reference::new(reference).ok_or(ElementError { field: Field::OriginalReference })?,
    })
}
