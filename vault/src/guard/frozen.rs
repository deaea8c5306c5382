//! What is frozen, as this node knows it: what the database said last, and what this node froze itself since.

use std::sync::{PoisonError, RwLock};

use crate::store::freezes::NewFreeze;

/// The freezes in force.
#[derive(Default)]
pub struct Frozen(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// Peer and purpose, as the last look found them.
    looked_up: Vec<(String, String)>,
    /// Of this node, from the moment it decided until a look that began after they were on disk.
    own: Vec<Own>,
    next: u64,
}

struct Own {
    number: u64,
    freeze: NewFreeze,
    durable: bool,
}

impl Frozen {
    /// Whether this peer may not do this.
    pub fn holds(&self, peer: &str, purpose: &str) -> bool {
        let known = self.read();
        known.looked_up.iter().any(|(who, what)| who == peer && what == purpose)
            || known.own.iter().any(|own| own.freeze.peer == peer && own.freeze.purpose == purpose)
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        let known = self.read();
        known.looked_up.is_empty() && known.own.is_empty()
    }

    /// In force on this node from now on.
    pub(super) fn put(&self, freeze: NewFreeze) {
        let mut known = self.write();
        known.next += 1;
        let number = known.next;
        known.own.push(Own { number, freeze, durable: false });
    }

    /// It is on disk: the next look finds it, or finds that it was released.
    pub(super) fn mark_durable(&self, freeze: &NewFreeze) {
        for own in &mut self.write().own {
            if own.freeze.at == freeze.at && own.freeze.peer == freeze.peer && own.freeze.purpose == freeze.purpose {
                own.durable = true;
            }
        }
    }

    /// Those that the database did not take yet.
    pub(super) fn not_durable(&self) -> Vec<NewFreeze> {
        self.read().own.iter().filter(|own| !own.durable).map(|own| own.freeze.clone()).collect()
    }

    /// Those that are on disk now, by number: what a look that begins after this is sure to know.
    pub(super) fn durable(&self) -> Vec<u64> {
        self.read().own.iter().filter(|own| own.durable).map(|own| own.number).collect()
    }

    /// What a look found, and which of our own were on disk when it began.
    pub(super) fn learn(&self, found: Vec<(String, String)>, known_before: &[u64]) {
        let mut known = self.write();
        known.looked_up = found;
        known.own.retain(|own| !known_before.contains(&own.number));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::alerts::AlertKind;
    use kura_platform::clock;

    fn freeze() -> NewFreeze {
        let (peer, purpose) = ("gateway".to_owned(), "authorize".to_owned());
        let reason = AlertKind::CanaryUsed;
        NewFreeze { peer, purpose, reason, node: 0, at: clock::now(), merchant: None, record: None, request: None }
    }

    /// A look that began before a freeze was on disk does not lift it; one that began after decides.
    #[test]
    fn an_old_look_does_not_lift_a_new_freeze() {
        let frozen = Frozen::default();
        let own = freeze();
        let before = frozen.durable();
        frozen.put(own.clone());
        assert!(frozen.holds("gateway", "authorize") && !frozen.holds("gateway", "attach"));
        frozen.learn(Vec::new(), &before);
        assert!(frozen.holds("gateway", "authorize"), "the look knew nothing of it");
        assert_eq!(frozen.not_durable().len(), 1);
        frozen.mark_durable(&own);
        let after = frozen.durable();
        frozen.learn(vec![("gateway".to_owned(), "authorize".to_owned())], &after);
        assert!(frozen.holds("gateway", "authorize"));
        frozen.learn(Vec::new(), &frozen.durable());
        assert!(frozen.is_empty(), "released");
    }
}
