//! Records that the vault holds, one of each kind, and how old they are.

use kura_platform::random;
use kura_platform::redact::luhn;
use kura_shopper::TypedCard;
use kura_wire::ids::{CustomerId, MerchantId, PayerId};
use kura_wire::payer;
use serde_json::json;
use uuid::Uuid;

use crate::Stack;
use crate::planes::{Plane, context};

/// A card that nobody else in the tests has.
pub fn fresh_card() -> TypedCard {
    let body = format!("453957{:09}", u64::from_be_bytes(random::bytes()) % 1_000_000_000);
    let all = (0..10).map(|check| format!("{body}{check}"));
    let number = all.into_iter().find(|number| luhn(number.as_bytes())).expect("one of ten passes");
    TypedCard { cvc: None, name: Some("TARO YAMADA".to_owned()), ..TypedCard::new(&number, "") }
}

/// Stores a payer of this method.
///
/// # Panics
/// When the vault refuses.
pub fn store_payer(plane: &Plane, merchant: MerchantId, method: &str) -> Uuid {
    let fields = match method {
        "emoney" => json!({ "email": "a@b.example" }),
        "payeasy" => json!({ "name": "山田", "phone": "0312345678", "postcode": "1000001", "address": "東京都" }),
        _ => json!({ "name": "山田", "phone": "0312345678", "email": "a@b.example" }),
    };
    let id = PayerId::from_bytes(random::bytes());
    let body = json!({ "context": context(merchant), "payer": id, "method": method, "fields": fields });
    let (status, stored) = plane.post(payer::PATH_STORE_PAYER, &body);
    assert_eq!(status, 200, "{stored}");
    Uuid::from_bytes(*id.as_bytes())
}

/// Stores a customer.
///
/// # Panics
/// When the vault refuses.
pub fn store_customer(plane: &Plane, merchant: MerchantId) -> CustomerId {
    let id = CustomerId::from_bytes(random::bytes());
    let fields = json!({ "name": "山田", "phone": "0312345678", "email": "a@b.example", "address": "東京都" });
    let body = json!({ "context": context(merchant), "customer": id, "fields": fields });
    assert_eq!(plane.post(payer::PATH_STORE_CUSTOMER, &body).0, 200);
    id
}

/// Lets a record be so many days older.
pub fn age(stack: &Stack, table: &str, id: Uuid, days: i64) {
    let more = match table {
        "cards" => Some("saved_at"),
        "customers" => Some("updated_at"),
        _ => None,
    };
    for column in ["created_at"].into_iter().chain(more) {
        let statement =
            format!("UPDATE {table} SET {column} = {column} - make_interval(days => {days}) WHERE id = '{id}'");
        stack.sql("vault", &statement);
    }
}

/// Whether a record is blank.
pub fn is_erased(stack: &Stack, table: &str, id: Uuid) -> bool {
    stack.sql("vault", &format!("SELECT erased_at IS NOT NULL FROM {table} WHERE id = '{id}'")) == "t"
}
