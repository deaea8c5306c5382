//! `POST /v1/tokens`: a sealed box from the card fields becomes a single-use token. The one call for publishable keys.

use std::borrow::Cow;

use kura_platform::clock;
use kura_wire::sealed_box::{MAX_CIPHERTEXT_LEN, SealedBox};
use kura_wire::vault::{Tokenize, VaultErrorCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Map;

use crate::codes::Code;
use crate::edge::auth::AuthenticatedMerchant;
use crate::edge::call::Context;
use crate::endpoint::read::refuse_as;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards::{self, Card};
use crate::vault_client::VaultFailure;

/// Letters of base64 that the longest ciphertext has.
const MAX_CIPHERTEXT_LETTERS: usize = MAX_CIPHERTEXT_LEN.div_ceil(3) * 4;

/// A card for a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// The card.
    card: SealedCard,
}

/// A card, sealed in the shopper's browser.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SealedCard {
    /// What kura.js made of the card.
    sealed_box: Sealed,
}

/// What kura.js made of the card.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// Of the vault's key.
    key_id: Letters<64>,
    /// HPKE's encapsulated key (RFC 9180), base64url.
    enc: Letters<128>,
    /// Base64url.
    ciphertext: Letters<MAX_CIPHERTEXT_LETTERS>,
    /// The page's.
    origin: Text<255>,
    /// Unix milliseconds.
    sealed_at_ms: i64,
}

/// Letters of base64url.
#[derive(Debug)]
struct Letters<const MAX: usize>(String);

impl<'de, const MAX: usize> Deserialize<'de> for Letters<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::<4096>::deserialize(deserializer)?;
        let base64url = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if base64url && text.len() <= MAX {
            Ok(Self(text.into_string()))
        } else {
            Err(refuse_as(Code::SealedBoxInvalid))
        }
    }
}

impl<const MAX: usize> JsonSchema for Letters<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Letters{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX, "pattern": "^[A-Za-z0-9_-]+$" })
    }
}

impl From<Sealed> for SealedBox {
    fn from(sent: Sealed) -> Self {
        Self {
            key_id: sent.key_id.0,
            enc: sent.enc.0,
            ciphertext: sent.ciphertext.0,
            origin: sent.origin.into_string(),
            sealed_at_ms: sent.sealed_at_ms,
        }
    }
}

/// Runs it.
pub async fn run(context: Context, asked: CreateToken) -> ApiResult<render::card::Token> {
    let sealed = SealedBox::from(asked.card.sealed_box);
    let merchant = context.merchant.as_ref().ok_or_else(|| ApiError::new(Code::PublishableKeyRequired))?;
    check_origins(merchant, context.origin.as_deref(), &context.app.public_origin, &sealed.origin)?;
    let publishable_key = merchant.publishable_key().ok_or_else(|| ApiError::new(Code::PublishableKeyRequired))?;

    let ask = Tokenize { context: context.vault_context(), publishable_key: publishable_key.to_owned(), sealed };
    let made = match context.app.vault.tokenize(&ask).await {
        Err(VaultFailure::Refused(VaultErrorCode::SealingKeyExpired)) => {
            // Its node is gone or new: nobody else should be given this key.
            context.app.sealing_keys.forget(&ask.sealed.key_id);
            return Err(ApiError::from(VaultFailure::Refused(VaultErrorCode::SealingKeyExpired)));
        }
        answer => answer?,
    };
    let at = clock::now();
    cards::insert(&mut *context.db().await?, context.tenant(), made.token, &made.card, at).await?;

    let card = Card {
        record: made.token.record,
        node: made.token.node,
        brand: made.card.brand.as_str().to_owned(),
        bin: made.card.bin,
        last_four: made.card.last_four,
        exp_month: i16::from(made.card.exp_month),
        exp_year: i16::try_from(made.card.exp_year).unwrap_or(i16::MAX),
        fingerprint: made.card.fingerprint,
        token_used_at: None,
        saved_at: None,
        customer: None,
        metadata: Map::new(),
        created_at: at,
        charged_at: None,
    };
    Ok(render::card::token(context.tenant(), &card))
}

/// The page that the box names must be one of the key's, and the sender must be our own iframe.
fn check_origins(
    merchant: &AuthenticatedMerchant,
    sender: Option<&str>,
    own_origin: &str,
    page: &str,
) -> ApiResult<()> {
    let from_iframe = sender.is_none_or(|sender| sender == own_origin);
    let allowed = merchant.allowed_origins().iter().any(|allowed| allowed == page);
    match (from_iframe, allowed) {
        (true, true) => Ok(()),
        (true, false) => Err(ApiError::new(Code::OriginNotAllowed).on("card[sealed_box][origin]")),
        (false, _) => Err(ApiError::with_message(
            Code::OriginNotAllowed,
            "Tokens are made by the card fields' own frame. Mount them with kura.js.",
        )),
    }
}
