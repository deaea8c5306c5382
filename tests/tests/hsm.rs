//! KEKs in an HSM: SoftHSM, through its PKCS #11 module, by the vault's own provider.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use kura_tests::softhsm::SoftHsm;
use kura_vault::crypto::key_provider::{DekBytes, KeyError, KeyProvider, ProviderKind, random_key};
use kura_vault::crypto::pkcs11::Hsm;

/// SoftHSM reads its configuration from the environment when it is loaded, so the tests run in a process that has it.
#[test]
fn keks_in_an_hsm() {
    const WITH_A_TOKEN: &str = "KURA_TESTS_PIN_FILE";
    if let Some(pin_file) = std::env::var_os(WITH_A_TOKEN) {
        wraps_and_unwraps(&open(pin_file.as_ref()));
        survives_a_lost_session(pin_file.as_ref());
        return;
    }
    let hsm = SoftHsm::new();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "keks_in_an_hsm", "--nocapture"])
        .env("SOFTHSM2_CONF", hsm.configuration())
        .env(WITH_A_TOKEN, hsm.pin_file())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

fn open(pin_file: &std::path::Path) -> Hsm {
    Hsm::open(SoftHsm::module(), SoftHsm::LABEL, pin_file).unwrap()
}

/// A DEK comes back under its KEK and binding, and not under another's, nor with a changed byte.
fn wraps_and_unwraps(hsm: &Hsm) {
    assert_eq!(hsm.kind(), ProviderKind::Pkcs11);
    let (first, second) = (hsm.make_kek(1).unwrap(), hsm.make_kek(2).unwrap());
    let (kek, other) = (hsm.open_kek(1, &first).unwrap(), hsm.open_kek(2, &second).unwrap());
    let dek: DekBytes = random_key();
    let wrapped = kek.wrap(&dek, b"merchant a").unwrap();
    assert_eq!(wrapped.len(), 12 + 32 + 16);
    assert_eq!(kek.unwrap(&wrapped, b"merchant a").unwrap().as_slice(), dek.as_slice());
    assert!(matches!(kek.unwrap(&wrapped, b"merchant b"), Err(KeyError::Unwrap)), "another binding");
    assert!(matches!(other.unwrap(&wrapped, b"merchant a"), Err(KeyError::Unwrap)), "another KEK");
    for place in 0..wrapped.len() {
        let mut damaged = wrapped.clone();
        damaged[place] ^= 1;
        assert!(matches!(kek.unwrap(&damaged, b"merchant a"), Err(KeyError::Unwrap)), "byte {place}");
    }
    assert!(matches!(kek.unwrap(&wrapped[..20], b"merchant a"), Err(KeyError::Unwrap)));
    // The database's label of one version in the row of another.
    assert!(matches!(hsm.open_kek(2, &first), Err(KeyError::Unwrap)));
    assert!(hsm.open_kek(3, b"kura-kek-3-0000000000000000").is_err());
    // After all these refusals the token still works.
    assert!(kek.unwrap(&wrapped, b"merchant a").is_ok());
}

/// Another handle on the token logs out, or the token is restarted; the KEK goes on.
fn survives_a_lost_session(pin_file: &std::path::Path) {
    let hsm = open(pin_file);
    let kek = hsm.open_kek(7, &hsm.make_kek(7).unwrap()).unwrap();
    let wrapped = kek.wrap(&random_key(), b"here").unwrap();
    let context = Pkcs11::new(SoftHsm::module()).unwrap();
    let slots = context.get_slots_with_initialized_token().unwrap();
    let session = context.open_rw_session(slots[0]).unwrap();
    session.logout().unwrap();
    assert!(kek.unwrap(&wrapped, b"here").is_ok());
    context.finalize().unwrap();
    let context = Pkcs11::new(SoftHsm::module()).unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    assert!(kek.unwrap(&wrapped, b"here").is_ok(), "a closed session is opened anew");
    a_planted_key_is_refused(&hsm, &context, slots[0]);
    // A token that does nothing any more says nothing about what was wrapped: trouble, and no alert.
    context.finalize().unwrap();
    assert!(matches!(kek.unwrap(&wrapped, b"here"), Err(KeyError::Provider(_))));
}

/// A key that was brought in from outside under a KEK's label is not used: whoever brought it knows it.
fn a_planted_key_is_refused(hsm: &Hsm, context: &Pkcs11, slot: cryptoki::slot::Slot) {
    use cryptoki::object::{Attribute, KeyType, ObjectClass};
    let session = context.open_rw_session(slot).unwrap();
    let planted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(b"kura-kek-9-planted".to_vec()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Value(vec![7; 32]),
    ];
    session.create_object(&planted).unwrap();
    assert!(matches!(hsm.open_kek(9, b"kura-kek-9-planted"), Err(KeyError::UnknownVersion(9))));
}
