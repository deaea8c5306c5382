//! Keys and what is done with them: HPKE keys for boxes, the KEK behind a provider, DEKs, sealed fields, fingerprints.

pub mod dek;
pub mod dev_file;
pub mod field;
pub mod fingerprint;
pub mod identity;
pub mod key_provider;
pub mod sealing_keys;
