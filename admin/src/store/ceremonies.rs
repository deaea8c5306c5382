//! Ceremonies: a password is settled and a passkey is awaited. They last minutes and are taken once.

use kura_wire::ids::PersonId;
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;

use super::people::{id_of, uuid_of};
use super::{Result, StoreError};
use crate::domain::secret::SecretHash;

/// What the passkey is for.
pub enum Purpose {
    /// Signing in.
    SignIn {
        /// The attempt that this is.
        attempt_id: i64,
        /// The page that was asked for.
        return_to: Option<String>,
    },
    /// Enrolling.
    Enrolment {
        /// The invitation.
        invitation_hash: Vec<u8>,
        /// The password that was chosen, hashed.
        password_hash: String,
    },
}

/// A ceremony under way.
pub struct Ceremony {
    /// Whose.
    pub person_id: PersonId,
    /// For what.
    pub purpose: Purpose,
    /// The challenge that was given out, in webauthn-rs' own form.
    pub challenge: Option<serde_json::Value>,
}

/// Which browser, at what time: what every use of a ceremony is checked against.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// SHA-256 of the visit cookie.
    pub visit_hash: &'a SecretHash,
    /// SHA-256 of the user agent.
    pub user_agent_hash: &'a [u8; 32],
    /// Now.
    pub now: OffsetDateTime,
}

/// Begins one.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    db: impl PgExecutor<'_>,
    visitor: Visitor<'_>,
    person_id: PersonId,
    purpose: &Purpose,
    expires_at: OffsetDateTime,
) -> Result<()> {
    let (word, invitation_hash, password_hash, attempt_id, return_to) = match purpose {
        Purpose::SignIn { attempt_id, return_to } => ("sign_in", None, None, Some(*attempt_id), return_to.as_deref()),
        Purpose::Enrolment { invitation_hash, password_hash } => {
            ("enrolment", Some(invitation_hash.as_slice()), Some(password_hash.as_str()), None, None)
        }
    };
    query!(
        "/* admin ceremonies::insert */
         INSERT INTO ceremonies (visit_hash, purpose, person_id, invitation_hash, password_hash, attempt_id, return_to,
                                 user_agent_hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        visitor.visit_hash.as_slice(),
        word,
        uuid_of(person_id),
        invitation_hash,
        password_hash,
        attempt_id,
        return_to,
        visitor.user_agent_hash.as_slice(),
        visitor.now,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose ceremony of this purpose is under way, without taking it.
///
/// # Errors
/// [`StoreError`].
pub async fn find_person(
    db: impl PgExecutor<'_>,
    visitor: Visitor<'_>,
    purpose: &'static str,
) -> Result<Option<super::people::Person>> {
    let row = query!(
        "/* admin ceremonies::find_person */
         SELECT people.id, people.email, people.name, people.role, people.enrolled_at
         FROM ceremonies JOIN people ON people.id = ceremonies.person_id
         WHERE visit_hash = $1 AND user_agent_hash = $2 AND purpose = $3 AND expires_at > $4 AND disabled_at IS NULL",
        visitor.visit_hash.as_slice(),
        visitor.user_agent_hash.as_slice(),
        purpose,
        visitor.now
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let role = row.role.parse().map_err(|_| StoreError::Malformed("role"))?;
        let enrolled = row.enrolled_at.is_some();
        Ok(super::people::Person { id: id_of(row.id), email: row.email, name: row.name, role, enrolled })
    })
    .transpose()
}

/// Remembers the challenge that is given out; an earlier one is void from now on.
///
/// # Errors
/// [`StoreError`].
pub async fn set_challenge(
    db: impl PgExecutor<'_>,
    visit_hash: &SecretHash,
    challenge: serde_json::Value,
) -> Result<()> {
    query!(
        "/* admin ceremonies::set_challenge */ UPDATE ceremonies SET challenge = $2 WHERE visit_hash = $1",
        visit_hash.as_slice(),
        challenge
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes it: nobody else can, so an assertion is never looked at twice.
///
/// # Errors
/// [`StoreError`].
pub async fn take(db: impl PgExecutor<'_>, visitor: Visitor<'_>, purpose: &'static str) -> Result<Option<Ceremony>> {
    let row = query!(
        "/* admin ceremonies::take */
         DELETE FROM ceremonies
         WHERE visit_hash = $1 AND user_agent_hash = $2 AND purpose = $3 AND expires_at > $4
         RETURNING person_id, invitation_hash, password_hash, attempt_id, return_to, challenge",
        visitor.visit_hash.as_slice(),
        visitor.user_agent_hash.as_slice(),
        purpose,
        visitor.now
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let purpose = match (row.attempt_id, row.invitation_hash, row.password_hash) {
        (Some(attempt_id), None, None) => Purpose::SignIn { attempt_id, return_to: row.return_to },
        (None, Some(invitation_hash), Some(password_hash)) => Purpose::Enrolment { invitation_hash, password_hash },
        _ => return Err(StoreError::Malformed("ceremony")),
    };
    Ok(Some(Ceremony { person_id: id_of(row.person_id), purpose, challenge: row.challenge }))
}

/// Removes those whose time is over.
///
/// # Errors
/// [`StoreError`].
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<u64> {
    let done = query!("/* admin ceremonies::delete_expired */ DELETE FROM ceremonies WHERE expires_at <= $1", now)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
