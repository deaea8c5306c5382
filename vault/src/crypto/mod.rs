//! Keys and what is done with them: HPKE keys for boxes, the KEK behind a provider, DEKs, sealed fields, fingerprints.

pub mod aead;
pub mod dek;
pub mod dev_file;
pub mod field;
pub mod fingerprint;
pub mod hpke;
pub mod identity;
pub mod keks;
pub mod key_provider;
pub mod keyring;
pub mod pkcs11;
pub mod providers;
pub mod root_key;
pub mod sealing_keys;
