//! Signing secrets of endpoints: sealed at rest, bound to their endpoint, shown once. How they sign is in
//! [`kura_platform::webhook_signature`].

use kura_platform::sealing::SealingKey;
use kura_platform::webhook_signature;
use kura_wire::ids::WebhookEndpointId;
use zeroize::Zeroizing;

use crate::error::{ApiError, ApiResult};
use crate::store::Tenant;

/// A signing secret: `whsec_` and 24 random bytes in base64. No Debug, Clone, Display or comparison.
pub struct SigningSecret(Zeroizing<String>);

impl SigningSecret {
    /// A new one.
    pub fn draw() -> Self {
        Self(webhook_signature::secret_of(&Zeroizing::new(kura_platform::random::bytes())))
    }

    /// Seals it for an endpoint's row.
    ///
    /// # Errors
    /// 500.
    pub fn seal(&self, key: &SealingKey, tenant: Tenant, endpoint: WebhookEndpointId) -> ApiResult<Vec<u8>> {
        let merchant = tenant.merchant();
        let place = place(merchant.as_bytes(), endpoint.as_bytes());
        key.seal(&place, self.0.as_bytes()).map_err(ApiError::internal)
    }

    /// Opens one of an endpoint's row.
    ///
    /// # Errors
    /// 500: another key, or a row that was tampered with.
    pub fn open(key: &SealingKey, tenant: Tenant, endpoint: WebhookEndpointId, sealed: &[u8]) -> ApiResult<Self> {
        let merchant = tenant.merchant();
        let place = place(merchant.as_bytes(), endpoint.as_bytes());
        let plain = key.open(&place, sealed).map_err(ApiError::internal)?;
        let text = std::str::from_utf8(&plain).map_err(ApiError::internal)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// For its owner, once.
    pub fn reveal_to_its_owner(&self) -> &str {
        &self.0
    }
}

fn place<'a>(merchant: &'a [u8; 16], endpoint: &'a [u8; 16]) -> [&'a [u8]; 3] {
    [b"webhook_endpoints.secret", merchant, endpoint]
}

/// The headers that sign a webhook, with every secret that is in force.
pub fn signatures(secrets: &[SigningSecret], id: &str, time: i64, body: &str) -> [(&'static str, String); 4] {
    let secrets: Vec<&str> = secrets.iter().map(|secret| secret.0.as_str()).collect();
    webhook_signature::headers(&secrets, id, time, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::ids::MerchantId;

    /// A sealed secret opens for its own endpoint alone.
    #[test]
    fn a_secret_is_bound_to_its_endpoint() {
        let secrets = crate::secret::for_tests();
        let tenant = |byte| Tenant::new(MerchantId::from_bytes([byte; 16]), false);
        let endpoint = |byte| WebhookEndpointId::from_bytes([byte; 16]);
        let secret = SigningSecret::draw();
        let sealed = secret.seal(&secrets.webhooks, tenant(1), endpoint(1)).unwrap();
        let open = |merchant, id| SigningSecret::open(&secrets.webhooks, tenant(merchant), endpoint(id), &sealed);
        assert_eq!(open(1, 1).unwrap().reveal_to_its_owner(), secret.reveal_to_its_owner());
        assert!(open(2, 1).is_err() && open(1, 2).is_err());
        assert!(!String::from_utf8_lossy(&sealed).contains("whsec_"));
    }
}
