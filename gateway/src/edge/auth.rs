//! Who asks: the API key in the Authorization header, as Bearer or as the user name of Basic.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;
use kura_platform::clock;
use kura_wire::vault::CvcRule;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::api_key::{ApiKey, KeyHash, KeyKind, shown_prefix};
use crate::app::App;
use crate::codes::Code;
use crate::endpoint::rights::{Access, Resource, right_word};
use crate::error::{ApiError, ApiResult};
use crate::signals::{Kind, Place};
use crate::store::Tenant;
use crate::store::api_keys::{self, KeyRow};
use crate::store::cards::Card;

/// How long a key is believed without asking the database: a revocation is in force within a second.
const BELIEVED_FOR: Duration = Duration::from_millis(900);
/// Keys remembered at the most.
const MAX_REMEMBERED: usize = 10_000;

/// Witness: this request came with a valid key. Only [`authenticate`] makes one.
#[derive(Clone)]
pub struct AuthenticatedMerchant {
    tenant: Tenant,
    key: Arc<KeyRow>,
    hint: Arc<str>,
    publishable: Option<Arc<str>>,
}

impl fmt::Debug for AuthenticatedMerchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatedMerchant").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl AuthenticatedMerchant {
    /// Whose data it may touch, in which mode.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The key's prefix and last four letters.
    pub fn key_hint(&self) -> &str {
        &self.hint
    }

    /// With which kind of key.
    pub fn kind(&self) -> KeyKind {
        self.key.kind
    }

    /// What is to be done when no security code is at hand for this card: at its first charge the merchant may insist on one.
    /// An imported card had its first charge in the system that it comes from, which could not keep the code, and nobody is
    /// there to enter it when a subscription is due: it is charged without, as card networks have it for stored credentials.
    pub fn cvc_rule(&self, card: &Card) -> CvcRule {
        if self.key.requires_cvc && card.charged_at.is_none() { CvcRule::Require } else { CvcRule::Proceed }
    }

    /// May it do this?
    ///
    /// # Errors
    /// 403 for a restricted key that was not given the right.
    pub fn require(&self, resource: Resource, access: Access) -> ApiResult<()> {
        let may = match self.key.kind {
            KeyKind::Secret => true,
            KeyKind::Restricted => self.key.rights.allow(resource, access),
            // Public, so it may do the one thing that it is for.
            KeyKind::Publishable => resource == Resource::Tokens,
        };
        if may {
            return Ok(());
        }
        let message = format!(
            "The key provided does not have the right that this request needs: '{}'.",
            right_word(resource, access)
        );
        Err(ApiError::with_message(Code::MorePermissionsRequired, message))
    }

    /// The key's row.
    pub fn key(&self) -> &Arc<KeyRow> {
        &self.key
    }

    /// What may make two answers to one request differ: a restricted key's rights. Nothing for keys without.
    pub fn rights_words(&self) -> String {
        self.key.rights.words().join(" ")
    }

    /// The pages that may make tokens.
    pub fn allowed_origins(&self) -> &[String] {
        &self.key.allowed_origins
    }

    /// The publishable key itself, which is public. `None` behind any other key.
    pub fn publishable_key(&self) -> Option<&str> {
        self.publishable.as_deref()
    }
}

/// Keys that were valid less than a second ago.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<KeyHash, (Instant, Arc<KeyRow>)>>);

impl KeyCache {
    fn find(&self, hash: KeyHash) -> Option<Arc<KeyRow>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, row) = known.get(&hash)?;
        (since.elapsed() < BELIEVED_FOR).then(|| Arc::clone(row))
    }

    fn insert(&self, hash: KeyHash, since: Instant, row: Arc<KeyRow>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(hash, (since, row));
    }
}

/// Who asks?
///
/// # Errors
/// 401, which shows no more of a wrong key than its prefix; 403 from an address that the key does not allow.
pub async fn authenticate(app: &App, headers: &HeaderMap, place: &Place) -> ApiResult<AuthenticatedMerchant> {
    let presented = presented_key(headers)?;
    let key = ApiKey::parse(&presented).ok_or_else(|| invalid(&presented))?;
    let row = look_up(app, &key).await?.ok_or_else(|| invalid(&presented))?;
    let now = clock::now();
    if let Err((kind, code)) = usable(&row, place.address, now) {
        app.signals.note(kind, &row, place);
        return Err(ApiError::new(code));
    }
    app.key_uses.note(row.id, now);
    Ok(AuthenticatedMerchant {
        tenant: Tenant::new(row.merchant, row.livemode),
        hint: key.hint().into(),
        publishable: key.publishable_text().map(Arc::from),
        key: row,
    })
}

/// Whether the key is good here and now.
///
/// # Errors
/// What that is a sign of, and what is said.
pub fn usable(key: &KeyRow, address: IpAddr, now: OffsetDateTime) -> Result<(), (Kind, Code)> {
    if key.revoked_at.is_some() {
        return Err((Kind::KeyRevoked, Code::ApiKeyExpired));
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err((Kind::KeyExpired, Code::ApiKeyExpired));
    }
    let networks = &key.allowed_addresses;
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&address)) {
        return Err((Kind::AddressRefused, Code::AddressNotAllowed));
    }
    Ok(())
}

/// What a key stands for, at most a second old; also one that is no longer good.
pub async fn look_up(app: &App, key: &ApiKey) -> ApiResult<Option<Arc<KeyRow>>> {
    let hash = key.hash(&app.secrets.api_keys);
    if let Some(row) = app.keys.find(hash) {
        return Ok(Some(row));
    }
    // Counted from before the question: what it answers may be as old as that.
    let asked = Instant::now();
    let row = api_keys::find(app.db.work(), hash).await?;
    Ok(row.filter(|row| row.kind == key.kind() && row.livemode == key.livemode()).map(|row| {
        let row = Arc::new(row);
        app.keys.insert(hash, asked, Arc::clone(&row));
        row
    }))
}

fn invalid(presented: &str) -> ApiError {
    match shown_prefix(presented) {
        "" => ApiError::new(Code::ApiKeyInvalid),
        prefix => ApiError::with_message(Code::ApiKeyInvalid, format!("Invalid API key provided: {prefix}***.")),
    }
}

/// The key's text, however it was wrapped.
pub(super) fn presented_key(headers: &HeaderMap) -> ApiResult<Zeroizing<String>> {
    let missing = || ApiError::new(Code::ApiKeyMissing);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, rest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Ok(Zeroizing::new(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let decoded = BASE64.decode(rest.as_bytes()).map(Zeroizing::new).map_err(|_| missing())?;
    let text = std::str::from_utf8(&decoded).map_err(|_| missing())?;
    let (user, _) = text.split_once(':').unwrap_or((text, ""));
    if user.is_empty() { Err(missing()) } else { Ok(Zeroizing::new(user.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(value: &str) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        presented_key(&headers).map(|key| key.to_string()).map_err(|error| error.code())
    }

    /// Bearer and Basic, in either case of the scheme; everything else is no key at all.
    #[test]
    fn keys_come_as_bearer_or_basic() {
        assert_eq!(presented("Bearer sk_test_x"), Ok("sk_test_x".into()));
        assert_eq!(presented("bearer sk_test_x"), Ok("sk_test_x".into()));
        assert_eq!(presented(&format!("Basic {}", BASE64.encode(b"sk_test_x:"))), Ok("sk_test_x".into()));
        for bad in ["sk_test_x", "Bearer ", "Basic !!!", "Digest x", "Basic Og=="] {
            assert_eq!(presented(bad), Err(Code::ApiKeyMissing), "{bad}");
        }
    }

    /// A wrong key is never echoed, only the prefix that all keys share.
    #[test]
    fn wrong_keys_are_not_echoed() {
        let body = invalid("sk_test_hunter2").body("").to_string();
        assert!(body.contains("sk_test_***") && !body.contains("hunter2"));
        assert!(!invalid("hunter2").body("").to_string().contains("hunter2"));
    }

    fn row() -> KeyRow {
        let key = ApiKey::draw(KeyKind::Secret, false);
        crate::keys::fresh(&key, kura_wire::ids::MerchantId::from_bytes([1; 16]))
    }

    /// What is in the cache is believed, and not for longer than a second.
    #[test]
    fn a_key_is_believed_for_less_than_a_second() {
        let cache = KeyCache::default();
        let row = Arc::new(row());
        let hash = KeyHash([1; 32]);
        cache.insert(hash, Instant::now(), Arc::clone(&row));
        assert!(cache.find(hash).is_some());
        let Some(old) = Instant::now().checked_sub(Duration::from_secs(1)) else { return };
        cache.insert(hash, old, row);
        assert!(cache.find(hash).is_none());
    }

    /// A key ends at its end to the moment, also one that is remembered; its addresses hold to the bit.
    #[test]
    fn keys_are_good_within_their_bounds() {
        let (now, here) = (clock::now(), "192.0.2.7".parse().unwrap());
        let key = row();
        assert_eq!(usable(&key, here, now), Ok(()));
        let revoked = KeyRow { revoked_at: Some(now), ..row() };
        assert_eq!(usable(&revoked, here, now), Err((Kind::KeyRevoked, Code::ApiKeyExpired)));
        let ending = KeyRow { expires_at: Some(now), ..row() };
        assert_eq!(usable(&ending, here, now), Err((Kind::KeyExpired, Code::ApiKeyExpired)));
        assert_eq!(usable(&ending, here, now - Duration::from_nanos(1)), Ok(()));
        let bound = KeyRow {
            allowed_addresses: vec!["192.0.2.4/30".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            ..row()
        };
        for (address, good) in [
            ("192.0.2.3", false),
            ("192.0.2.4", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(usable(&bound, address.parse().unwrap(), now).is_ok(), good, "{address}");
        }
    }
}
