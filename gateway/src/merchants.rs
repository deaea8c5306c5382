//! Making a merchant: the `add-merchant` command.

use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::ids::MerchantId;
use serde::Serialize;

use crate::api_key::{ApiKey, KeyKind};
use crate::error::ApiError;
use crate::keys::{self, KeyError};
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
    #[error(transparent)]
    Origin(#[from] KeyError),
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
    let origins = origins.iter().map(|origin| keys::parse_origin(origin)).collect::<Result<Vec<_>, _>>()?;
    let merchant = MerchantId::from_bytes(kura_platform::random::bytes());
    let at = clock::now();
    let publishable = ApiKey::draw(KeyKind::Publishable, false);
    let secret = ApiKey::draw(KeyKind::Secret, false);

    let mut tx = pool.begin().await?;
    merchants::insert(&mut tx, merchant, name.trim(), requires_cvc, at).await?;
    for (key, allowed_origins) in [(&publishable, origins), (&secret, Vec::new())] {
        let row = KeyRow { allowed_origins, requires_cvc, ..keys::fresh(key, merchant) };
        api_keys::insert(&mut tx, key.hash(&secrets.api_keys), &row, at).await?;
    }
    tx.commit().await?;
    let shown = |key: &ApiKey| key.reveal_to_its_maker().to_owned();
    Ok(NewMerchant { merchant, pk_test: shown(&publishable), sk_test: shown(&secret) })
}
