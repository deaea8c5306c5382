//! The acquirer: a message in, an answer out, books between them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kura_iso8583::{Class, Field, FieldError, Message, Mti};

use crate::books::{Answer, Books, Change, Draws, code};
use crate::journal::{Ended, Journal, JournalError, Kept};
use crate::request::{self, Request};
use crate::text::Text;
use crate::three_d_secure::Directory;

const APPROVAL_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRSTUVWX";

/// Why a message gets no answer, other than by a test card's silence.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It is an answer itself.
    #[error("an answer was sent to the acquirer")]
    NotARequest,
    /// Without a reference nobody could match the answer.
    #[error(transparent)]
    NoReference(#[from] request::FormatError),
    /// What is not written down is not answered.
    #[error("the journal can't be written")]
    Journal,
    /// An answer that doesn't fit its fields.
    #[error(transparent)]
    Answer(#[from] FieldError),
}

/// The books, and where they are written.
#[derive(Debug)]
pub struct Acquirer {
    books: Mutex<Books>,
    journal: Journal<Change>,
    directory: Arc<Directory>,
}

impl Acquirer {
    /// Opens the books; the directory knows what was proven. The second value resolves when the journal's writer has ended.
    ///
    /// # Errors
    /// [`JournalError`] when the journal can't be read.
    pub fn open(journal: &Path, directory: Arc<Directory>) -> Result<(Self, Ended), JournalError> {
        let (journal, books, ended) = Journal::open(journal)?;
        Ok((Self { books: Mutex::new(books), journal, directory }, ended))
    }

    /// The books, to be read; nothing is decided meanwhile, so not for long.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        // Decisions don't panic; and a change is applied whole or not at all.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that the books say is on disk.
    ///
    /// # Errors
    /// [`Unanswered::Journal`].
    pub async fn wait_written(&self) -> Result<(), Unanswered> {
        self.journal.append(None).await.map_err(|_| Unanswered::Journal)
    }

    /// Decides, writes down, then answers. `Ok(None)` is a test card's silence.
    ///
    /// # Errors
    /// [`Unanswered`]; nothing was booked, unless it is for the journal.
    pub async fn answer(&self, message: Message) -> Result<Option<Message>, Unanswered> {
        let Mti::Request(class) = message.mti() else {
            return Err(Unanswered::NotARequest);
        };
        request::reference(&message)?;
        let mut answer = request::answer_to(class, &message);
        let request = match Request::read(class, &message) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(mti = %message.mti(), %error, "request refused");
                complete(&mut answer, class, &Answer::bare(code::FORMAT))?;
                return Ok(Some(answer));
            }
        };
        // The PAN and the CVC end here.
        drop(message);
        let (decided, written) = self.decide(&request).map_err(|error| {
            tracing::error!(%error, "a decision doesn't fit the books");
            Unanswered::Journal
        })?;
        written.await.map_err(|_| Unanswered::Journal)?;
        let Some(decided) = decided else {
            return Ok(None);
        };
        complete(&mut answer, class, &decided)?;
        Ok(Some(answer))
    }

    /// Decides and changes the books in one step, and queues the change in the same order. Also a decision that changes nothing
    /// waits for the journal: it may rest on a change that isn't written yet.
    fn decide(
        &self,
        request: &Request,
    ) -> Result<(Option<Answer>, crate::journal::Written), crate::books::Inconsistent> {
        let now = kura_platform::clock::now();
        let proven = match request {
            Request::Payment(payment) | Request::Verification(payment) => self.directory.proven(payment),
            _ => None,
        };
        let draws = Draws { now, approval_code: approval_code(), proven };
        let mut books = self.books();
        let decision = books.decide(request, &draws);
        if let Some(change) = &decision.change {
            books.apply(change)?;
        }
        Ok((decision.answer, self.journal.append(decision.change)))
    }
}

/// Six letters or digits.
fn approval_code() -> Text<6> {
    Text::of_letters(kura_platform::random::bytes(), APPROVAL_LETTERS)
}

fn complete(message: &mut Message, class: Class, answer: &Answer) -> Result<(), FieldError> {
    message.set(Field::ResponseCode, answer.response_code.as_str())?;
    if let Some(approval_code) = &answer.approval_code {
        message.set(Field::ApprovalCode, approval_code.as_str())?;
    }
    if let Some(result) = answer.cvc_result {
        message.set_cvc_result(result)?;
    }
    if answer.reversed && class == Class::Inquiry {
        message.set(Field::AdditionalResponse, "reversed")?;
    }
    Ok(())
}

/// Turns the writer's end into an error when it ended for one.
///
/// # Errors
/// The write that failed.
pub async fn journal_failure(ended: Ended) -> io::Result<()> {
    match ended.await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("the journal's writer is gone")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kura_iso8583::Original;
    use tokio::time::timeout;

    use super::*;

    fn purchase() -> Message {
        let mut message = Message::new(Mti::Request(Class::Financial));
        for (field, value) in [
            (Field::Pan, "4242424242424242"),
            (Field::ProcessingCode, "000000"),
            (Field::Amount, "000000001000"),
            (Field::TransmittedAt, "1122101112"),
            (Field::Stan, "000001"),
            (Field::Expiry, "9912"),
            (Field::EntryMode, "010"),
            (Field::ConditionCode, "59"),
            (Field::Reference, "000000000001"),
            (Field::Terminal, "KURA0001"),
            (Field::Merchant, "SHOP00000000001"),
            (Field::Currency, "392"),
        ] {
            message.set(field, value).unwrap();
        }
        message
    }

    fn inquiry() -> Message {
        let mut message = Message::new(Mti::Request(Class::Inquiry));
        message.set_original(&Original::of(&purchase()).unwrap()).unwrap();
        for field in [Field::TransmittedAt, Field::Stan, Field::Reference, Field::Merchant] {
            message.set(field, purchase().field(field).unwrap()).unwrap();
        }
        message
    }

    /// Neither an approval, nor an inquiry about it, is answered before the approval is on disk; and when it can't be written,
    /// never.
    #[tokio::test]
    async fn nothing_is_answered_before_it_is_written() {
        let (journal, mut waiting) = Journal::by_hand();
        let folder = std::env::temp_dir().join(format!("kura-acquirer-{}", std::process::id()));
        let (directory, _) =
            Directory::open(&folder.join("cases.jsonl"), "", crate::three_d_secure::CHALLENGE_LIFE).unwrap();
        let acquirer = Acquirer { books: Mutex::default(), journal, directory };
        let brief = Duration::from_millis(50);
        let mut approval = Box::pin(acquirer.answer(purchase()));
        assert!(timeout(brief, &mut approval).await.is_err());
        let mut asked = Box::pin(acquirer.answer(inquiry()));
        assert!(timeout(brief, &mut asked).await.is_err());
        waiting.recv().await.unwrap().written();
        let approval = timeout(brief, approval).await.unwrap().unwrap().unwrap();
        assert_eq!(approval.field(Field::ResponseCode), Some("00"));
        assert!(timeout(brief, &mut asked).await.is_err());
        waiting.recv().await.unwrap().written();
        let asked = timeout(brief, asked).await.unwrap().unwrap().unwrap();
        assert_eq!(asked.field(Field::ApprovalCode), approval.field(Field::ApprovalCode));
        drop(waiting);
        std::fs::remove_dir_all(folder).unwrap();
        assert!(matches!(acquirer.answer(inquiry()).await, Err(Unanswered::Journal)));
    }
}
