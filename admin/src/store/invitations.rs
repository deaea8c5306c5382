//! Invitations: one-use enrolment links, known by their hash.

use kura_wire::ids::PersonId;
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;

use super::Result;
use super::people::{id_of, uuid_of};
use crate::domain::secret::SecretHash;

/// An invitation that still stands, and whom it invites.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The person.
    pub person_id: PersonId,
    /// Their e-mail.
    pub email: String,
    /// Their name.
    pub name: String,
}

/// Adds one.
///
/// # Errors
/// [`super::StoreError`].
pub async fn insert(
    db: impl PgExecutor<'_>,
    token_hash: &SecretHash,
    person_id: PersonId,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    query!(
        "/* admin invitations::insert */
         INSERT INTO invitations (token_hash, person_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        token_hash.as_slice(),
        uuid_of(person_id),
        now,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends every open invitation of a person.
///
/// # Errors
/// [`super::StoreError`].
pub async fn void_all(db: impl PgExecutor<'_>, person_id: PersonId, now: OffsetDateTime) -> Result<()> {
    query!(
        "/* admin invitations::void_all */
         UPDATE invitations SET voided_at = $2 WHERE person_id = $1 AND used_at IS NULL AND voided_at IS NULL",
        uuid_of(person_id),
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The invitation, if it is not used, void or over.
///
/// # Errors
/// [`super::StoreError`].
pub async fn find_open(
    db: impl PgExecutor<'_>,
    token_hash: &SecretHash,
    now: OffsetDateTime,
) -> Result<Option<Invited>> {
    let row = query!(
        "/* admin invitations::find_open */
         SELECT people.id, people.email, people.name
         FROM invitations JOIN people ON people.id = invitations.person_id
         WHERE token_hash = $1 AND used_at IS NULL AND voided_at IS NULL AND expires_at > $2 AND disabled_at IS NULL",
        token_hash.as_slice(),
        now
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Invited { person_id: id_of(row.id), email: row.email, name: row.name }))
}

/// Uses it up. False if somebody else did, or it is over.
///
/// # Errors
/// [`super::StoreError`].
pub async fn mark_used(db: impl PgExecutor<'_>, token_hash: &[u8], now: OffsetDateTime) -> Result<bool> {
    let done = query!(
        "/* admin invitations::mark_used */
         UPDATE invitations SET used_at = $2
         WHERE token_hash = $1 AND used_at IS NULL AND voided_at IS NULL AND expires_at > $2",
        token_hash,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
