//! The two signatures that every webhook carries: Stripe's (`Stripe-Signature`) and that of Standard Webhooks (`webhook-id`,
//! `webhook-timestamp`, `webhook-signature`). Both are HMAC-SHA-256 over id or time and the body as it is sent; they differ in
//! what of the secret is the key: Stripe takes its text, Standard Webhooks the bytes that the text encodes.

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// A signing secret's text, of these bytes.
pub fn secret_of(bytes: &[u8; 24]) -> Zeroizing<String> {
    Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(bytes)))
}

/// The headers that sign a webhook, with every secret that is in force: name and value.
pub fn headers(secrets: &[&str], id: &str, time: i64, body: &str) -> [(&'static str, String); 4] {
    let stripe = secrets.iter().map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("v1={}", HEXLOWER.encode(signed(&key, &[&time.to_string(), body]).as_ref()))
    });
    let stripe = std::iter::once(format!("t={time}")).chain(stripe).collect::<Vec<_>>().join(",");
    let standard = secrets.iter().filter_map(|secret| {
        let bytes = BASE64.decode(secret.strip_prefix(PREFIX)?.as_bytes()).map(Zeroizing::new).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Some(format!("v1,{}", BASE64.encode(signed(&key, &[id, &time.to_string(), body]).as_ref())))
    });
    [
        ("stripe-signature", stripe),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.to_string()),
        ("webhook-signature", standard.collect::<Vec<_>>().join(" ")),
    ]
}

fn signed(key: &hmac::Key, parts: &[&str]) -> hmac::Tag {
    hmac::sign(key, parts.join(".").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the Standard Webhooks specification, and Stripe's construction spelled out.
    #[test]
    fn signatures_are_those_of_the_specifications() {
        let body = r#"{"test": 2432232314}"#;
        let [stripe, id, time, standard] = headers(&[KNOWN], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(standard.1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!((id.1.as_str(), time.1.as_str()), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, KNOWN.as_bytes());
        let tag = HEXLOWER.encode(hmac::sign(&key, format!("1614265330.{body}").as_bytes()).as_ref());
        assert_eq!(stripe.1, format!("t=1614265330,v1={tag}"));
    }

    /// While a secret is being replaced both sign, the new one first.
    #[test]
    fn every_secret_in_force_signs() {
        let new = secret_of(&[7; 24]);
        let [stripe, _, _, standard] = headers(&[&new, KNOWN], "evt_1", 5, "{}");
        assert_eq!((stripe.1.matches("v1=").count(), standard.1.matches("v1,").count()), (2, 2));
        let [alone, ..] = headers(&[KNOWN], "evt_1", 5, "{}");
        assert!(stripe.1.ends_with(alone.1.strip_prefix("t=5,").unwrap()));
    }
}
