//! The other zones' control planes, as the console asks them. Only reads; an answer never holds card data beyond BIN and
//! last four, and texts that merchants wrote go through the PAN redactor all the same before a page sees them.

use std::time::Duration;

use kura_platform::redact::redact_pans;
use kura_platform::tls::{Gateway, TlsConfig, TlsError, Vault, Zone};
use kura_wire::control::{
    Opening, OpeningQuery, PATH_OPENINGS, PATH_PAYMENT, PATH_PAYMENTS, PATH_STATUS, PaymentDetail, PaymentPage,
    PaymentQuery, PaymentSummary, ServiceStatus,
};
use kura_wire::ids::{AttemptId, PaymentIntentId};
use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Config, PeerConfig};

/// An answer is read up to here.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Why a zone gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It can't be reached, or took too long.
    #[error("{zone} can't be reached: {source}")]
    Unreachable {
        /// Which zone.
        zone: &'static str,
        /// What the client says.
        source: reqwest::Error,
    },
    /// It said no.
    #[error("{zone} answered {status}")]
    Refused {
        /// Which zone.
        zone: &'static str,
        /// Its answer.
        status: StatusCode,
    },
    /// Its answer is not one of this interface.
    #[error("{zone} gave an answer that is not of its interface")]
    Malformed {
        /// Which zone.
        zone: &'static str,
    },
}

/// One zone's control plane.
#[derive(Clone)]
struct Peer {
    zone: &'static str,
    base: String,
    client: Client,
}

impl Peer {
    fn new<Z: Zone>(tls: &TlsConfig, config: &PeerConfig) -> Result<Self, TlsError> {
        let client = tls.http_client::<Z>(config.address, Duration::from_millis(config.timeout_ms))?;
        Ok(Self { zone: Z::NAME, base: TlsConfig::base_url::<Z>(config.address), client })
    }

    /// `GET`; `None` for 404.
    async fn find<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<Option<T>, ControlError> {
        let unreachable = |source| ControlError::Unreachable { zone: self.zone, source };
        let request = self.client.get(format!("{}{path}", self.base)).query(query);
        let mut answer = request.send().await.map_err(unreachable)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(ControlError::Refused { zone: self.zone, status }),
        }
        let malformed = ControlError::Malformed { zone: self.zone };
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(malformed);
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map(Some).map_err(|_| malformed)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, ControlError> {
        let not_there = ControlError::Refused { zone: self.zone, status: StatusCode::NOT_FOUND };
        self.find(path, query).await?.ok_or(not_there)
    }
}

/// Both control planes.
#[derive(Clone)]
pub struct Control {
    gateway: Peer,
    /// By number; there is always one.
    vaults: Vec<Peer>,
}

impl Control {
    /// Clients with this zone's identity. Nothing is sent yet.
    ///
    /// # Errors
    /// When the certificate files can't be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        Ok(Self {
            gateway: Peer::new::<Gateway>(&config.tls, &config.gateway)?,
            vaults: std::iter::once(&config.vault)
                .chain(&config.further_vaults)
                .map(|vault| Peer::new::<Vault>(&config.tls, vault))
                .collect::<Result<_, _>>()?,
        })
    }

    /// One page of payments.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn payments(&self, query: &PaymentQuery) -> Result<PaymentPage, ControlError> {
        let mut page: PaymentPage = self.gateway.read(PATH_PAYMENTS, query).await?;
        page.payments.iter_mut().for_each(redact_summary);
        Ok(page)
    }

    /// One payment.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn payment(&self, id: PaymentIntentId) -> Result<Option<PaymentDetail>, ControlError> {
        let path = PATH_PAYMENT.replace("{id}", &id.to_string());
        let mut detail: Option<PaymentDetail> = self.gateway.find(&path, &()).await?;
        if let Some(detail) = &mut detail {
            redact_summary(&mut detail.payment);
            redact(&mut detail.description);
        }
        Ok(detail)
    }

    /// The openings for these attempts, 100 at the most.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn openings(&self, attempts: &[AttemptId]) -> Result<Vec<Opening>, ControlError> {
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        let attempts: Vec<String> = attempts.iter().map(ToString::to_string).collect();
        let query = OpeningQuery { attempts: attempts.join(",") };
        // All nodes read the same ledger, so whichever is there will do.
        let mut last = ControlError::Malformed { zone: Vault::NAME };
        for vault in &self.vaults {
            match vault.read(PATH_OPENINGS, &query).await {
                Err(error @ ControlError::Unreachable { .. }) => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    /// What the gateway says of itself.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn gateway_status(&self) -> Result<ServiceStatus, ControlError> {
        self.gateway.read(PATH_STATUS, &()).await
    }

    /// What each of the vault's nodes says of itself, asked at the same time.
    pub async fn vault_statuses(&self) -> Vec<Result<ServiceStatus, ControlError>> {
        let asked: Vec<_> = self
            .vaults
            .iter()
            .map(|vault| {
                let vault = vault.clone();
                tokio::spawn(async move { vault.read(PATH_STATUS, &()).await })
            })
            .collect();
        let mut said = Vec::with_capacity(asked.len());
        for answer in asked {
            said.push(answer.await.unwrap_or(Err(ControlError::Malformed { zone: Vault::NAME })));
        }
        said
    }
}

/// The card's own fields are held to what a screen may show, and free text to what isn't a number of a card.
fn redact_summary(payment: &mut PaymentSummary) {
    payment.merchant_name = redact_pans(&payment.merchant_name).into_owned();
    if let Some(card) = &mut payment.card {
        let last_four = card.last_four.len() == 4 && card.last_four.bytes().all(|byte| byte.is_ascii_digit());
        if !last_four {
            card.last_four = "····".to_owned();
        }
        card.brand = redact_pans(&card.brand).into_owned();
    }
    redact(&mut payment.failure_code);
}

fn redact(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = redact_pans(text).into_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_platform::clock;
    use kura_wire::control::CardGlimpse;
    use kura_wire::ids::MerchantId;

    /// A card number that slipped into any text of a payment doesn't reach a page, whatever zone let it through.
    #[test]
    fn no_text_of_a_payment_can_show_a_card_number() {
        let pan = "4242424242424242";
        let mut payment = PaymentSummary {
            id: PaymentIntentId::from_bytes([1; 16]),
            merchant: MerchantId::from_bytes([2; 16]),
            merchant_name: format!("shop {pan}"),
            livemode: false,
            created_at: clock::now(),
            status: "succeeded".to_owned(),
            amount_minor: 1000,
            amount_received_minor: 1000,
            amount_refunded_minor: 0,
            currency: "jpy".to_owned(),
            card: Some(CardGlimpse { brand: pan.to_owned(), bin: "424242".to_owned(), last_four: pan.to_owned() }),
            failure_code: Some(pan.to_owned()),
        };
        redact_summary(&mut payment);
        payment.card.as_mut().unwrap().bin.clear();
        assert!(!format!("{payment:?}").contains(pan));
        assert_eq!(payment.card.unwrap().last_four, "····");
    }
}
