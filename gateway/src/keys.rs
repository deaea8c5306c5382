//! Making, bounding, rolling and revoking merchants' keys: what the commands and the control plane do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::control::keys::{Key, KeyBounds, MadeKey};
use kura_wire::ids::{ApiKeyId, MerchantId};
use time::OffsetDateTime;
use url::Url;

use crate::api_key::{ApiKey, KeyKind};
use crate::app::{App, origin_of};
use crate::endpoint::rights::Rights;
use crate::secret::Secrets;
use crate::store::api_keys::{self, Kept, KeyRow};
use crate::store::merchants;

/// The longest time that an old key is valid beside the one that took its place.
const LONGEST_OVERLAP: time::Duration = time::Duration::days(30);
/// How often it is written down when keys were last used.
const WRITE_USES_EVERY: Duration = Duration::from_secs(5);

/// Why a key is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its name.
    #[error("a key's name has 1 to 100 characters")]
    Name,
    /// One of its origins.
    #[error("{0} is not an origin: write scheme, host and port only, such as https://shop.example")]
    Origin(String),
    /// One of its addresses.
    #[error("{0} is neither an address nor a network such as 192.0.2.0/24")]
    Address(String),
    /// One of its rights.
    #[error("a right is a resource and `read` or `write`, such as customers:read; a restricted key has one at least")]
    Right,
    /// More than a kind of key has.
    #[error(
        "rights are for restricted keys, origins for publishable ones, addresses for all but publishable ones; at most 100 of each"
    )]
    Kind,
    /// Its end.
    #[error("a key's end is in the future")]
    End,
    /// An overlap.
    #[error("an old key is valid beside its successor for 30 days at the most")]
    Overlap,
    /// No such merchant.
    #[error("there is no such merchant")]
    Merchant,
    /// No such key, or one that is no more.
    #[error("there is no such key, or it is no longer valid")]
    Missing,
    /// The database.
    #[error("the database refused; see the log")]
    Store,
}

impl From<sqlx::Error> for KeyError {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "a key could not be made or changed");
        Self::Store
    }
}

/// An origin as browsers write it. Nothing that could mean more than one page's origin gets into a policy header.
///
/// # Errors
/// [`KeyError::Origin`].
pub fn parse_origin(text: &str) -> Result<String, KeyError> {
    let wrong = || KeyError::Origin(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let origin = origin_of(&url);
    let web = matches!(url.scheme(), "http" | "https");
    if web && (text == origin || text.strip_suffix('/') == Some(origin.as_str())) { Ok(origin) } else { Err(wrong()) }
}

/// A network, or one address as the network that it is. Bits behind a network's length are dropped.
fn parse_network(text: &str) -> Result<IpNet, KeyError> {
    let wrong = || KeyError::Address(text.to_owned());
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| wrong())?,
    };
    Ok(network.trunc())
}

fn bounded(mut key: KeyRow, bounds: &KeyBounds, at: OffsetDateTime) -> Result<KeyRow, KeyError> {
    let name = bounds.name.as_deref().map(str::trim);
    if name.is_some_and(|name| !(1..=100).contains(&name.chars().count())) {
        return Err(KeyError::Name);
    }
    key.name = name.map(str::to_owned);
    key.rights = Rights::parse(&bounds.rights).ok_or(KeyError::Right)?;
    key.allowed_origins = bounds.origins.iter().map(|origin| parse_origin(origin)).collect::<Result<_, _>>()?;
    key.allowed_addresses = bounds.addresses.iter().map(|network| parse_network(network)).collect::<Result<_, _>>()?;
    key.expires_at = bounds.expires_at;
    let (restricted, publishable) = (key.kind == KeyKind::Restricted, key.kind == KeyKind::Publishable);
    if restricted && key.rights.is_empty() {
        return Err(KeyError::Right);
    }
    let fits = (restricted || key.rights.is_empty())
        && (publishable || key.allowed_origins.is_empty())
        && (!publishable || key.allowed_addresses.is_empty())
        && key.allowed_origins.len() <= 50
        && key.allowed_addresses.len() <= 100;
    if !fits {
        return Err(KeyError::Kind);
    }
    if key.expires_at.is_some_and(|end| end <= at) {
        return Err(KeyError::End);
    }
    Ok(key)
}

/// What is the same for every new key: its row without bounds.
pub fn fresh(key: &ApiKey, merchant: MerchantId) -> KeyRow {
    KeyRow {
        id: ApiKeyId::from_bytes(kura_platform::random::bytes()),
        merchant,
        kind: key.kind(),
        livemode: key.livemode(),
        hint: key.hint(),
        name: None,
        rights: Rights::default(),
        allowed_origins: Vec::new(),
        allowed_addresses: Vec::new(),
        expires_at: None,
        revoked_at: None,
        requires_cvc: false,
    }
}

/// Makes a key.
///
/// # Errors
/// [`KeyError`].
pub async fn make(
    pool: &PgPool,
    secrets: &Secrets,
    merchant: MerchantId,
    (kind, livemode): (KeyKind, bool),
    bounds: &KeyBounds,
) -> Result<MadeKey, KeyError> {
    let at = clock::now();
    let key = ApiKey::draw(kind, livemode);
    let row = bounded(fresh(&key, merchant), bounds, at)?;
    let mut tx = pool.begin().await?;
    if !merchants::exists(&mut tx, merchant).await? {
        return Err(KeyError::Merchant);
    }
    api_keys::insert(&mut tx, key.hash(&secrets.api_keys), &row, at).await?;
    tx.commit().await?;
    Ok(MadeKey { id: row.id, key: key.reveal_to_its_maker().to_owned() })
}

/// Puts another key in the place of this one, with the same bounds. The old one is valid for a while beside it.
///
/// # Errors
/// [`KeyError`].
pub async fn roll(
    pool: &PgPool,
    secrets: &Secrets,
    id: ApiKeyId,
    overlap: time::Duration,
) -> Result<MadeKey, KeyError> {
    if overlap.is_negative() || overlap > LONGEST_OVERLAP {
        return Err(KeyError::Overlap);
    }
    let at = clock::now();
    let mut tx = pool.begin().await?;
    let old = valid(api_keys::lock(&mut tx, id).await?, at)?;
    if old.rolled_to.is_some() {
        return Err(KeyError::Missing);
    }
    let key = ApiKey::draw(old.key.kind, old.key.livemode);
    let named = fresh(&key, old.key.merchant);
    let until = old.key.expires_at.map_or(at + overlap, |end| end.min(at + overlap));
    // An old end is the old key's: the new one has none until it is given one.
    let row = KeyRow { id: named.id, hint: named.hint, expires_at: None, ..old.key };
    api_keys::insert(&mut tx, key.hash(&secrets.api_keys), &row, at).await?;
    api_keys::mark_rolled(&mut tx, id, row.id, until).await?;
    tx.commit().await?;
    Ok(MadeKey { id: row.id, key: key.reveal_to_its_maker().to_owned() })
}

/// Gives a key other bounds, in force within a second.
///
/// # Errors
/// [`KeyError`].
pub async fn change(pool: &PgPool, id: ApiKeyId, bounds: &KeyBounds) -> Result<Key, KeyError> {
    let at = clock::now();
    let mut tx = pool.begin().await?;
    let mut kept = valid(api_keys::lock(&mut tx, id).await?, at)?;
    // A key that was rolled keeps its end.
    let end = kept.rolled_to.and(kept.key.expires_at);
    kept.key = bounded(kept.key, bounds, at)?;
    kept.key.expires_at = end.or(kept.key.expires_at);
    api_keys::change(&mut tx, &kept.key).await?;
    tx.commit().await?;
    Ok(shown(kept))
}

/// Ends a key, in force within a second.
///
/// # Errors
/// [`KeyError`].
pub async fn revoke(pool: &PgPool, id: ApiKeyId) -> Result<(), KeyError> {
    if api_keys::revoke(pool, id, clock::now()).await? { Ok(()) } else { Err(KeyError::Missing) }
}

/// A merchant's keys.
///
/// # Errors
/// [`KeyError`].
pub async fn list(pool: &PgPool, merchant: MerchantId) -> Result<Vec<Key>, KeyError> {
    Ok(api_keys::list(pool, merchant).await?.into_iter().map(shown).collect())
}

fn valid(kept: Option<Kept>, at: OffsetDateTime) -> Result<Kept, KeyError> {
    kept.filter(|kept| kept.key.revoked_at.is_none() && kept.key.expires_at.is_none_or(|end| end > at))
        .ok_or(KeyError::Missing)
}

fn shown(kept: Kept) -> Key {
    let key = kept.key;
    Key {
        id: key.id,
        merchant: key.merchant,
        kind: key.kind.as_str().to_owned(),
        livemode: key.livemode,
        hint: key.hint,
        bounds: KeyBounds {
            name: key.name,
            rights: key.rights.words(),
            origins: key.allowed_origins,
            addresses: key.allowed_addresses.iter().map(ToString::to_string).collect(),
            expires_at: key.expires_at,
        },
        created_at: kept.created_at,
        last_used_at: kept.last_used_at,
        revoked_at: key.revoked_at,
        rolled_to: kept.rolled_to,
    }
}

/// When keys were last used, to the minute, until it is written down.
#[derive(Default)]
pub struct KeyUses(Mutex<HashMap<ApiKeyId, OffsetDateTime>>);

impl KeyUses {
    /// It is used now.
    pub fn note(&self, id: ApiKeyId, now: OffsetDateTime) {
        let minute =
            now - Duration::from_secs(u64::from(now.second())) - Duration::from_nanos(u64::from(now.nanosecond()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, minute);
    }

    fn take(&self) -> Vec<(ApiKeyId, OffsetDateTime)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// Writes down when keys were last used, for ever. What is not written when the process ends is lost: it is a hint, not a record.
pub async fn write_uses(app: App) {
    loop {
        tokio::time::sleep(WRITE_USES_EVERY).await;
        let used = app.key_uses.take();
        if used.is_empty() {
            continue;
        }
        if let Err(error) = api_keys::mark_used(app.db.work(), &used).await {
            tracing::warn!(%error, "when keys were used is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origins are exact, since they stand in a Content-Security-Policy.
    #[test]
    fn origins_are_exact() {
        for (text, origin) in [
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("http://localhost:7107", "http://localhost:7107"),
        ] {
            assert_eq!(parse_origin(text).unwrap(), origin);
        }
        for text in [
            "",
            "*",
            "shop.example",
            "https://shop.example/path",
            "https://a.example https://b.example",
            "https://*.example;script-src *",
            "javascript:alert(1)",
            "data:text/html,x",
            "null",
            "https://user@shop.example",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }

    /// An address is a network of one; an IPv4 address in IPv6 clothes is the IPv4 address; a network has no bits behind its length.
    #[test]
    fn addresses_are_networks() {
        for (text, network) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::1/32", "2001:db8::/32"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), network);
        }
        for text in ["", "192.0.2", "192.0.2.0/33", "shop.example", "*"] {
            assert!(parse_network(text).is_err(), "{text}");
        }
    }

    /// Each kind of key has its own bounds, and no others.
    #[test]
    fn kinds_have_their_own_bounds() {
        let at = clock::now();
        let merchant = MerchantId::from_bytes([1; 16]);
        let try_with =
            |kind, bounds: KeyBounds| bounded(fresh(&ApiKey::draw(kind, false), merchant), &bounds, at).is_ok();
        let rights = || KeyBounds { rights: vec!["charges:read".into()], ..KeyBounds::default() };
        let origins = || KeyBounds { origins: vec!["https://a.example".into()], ..KeyBounds::default() };
        let addresses = |more: KeyBounds| KeyBounds { addresses: vec!["192.0.2.1".into()], ..more };
        assert_eq!(KeyKind::ALL.map(|kind| try_with(kind, KeyBounds::default())), [true, true, false]);
        assert_eq!(KeyKind::ALL.map(|kind| try_with(kind, rights())), [false, false, true]);
        assert_eq!(KeyKind::ALL.map(|kind| try_with(kind, origins())), [true, false, false]);
        assert_eq!(KeyKind::ALL.map(|kind| try_with(kind, addresses(KeyBounds::default()))), [false, true, false]);
        assert!(try_with(KeyKind::Restricted, addresses(rights())));
        let ended = KeyBounds { expires_at: Some(at), ..rights() };
        assert!(!try_with(KeyKind::Restricted, ended));
    }
}
