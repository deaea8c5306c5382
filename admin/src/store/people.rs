//! People: who may use the console.

use kura_wire::ids::PersonId;
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Result, StoreError};
use crate::domain::role::Role;

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The id.
    pub id: PersonId,
    /// Lower case.
    pub email: String,
    /// As they are addressed.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have chosen a password and registered a passkey.
    pub enrolled: bool,
}

/// A person who can sign in, with the hash to compare with. No Debug.
pub struct Account {
    /// Who.
    pub person_id: PersonId,
    /// argon2id, PHC string.
    pub password_hash: String,
}

/// How the database writes an id.
pub(super) fn uuid_of(id: PersonId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// How the program writes it.
pub(super) fn id_of(uuid: Uuid) -> PersonId {
    PersonId::from_bytes(uuid.into_bytes())
}

/// Adds a person who has yet to enrol. The very first is an administrator, whatever role was asked for.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: PersonId,
    email: &str,
    name: &str,
    role: Role,
    now: OffsetDateTime,
) -> Result<()> {
    query!(
        "/* admin people::insert */
         INSERT INTO people (id, email, name, role, created_at)
         VALUES ($1, $2, $3, CASE WHEN EXISTS (SELECT FROM people) THEN $4 ELSE 'administrator' END, $5)",
        uuid_of(id),
        email,
        name,
        role.as_str(),
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// By e-mail, in lower case.
///
/// # Errors
/// [`StoreError`].
pub async fn find_by_email(db: impl PgExecutor<'_>, email: &str) -> Result<Option<Person>> {
    let row = query!(
        "/* admin people::find_by_email */
         SELECT id, email, name, role, enrolled_at FROM people WHERE email = $1 AND disabled_at IS NULL",
        email
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let role = row.role.parse().map_err(|_| StoreError::Malformed("role"))?;
        let enrolled = row.enrolled_at.is_some();
        Ok(Person { id: id_of(row.id), email: row.email, name: row.name, role, enrolled })
    })
    .transpose()
}

/// The account behind an e-mail, if it is enrolled and not disabled.
///
/// # Errors
/// [`StoreError`].
pub async fn find_account(db: impl PgExecutor<'_>, email: &str) -> Result<Option<Account>> {
    let row = query!(
        "/* admin people::find_account */
         SELECT id, password_hash FROM people WHERE email = $1 AND disabled_at IS NULL",
        email
    )
    .fetch_optional(db)
    .await?;
    Ok(row.and_then(|row| Some(Account { person_id: id_of(row.id), password_hash: row.password_hash? })))
}

/// The person chose a password and registered a passkey. False if they were disabled meanwhile.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_enrolled(
    db: impl PgExecutor<'_>,
    id: PersonId,
    password_hash: &str,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = query!(
        "/* admin people::mark_enrolled */
         UPDATE people SET password_hash = $2, enrolled_at = $3 WHERE id = $1 AND disabled_at IS NULL",
        uuid_of(id),
        password_hash,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
