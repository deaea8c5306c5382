//! `POST /v1/tokens`: a sealed box from the card fields becomes a single-use token. The one call for publishable keys.

use kura_platform::clock;
use kura_wire::sealed_box::{MAX_CIPHERTEXT_LEN, SealedBox};
use kura_wire::vault::{Tokenize, VaultErrorCode};
use serde_json::{Map, Value};

use crate::codes::Code;
use crate::edge::auth::AuthenticatedMerchant;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards::{self, Card};
use crate::vault_client::VaultFailure;

/// Letters of base64 that the longest ciphertext has.
const MAX_CIPHERTEXT_LETTERS: usize = MAX_CIPHERTEXT_LEN.div_ceil(3) * 4;

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let sealed = sealed_box(&mut params)?;
    params.finish()?;

    check_origins(&context.merchant, context.origin.as_deref(), &context.app.public_origin, &sealed.origin)?;
    let publishable_key =
        context.merchant.publishable_key().ok_or_else(|| ApiError::new(Code::PublishableKeyRequired))?;

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

fn sealed_box(params: &mut Params) -> ApiResult<SealedBox> {
    let mut card = params.required_object("card")?;
    let mut sealed = card.required_object("sealed_box")?;
    let mut letters = |name: &str, most: usize| -> ApiResult<String> {
        let text = sealed.required_text_within(name, 4096)?;
        let base64url = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let sealed_box_invalid = || ApiError::new(Code::SealedBoxInvalid).on(sealed.name_of(name));
        if base64url && text.len() <= most { Ok(text) } else { Err(sealed_box_invalid()) }
    };
    let key_id = letters("key_id", 64)?;
    let enc = letters("enc", 128)?;
    let ciphertext = letters("ciphertext", MAX_CIPHERTEXT_LETTERS)?;
    let origin = sealed.required_text_within("origin", 255)?;
    let sealed_at_ms = sealed.required_integer("sealed_at_ms")?;
    sealed.finish()?;
    card.finish()?;
    Ok(SealedBox { key_id, enc, ciphertext, origin, sealed_at_ms })
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
