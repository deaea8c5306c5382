//! How a card is named: `pm_…` (saved), `tok_…` (single-use), and in test mode the published names `pm_card_visa`,
//! `tok_visa`, which stand for a new record at each use.

use kura_platform::clock;
use kura_wire::ids::{CardToken, PayerId, TokenUse};
use kura_wire::payer::{PayerMethod, PersonFields, Personal, StorePayer};
use kura_wire::vault::{Describe, TestCard, VaultErrorCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::routes::customers::person::{Address, fields};
use crate::store::cards::{self, Before, Card};
use crate::store::payers::{self, Payer};
pub use crate::store::payment_intents::MethodType;
use crate::store::payment_intents::NamedCard;
use crate::vault_client::VaultFailure;

const MAX_TEST_NAME_LEN: usize = 64;

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

/// A new payment method, for one payment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodData {
    /// `card`, `konbini`, `payeasy`, `emoney`.
    #[serde(rename = "type")]
    pub kind: MethodType,
    /// A card's token.
    pub card: Option<CardOfToken>,
    /// Who pays, without a card. Sealed in the vault; comes back masked.
    pub billing_details: Option<Billing>,
}

/// Who pays. A convenience store wants name and phone, a bank name and phone, the wallet an e-mail address.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Billing {
    /// As the payer writes it.
    name: Option<Text>,
    /// An e-mail address.
    email: Option<Text>,
    /// A telephone number.
    phone: Option<Text>,
    /// An address, for payments by bank.
    address: Option<Address>,
}

impl Billing {
    fn into_fields(self) -> PersonFields<Personal> {
        let Self { name, email, phone, address } = self;
        let (postcode, address) = address.map_or((None, None), Address::into_parts);
        PersonFields { postcode, address, ..fields(name, email, phone, None) }
    }
}

/// A payment method as a merchant named it, checked for its form.
#[derive(Debug)]
pub enum MethodName {
    /// A card.
    Card(CardName),
    /// Somebody who pays without one, named before.
    Payer(PayerId, &'static str),
    /// Somebody who pays without one, named now.
    New(PayerMethod, Box<Billing>),
}

impl MethodName {
    /// Reads `pm_…`.
    ///
    /// # Errors
    /// 404 `resource_missing` for what is no payment method's name.
    pub fn parse(text: &str, livemode: bool, param: &'static str) -> ApiResult<Self> {
        match payers::parse_method_id(text) {
            Some(id) => Ok(Self::Payer(id, param)),
            None => CardName::parse(text, TokenUse::Multi, livemode, param).map(Self::Card),
        }
    }

    /// A new payment method, in words.
    ///
    /// # Errors
    /// 400 for parts of another kind, or none; 404 for what is no token.
    pub fn of_data(data: MethodData, livemode: bool, param: &'static str) -> ApiResult<Self> {
        let part = |name: &str| format!("{param}[{name}]");
        match (data.kind.deposit(), data.card, data.billing_details) {
            (None, Some(card), None) => card.name(livemode, "payment_method_data[card][token]").map(Self::Card),
            (None, None, _) => Err(ApiError::new(Code::ParameterMissing).on(part("card"))),
            (None, Some(_), Some(_)) => Err(ApiError::invalid(&part("billing_details"), "left out for cards")),
            (Some(_), Some(_), _) => Err(ApiError::invalid(&part("card"), "left out where type is not card")),
            (Some(method), None, Some(billing)) => Ok(Self::New(method, Box::new(billing))),
            (Some(_), None, None) => Err(ApiError::new(Code::ParameterMissing).on(part("billing_details"))),
        }
    }

    /// The card, where only one will do.
    ///
    /// # Errors
    /// 400 for other kinds.
    pub fn into_card(self) -> ApiResult<CardName> {
        match self {
            Self::Card(name) => Ok(name),
            Self::Payer(..) | Self::New(..) => Err(ApiError::invalid("payment_method", "a card")),
        }
    }
}

/// A payment method that was found, or made.
#[derive(Debug, Clone)]
pub enum Found {
    /// A card, and by which of its names it is used.
    Card(NamedCard, Card),
    /// Somebody who pays without one.
    Payer(Payer),
}

/// The payment method behind a name.
///
/// # Errors
/// 404 for what is not this merchant's; 400 for what the vault will not take of a payer; the vault's.
pub async fn find_method(context: &Context, name: MethodName) -> ApiResult<Found> {
    Ok(match name {
        MethodName::Card(name) => {
            let (named, card) = find(context, &name).await?;
            Found::Card(named, card)
        }
        MethodName::Payer(id, param) => {
            let payer = payers::find(&mut *context.db().await?, context.tenant(), id).await?;
            Found::Payer(payer.ok_or_else(|| ApiError::missing("payment_method", param))?)
        }
        MethodName::New(method, billing) => Found::Payer(new_payer(context, method, *billing, Map::new()).await?),
    })
}

/// Keeps a payer in the vault, and here what may be shown. A repeated request meets the first one's.
///
/// # Errors
/// 400 for what the vault will not take; the vault's.
pub(super) async fn new_payer(
    context: &Context,
    method: PayerMethod,
    billing: Billing,
    metadata: Map<String, Value>,
) -> ApiResult<Payer> {
    let id: PayerId = context.ids().one();
    if !context.first_run
        && let Some(met) = payers::find(&mut *context.db().await?, context.tenant(), id).await?
    {
        return Ok(met);
    }
    let ask = StorePayer { context: context.vault_context(), payer: id, method, fields: billing.into_fields() };
    let masked = context.app.vault.store_payer(&ask).await?.masked;
    let payer = Payer { id, method, masked, metadata, created_at: clock::now() };
    payers::insert(&mut *context.db().await?, context.tenant(), &payer).await?;
    Ok(payer)
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

/// The payment method that a payment names, by `payment_method` or by `payment_method_data`.
///
/// # Errors
/// 400 for both at once, 404 for what is no payment method's name.
pub fn named(saved: Option<&str>, data: Option<MethodData>, livemode: bool) -> ApiResult<Option<MethodName>> {
    match (saved, data) {
        (None, None) => Ok(None),
        (Some(text), None) => MethodName::parse(text, livemode, "payment_method").map(Some),
        (None, Some(data)) => MethodName::of_data(data, livemode, "payment_method_data").map(Some),
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
    let tenant = context.tenant();
    let mut card = context.app.grouped.cards.ask(tenant, token.record).await?;
    if card.is_none() && token.allows == TokenUse::Multi {
        match context.app.vault.describe(&Describe { context: context.vault_context(), token }).await {
            Ok(told) => {
                let mut db = context.db().await?;
                let now = clock::now();
                let before = Before { saved_at: Some(now), charged_at: Some(now) };
                cards::insert_with(&mut db, tenant, told.token, &told.card, now, before).await?;
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
