//! 3-D Secure, the schemes' directory and the issuers' access control servers in one.
//!
//! What may enter: an authentication request of the vault, with a PAN, of which the last four digits are kept; what a shopper
//! enters on the challenge page.
//! What may leave: to the vault the result, and the authentication value when it asks for it; to the shopper's browser a way
//! back that proves nothing.
//! What never does: a PAN, into the journal or onto a page.
//!
//! A question walks [`asked`] → [`cases`] (a pure decision) → the journal → the answer; a shopper walks [`page`] the same way.

mod asked;
mod cases;
mod page;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kura_platform::{clock, random};

pub use cases::{Ask, Case, Cases, Draws, Status, Tried};

use crate::journal::{Ended, JournalError, Keeper};
use crate::request::Payment;
use crate::services::Service;
use crate::text::Text;

/// How long a shopper has, where the configuration says nothing.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(600);

/// All authentications.
#[derive(Debug)]
pub struct Directory {
    cases: Keeper<Cases>,
    public_url: String,
    challenge_life: Duration,
}

impl Directory {
    /// Opens the journal. The second value resolves when its writer has ended.
    ///
    /// # Errors
    /// [`JournalError`] when it can't be read.
    pub fn open(
        journal: &Path,
        public_url: &str,
        challenge_life: Duration,
    ) -> Result<(Arc<Self>, Ended), JournalError> {
        let (cases, ended) = Keeper::open(journal)?;
        Ok((Arc::new(Self { cases, public_url: public_url.to_owned(), challenge_life }), ended))
    }

    /// Its routes.
    pub fn service(self: &Arc<Self>) -> Service {
        Service { asked: asked::routes(Arc::clone(self)), pages: page::routes(Arc::clone(self)) }
    }

    /// The authentication that a payment rightly refers to.
    pub fn proven(&self, payment: &Payment) -> Option<Text<36>> {
        self.cases.read().proven(payment, clock::now())
    }

    fn draws(&self) -> Draws {
        Draws {
            now: clock::now(),
            transaction_id: transaction_id(),
            code: Text::of_digits(random::bytes()),
            value: random::bytes(),
            challenge_life: self.challenge_life,
        }
    }
}

/// A UUID of version 4, as EMV 3-D Secure wants it. It is what a challenge page is known by, so nobody can guess it.
fn transaction_id() -> Text<36> {
    let mut bytes: [u8; 16] = random::bytes();
    let [.., ref mut version, _, ref mut variant, _, _, _, _, _, _, _] = bytes;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    Text::new(&parts.join("-")).unwrap_or(Text::of_digits([0; 36]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It has the form that the specification wants.
    #[test]
    fn transaction_ids_are_version_4() {
        let id = transaction_id();
        let at = |place: usize| id.as_str().as_bytes()[place];
        assert_eq!((at(8), at(13), at(14), at(18), at(23)), (b'-', b'-', b'4', b'-', b'-'));
        assert!(b"89ab".contains(&at(19)));
        assert_ne!(id, transaction_id());
    }
}
