//! Whether a session still stands.

use std::time::Duration;

use time::OffsetDateTime;

use super::role::Role;

/// A session ends when nothing was asked for this long.
pub const IDLE: Duration = Duration::from_secs(15 * 60);
/// And it ends after this long, whatever happens.
pub const WHOLE: Duration = Duration::from_secs(8 * 60 * 60);

/// What is known of a session, and of what came with its cookie.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// When it was last used.
    pub last_seen_at: OffsetDateTime,
    /// When it ends at the latest.
    pub expires_at: OffsetDateTime,
    /// Whether it was ended.
    pub ended: bool,
    /// Whether the person was disabled since.
    pub disabled: bool,
    /// The role at sign-in.
    pub role_then: Role,
    /// The role now.
    pub role_now: Role,
    /// Whether the browser is the one that signed in.
    pub same_user_agent: bool,
}

/// Whether it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Stands,
    /// Its time is over, or it was ended.
    Over,
    /// Its cookie came from another browser, or its person changed: end it at once, and write down why.
    End(&'static str),
}

/// Decides at `now`.
pub fn standing(facts: Facts, now: OffsetDateTime) -> Standing {
    if facts.ended || now >= facts.expires_at || now - facts.last_seen_at >= IDLE {
        Standing::Over
    } else if !facts.same_user_agent {
        Standing::End("other_user_agent")
    } else if facts.disabled {
        Standing::End("person_disabled")
    } else if facts.role_then != facts.role_now {
        Standing::End("role_changed")
    } else {
        Standing::Stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);

    fn fresh() -> Facts {
        Facts {
            last_seen_at: NOW - time::Duration::minutes(14),
            expires_at: NOW + time::Duration::hours(1),
            ended: false,
            disabled: false,
            role_then: Role::Operator,
            role_now: Role::Operator,
            same_user_agent: true,
        }
    }

    /// A session in use stands, until fifteen idle minutes or its whole time are over, to the moment.
    #[test]
    fn a_session_ends_when_idle_and_when_old() {
        assert_eq!(standing(fresh(), NOW), Standing::Stands);
        let idle = Facts { last_seen_at: NOW - IDLE, ..fresh() };
        assert_eq!(standing(idle, NOW), Standing::Over);
        let old = Facts { expires_at: NOW, ..fresh() };
        assert_eq!(standing(old, NOW), Standing::Over);
        assert_eq!(standing(Facts { ended: true, ..fresh() }, NOW), Standing::Over);
    }

    /// A cookie in another browser, a disabled person and a changed role each end the session, and say why.
    #[test]
    fn a_session_ends_when_its_browser_or_person_changed() {
        let stolen = Facts { same_user_agent: false, ..fresh() };
        assert_eq!(standing(stolen, NOW), Standing::End("other_user_agent"));
        assert_eq!(standing(Facts { disabled: true, ..fresh() }, NOW), Standing::End("person_disabled"));
        let demoted = Facts { role_now: Role::Viewer, ..fresh() };
        assert_eq!(standing(demoted, NOW), Standing::End("role_changed"));
    }

    /// A dead session's cookie from another browser is merely dead: it can't fill the audit.
    #[test]
    fn a_dead_session_raises_no_alarm() {
        assert_eq!(standing(Facts { ended: true, same_user_agent: false, ..fresh() }, NOW), Standing::Over);
    }
}
