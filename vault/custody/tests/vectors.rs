//! Shares as `tests/vectors/custody.json` has them: the browser's reader is held to the same file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kura_custody::share::{Share, ShareError};
use kura_wire::custody::{SharePurpose, custody_signed_bytes, entered_share_aad};
use serde_json::Value;

fn vectors() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/custody.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// As the browser's side words it.
fn problem(error: ShareError) -> String {
    match error {
        ShareError::NotAShare => "not_a_share".to_owned(),
        ShareError::Version => "version".to_owned(),
        ShareError::Groups { found, wanted } => format!("groups {found} {wanted}"),
        ShareError::GroupLength { group, letters } => format!("group_length {group} {letters}"),
        ShareError::Letter { group, place } => format!("letter {group} {place}"),
        ShareError::Mistyped { group } => format!("mistyped {group}"),
        ShareError::Checksum => "checksum".to_owned(),
        ShareError::Numbers => "numbers".to_owned(),
        ShareError::Trivial | ShareError::Published => "known".to_owned(),
    }
}

/// Each text is read or refused as the file says.
#[test]
fn shares_are_read_as_the_vectors_say() {
    let vectors = vectors();
    let shares = vectors["shares"].as_array().unwrap();
    assert!(shares.len() >= 12);
    for vector in shares {
        let text = vector["text"].as_str().unwrap();
        match Share::parse(text) {
            Ok(share) => assert_eq!(share.reveal_as_text().as_str(), vector["canonical"], "{text}"),
            Err(error) => assert_eq!(problem(error), vector["problem"].as_str().unwrap_or_default(), "{text}"),
        }
    }
}

/// The bytes that a box and a signature are bound to.
#[test]
fn bound_bytes_are_as_the_vectors_say() {
    let vectors = vectors();
    for vector in vectors["associated_data"].as_array().unwrap() {
        let purpose: SharePurpose = serde_json::from_value(vector["purpose"].clone()).unwrap();
        let node = u16::try_from(vector["node"].as_u64().unwrap()).unwrap();
        let bound = entered_share_aad(node, purpose, vector["sealed_at_ms"].as_i64().unwrap());
        assert_eq!(data_encoding::HEXLOWER.encode(&bound), vector["hex"].as_str().unwrap());
    }
    for vector in vectors["signed_bytes"].as_array().unwrap() {
        let bytes = custody_signed_bytes(vector["payload"].as_str().unwrap());
        assert_eq!(data_encoding::HEXLOWER.encode(&bytes), vector["hex"].as_str().unwrap());
    }
}
