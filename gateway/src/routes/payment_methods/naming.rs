//! How a card is named: `pm_…` (saved), `tok_…` (single-use), and in test mode the published names `pm_card_visa`,
//! `tok_visa`, which stand for a new record at each use.

use kura_platform::clock;
use kura_wire::ids::{CardToken, TokenUse};
use kura_wire::vault::{Describe, TestCard, VaultErrorCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::store::cards::{self, Card};
use crate::store::payment_intents::NamedCard;
use crate::vault_client::VaultFailure;

const MAX_TEST_NAME_LEN: usize = 40;

/// What the merchant wrote, checked for its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardName {
    /// A card of ours.
    Token(CardToken, &'static str),
    /// A published test card.
    Test(String, TokenUse, &'static str),
}

impl CardName {
    /// Reads `pm_…` or `tok_…`.
    ///
    /// # Errors
    /// 404 `resource_missing` for what is no card's name.
    pub fn parse(text: &str, allows: TokenUse, livemode: bool, param: &'static str) -> ApiResult<Self> {
        if let Some(token) = text.parse::<CardToken>().ok().filter(|token| token.allows == allows) {
            return Ok(Self::Token(token, param));
        }
        let prefix = match allows {
            TokenUse::Multi => "pm_card_",
            TokenUse::Single => "tok_",
        };
        let name = text.strip_prefix(prefix).filter(|name| {
            !livemode
                && (1..=MAX_TEST_NAME_LEN).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        name.map(|name| Self::Test(name.to_owned(), allows, param)).ok_or_else(|| missing(allows, param))
    }

    const fn param(&self) -> &'static str {
        match self {
            Self::Token(_, param) | Self::Test(_, _, param) => param,
        }
    }
}

fn missing(allows: TokenUse, param: &'static str) -> ApiError {
    match allows {
        TokenUse::Multi => ApiError::missing("payment_method", param),
        TokenUse::Single => ApiError::missing("token", param),
    }
}

/// A kind of payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodType {
    /// A card.
    Card,
}

/// A new payment method, for one payment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodData {
    /// `card`.
    #[serde(rename = "type")]
    _kind: MethodType,
    /// Its token.
    card: CardOfToken,
}

/// A card by its token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardOfToken {
    /// `tok_…`, from the card fields.
    token: Text<255>,
}

impl CardOfToken {
    /// The card's name.
    ///
    /// # Errors
    /// 404 for what is no token.
    pub fn name(&self, livemode: bool, param: &'static str) -> ApiResult<CardName> {
        CardName::parse(&self.token, TokenUse::Single, livemode, param)
    }
}

/// The card that a payment names, by `payment_method` or by `payment_method_data`.
///
/// # Errors
/// 400 for both at once, 404 for what is no card's name.
pub fn named(saved: Option<&str>, data: Option<&MethodData>, livemode: bool) -> ApiResult<Option<CardName>> {
    match (saved, data) {
        (None, None) => Ok(None),
        (Some(text), None) => CardName::parse(text, TokenUse::Multi, livemode, "payment_method").map(Some),
        (None, Some(data)) => data.card.name(livemode, "payment_method_data[card][token]").map(Some),
        (Some(_), Some(_)) => Err(ApiError::invalid("payment_method_data", "left out where payment_method is given")),
    }
}

/// The card behind a name.
///
/// # Errors
/// 404 for cards that are not this merchant's; the vault's for test cards.
pub async fn find(context: &Context, name: &CardName) -> ApiResult<(NamedCard, Card)> {
    let token = match name {
        CardName::Token(token, _) => *token,
        CardName::Test(test_name, allows, _) => make_test_card(context, test_name, *allows, name.param()).await?,
    };
    let card = find_or_adopt(context, token).await?.ok_or_else(|| missing(token.allows, name.param()))?;
    if token.allows == TokenUse::Multi && card.saved_at.is_none() {
        return Err(ApiError::new(Code::PaymentMethodNotReusable).on(name.param()));
    }
    Ok((NamedCard { record: token.record, allows: token.allows }, card))
}

/// The merchant's card of this token. One that was imported into the vault is met here for the first time when its merchant
/// names it; the vault tells of it to its own merchant alone.
///
/// # Errors
/// The vault's, where only it can know.
pub(super) async fn find_or_adopt(context: &Context, token: CardToken) -> ApiResult<Option<Card>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let mut card = cards::find(&mut db, tenant, token.record).await?;
    drop(db);
    if card.is_none() && token.allows == TokenUse::Multi {
        match context.app.vault.describe(&Describe { context: context.vault_context(), token }).await {
            Ok(told) => {
                let mut db = context.db().await?;
                cards::insert_imported(&mut db, tenant, told.token, &told.card, clock::now()).await?;
            }
            Err(VaultFailure::Refused(VaultErrorCode::TokenUnknown)) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        }
        card = cards::find(&mut *context.db().await?, tenant, token.record).await?;
    }
    Ok(card.filter(|card| card.node == token.node))
}

async fn make_test_card(context: &Context, name: &str, allows: TokenUse, param: &'static str) -> ApiResult<CardToken> {
    let ask = TestCard { context: context.vault_context(), name: name.to_owned(), allows };
    let made = context.app.vault.test_card(&ask).await.map_err(|failure| ApiError::from(failure).on(param))?;
    cards::insert(&mut *context.db().await?, context.tenant(), made.token, &made.card, clock::now()).await?;
    Ok(made.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both prefixes read their own names only, and published names are for test mode.
    #[test]
    fn names_are_read_by_their_prefix() {
        let read = |text: &str, allows, live| CardName::parse(text, allows, live, "p");
        let visa = CardName::Test("visa".into(), TokenUse::Multi, "p");
        assert_eq!(read("pm_card_visa", TokenUse::Multi, false).unwrap(), visa);
        assert_eq!(
            read("tok_visa", TokenUse::Single, false).unwrap(),
            CardName::Test("visa".into(), TokenUse::Single, "p")
        );
        assert!(read("pm_card_visa", TokenUse::Multi, true).is_err());
        assert!(read("tok_visa", TokenUse::Multi, false).is_err());
        assert!(read("pm_card_", TokenUse::Multi, false).is_err());
        assert!(read("pm_card_<x>", TokenUse::Multi, false).is_err());
        let token =
            CardToken { allows: TokenUse::Multi, node: kura_wire::ids::NodeId::new(0).unwrap(), record: [9; 16] };
        assert_eq!(read(&token.to_string(), TokenUse::Multi, true).unwrap(), CardName::Token(token, "p"));
        let single = token.with_use(TokenUse::Single).to_string();
        assert!(read(&single, TokenUse::Multi, true).is_err());
    }
}
