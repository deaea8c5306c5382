//! What the fuzz targets do with their bytes (`tests/fuzz/`, `cargo kura fuzz`): each feeds one reader that meets strangers'
//! bytes, and holds it to what it promises. `tests/tests/fuzz.rs` does the same with the kept corpus and random changes to
//! it, so that every test run has a little of it.

use std::sync::OnceLock;

use kura_custody::share::Share;
use kura_iso8583::{FrameReader, Message};
use kura_platform::clock;
use kura_vault::card::read_card;
use kura_vault::crypto::identity::Identity;
use kura_vault::crypto::sealing_keys::SealingKeys;
use kura_wire::ids::NodeId;
use kura_wire::sealed_box::{SealedBox, SealingKey, SealingKeySet};
use kura_wire::vault::Tokenize;

/// Feeds one reader; panics when it breaks a promise.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 4] =
    [("sealed_box", sealed_box), ("card", card), ("share", share), ("iso8583", iso8583)];

struct Vault {
    keys: SealingKeys,
    published: Vec<SealingKey>,
    now_ms: i64,
}

fn vault() -> &'static Vault {
    static VAULT: OnceLock<Vault> = OnceLock::new();
    VAULT.get_or_init(|| {
        let file = std::env::temp_dir().join(format!("kura-fuzz-identity-{}", std::process::id()));
        Identity::create(&file).expect("a temporary file");
        let identity = Identity::open(&file).expect("just made");
        std::fs::remove_file(file).expect("just made");
        let now_ms = clock::now_ms();
        let keys = SealingKeys::new(NodeId::new(0).expect("a node"), &identity, now_ms).expect("keys");
        let set: SealingKeySet = serde_json::from_str(&keys.published().payload).expect("a key set");
        Vault { keys, published: set.keys, now_ms }
    })
}

/// A request to tokenize, and the box in it. Nothing that was not sealed to the vault opens, whatever key it names.
pub fn sealed_box(bytes: &[u8]) {
    let vault = vault();
    let boxed = match serde_json::from_slice::<Tokenize>(bytes) {
        Ok(request) => request.sealed,
        Err(_) => match serde_json::from_slice::<SealedBox>(bytes) {
            Ok(sealed) => sealed,
            Err(_) => return,
        },
    };
    assert!(vault.keys.open(&boxed, "pk_test_1", vault.now_ms).is_err(), "a key of that name can't exist");
    for key in &vault.published {
        let named = SealedBox { key_id: key.key_id.clone(), sealed_at_ms: vault.now_ms, ..boxed.clone() };
        assert!(vault.keys.open(&named, "pk_test_1", vault.now_ms).is_err(), "nobody sealed this");
    }
}

/// What is inside a box that opened. A card that is read is one: its number passes the check digit.
pub fn card(bytes: &[u8]) {
    if let Ok(card) = read_card(bytes, clock::now()) {
        assert!((1..=12).contains(&card.expiry.month));
        assert_eq!((card.pan.bin().len(), card.pan.last_four().len()), (6, 4));
    }
}

/// What a custodian types. What is read is written again as one text, which reads as the same share; nothing that is not a
/// share is told as more than where it is wrong.
pub fn share(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(share) = Share::parse(text) {
        let canonical = share.reveal_as_text();
        let again = Share::parse(&canonical).expect("what it writes it reads");
        assert_eq!(*again.reveal_as_text(), *canonical);
        assert_eq!((again.set(), again.index(), again.threshold()), (share.set(), share.index(), share.threshold()));
        assert!(share.threshold() > 0 && share.index() > 0, "no share is the root itself");
    }
}

/// Bytes of a network. What is decoded encodes to the same bytes; a frame reader never reads beyond what it was given.
pub fn iso8583(bytes: &[u8]) {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(message.encode().as_slice(), bytes, "one message, one encoding");
        let _ = (message.cvc(), message.original(), message.amount_minor());
    }
    let mut reader = FrameReader::new();
    for chunk in bytes.chunks(97) {
        let spare = reader.spare();
        let len = chunk.len().min(spare.len());
        spare[..len].copy_from_slice(&chunk[..len]);
        reader.filled(len);
        while let Ok(Some(message)) = reader.next_message() {
            let _ = message.map(|message| message.encode_frame());
        }
    }
}
