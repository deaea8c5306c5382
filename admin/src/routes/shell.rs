//! What all pages of somebody who is signed in have around them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::role::Permission;
use crate::edge::error::PageError;
use crate::edge::signed_in::SignedIn;

/// Which part of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Payments,
    System,
    Custody,
}

/// Around a page.
pub(super) struct Shell {
    pub(super) section: Section,
    pub(super) person_name: String,
    pub(super) role_name: &'static str,
    /// Whether this person may enter shares of the vault's key.
    pub(super) shows_custody: bool,
    pub(super) form_token: String,
}

impl Shell {
    pub(super) fn of(signed_in: &SignedIn, section: Section) -> Self {
        Self {
            section,
            person_name: signed_in.person().name.clone(),
            role_name: signed_in.client().texts().role_name(signed_in.person().role),
            shows_custody: signed_in.person().role.may(Permission::EnterShares),
            form_token: signed_in.form_token(),
        }
    }
}

/// Renders a page.
pub(super) fn page(template: &impl Template) -> Result<Response, PageError> {
    Ok(Html(template.render()?).into_response())
}

/// Renders a page that is not a plain success, such as a form with something to put right.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    Ok((status, Html(template.render()?)).into_response())
}

/// A time as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// For machines: RFC 3339.
    pub(super) iso: String,
    /// `2026-11-22`.
    pub(super) day: String,
    /// `10:00:00`.
    pub(super) clock: String,
    /// `.250`.
    pub(super) millis: String,
}

impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC);
        let write = |format: &[time::format_description::BorrowedFormatItem<'_>]| at.format(format).unwrap_or_default();
        Self {
            iso: write(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z")),
            day: write(format_description!("[year]-[month]-[day]")),
            clock: write(format_description!("[hour]:[minute]:[second]")),
            millis: write(format_description!(".[subsecond digits:3]")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// A time is shown in UTC, whatever offset it came with.
    #[test]
    fn moments_are_in_utc() {
        let moment = Moment::from(datetime!(2026-11-22 19:00:01.25 +9));
        assert_eq!(moment.iso, "2026-11-22T10:00:01.250Z");
        assert_eq!(
            (moment.day.as_str(), moment.clock.as_str(), moment.millis.as_str()),
            ("2026-11-22", "10:00:01", ".250")
        );
    }
}
