//! What a person may do. Every page names the permission that it needs.

use std::fmt;
use std::str::FromStr;

/// A person's role. One each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads payments.
    Viewer,
    /// Answers merchants' questions.
    Support,
    /// Runs the gateway day by day.
    Operator,
    /// Watches, stops, scopes incidents.
    SecurityOfficer,
    /// Holds a share of the key; sees no payments.
    Custodian,
    /// Invites people and gives roles.
    Administrator,
}

/// One thing that a page or an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See payments and their timelines.
    ViewPayments,
    /// See how the services are.
    ViewSystem,
    /// See how custody of the vault's key stands, and enter one's own share.
    EnterShares,
}

/// The word is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of: viewer, support, operator, security_officer, custodian, administrator")]
pub struct NotARole;

impl Role {
    /// All of them, from least to most.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Support, Self::Operator, Self::SecurityOfficer, Self::Custodian, Self::Administrator];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Operator => "operator",
            Self::SecurityOfficer => "security_officer",
            Self::Custodian => "custodian",
            Self::Administrator => "administrator",
        }
    }

    /// Whether the role has the permission.
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::ViewPayments => !matches!(self, Self::Custodian),
            Permission::ViewSystem => true,
            Permission::EnterShares => matches!(self, Self::Custodian | Self::SecurityOfficer | Self::Administrator),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(word: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(NotARole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every role survives its own word, and nothing else is one.
    #[test]
    fn roles_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(NotARole));
        assert_eq!("Administrator".parse::<Role>(), Err(NotARole));
    }

    /// A key custodian sees no payments; everybody else does.
    #[test]
    fn custodians_see_no_payments() {
        for role in Role::ALL {
            assert_eq!(role.may(Permission::ViewPayments), role != Role::Custodian, "{role}");
            assert!(role.may(Permission::ViewSystem));
            let entering = [Role::Custodian, Role::SecurityOfficer, Role::Administrator].contains(&role);
            assert_eq!(role.may(Permission::EnterShares), entering, "{role}");
        }
    }
}
