//! One entry: what the form said, and its payment from pending to an end. The payment is asked for under a lock, with an
//! idempotency key of the form, so two clicks, two tabs and a retry are one charge.

use data_encoding::HEXLOWER;
use kura_platform::{clock, random};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::book::Book;
use super::texts::Language;
use crate::gateway::{Gateway, Order, Outcome};

const MAX_NAME_CHARS: usize = 60;
const MAX_EMAIL_LEN: usize = 254;
const NONCE_LEN: usize = 32;

/// A race that one can enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Race {
    Half,
    Ten,
    Family,
}

impl Race {
    pub(super) const ALL: [Self; 3] = [Self::Half, Self::Ten, Self::Family];

    /// The form's word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::Ten => "10k",
            Self::Family => "family",
        }
    }

    /// The entry fee, tax included.
    pub(super) const fn fee_yen(self) -> u32 {
        match self {
            Self::Half => 8_800,
            Self::Ten => 5_500,
            Self::Family => 2_200,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|race| race.as_str() == word)
    }
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    pub(super) lang: String,
    #[serde(default)]
    pub(super) nonce: String,
    #[serde(default)]
    pub(super) race: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) email: String,
    #[serde(default)]
    pub(super) token: String,
}

/// Why a form can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Name,
    Email,
    Race,
    /// No token: the card was not sealed, most likely because scripts are off.
    Card,
    /// Not a form of ours.
    Form,
}

impl Form {
    pub(super) fn language(&self) -> Language {
        Language::choose(Some(&self.lang), None)
    }

    /// Checks it.
    pub(super) fn read(&self) -> Result<Application, Problem> {
        let nonce = self.nonce.as_str();
        if nonce.len() != NONCE_LEN || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Problem::Form);
        }
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(Problem::Name);
        }
        let email = self.email.trim();
        let whole = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
        if !whole || email.len() > MAX_EMAIL_LEN {
            return Err(Problem::Email);
        }
        let race = Race::parse(&self.race).ok_or(Problem::Race)?;
        let token = self.token.as_str();
        if !token.starts_with("tok_") || token.len() > 64 {
            return Err(Problem::Card);
        }
        Ok(Application {
            language: self.language(),
            nonce: nonce.to_owned(),
            race,
            name: name.to_owned(),
            email: email.to_owned(),
            token: token.to_owned(),
        })
    }
}

/// A form that can be taken.
pub(super) struct Application {
    pub(super) language: Language,
    pub(super) nonce: String,
    pub(super) race: Race,
    pub(super) name: String,
    pub(super) email: String,
    token: String,
}

/// How the payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payment {
    /// Not asked for yet.
    Pending,
    /// Paid; the entry has its bib.
    Paid { payment: String, bib: u32, at: OffsetDateTime },
    /// The card was refused.
    Declined { code: String },
    /// The network has not answered yet.
    Processing { payment: String },
    /// The gateway could not be asked, or not be understood.
    Unreachable,
    /// The gateway did not take the request.
    Refused,
}

/// One entry.
pub(super) struct Entry {
    reference: String,
    application: Application,
    payment: Mutex<Payment>,
}

/// A new form's nonce.
pub(super) fn draw_nonce() -> String {
    HEXLOWER.encode(&random::bytes::<{ NONCE_LEN / 2 }>())
}

impl Entry {
    pub(super) fn new(application: Application) -> Self {
        let reference = HEXLOWER.encode(&random::bytes::<16>());
        Self { reference, application, payment: Mutex::new(Payment::Pending) }
    }

    /// Its address: unguessable, since the page shows a name and an e-mail address.
    pub(super) fn reference(&self) -> &str {
        &self.reference
    }

    pub(super) fn application(&self) -> &Application {
        &self.application
    }

    /// Whether nothing more will happen to it. One that is being paid for right now is not.
    pub(super) fn is_settled(&self) -> bool {
        self.payment
            .try_lock()
            .is_ok_and(|payment| matches!(*payment, Payment::Paid { .. } | Payment::Declined { .. } | Payment::Refused))
    }

    /// Pays, if that has not come to an answer yet.
    pub(super) async fn settle(&self, gateway: &Gateway, book: &Book) {
        let mut payment = self.payment.lock().await;
        if !matches!(*payment, Payment::Pending | Payment::Unreachable) {
            return;
        }
        let order = Order {
            idempotency_key: &format!("entry-{}", self.application.nonce),
            token: &self.application.token,
            amount_yen: self.application.race.fee_yen(),
            description: "Harbour City Half Marathon 2027, entry",
            reference: &self.reference,
        };
        *payment = Payment::of(gateway.pay(&order).await, book);
    }

    /// How it stands; asks the gateway when that was open.
    pub(super) async fn refresh(&self, gateway: &Gateway, book: &Book) -> Payment {
        let mut payment = self.payment.lock().await;
        if let Payment::Processing { payment: id } = &*payment {
            match gateway.look_up(id).await {
                // Not knowing now changes nothing of what was known.
                Outcome::Unreachable | Outcome::Refused => {}
                outcome => *payment = Payment::of(outcome, book),
            }
        }
        payment.clone()
    }
}

impl Payment {
    fn of(outcome: Outcome, book: &Book) -> Self {
        match outcome {
            Outcome::Paid { payment } => Self::Paid { payment, bib: book.draw_bib(), at: clock::now() },
            Outcome::Declined { code } => Self::Declined { code },
            Outcome::Processing { payment } => Self::Processing { payment },
            Outcome::Unreachable => Self::Unreachable,
            Outcome::Refused => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled_in() -> Form {
        let word = str::to_owned;
        Form {
            lang: word("en"),
            nonce: draw_nonce(),
            race: word("10k"),
            name: word(" 走田 はしる "),
            email: word("runner@example.com"),
            token: word("tok_1"),
        }
    }

    /// A whole form is read; the price is the race's, never the form's.
    #[test]
    fn a_whole_form_is_taken() {
        let application = filled_in().read().ok().unwrap();
        assert_eq!(application.name, "走田 はしる");
        assert_eq!(application.race.fee_yen(), 5_500);
    }

    /// Each thing missing is named.
    #[test]
    fn what_is_missing_is_named() {
        type Spoil = fn(&mut Form);
        let cases: [(Spoil, Problem); 6] = [
            (|form| form.name.clear(), Problem::Name),
            (|form| form.email = "runner".to_owned(), Problem::Email),
            (|form| form.race = "marathon".to_owned(), Problem::Race),
            (|form| form.token.clear(), Problem::Card),
            (|form| form.nonce.clear(), Problem::Form),
            (|form| form.nonce = "x".repeat(NONCE_LEN), Problem::Form),
        ];
        for (spoil, expected) in cases {
            let mut spoiled = filled_in();
            spoil(&mut spoiled);
            assert_eq!(spoiled.read().err(), Some(expected));
        }
    }

    /// The same form sent twice is one entry, another form is another.
    #[test]
    fn a_form_sent_twice_is_one_entry() {
        let book = Book::default();
        let form = filled_in();
        let first = book.enter(form.read().ok().unwrap()).unwrap();
        let second = book.enter(form.read().ok().unwrap()).unwrap();
        assert_eq!(first.reference(), second.reference());
        let other = book.enter(filled_in().read().ok().unwrap()).unwrap();
        assert_ne!(first.reference(), other.reference());
    }
}
