//! Client secrets: what a shopper's page reads its one payment or set-up by, with a publishable key.
//!
//! A secret is an HMAC of the object's id. It is stored nowhere: made for each answer, checked by making it again. Events,
//! which are stored, don't have it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE32_NOPAD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::call::Context;
use crate::api_key::KeyKind;
use crate::codes::Code;
use crate::endpoint::rights::{Access, Resource};
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::secret::PurposeKey;
use crate::store::Tenant;

/// 160 bits, which are 32 letters.
const SECRET_BYTES: usize = 20;

/// The parameter of what can be read with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithClientSecret {
    /// The object's own. A publishable key needs it.
    client_secret: Option<Text<255>>,
}

impl WithClientSecret {
    /// May the object of the path be read?
    ///
    /// # Errors
    /// 404 for a secret of anything else, as for an object that is not there; 403 for a publishable key without one.
    pub fn check(&self, context: &Context, what: &str) -> ApiResult<()> {
        let Some(given) = &self.client_secret else {
            return if context.is_publishable() { Err(ApiError::new(Code::SecretKeyRequired)) } else { Ok(()) };
        };
        let expected = of(&context.app.secrets.client_secrets, context.tenant(), context.raw_id());
        verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).map_err(|_| ApiError::missing(what, "id"))
    }
}

/// The client secret of a payment, for who may have it.
pub fn of_payment(context: &Context, id: &str) -> String {
    of(&context.app.secrets.client_secrets, context.tenant(), id)
}

/// The client secret of this id.
fn of(key: &PurposeKey, tenant: Tenant, id: &str) -> String {
    let mode: &[u8] = if tenant.livemode() { b"live" } else { b"test" };
    let tag = key.tag(&[tenant.merchant().to_string().as_bytes(), mode, id.as_bytes()]);
    let letters = BASE32_NOPAD.encode(tag.get(..SECRET_BYTES).unwrap_or_default()).to_ascii_lowercase();
    format!("{id}_secret_{letters}")
}

/// Puts them into an answer, or into what an error is about, for those who may have them: secret keys, restricted ones that may
/// change the object, and whoever showed one.
pub fn reveal(context: &Context, outcome: ApiResult<Value>) -> ApiResult<Value> {
    match outcome {
        Ok(mut answer) => {
            fill(context, &mut answer);
            Ok(answer)
        }
        Err(error) => Err(error.showing(|object| fill(context, object))),
    }
}

fn fill(context: &Context, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(context, item)),
        Value::Object(fields) => {
            let resource = match fields.get("object").and_then(Value::as_str) {
                Some("payment_intent") => Some(Resource::PaymentIntents),
                Some("setup_intent") => Some(Resource::SetupIntents),
                Some("event") => return,
                _ => None,
            };
            if let Some(resource) = resource
                && may_have(context, resource)
                && let Some(id) = fields.get("id").and_then(Value::as_str)
            {
                let secret = of(&context.app.secrets.client_secrets, context.tenant(), id);
                fields.insert("client_secret".to_owned(), secret.into());
            }
            fields.values_mut().filter(|field| field.is_object() || field.is_array()).for_each(|field| {
                fill(context, field);
            });
        }
        _ => {}
    }
}

fn may_have(context: &Context, resource: Resource) -> bool {
    match context.merchant.as_ref().map(super::auth::AuthenticatedMerchant::kind) {
        Some(KeyKind::Secret | KeyKind::Publishable) => true,
        Some(KeyKind::Restricted) => context.require(resource, Access::Write).is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::ids::MerchantId;

    /// Another object, another merchant or the other mode has another secret.
    #[test]
    fn a_secret_is_of_one_object() {
        let key = &crate::secret::for_tests().client_secrets;
        let tenant = |byte, live| Tenant::new(MerchantId::from_bytes([byte; 16]), live);
        let one = of(key, tenant(1, false), "pi_1");
        assert!(one.starts_with("pi_1_secret_") && one.len() == "pi_1_secret_".len() + 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert_eq!(one, of(key, tenant(1, false), "pi_1"));
        for other in
            [of(key, tenant(1, false), "pi_2"), of(key, tenant(2, false), "pi_1"), of(key, tenant(1, true), "pi_1")]
        {
            assert_ne!(one.rsplit('_').next(), other.rsplit('_').next());
        }
    }
}
