//! Making a merchant: the `add-merchant` command.

use kura_platform::clock;
use kura_wire::ids::MerchantId;
use serde::Serialize;
use sqlx::postgres::PgPool;
use url::Url;

use crate::api_key::{ApiKey, KeyKind};
use crate::app::origin_of;
use crate::error::ApiError;
use crate::secret::Secrets;
use crate::store::api_keys::KeyRow;
use crate::store::{api_keys, merchants};

/// What its maker is shown, once.
#[derive(Serialize)]
pub struct NewMerchant {
    /// Its id.
    pub merchant: MerchantId,
    /// For browsers.
    pub pk_test: String,
    /// For its server.
    pub sk_test: String,
}

/// What was wrong with a request for a merchant.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Its name.
    #[error("a merchant's name has 1 to 200 characters")]
    Name,
    /// One of its origins.
    #[error("{0} is not an origin: write scheme, host and port only, such as https://shop.example")]
    Origin(String),
    /// The database.
    #[error("the database refused; see the log")]
    Store,
}

impl From<ApiError> for AddError {
    fn from(_: ApiError) -> Self {
        Self::Store
    }
}

impl From<sqlx::Error> for AddError {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "a merchant could not be added");
        Self::Store
    }
}

/// Makes a merchant with one publishable and one secret key of test mode. One that `requires_cvc` is charged for a card's
/// first time with its security code or not at all; imported cards, which never had one here, are charged without.
///
/// # Errors
/// [`AddError`]; nothing is kept then.
pub async fn add(
    pool: &PgPool,
    secrets: &Secrets,
    name: &str,
    origins: &[String],
    requires_cvc: bool,
) -> Result<NewMerchant, AddError> {
    if !(1..=200).contains(&name.trim().chars().count()) {
        return Err(AddError::Name);
    }
    let origins = origins.iter().map(|origin| parse_origin(origin)).collect::<Result<Vec<_>, _>>()?;
    let merchant = MerchantId::from_bytes(kura_platform::random::bytes());
    let at = clock::now();
    let publishable = ApiKey::draw(KeyKind::Publishable, false);
    let secret = ApiKey::draw(KeyKind::Secret, false);

    let mut tx = pool.begin().await?;
    merchants::insert(&mut tx, merchant, name.trim(), requires_cvc, at).await?;
    for (key, allowed_origins) in [(&publishable, origins), (&secret, Vec::new())] {
        let row = KeyRow { merchant, kind: key.kind(), livemode: key.livemode(), allowed_origins, requires_cvc };
        api_keys::insert(&mut tx, key.hash(&secrets.api_keys), &row, &key.hint(), at).await?;
    }
    tx.commit().await?;
    let shown = |key: &ApiKey| key.reveal_to_its_maker().to_owned();
    Ok(NewMerchant { merchant, pk_test: shown(&publishable), sk_test: shown(&secret) })
}

/// An origin as browsers write it. Nothing that could mean more than one page's origin gets into a policy header.
fn parse_origin(text: &str) -> Result<String, AddError> {
    let wrong = || AddError::Origin(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let origin = origin_of(&url);
    let web = matches!(url.scheme(), "http" | "https");
    if web && (text == origin || text.strip_suffix('/') == Some(origin.as_str())) { Ok(origin) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origins are exact, since they stand in a Content-Security-Policy.
    #[test]
    fn origins_are_exact() {
        for (text, origin) in [
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("http://localhost:7107", "http://localhost:7107"),
        ] {
            assert_eq!(parse_origin(text).unwrap(), origin);
        }
        for text in [
            "",
            "*",
            "shop.example",
            "https://shop.example/path",
            "https://a.example https://b.example",
            "https://*.example;script-src *",
            "javascript:alert(1)",
            "data:text/html,x",
            "null",
            "https://user@shop.example",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}
