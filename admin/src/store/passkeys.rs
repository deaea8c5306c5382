//! Passkeys: public keys and the counters of the authenticators that hold the private ones.

use kura_wire::ids::PersonId;
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;
use webauthn_rs::prelude::Passkey;

use super::people::uuid_of;
use super::{Result, StoreError};

fn to_json(passkey: &Passkey) -> Result<serde_json::Value> {
    serde_json::to_value(passkey).map_err(|_| StoreError::Malformed("passkey"))
}

/// Adds one, registered just now.
///
/// # Errors
/// [`StoreError`]; a credential id that exists already is an error of the database.
pub async fn insert(
    db: impl PgExecutor<'_>,
    person_id: PersonId,
    passkey: &Passkey,
    now: OffsetDateTime,
) -> Result<()> {
    query!(
        "/* admin passkeys::insert */
         INSERT INTO passkeys (credential_id, person_id, credential, sign_count, created_at) VALUES ($1, $2, $3, 0, $4)",
        passkey.cred_id().as_slice(),
        uuid_of(person_id),
        to_json(passkey)?,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The passkeys that a person may sign in with.
///
/// # Errors
/// [`StoreError`].
pub async fn list_usable(db: impl PgExecutor<'_>, person_id: PersonId) -> Result<Vec<Passkey>> {
    let rows = query!(
        "/* admin passkeys::list_usable */
         SELECT credential FROM passkeys
         WHERE person_id = $1 AND suspended_at IS NULL AND replaced_at IS NULL
         ORDER BY created_at LIMIT 20",
        uuid_of(person_id)
    )
    .fetch_all(db)
    .await?;
    let parse = |value| serde_json::from_value(value).map_err(|_| StoreError::Malformed("passkey"));
    rows.into_iter().map(|row| parse(row.credential)).collect()
}

/// The passkey was used with this counter. False if the counter did not rise (0 for ever is allowed), or the passkey may no
/// longer be used: then nobody signs in. One statement, so that of two copies used at the same time one is refused.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_used(
    db: impl PgExecutor<'_>,
    person_id: PersonId,
    passkey: &Passkey,
    sign_count: u32,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = query!(
        "/* admin passkeys::mark_used */
         UPDATE passkeys SET credential = $3, sign_count = $4, last_used_at = $5
         WHERE credential_id = $1 AND person_id = $2 AND suspended_at IS NULL AND replaced_at IS NULL
           AND ($4 > sign_count OR ($4 = 0 AND sign_count = 0))",
        passkey.cred_id().as_slice(),
        uuid_of(person_id),
        to_json(passkey)?,
        i64::from(sign_count),
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The passkey exists twice: it may not be used any more.
///
/// # Errors
/// [`StoreError`].
pub async fn suspend(
    db: impl PgExecutor<'_>,
    person_id: PersonId,
    credential_id: &[u8],
    now: OffsetDateTime,
) -> Result<()> {
    query!(
        "/* admin passkeys::suspend */
         UPDATE passkeys SET suspended_at = $3 WHERE credential_id = $1 AND person_id = $2 AND suspended_at IS NULL",
        credential_id,
        uuid_of(person_id),
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A fresh enrolment takes the place of all that a person had.
///
/// # Errors
/// [`StoreError`].
pub async fn replace_all(db: impl PgExecutor<'_>, person_id: PersonId, now: OffsetDateTime) -> Result<()> {
    query!(
        "/* admin passkeys::replace_all */
         UPDATE passkeys SET replaced_at = $2 WHERE person_id = $1 AND replaced_at IS NULL",
        uuid_of(person_id),
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
