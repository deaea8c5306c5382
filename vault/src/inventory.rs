//! The inventory of the vault's keys: made of what is there at the moment it is asked for, never kept beside it.
//!
//! Cryptoperiods are those of NIST SP 800-57 part 1, 5.3.6: two years at the most for a key that wraps or signs, and for
//! one that encrypts data; here one year for what a rotation replaces without anybody noticing.

use std::path::Path;

use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_platform::tls::{TlsConfig, TlsError};
use kura_wire::ids::MerchantId;
use kura_wire::keys::{KeyEntry, KeyInventory, KeyPurpose, KeyState};
use kura_wire::sealed_box::{SealingKeySet, Suite};
use time::{Duration, OffsetDateTime};

use crate::config::{AcquirerConfig, Config, ServicesConfig};
use crate::domain::Vault;
use crate::store::deks::MAX_SEALS;
use crate::store::keks::{self, KekRow};
use crate::store::{StoreError, inventory};

/// DEKs in one inventory at the most.
const MAX_DEKS: i64 = 10_000;
const IDENTITY_DAYS: u32 = 730;
const KEK_DAYS: u32 = 365;
const DEK_DAYS: u32 = 365;

/// What is known of keys that lie in files, as they were when the process started.
pub struct KeyFiles {
    identity_made_at: Option<OffsetDateTime>,
    certificates: Vec<Certificate>,
}

struct Certificate {
    name: &'static str,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl KeyFiles {
    /// Of the files that a configuration names.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate can't be read.
    pub fn of(config: &Config) -> Result<Self, TlsError> {
        let acquirer = |acquirer: &Option<AcquirerConfig>| acquirer.as_ref().map(|acquirer| acquirer.tls.clone());
        let services = |services: &Option<ServicesConfig>| services.as_ref().map(|services| services.tls.clone());
        let files = [
            ("vault", Some(config.tls.clone())),
            ("acquirer, test", acquirer(&config.acquirer.test)),
            ("acquirer, live", acquirer(&config.acquirer.live)),
            ("services, test", services(&config.services.test)),
            ("services, live", services(&config.services.live)),
        ];
        let named = files.into_iter().filter_map(|(name, tls)| tls.map(|tls| (name, tls)));
        let certificates = named.map(|(name, tls)| certificate(name, &tls)).collect::<Result<_, _>>()?;
        Ok(Self { identity_made_at: written_at(&config.identity_key), certificates })
    }
}

fn certificate(name: &'static str, tls: &TlsConfig) -> Result<Certificate, TlsError> {
    let (not_before, not_after) = tls.validity()?;
    Ok(Certificate { name, not_before, not_after })
}

/// A key's file is written once.
fn written_at(path: &Path) -> Option<OffsetDateTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok().map(OffsetDateTime::from)
}

/// All keys as they are now.
///
/// # Errors
/// [`StoreError`].
pub async fn take(vault: &Vault) -> Result<KeyInventory, StoreError> {
    let at = clock::now();
    let mut keys = vec![identity(&vault.key_files, at)];
    let keks = keks::list(&vault.pool).await?;
    keys.extend(keks.iter().map(|row| kek(row, at)));
    keys.extend(secrets(&vault.pool).await?);
    keys.extend(sealing_keys(&vault.sealing_keys.published().payload, at));
    keys.extend(vault.key_files.certificates.iter().map(|certificate| tls(certificate, at)));
    let deks = inventory::list_deks(&vault.pool, MAX_DEKS).await?;
    let left_out = inventory::count_deks(&vault.pool).await? - i64::try_from(deks.len()).unwrap_or(i64::MAX);
    keys.extend(deks.into_iter().map(|facts| dek(facts, at)));
    Ok(KeyInventory { at, keys, left_out: u64::try_from(left_out).unwrap_or(0) })
}

fn entry(purpose: KeyPurpose, name: String, algorithm: &str, held_by: String) -> KeyEntry {
    KeyEntry {
        purpose,
        name,
        state: KeyState::Active,
        algorithm: algorithm.to_owned(),
        held_by,
        merchant: None,
        class: None,
        version: None,
        made_at: None,
        uses: None,
        uses_allowed: None,
        cryptoperiod_days: None,
        ends_at: None,
        overdue: false,
    }
}

/// A key that was made then and may make things for so many days.
fn aged(entry: KeyEntry, made_at: Option<OffsetDateTime>, days: u32, at: OffsetDateTime) -> KeyEntry {
    let ends_at = made_at.map(|made_at| made_at + Duration::days(i64::from(days)));
    KeyEntry {
        made_at,
        cryptoperiod_days: Some(days),
        overdue: entry.state == KeyState::Active && ends_at.is_some_and(|ends_at| ends_at < at),
        ends_at,
        ..entry
    }
}

fn identity(files: &KeyFiles, at: OffsetDateTime) -> KeyEntry {
    let identity = entry(KeyPurpose::VaultIdentity, "vault identity".to_owned(), "ECDSA P-256", "file".to_owned());
    aged(identity, files.identity_made_at, IDENTITY_DAYS, at)
}

fn state(word: &str) -> KeyState {
    match word {
        "active" => KeyState::Active,
        "destroyed" => KeyState::Destroyed,
        _ => KeyState::Deactivated,
    }
}

fn kek(row: &KekRow, at: OffsetDateTime) -> KeyEntry {
    let name = format!("KEK {}", row.version);
    let kek = KeyEntry {
        state: state(&row.state),
        version: u32::try_from(row.version).ok(),
        ..entry(KeyPurpose::Kek, name, "AES-256", row.provider.clone())
    };
    aged(kek, Some(row.created_at), KEK_DAYS, at)
}

async fn secrets(pool: &PgPool) -> Result<Vec<KeyEntry>, StoreError> {
    let secrets = inventory::list_secrets(pool).await?.into_iter();
    // What was keyed with it is looked up by it: it lives as long as the data does.
    let secret = |facts: inventory::SecretFacts| KeyEntry {
        made_at: Some(facts.created_at),
        ..entry(KeyPurpose::RootSecret, facts.name, "HMAC-SHA-256, 256 bits", format!("KEK {}", facts.kek_version))
    };
    Ok(secrets.map(secret).collect())
}

fn dek(facts: inventory::DekFacts, at: OffsetDateTime) -> KeyEntry {
    let dek = KeyEntry {
        state: state(&facts.state),
        merchant: Some(MerchantId::from_bytes(facts.merchant_id.into_bytes())),
        class: Some(facts.data_class),
        version: u32::try_from(facts.epoch).ok(),
        uses: u64::try_from(facts.seals_reserved).ok(),
        uses_allowed: u64::try_from(MAX_SEALS).ok(),
        ..entry(KeyPurpose::Dek, format!("DEK {}", facts.id), "AES-256-GCM", format!("KEK {}", facts.kek_version))
    };
    aged(dek, Some(facts.created_at), DEK_DAYS, at)
}

fn tls(certificate: &Certificate, at: OffsetDateTime) -> KeyEntry {
    let days = (certificate.not_after - certificate.not_before).whole_days();
    KeyEntry {
        made_at: Some(certificate.not_before),
        cryptoperiod_days: u32::try_from(days).ok(),
        ends_at: Some(certificate.not_after),
        overdue: certificate.not_after < at,
        ..entry(KeyPurpose::TlsCertificate, certificate.name.to_owned(), "TLS 1.3", "file".to_owned())
    }
}

fn sealing_keys(published: &str, at: OffsetDateTime) -> Vec<KeyEntry> {
    let set: SealingKeySet = serde_json::from_str(published).unwrap_or(SealingKeySet { keys: Vec::new() });
    let moment = |ms: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    let suite = |suite| match suite {
        Suite::X25519 => "HPKE X25519, AES-256-GCM",
        Suite::P256 => "HPKE P-256, AES-256-GCM",
    };
    let keys = set.keys.into_iter();
    keys.map(|key| KeyEntry {
        made_at: moment(key.not_before_ms),
        ends_at: moment(key.not_after_ms),
        overdue: moment(key.not_after_ms).is_some_and(|end| end < at),
        cryptoperiod_days: Some(0),
        ..entry(KeyPurpose::SealingKey, key.key_id, suite(key.suite), format!("memory of node {}", key.node))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// A key in use beyond its cryptoperiod is overdue; one that only reads is not.
    #[test]
    fn a_key_is_overdue_after_its_period() {
        let made = datetime!(2025-01-01 0:00 UTC);
        let row = |state: &str| KekRow {
            version: 3,
            provider: "shamir".to_owned(),
            material: Vec::new(),
            state: state.to_owned(),
            created_at: made,
            retired_at: None,
            destroyed_at: None,
        };
        let young = kek(&row("active"), made + Duration::days(364));
        assert_eq!((young.overdue, young.version, young.held_by.as_str()), (false, Some(3), "shamir"));
        assert!(kek(&row("active"), made + Duration::days(366)).overdue);
        assert!(!kek(&row("retired"), made + Duration::days(366)).overdue);
        assert_eq!(kek(&row("destroyed"), made).state, KeyState::Destroyed);
    }
}
