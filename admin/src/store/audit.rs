//! What people did. Rows are added and read, never changed: this role has no grant for it, and the console refuses to start
//! with one that has.

use std::net::IpAddr;

use kura_wire::ids::{PersonId, RequestId};
use sqlx::{PgExecutor, query};
use time::OffsetDateTime;

use super::people::uuid_of;
use super::{Result, StoreError};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An enrolment link was made.
    Invited,
    /// A person chose a password and registered a passkey.
    Enrolled,
    /// An enrolment was tried and refused.
    EnrolmentRefused,
    /// Password and passkey were right.
    SignedIn,
    /// One of them was not, or the attempt had to wait.
    SignInFailed,
    /// A person signed out.
    SignedOut,
    /// A session was ended by the console itself.
    SessionEnded,
    /// A payment's page was opened.
    PaymentViewed,
    /// A page was asked for that the role may not see.
    PermissionRefused,
    /// A sealed share was passed on to the vault, for the purpose in the detail.
    ShareEntered,
    /// The vault refused it, for the reason in the detail.
    ShareRefused,
    /// A form came from another site, or without its token.
    ForgeryRefused,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Enrolled => "enrolled",
            Self::EnrolmentRefused => "enrolment_refused",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignedOut => "signed_out",
            Self::SessionEnded => "session_ended",
            Self::PaymentViewed => "payment_viewed",
            Self::PermissionRefused => "permission_refused",
            Self::ShareEntered => "share_entered",
            Self::ShareRefused => "share_refused",
            Self::ForgeryRefused => "forgery_refused",
        }
    }
}

/// From where: part of every row that a request made.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The request.
    pub request_id: RequestId,
    /// The peer's address.
    pub address: IpAddr,
    /// SHA-256 of its user agent.
    pub user_agent_hash: [u8; 32],
}

/// One row to be.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What.
    pub kind: Kind,
    /// When.
    pub at: OffsetDateTime,
    /// Who, if known.
    pub person: Option<PersonId>,
    /// From where; `None` for the command line.
    pub origin: Option<Origin>,
    /// To what, such as `pi_…`.
    pub subject: Option<&'a str>,
    /// A word of a closed set, never what somebody typed.
    pub detail: Option<&'static str>,
}

/// Adds a row. Inside a transaction it goes last: its place is locked until commit.
///
/// # Errors
/// [`StoreError`]; then what it was about to record must not happen.
pub async fn insert(db: impl PgExecutor<'_>, entry: Entry<'_>) -> Result<()> {
    query!(
        "/* admin audit::insert */
         INSERT INTO audit (at, kind, person_id, request_id, address, user_agent_hash, subject, detail)
         VALUES ($1, $2, $3, $4, $5::text::inet, $6, $7, $8)",
        entry.at,
        entry.kind.as_str(),
        entry.person.map(uuid_of),
        entry.origin.map(|origin| origin.request_id.to_string()),
        entry.origin.map(|origin| origin.address.to_string()) as Option<String>,
        entry.origin.map(|origin| origin.user_agent_hash.to_vec()),
        entry.subject,
        entry.detail
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Refuses a role that could change what is written.
///
/// # Errors
/// [`StoreError::RoleTooStrong`], and the console must not start.
pub async fn require_append_only(db: impl PgExecutor<'_>) -> Result<()> {
    let row = query!(
        "/* admin audit::require_append_only */
         SELECT has_any_column_privilege('audit', 'UPDATE') OR has_table_privilege('audit', 'DELETE')
             OR has_table_privilege('audit', 'TRUNCATE') AS \"too_strong!\""
    )
    .fetch_one(db)
    .await?;
    if row.too_strong { Err(StoreError::RoleTooStrong) } else { Ok(()) }
}
