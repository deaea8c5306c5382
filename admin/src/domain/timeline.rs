//! One payment's timeline: what the gateway recorded and what the vault opened for it, in one order.
//!
//! Two zones have two clocks. Within an attempt the order is known without them (the gateway starts it, the vault opens the
//! record, the network answers), so that order holds even where the clocks disagree; the time shown is each zone's own.

use kura_wire::control::{Opening, TimelineEntry};
use kura_wire::ids::{AttemptId, RequestId};
use time::OffsetDateTime;

/// Whose word an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The gateway's own record.
    Gateway,
    /// A row of the vault's access ledger.
    Vault,
    /// The network's answer, as the gateway was told.
    Network,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// By whose clock and word.
    pub zone: Zone,
    /// When, by that clock.
    pub at: OffsetDateTime,
    /// What: the gateway's word, or `opened`.
    pub kind: String,
    /// The request that did it.
    pub request_id: Option<RequestId>,
    /// The attempt.
    pub attempt: Option<AttemptId>,
    /// What the network knows it by.
    pub network_reference: Option<String>,
    /// Minor units that moved.
    pub amount_minor: Option<i64>,
    /// A word of a closed set.
    pub code: Option<String>,
    /// The ledger row, for the vault's.
    pub opening: Option<OpeningFacts>,
}

/// What the access ledger says of an opening.
#[derive(Debug, Clone)]
pub struct OpeningFacts {
    /// Its place in the node's ledger.
    pub sequence: i64,
    /// The node.
    pub node: u16,
    /// The certificate that asked.
    pub actor: String,
    /// The record.
    pub record: String,
    /// Which fields were opened.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
}

/// Merges both. The gateway's entries keep their order; each opening stands behind the start of its attempt and before
/// the network's answer to it. An opening without a matching attempt stands by its time.
pub fn merge(entries: Vec<TimelineEntry>, mut openings: Vec<Opening>) -> Vec<Event> {
    let mut events: Vec<Event> = entries.into_iter().map(of_entry).collect();
    openings.sort_by_key(|opening| (opening.at, opening.node, opening.sequence));
    for opening in openings {
        events.insert(place(&opening, &events), of_opening(opening));
    }
    events
}

/// The attempts that the vault is asked about, each once, at most 100 (the limit of its interface).
pub fn attempts(entries: &[TimelineEntry]) -> Vec<AttemptId> {
    let mut attempts: Vec<AttemptId> = Vec::new();
    for attempt in entries.iter().filter_map(|entry| entry.attempt) {
        if !attempts.contains(&attempt) && attempts.len() < 100 {
            attempts.push(attempt);
        }
    }
    attempts
}

/// Where it stands by its time, held behind the start of its attempt and before the network's answer.
fn place(opening: &Opening, events: &[Event]) -> usize {
    let of_attempt = |zone| {
        let same = |event: &Event| opening.attempt.is_some() && event.attempt == opening.attempt && event.zone == zone;
        events.iter().position(same)
    };
    let first = of_attempt(Zone::Gateway).map_or(0, |start| start + 1);
    let last = of_attempt(Zone::Network).unwrap_or(events.len()).max(first);
    let later = events.iter().take(last).skip(first).position(|event| event.at > opening.at);
    later.map_or(last, |offset| first + offset)
}

fn of_entry(entry: TimelineEntry) -> Event {
    Event {
        zone: zone_of(&entry),
        at: entry.at,
        kind: entry.kind,
        request_id: entry.request_id,
        attempt: entry.attempt,
        network_reference: entry.network_reference,
        amount_minor: entry.amount_minor,
        code: entry.code,
        opening: None,
    }
}

/// An entry that names the network's reference is its answer, unless it is the note that the question goes out.
fn zone_of(entry: &TimelineEntry) -> Zone {
    let asks = matches!(entry.kind.as_str(), "processing" | "pending" | "requested" | "started")
        || entry.kind.ends_with("_processing")
        || entry.kind.ends_with("_requested")
        || entry.kind.ends_with("_started")
        || entry.kind.ends_with("_pending");
    if entry.network_reference.is_some() && !asks { Zone::Network } else { Zone::Gateway }
}

fn of_opening(opening: Opening) -> Event {
    Event {
        zone: Zone::Vault,
        at: opening.at,
        kind: "opened".to_owned(),
        request_id: Some(opening.request_id),
        attempt: opening.attempt,
        network_reference: None,
        amount_minor: None,
        code: None,
        opening: Some(OpeningFacts {
            sequence: opening.sequence,
            node: opening.node,
            actor: opening.actor,
            record: opening.record,
            fields: opening.fields,
            purpose: opening.purpose,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::ids::MerchantId;
    use time::macros::datetime;

    const START: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);

    fn entry(kind: &str, ms: i64, attempt: Option<u8>, reference: bool) -> TimelineEntry {
        TimelineEntry {
            at: START + time::Duration::milliseconds(ms),
            kind: kind.to_owned(),
            request_id: None,
            attempt: attempt.map(|byte| AttemptId::from_bytes([byte; 16])),
            network_reference: reference.then(|| "ABCDEF012345".to_owned()),
            amount_minor: None,
            code: None,
        }
    }

    fn opening(sequence: i64, ms: i64, attempt: Option<u8>) -> Opening {
        Opening {
            sequence,
            node: 0,
            at: START + time::Duration::milliseconds(ms),
            actor: "gateway.kura.internal".to_owned(),
            request_id: RequestId::from_bytes([1; 16]),
            merchant: MerchantId::from_bytes([2; 16]),
            record: "card_x".to_owned(),
            fields: vec!["pan".to_owned()],
            purpose: "authorize".to_owned(),
            attempt: attempt.map(|byte| AttemptId::from_bytes([byte; 16])),
        }
    }

    fn shape(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| format!("{:?} {}", event.zone, event.kind)).collect()
    }

    fn charge() -> Vec<TimelineEntry> {
        vec![
            entry("created", 0, None, false),
            entry("processing", 100, Some(7), true),
            entry("succeeded", 200, Some(7), true),
        ]
    }

    const CHARGE: [&str; 4] = ["Gateway created", "Gateway processing", "Vault opened", "Network succeeded"];

    /// A charge reads gateway, vault, network, when the clocks agree.
    #[test]
    fn an_opening_stands_between_question_and_answer() {
        assert_eq!(shape(&merge(charge(), vec![opening(1, 150, Some(7))])), CHARGE);
    }

    /// The order within an attempt holds when the vault's clock is ahead, behind, or equal; the time shown stays its own.
    #[test]
    fn order_survives_clocks_that_disagree() {
        for ms in [-5000, 0, 100, 200, 5000] {
            let events = merge(charge(), vec![opening(1, ms, Some(7))]);
            assert_eq!(shape(&events), CHARGE, "{ms} ms");
            assert_eq!(events[2].at, START + time::Duration::milliseconds(ms));
        }
    }

    /// An opening that belongs to no attempt of the gateway's is not lost: it stands where its time puts it.
    #[test]
    fn an_opening_that_the_gateway_does_not_know_is_shown() {
        let events = merge(charge(), vec![opening(1, 50, Some(9)), opening(2, 300, None)]);
        assert_eq!(
            shape(&events),
            ["Gateway created", "Vault opened", "Gateway processing", "Network succeeded", "Vault opened"]
        );
    }

    /// Without the vault the gateway's part stands alone and in its own order, even where its times go back.
    #[test]
    fn the_gateways_order_is_kept() {
        let entries = vec![entry("created", 100, None, false), entry("canceled", 50, None, false)];
        assert_eq!(shape(&merge(entries, Vec::new())), ["Gateway created", "Gateway canceled"]);
        let entries = vec![entry("captured", 100, Some(1), true), entry("noted", 100, None, false)];
        assert_eq!(
            shape(&merge(entries, vec![opening(1, 100, Some(1))])),
            ["Vault opened", "Network captured", "Gateway noted"]
        );
    }

    /// Two openings of one attempt keep the ledger's order.
    #[test]
    fn openings_of_one_attempt_keep_the_ledgers_order() {
        let events = merge(charge(), vec![opening(2, 900, Some(7)), opening(1, 900, Some(7))]);
        let sequences: Vec<i64> =
            events.iter().filter_map(|event| event.opening.as_ref()).map(|o| o.sequence).collect();
        assert_eq!(sequences, [1, 2]);
    }

    /// Each attempt is asked about once, and never more than the vault takes in one question.
    #[test]
    fn attempts_are_asked_about_once_and_within_the_limit() {
        assert_eq!(attempts(&charge()), [AttemptId::from_bytes([7; 16])]);
        let many: Vec<TimelineEntry> = (0..=200).map(|byte| entry("processing", 0, Some(byte), true)).collect();
        assert_eq!(attempts(&many).len(), 100);
    }
}
