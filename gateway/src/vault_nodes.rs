//! The vault's nodes as the gateway knows them: which there are, which of them answer, whom to ask first.
//!
//! Any node can do anything but two things: open a box that was sealed to another's key, and use a security code that another
//! holds. A node that can't be reached is left alone for a while, so that its absence costs nobody time; one request at a time
//! then tries it again.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use kura_platform::clock;
use kura_platform::tls::{TlsConfig, TlsError, Vault};
use kura_wire::ids::{AttemptId, NodeId};

use crate::config::VaultNode;
use crate::vault_client::VaultFailure;

/// How long a node that refused a connection is left alone.
const AWAY_FOR_MS: i64 = 1_000;
/// Doubts in a row after which a node is left alone too: it takes requests and answers none.
const DOUBTS: u32 = 3;
/// How long that is.
const SILENT_FOR_MS: i64 = 5_000;

/// One node.
pub struct Node {
    /// Its number.
    pub number: NodeId,
    /// The client that checks that it is the vault.
    pub http: reqwest::Client,
    /// What paths come after.
    pub base: String,
    away_until_ms: AtomicI64,
    doubts: AtomicU32,
}

/// All of them.
pub struct Nodes {
    all: Vec<Node>,
    turn: AtomicUsize,
}

impl Node {
    fn new(number: NodeId, http: reqwest::Client, base: String) -> Self {
        Self { number, http, base, away_until_ms: AtomicI64::new(0), doubts: AtomicU32::new(0) }
    }

    /// What an answer, or its absence, says of the node.
    pub fn learn<T>(&self, answer: &Result<T, VaultFailure>) {
        match answer {
            Ok(_) | Err(VaultFailure::Refused(_)) => {
                self.doubts.store(0, Ordering::Relaxed);
                self.away_until_ms.store(0, Ordering::Relaxed);
            }
            Err(VaultFailure::Away) => self.leave_alone(AWAY_FOR_MS),
            Err(VaultFailure::Doubt) => {
                if self.doubts.fetch_add(1, Ordering::Relaxed) + 1 >= DOUBTS {
                    self.leave_alone(SILENT_FOR_MS);
                }
            }
        }
    }

    fn leave_alone(&self, for_ms: i64) {
        self.away_until_ms.store(clock::now_ms() + for_ms, Ordering::Relaxed);
    }

    /// Whether it is worth asking: it was there, or its time alone is over and nobody else is trying.
    fn is_worth_asking(&self) -> bool {
        let until = self.away_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = clock::now_ms();
        let next = now + AWAY_FOR_MS;
        now >= until && self.away_until_ms.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Nodes {
    /// Of the configuration.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(tls: &TlsConfig, nodes: &[VaultNode], timeout: Duration) -> Result<Self, TlsError> {
        let node = |node: &VaultNode| {
            let http = tls.http_client::<Vault>(node.address, timeout)?;
            Ok(Node::new(node.node, http, TlsConfig::base_url::<Vault>(node.address)))
        };
        let all = nodes.iter().map(node).collect::<Result<_, TlsError>>()?;
        Ok(Self { all, turn: AtomicUsize::new(0) })
    }

    #[cfg(test)]
    pub(crate) fn unreachable() -> Self {
        Self { all: tests::nodes(1), turn: AtomicUsize::new(0) }
    }

    /// Whether there is but one.
    pub fn is_single(&self) -> bool {
        self.all.len() == 1
    }

    /// The node of this number.
    pub fn find(&self, number: NodeId) -> Option<&Node> {
        self.all.iter().find(|node| node.number == number)
    }

    /// All of them, first the one that is preferred or whose turn it is; those that are left alone come last.
    pub fn in_order(&self, preferred: Option<NodeId>) -> Vec<&Node> {
        let known = preferred.and_then(|number| self.all.iter().position(|node| node.number == number));
        let first = known.unwrap_or_else(|| self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1));
        let (before, after) = self.all.split_at_checked(first).unwrap_or_default();
        let (mut there, away): (Vec<&Node>, Vec<&Node>) =
            after.iter().chain(before).partition(|node| self.is_single() || node.is_worth_asking());
        there.extend(away);
        there
    }

    /// The node that an attempt without a card's node belongs to, so that whoever asks about it asks there first.
    pub fn home(&self, attempt: AttemptId) -> Option<NodeId> {
        let place = usize::from(*attempt.as_bytes().last()?) % self.all.len().max(1);
        self.all.get(place).map(|node| node.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::vault::VaultErrorCode;

    pub(super) fn nodes(count: u16) -> Vec<Node> {
        let http = kura_platform::tls::public_http_client(Duration::from_millis(100)).unwrap();
        let node = |number| Node::new(NodeId::new(number).unwrap(), http.clone(), "http://127.0.0.1:1".into());
        (0..count).map(node).collect()
    }

    fn order(nodes: &Nodes, preferred: Option<u16>) -> Vec<u16> {
        nodes.in_order(preferred.and_then(NodeId::new)).iter().map(|node| node.number.number()).collect()
    }

    /// The node in the hint is asked first; without one they take turns; an unknown one is no hint.
    #[test]
    fn the_hint_comes_first() {
        let nodes = Nodes { all: nodes(3), turn: AtomicUsize::new(0) };
        assert_eq!(order(&nodes, Some(1)), [1, 2, 0]);
        assert_eq!(order(&nodes, Some(2)), [2, 0, 1]);
        let firsts: Vec<u16> = (0..4).map(|_| order(&nodes, None)[0]).collect();
        assert_eq!(firsts, [0, 1, 2, 0]);
        assert_eq!(order(&nodes, Some(77)).len(), 3);
    }

    /// A node that is away, or silent three times, comes last until it is heard again.
    #[test]
    fn a_node_that_is_away_comes_last() {
        let nodes = Nodes { all: nodes(2), turn: AtomicUsize::new(0) };
        nodes.all[1].learn::<()>(&Err(VaultFailure::Away));
        assert_eq!(order(&nodes, Some(1)), [0, 1]);
        nodes.all[1].learn::<()>(&Err(VaultFailure::Refused(VaultErrorCode::Sealed)));
        assert_eq!(order(&nodes, Some(1)), [1, 0]);
        for _ in 0..2 {
            nodes.all[1].learn::<()>(&Err(VaultFailure::Doubt));
            assert_eq!(order(&nodes, Some(1)), [1, 0], "a doubt is no absence");
        }
        nodes.all[1].learn::<()>(&Err(VaultFailure::Doubt));
        assert_eq!(order(&nodes, Some(1)), [0, 1]);
    }

    /// When its time alone is over, one request tries it, and the others don't wait for that one.
    #[test]
    fn one_request_tries_again() {
        let nodes = Nodes { all: nodes(2), turn: AtomicUsize::new(0) };
        nodes.all[1].away_until_ms.store(clock::now_ms() - 1, Ordering::Relaxed);
        assert_eq!(order(&nodes, Some(1)), [1, 0]);
        assert_eq!(order(&nodes, Some(1)), [0, 1]);
    }

    /// The same attempt is always at home at the same node.
    #[test]
    fn an_attempt_has_one_home() {
        let nodes = Nodes { all: nodes(2), turn: AtomicUsize::new(0) };
        let home = |last| nodes.home(AttemptId::from_bytes([last; 16])).map(NodeId::number);
        assert_eq!((home(4), home(4), home(7)), (Some(0), Some(0), Some(1)));
    }
}
