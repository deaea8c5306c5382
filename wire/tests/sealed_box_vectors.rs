//! The bytes that browser and vault must agree on, against the file that the browser's tests read too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use data_encoding::HEXLOWER;
use kura_wire::sealed_box::{SealedBox, signed_bytes};
use serde_json::Value;

fn vectors(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../tests/vectors/sealed_box.json")).unwrap();
    let list = all[section].as_array().unwrap().clone();
    assert!(!list.is_empty(), "{section} has vectors");
    list
}

/// Purpose, key, origin and time stand in the associated data as the browser puts them there; change one letter and a box
/// no longer opens.
#[test]
fn associated_data_is_what_the_browser_makes() {
    for vector in vectors("associated_data") {
        let sealed = SealedBox {
            key_id: String::new(),
            enc: String::new(),
            ciphertext: String::new(),
            origin: vector["origin"].as_str().unwrap().to_owned(),
            sealed_at_ms: vector["sealed_at_ms"].as_i64().unwrap(),
        };
        let aad = sealed.aad(vector["publishable_key"].as_str().unwrap());
        assert_eq!(HEXLOWER.encode(&aad), vector["hex"]);
    }
}

/// The vault signs exactly the bytes that the browser verifies, text beyond ASCII included.
#[test]
fn signed_bytes_are_what_the_browser_verifies() {
    for vector in vectors("signed_bytes") {
        assert_eq!(HEXLOWER.encode(&signed_bytes(vector["payload"].as_str().unwrap())), vector["hex"]);
    }
}

/// A padded card is 256 bytes, and the spaces behind it are no part of the JSON.
#[test]
fn padding_leaves_the_card_readable() {
    for vector in vectors("padded_plaintext") {
        let padded = HEXLOWER.decode(vector["hex"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(padded.len(), 256);
        assert_eq!(serde_json::from_slice::<Value>(&padded).unwrap(), vector["card"]);
    }
}
