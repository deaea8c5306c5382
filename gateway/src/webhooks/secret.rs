//! Signing secrets of endpoints, and the two signatures that every webhook carries: Stripe's (`Stripe-Signature`) and that of
//! Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`). Both are HMAC-SHA-256 over id or time and the
//! body as it is sent; they differ in what of the secret is the key: Stripe takes its text, Standard Webhooks the bytes that
//! the text encodes.

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use kura_platform::sealing::SealingKey;
use kura_wire::ids::WebhookEndpointId;
use zeroize::Zeroizing;

use crate::error::{ApiError, ApiResult};
use crate::store::Tenant;

const PREFIX: &str = "whsec_";

/// A signing secret: `whsec_` and 24 random bytes in base64. No Debug, Clone, Display or comparison.
pub struct SigningSecret(Zeroizing<String>);

impl SigningSecret {
    /// A new one.
    pub fn draw() -> Self {
        let bytes = Zeroizing::new(kura_platform::random::bytes::<24>());
        Self(Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(bytes.as_slice()))))
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

    /// As Stripe's SDKs check it: hex, over `time.body`.
    fn stripe(&self, time: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        HEXLOWER.encode(signed(&key, &[&time.to_string(), body]).as_ref())
    }

    /// As the Standard Webhooks libraries check it: base64, over `id.time.body`.
    fn standard(&self, id: &str, time: i64, body: &str) -> Option<String> {
        let bytes = BASE64.decode(self.0.strip_prefix(PREFIX)?.as_bytes()).map(Zeroizing::new).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Some(BASE64.encode(signed(&key, &[id, &time.to_string(), body]).as_ref()))
    }
}

fn place<'a>(merchant: &'a [u8; 16], endpoint: &'a [u8; 16]) -> [&'a [u8]; 3] {
    [b"webhook_endpoints.secret", merchant, endpoint]
}

fn signed(key: &hmac::Key, parts: &[&str]) -> hmac::Tag {
    hmac::sign(key, parts.join(".").as_bytes())
}

/// The headers that sign a webhook, with every secret that is in force: name and value.
pub fn signatures(secrets: &[SigningSecret], id: &str, time: i64, body: &str) -> [(&'static str, String); 4] {
    let stripe = secrets.iter().map(|secret| format!("v1={}", secret.stripe(time, body)));
    let stripe = std::iter::once(format!("t={time}")).chain(stripe).collect::<Vec<_>>().join(",");
    let standard = secrets.iter().filter_map(|secret| Some(format!("v1,{}", secret.standard(id, time, body)?)));
    [
        ("stripe-signature", stripe),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.to_string()),
        ("webhook-signature", standard.collect::<Vec<_>>().join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::ids::MerchantId;

    fn known() -> SigningSecret {
        SigningSecret(Zeroizing::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()))
    }

    /// The example of the Standard Webhooks specification, and a signature made with Stripe's own Python SDK.
    #[test]
    fn signatures_are_those_of_the_specifications() {
        let body = r#"{"test": 2432232314}"#;
        let [stripe, id, time, standard] =
            signatures(&[known()], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(standard.1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!((id.1.as_str(), time.1.as_str()), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let tag = HEXLOWER.encode(hmac::sign(&key, format!("1614265330.{body}").as_bytes()).as_ref());
        assert_eq!(stripe.1, format!("t=1614265330,v1={tag}"));
    }

    /// While a secret is being replaced both sign, the new one first.
    #[test]
    fn every_secret_in_force_signs() {
        let secrets = [SigningSecret::draw(), known()];
        let [stripe, _, _, standard] = signatures(&secrets, "evt_1", 5, "{}");
        assert_eq!((stripe.1.matches("v1=").count(), standard.1.matches("v1,").count()), (2, 2));
        let [alone, ..] = signatures(&secrets[1..], "evt_1", 5, "{}");
        assert!(stripe.1.ends_with(alone.1.strip_prefix("t=5,").unwrap()));
    }

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
