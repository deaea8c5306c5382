//! Cards, under both of their names: `tok_…` and `pm_…`.

use kura_wire::ids::TokenUse;
use kura_wire::payer::PayerMethod;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::methods::Method;
use crate::store::payers::{self, Payer};

word!(TokenWord, "token");
word!(CardWord, "card");
word!(MethodWord, "payment_method");
word!(UnknownWord, "unknown");
nulls!(UnusedOfToken { client_ip });
nulls!(UnusedOfTokenCard { country, cvc_check, name });
nulls!(UnusedAddress { city, country, line2, state });
nulls!(UnusedBilling { tax_id });
nulls!(Checks { address_line1_check, address_postal_code_check, cvc_check });
nulls!(UnusedDetails { country, generated_from, wallet });

/// A card that may be used once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Token {
    /// `tok_…`.
    pub id: String,
    /// `token`.
    pub object: TokenWord,
    /// What may be seen of it.
    pub card: TokenCard,
    /// Unix seconds.
    pub created: i64,
    /// Live or test.
    pub livemode: bool,
    /// `card`.
    pub r#type: CardWord,
    /// Whether it was used already.
    pub used: bool,
    #[serde(flatten)]
    unused: UnusedOfToken,
}

/// What may be seen of a token's card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TokenCard {
    /// `card_…`.
    pub id: String,
    /// `card`.
    pub object: CardWord,
    /// `Visa`, `JCB`, …
    pub brand: String,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// The same for the same card of the same merchant.
    pub fingerprint: String,
    /// Not known.
    pub funding: UnknownWord,
    /// The last four digits.
    pub last4: String,
    /// Always empty.
    pub metadata: Map<String, Value>,
    #[serde(flatten)]
    unused: UnusedOfTokenCard,
}

/// A saved way to pay.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentMethod {
    /// `pm_…`.
    pub id: String,
    /// `payment_method`.
    pub object: MethodWord,
    /// Always `unspecified`.
    pub allow_redisplay: &'static str,
    /// Masked.
    pub billing_details: BillingDetails,
    /// What may be seen of the card, of a card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Details>,
    /// Unix seconds.
    pub created: i64,
    /// The customer that it is attached to.
    pub customer: Option<Expandable>,
    /// Live or test.
    pub livemode: bool,
    /// Empty; there where it is what `type` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konbini: Option<Map<String, Value>>,
    /// Empty; there where it is what `type` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payeasy: Option<Map<String, Value>>,
    /// Empty; there where it is what `type` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoney: Option<Map<String, Value>>,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// `card`, `konbini`, `payeasy`, `emoney`.
    pub r#type: &'static str,
}

/// Who pays, masked.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct BillingDetails {
    /// Where they live.
    pub address: MaskedAddress,
    /// The e-mail address.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    #[serde(flatten)]
    unused: UnusedBilling,
}

/// Where somebody lives, masked as a whole.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct MaskedAddress {
    /// All of it.
    pub line1: Option<String>,
    /// The postcode.
    pub postal_code: Option<String>,
    #[serde(flatten)]
    unused: UnusedAddress,
}

/// What may be seen of a saved card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Details {
    /// `visa`, `jcb`, …
    pub brand: String,
    /// Of the last charge: see there.
    pub checks: Checks,
    /// The same.
    pub display_brand: String,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// The same for the same card of the same merchant.
    pub fingerprint: String,
    /// Not known.
    pub funding: UnknownWord,
    /// The first six or eight digits.
    pub iin: String,
    /// The last four digits.
    pub last4: String,
    /// Over which networks it can be charged.
    pub networks: Networks,
    /// 3-D Secure.
    pub three_d_secure_usage: ThreeDSecureUsage,
    #[serde(flatten)]
    unused: UnusedDetails,
}

/// Over which networks a card can be charged.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Networks {
    /// One.
    pub available: Vec<String>,
    /// None.
    pub preferred: Option<String>,
}

/// Whether 3-D Secure can be asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ThreeDSecureUsage {
    /// It can.
    pub supported: bool,
}

/// Under its name `tok_`.
pub fn token(tenant: Tenant, card: &Card) -> Token {
    let token = card.token(TokenUse::Single).to_string();
    Token {
        card: TokenCard {
            id: token.replacen("tok_", "card_", 1),
            object: CardWord::default(),
            brand: display_brand(&card.brand).to_owned(),
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            fingerprint: card.fingerprint.clone(),
            funding: UnknownWord::default(),
            last4: card.last_four.clone(),
            metadata: Map::new(),
            unused: UnusedOfTokenCard::default(),
        },
        id: token,
        object: TokenWord::default(),
        created: unix(card.created_at),
        livemode: tenant.livemode(),
        r#type: CardWord::default(),
        used: card.token_used_at.is_some(),
        unused: UnusedOfToken::default(),
    }
}

/// Under its name `pm_`.
pub fn payment_method(tenant: Tenant, card: &Card) -> PaymentMethod {
    PaymentMethod {
        id: card.token(TokenUse::Multi).to_string(),
        object: MethodWord::default(),
        allow_redisplay: "unspecified",
        billing_details: BillingDetails::default(),
        card: Some(details(card)),
        created: unix(card.created_at),
        customer: card.customer.map(Expandable::from),
        livemode: tenant.livemode(),
        konbini: None,
        payeasy: None,
        emoney: None,
        metadata: card.metadata.clone(),
        r#type: "card",
    }
}

/// Of either kind.
pub fn method(tenant: Tenant, method: &Method) -> PaymentMethod {
    match method {
        Method::Card(card) => payment_method(tenant, card),
        Method::Payer(payer) => of_payer(tenant, payer),
    }
}

/// Of one who pays without a card.
pub fn of_payer(tenant: Tenant, payer: &Payer) -> PaymentMethod {
    let there = |method| (payer.method == method).then(Map::new);
    PaymentMethod {
        id: payer.method_id(),
        object: MethodWord::default(),
        allow_redisplay: "unspecified",
        billing_details: billing_details(payer),
        card: None,
        created: unix(payer.created_at),
        customer: None,
        livemode: tenant.livemode(),
        konbini: there(PayerMethod::Konbini),
        payeasy: there(PayerMethod::Payeasy),
        emoney: there(PayerMethod::Emoney),
        metadata: payer.metadata.clone(),
        r#type: payers::word(payer.method),
    }
}

/// Who pays, masked as the vault did it.
pub fn billing_details(payer: &Payer) -> BillingDetails {
    let masked = payer.masked.clone();
    BillingDetails {
        address: MaskedAddress {
            line1: masked.address,
            postal_code: masked.postcode,
            unused: UnusedAddress::default(),
        },
        email: masked.email,
        name: masked.name,
        phone: masked.phone,
        unused: UnusedBilling::default(),
    }
}

fn details(card: &Card) -> Details {
    Details {
        brand: card.brand.clone(),
        checks: Checks::default(),
        display_brand: card.brand.clone(),
        exp_month: card.exp_month,
        exp_year: card.exp_year,
        fingerprint: card.fingerprint.clone(),
        funding: UnknownWord::default(),
        iin: card.bin.clone(),
        last4: card.last_four.clone(),
        networks: Networks { available: vec![card.brand.clone()], preferred: None },
        three_d_secure_usage: ThreeDSecureUsage { supported: true },
        unused: UnusedDetails::default(),
    }
}

/// Tokens write brands with capitals, payment methods without.
fn display_brand(brand: &str) -> &str {
    match brand {
        "amex" => "American Express",
        "diners" => "Diners Club",
        "discover" => "Discover",
        "jcb" => "JCB",
        "mastercard" => "MasterCard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        other => other,
    }
}
