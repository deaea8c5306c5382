//! Inviting a person: makes the one-use enrolment link that the command line prints.

use std::time::Duration;

use kura_platform::clock;
use kura_wire::ids::PersonId;
use zeroize::Zeroizing;

use crate::config::PublicOrigin;
use crate::domain::role::Role;
use crate::domain::secret::Secret;
use crate::store::{Pool, StoreError, Transaction, audit, invitations, people};

/// How long a link is good for.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// Whom to invite.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// In any case and with blanks around; kept trimmed and lower.
    pub email: String,
    /// As they are addressed.
    pub name: String,
    /// What they may do; the very first person is an administrator whatever it says.
    pub role: Role,
    /// Whether somebody who is enrolled is to enrol again: new password, new passkey, all sessions ended when they do.
    pub again: bool,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Not an address.
    #[error("the e-mail address must have the form name@host and at most 254 letters")]
    Email,
    /// Nothing, or too much.
    #[error("the name must have 1 to 100 letters and no control characters")]
    Name,
    /// Already enrolled.
    #[error("this person is enrolled already; --again lets them choose a new password and passkey")]
    Enrolled,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the link. An earlier one of the same person is void from now on.
///
/// # Errors
/// [`InviteError`]; then nothing was changed.
pub async fn invite(
    pool: &Pool,
    origin: &PublicOrigin,
    invitation: &Invitation,
) -> Result<Zeroizing<String>, InviteError> {
    let email = normal_email(&invitation.email).ok_or(InviteError::Email)?;
    let name = checked_name(&invitation.name).ok_or(InviteError::Name)?;
    let now = clock::now();
    let mut transaction = Transaction::begin(pool).await?;
    let person_id = match people::find_by_email(transaction.on(), &email).await? {
        Some(person) if person.enrolled && !invitation.again => return Err(InviteError::Enrolled),
        Some(person) => person.id,
        None => {
            let id = PersonId::from_bytes(kura_platform::random::time_ordered());
            people::insert(transaction.on(), id, &email, name, invitation.role, now).await?;
            id
        }
    };
    let link = Secret::random();
    invitations::void_all(transaction.on(), person_id, now).await?;
    invitations::insert(transaction.on(), &link.hash(), person_id, now, now + VALID).await?;
    let detail = Some(if invitation.again { "again" } else { "first" });
    let kind = audit::Kind::Invited;
    let entry = audit::Entry { kind, at: now, person: Some(person_id), origin: None, subject: None, detail };
    audit::insert(transaction.on(), entry).await?;
    transaction.commit().await?;
    Ok(Zeroizing::new(format!("{}/enrol/{}", origin.origin, *link.reveal())))
}

/// The one spelling of an e-mail address; `None` for what can't be one.
pub fn normal_email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (name, host) = email.split_once('@')?;
    let plain =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    (plain(name) && plain(host) && email.len() <= 254).then_some(email)
}

fn checked_name(name: &str) -> Option<&str> {
    let name = name.trim();
    let count = name.chars().count();
    ((1..=100).contains(&count) && !name.contains(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An e-mail has one spelling, and what can't be one is refused before any database sees it.
    #[test]
    fn emails_have_one_spelling() {
        assert_eq!(normal_email("  Hanako@Example.COM ").as_deref(), Some("hanako@example.com"));
        for text in
            ["", "hanako", "@example.com", "hanako@", "a@b@c", "a b@c", "a@b\0c", &format!("{}@b", "a".repeat(260))]
        {
            assert_eq!(normal_email(text), None, "{text:?}");
        }
    }

    /// A name is something that can be shown on one line.
    #[test]
    fn names_are_one_short_line() {
        assert_eq!(checked_name(" 山田 花子 "), Some("山田 花子"));
        for name in ["", "   ", "a\nb", &"あ".repeat(101)] {
            assert_eq!(checked_name(name), None);
        }
    }
}
