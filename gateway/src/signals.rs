//! What only somebody does who has a key that is not theirs, or tries what a key is not for: kept for people to look at.
//!
//! A request does no more than leave a note in memory; a worker counts equal ones together and writes them down. Whether an id
//! that was asked for is another merchant's is found out there too: whoever probes gets the same answer, after the same work,
//! for an object of somebody else and for one that never was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use kura_platform::clock;
use kura_wire::ids::{BODY_LEN, BalanceTransactionId, CardToken, Id, MerchantId, RequestId, SignalId};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::app::App;
use crate::codes::Code;
use crate::store::api_keys::KeyRow;
use crate::store::payers::parse_method_id;
use crate::store::signals::{self as store, Signal};

/// How often notes are written down.
const EVERY: Duration = Duration::from_millis(300);
/// Notes between two writings at the most. What is more is counted in the log and dropped: a flood must not fill memory.
const MAX_NOTES: usize = 4096;
/// Ids of one request that are looked up.
const MAX_IDS: usize = 10;
/// How long signals are kept.
pub const KEPT_FOR: time::Duration = time::Duration::days(400);

macro_rules! kinds {
    ($($variant:ident $word:literal $doc:literal;)*) => {
        /// What was seen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $doc] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    PublishableKey "publishable_key" "A publishable key where a secret one is needed.";
    RightMissing "right_missing" "A restricted key without the right.";
    AddressRefused "address_refused" "A key from an address that it does not allow.";
    OriginRefused "origin_refused" "A publishable key from a page of another origin.";
    KeyExpired "key_expired" "A key after its end.";
    KeyRevoked "key_revoked" "A key that was revoked.";
    ForeignObject "foreign_object" "The id of another merchant's object.";
    MissingObject "missing_object" "An id of nothing.";
}

/// What a note is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum About {
    Kind(Kind),
    /// Whose this is remains to be found out.
    Id(String),
}

/// From where a request came, and for what.
#[derive(Debug, Clone)]
pub struct Place {
    /// The client's address.
    pub address: IpAddr,
    /// Method and path, without ids.
    pub route: String,
    /// Which request.
    pub request: RequestId,
}

#[derive(Debug, Clone)]
struct Note {
    about: About,
    key: Arc<KeyRow>,
    place: Place,
    at: OffsetDateTime,
}

/// Notes that are not written down yet.
#[derive(Default)]
pub struct Signals(Mutex<(Vec<Note>, u64)>);

impl Signals {
    /// This was seen with this key.
    pub fn note(&self, kind: Kind, key: &Arc<KeyRow>, place: &Place) {
        self.push(About::Kind(kind), key, place);
    }

    /// These ids were asked for and are nothing of this merchant's.
    pub fn note_ids(&self, ids: &[String], key: &Arc<KeyRow>, place: &Place) {
        for id in ids {
            self.push(About::Id(id.clone()), key, place);
        }
    }

    fn push(&self, about: About, key: &Arc<KeyRow>, place: &Place) {
        let note = Note { about, key: Arc::clone(key), place: place.clone(), at: clock::now() };
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.0.len() < MAX_NOTES { notes.0.push(note) } else { notes.1 += 1 }
    }

    fn take(&self) -> (Vec<Note>, u64) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a refusal says of who asks.
pub const fn kind_of(code: Code) -> Option<Kind> {
    match code {
        Code::SecretKeyRequired => Some(Kind::PublishableKey),
        Code::MorePermissionsRequired => Some(Kind::RightMissing),
        Code::OriginNotAllowed => Some(Kind::OriginRefused),
        _ => None,
    }
}

/// The ids of objects in a request: of its path and its parameters.
pub fn ids_in(path: &[String], tree: &Map<String, Value>) -> Vec<String> {
    let mut ids: Vec<String> = path.iter().filter(|id| known(id).is_some()).cloned().collect();
    tree.values().for_each(|value| gather(value, &mut ids));
    ids.truncate(MAX_IDS);
    ids
}

fn gather(value: &Value, ids: &mut Vec<String>) {
    match value {
        _ if ids.len() >= MAX_IDS => {}
        Value::String(text) if known(text).is_some() && !ids.contains(text) => ids.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| gather(value, ids)),
        Value::Object(fields) => fields.values().for_each(|value| gather(value, ids)),
        _ => {}
    }
}

/// An id's kind and bytes, where it could be one of an object.
fn known(text: &str) -> Option<(&'static str, [u8; 16])> {
    use kura_wire::ids::{
        ChargeId, CheckoutSessionId, CustomerId, DisputeId, EventId, InvoiceId, InvoiceItemId, PaymentIntentId,
        PriceId, ProductId, RefundId, SetupIntentId, SubscriptionId, SubscriptionItemId, TestClockId,
        WebhookEndpointId,
    };
    if text.len() < BODY_LEN || text.len() > BODY_LEN + 8 {
        return None;
    }
    if let Ok(token) = text.parse::<CardToken>() {
        return Some(("card", token.record));
    }
    if let Some(id) = parse_method_id(text) {
        return Some(("payer", *id.as_bytes()));
    }
    macro_rules! one_of {
        ($($id:ident),*) => {$(
            if let Ok(id) = text.parse::<$id>() {
                return Some((<$id as Id>::PREFIX, *id.as_bytes()));
            }
        )*};
    }
    one_of!(
        BalanceTransactionId,
        CustomerId,
        PaymentIntentId,
        SetupIntentId,
        ChargeId,
        RefundId,
        EventId,
        DisputeId,
        ProductId,
        PriceId,
        SubscriptionId,
        SubscriptionItemId,
        InvoiceId,
        InvoiceItemId,
        CheckoutSessionId,
        TestClockId,
        WebhookEndpointId,
        RequestId
    );
    None
}

/// Writes notes down, for ever.
pub async fn run(app: App) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (notes, dropped) = app.signals.take();
        if dropped > 0 {
            tracing::warn!(dropped, "too many signals at once");
        }
        for (note, times) in together(notes) {
            if let Err(error) = write(&app, note, times).await {
                tracing::warn!(%error, "a signal is lost");
            }
        }
    }
}

/// Equal ones of one moment are one.
fn together(notes: Vec<Note>) -> Vec<(Note, i32)> {
    let mut places: HashMap<(About, kura_wire::ids::ApiKeyId, IpAddr, String), usize> = HashMap::new();
    let mut kept: Vec<(Note, i32)> = Vec::new();
    for note in notes {
        let name = (note.about.clone(), note.key.id, note.place.address, note.place.route.clone());
        match places.get(&name).and_then(|place| kept.get_mut(*place)) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => {
                places.insert(name, kept.len());
                kept.push((note, 1));
            }
        }
    }
    kept
}

async fn write(app: &App, note: Note, times: i32) -> sqlx::Result<()> {
    let (kind, object, owner) = match note.about {
        About::Kind(kind) => (kind, None, None),
        About::Id(id) => {
            let Some((prefix, bytes)) = known(&id) else { return Ok(()) };
            match find_owner(app, prefix, bytes).await? {
                // Its own of the other mode, or gone since: a mistake.
                Some(owner) if owner == note.key.merchant => (Kind::MissingObject, Some(id), Some(owner)),
                Some(owner) => (Kind::ForeignObject, Some(id), Some(owner)),
                None => (Kind::MissingObject, Some(id), None),
            }
        }
    };
    let signal = Signal {
        id: SignalId::from_bytes(kura_platform::random::time_ordered()),
        merchant: note.key.merchant,
        livemode: note.key.livemode,
        kind,
        key: note.key.id,
        hint: note.key.hint.clone(),
        address: IpNet::from(note.place.address),
        route: note.place.route,
        object,
        owner,
        request: note.place.request,
        times,
        at: note.at,
    };
    tracing::warn!(signal = kind.as_str(), merchant = %signal.merchant, key = %signal.key, request_id = %signal.request, "signal");
    store::insert(app.db.work(), &signal).await
}

/// A movement of money has the letters of what moved it: a charge, a refund or a dispute, whose coming back has the last one turned.
async fn find_owner(app: &App, prefix: &str, bytes: [u8; 16]) -> sqlx::Result<Option<MerchantId>> {
    if prefix != BalanceTransactionId::PREFIX {
        return store::find_owner(app.db.work(), prefix, bytes).await;
    }
    let mut back = bytes;
    back.last_mut().into_iter().for_each(|last| *last ^= 1);
    for (prefix, bytes) in [("ch", bytes), ("re", bytes), ("dp", bytes), ("dp", back)] {
        if let Some(owner) = store::find_owner(app.db.work(), prefix, bytes).await? {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Ids are found in paths and in parameters at any depth; what only looks like one is none; there are ten at the most.
    #[test]
    fn ids_are_found_wherever_they_stand() {
        let cus = kura_wire::ids::CustomerId::from_bytes([7; 16]).to_string();
        let charge = kura_wire::ids::ChargeId::from_bytes([8; 16]).to_string();
        let tree = json!({"customer": cus, "metadata": {"a": [charge, "ch_1"]}, "amount": 5});
        let found = ids_in(&[cus.clone(), "pi_1".into()], tree.as_object().unwrap());
        assert_eq!(found, [cus, charge]);
        let many: Vec<String> =
            (0..50).map(|number| kura_wire::ids::ChargeId::from_bytes([number; 16]).to_string()).collect();
        assert_eq!(ids_in(&[], json!({ "a": many }).as_object().unwrap()).len(), MAX_IDS);
    }
}
