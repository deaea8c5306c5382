//! Sessions, known by the hash of their cookie. Made only after password and passkey.

use std::net::IpAddr;

use kura_wire::ids::PersonId;
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;

use super::people::{Person, id_of, uuid_of};
use super::{Result, StoreError};
use crate::domain::role::Role;
use crate::domain::secret::SecretHash;
use crate::domain::session::Facts;

/// A session and its person, as they are now.
pub struct Found {
    /// Who.
    pub person: Person,
    /// What decides whether it stands.
    pub facts: Facts,
}

/// What a new session is bound to.
pub struct Binding<'a> {
    /// SHA-256 of the user agent.
    pub user_agent_hash: &'a [u8; 32],
    /// Where it was made from.
    pub address: IpAddr,
}

/// Makes one, with the role that the person has now. False if the person was disabled meanwhile.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    db: impl PgExecutor<'_>,
    id_hash: &SecretHash,
    person_id: PersonId,
    binding: Binding<'_>,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<bool> {
    let done = query!(
        "/* admin sessions::insert */
         INSERT INTO sessions (id_hash, person_id, role, user_agent_hash, address, created_at, last_seen_at, expires_at)
         SELECT $1, id, role, $3, $4::text::inet, $5, $5, $6 FROM people WHERE id = $2 AND disabled_at IS NULL",
        id_hash.as_slice(),
        uuid_of(person_id),
        binding.user_agent_hash.as_slice(),
        binding.address.to_string() as String,
        now,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The session of a cookie, standing or not.
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: impl PgExecutor<'_>, id_hash: &SecretHash, user_agent_hash: &[u8; 32]) -> Result<Option<Found>> {
    let row = query!(
        "/* admin sessions::find */
         SELECT people.id, people.email, people.name, people.role AS role_now, people.disabled_at, people.enrolled_at,
                sessions.role AS role_then, sessions.user_agent_hash, sessions.last_seen_at, sessions.expires_at,
                sessions.ended_at
         FROM sessions JOIN people ON people.id = sessions.person_id
         WHERE id_hash = $1",
        id_hash.as_slice()
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let role = |word: &str| word.parse::<Role>().map_err(|_| StoreError::Malformed("role"));
    let facts = Facts {
        last_seen_at: row.last_seen_at,
        expires_at: row.expires_at,
        ended: row.ended_at.is_some(),
        disabled: row.disabled_at.is_some(),
        role_then: role(&row.role_then)?,
        role_now: role(&row.role_now)?,
        same_user_agent: row.user_agent_hash == user_agent_hash,
    };
    let person = Person {
        id: id_of(row.id),
        email: row.email,
        name: row.name,
        role: facts.role_now,
        enrolled: row.enrolled_at.is_some(),
    };
    Ok(Some(Found { person, facts }))
}

/// It was used just now. False if it was ended in the same moment.
///
/// # Errors
/// [`StoreError`].
pub async fn touch(db: impl PgExecutor<'_>, id_hash: &SecretHash, now: OffsetDateTime) -> Result<bool> {
    let done = query!(
        "/* admin sessions::touch */
         UPDATE sessions SET last_seen_at = greatest(last_seen_at, $2) WHERE id_hash = $1 AND ended_at IS NULL",
        id_hash.as_slice(),
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends one. False if it had ended already.
///
/// # Errors
/// [`StoreError`].
pub async fn end(db: impl PgExecutor<'_>, id_hash: &SecretHash, now: OffsetDateTime) -> Result<bool> {
    let done = query!(
        "/* admin sessions::end */ UPDATE sessions SET ended_at = $2 WHERE id_hash = $1 AND ended_at IS NULL",
        id_hash.as_slice(),
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all of a person's.
///
/// # Errors
/// [`StoreError`].
pub async fn end_all(db: impl PgExecutor<'_>, person_id: PersonId, now: OffsetDateTime) -> Result<u64> {
    let done = query!(
        "/* admin sessions::end_all */ UPDATE sessions SET ended_at = $2 WHERE person_id = $1 AND ended_at IS NULL",
        uuid_of(person_id),
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes those that are over; the audit keeps what they did.
///
/// # Errors
/// [`StoreError`].
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<u64> {
    let done = query!("/* admin sessions::delete_expired */ DELETE FROM sessions WHERE expires_at <= $1", now)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
