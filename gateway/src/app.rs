//! The process's shared state, and the two routers that are built over it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kura_platform::health::Health;
use kura_platform::standard_webhooks::{Secret, SignatureError};
use kura_platform::tls::TlsError;
use kura_wire::ids::RequestId;
use kura_wire::notice::Network;
use serde_json::Value;
use thiserror::Error;
use url::Url;
use uuid::Uuid;

use crate::config::Config;
use crate::edge::auth::KeyCache;
use crate::edge::idempotency::Running;
use crate::edge::limits::Limits;
use crate::edge::request_log::RequestLogs;
use crate::error::ApiError;
use crate::keys::KeyUses;
use crate::money_path::groups::Grouped;
use crate::routes;
use crate::routes::checkout::sealing_keys::SealingKeyCaches;
use crate::routes::events::stream::Streams;
use crate::secret::Secrets;
use crate::signals::Signals;
use crate::store::db::Db;
use crate::vault_client::VaultClient;
use crate::webhooks::address::Reach;
use crate::webhooks::resolver;
use crate::webhooks::sender::Sender;

/// Why the process can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A network's secret.
    #[error(transparent)]
    Secret(#[from] SignatureError),
}

/// Shared by every request.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What is shared.
pub struct Inner {
    /// As which we are known, without a slash at the end.
    pub public_url: String,
    /// Its origin: the only one that the card fields send from.
    pub public_origin: String,
    /// Whether shoppers come over TLS.
    pub https: bool,
    /// Base64url of a P-256 point.
    pub vault_identity: String,
    /// The database.
    pub db: Db,
    /// What payments do at the database, grouped.
    pub grouped: Grouped,
    /// The way to the vault.
    pub vault: VaultClient,
    /// Derived keys.
    pub secrets: Secrets,
    /// With what networks sign.
    pub notice_secrets: BTreeMap<Network, Secret>,
    /// Proxies of our own before us.
    pub trusted_proxies: u8,
    /// API keys seen within the last second.
    pub keys: KeyCache,
    /// When they were last used.
    pub key_uses: KeyUses,
    /// What is to be looked at by people.
    pub signals: Signals,
    /// The vault's sealing keys, for some seconds.
    pub sealing_keys: SealingKeyCaches,
    /// Rate limits and the limit on requests at once.
    pub limits: Limits,
    /// Requests with an `Idempotency-Key` that are under way here.
    pub running: Running,
    /// This process, by its start: tells a row of a dead process from one of ours.
    pub instance: Uuid,
    /// How long an attempt may be under way before the worker asks.
    pub recover_after: Duration,
    /// What the control plane says of us.
    pub health: Health,
    /// What merchants asked, on its way to their logs.
    pub request_logs: RequestLogs,
    /// Streams of events that are open.
    pub streams: Streams,
    /// The way to merchants' servers.
    pub webhooks: Sender,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Puts the state together.
    ///
    /// # Errors
    /// [`StartError`] for certificates and secrets that can't be used.
    pub fn new(config: &Config, db: Db, secrets: Secrets, health: Health) -> Result<Self, StartError> {
        let timeout = Duration::from_millis(config.vault.timeout_ms);
        Ok(Self(Arc::new(Inner {
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            public_origin: origin_of(&config.public_url),
            https: config.public_url.scheme() == "https",
            vault_identity: config.vault_identity.clone(),
            grouped: Grouped::new(&db),
            db,
            vault: VaultClient::new(&config.tls, &config.vault.nodes, timeout)?,
            secrets,
            notice_secrets: config
                .notice_secrets
                .iter()
                .map(|(network, path)| Ok((*network, Secret::read(path)?)))
                .collect::<Result<_, SignatureError>>()?,
            trusted_proxies: config.trusted_proxies,
            keys: KeyCache::default(),
            key_uses: KeyUses::default(),
            signals: Signals::default(),
            sealing_keys: SealingKeyCaches::default(),
            limits: Limits::new(&config.rate_limits),
            running: Running::default(),
            instance: Uuid::from_bytes(kura_platform::random::time_ordered()),
            recover_after: Duration::from_millis(config.recovery.after_ms),
            health,
            request_logs: RequestLogs::default(),
            streams: Streams::default(),
            webhooks: Sender::new(
                if config.webhooks.development { Reach::Loopback } else { Reach::Public },
                resolver::system(),
                config.webhooks.ca.as_deref(),
                Duration::from_millis(config.webhooks.timeout_ms),
            )?,
        })))
    }

    /// Whether this is a development mode in which webhooks may go to the machine itself.
    pub fn webhooks_reach_loopback(&self) -> bool {
        self.webhooks.reach() == Reach::Loopback
    }

    /// Where an error code is explained.
    pub fn docs_url(&self) -> String {
        format!("{}{}", self.public_url, routes::pages::ERRORS_PATH)
    }

    /// An error's envelope, with the address at which the request's own log can be read, if it is on record.
    pub fn error_body(&self, error: &ApiError, request: Option<RequestId>) -> Value {
        let mut body = error.body(&self.docs_url());
        if let Some(request) = request
            && let Some(fields) = body.get_mut("error").and_then(Value::as_object_mut)
        {
            fields.insert("request_log_url".into(), format!("{}/v1/request_logs/{request}", self.public_url).into());
        }
        body
    }

    /// For merchants and shoppers.
    pub fn public_router(&self) -> Router {
        routes::public(self.clone())
    }

    /// For the console, over mutual TLS.
    pub fn control_router(&self) -> Router {
        routes::control::router(self.clone())
    }
}

/// Scheme, host and port as browsers write them in `Origin`.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An application with no database and no vault behind it: what the edge refuses never gets that far.
    pub(crate) fn without_backends() -> App {
        app_limited(1_000, 1_000)
    }

    /// The same, with limits of one's choice.
    pub(crate) fn app_limited(per_address: u32, per_key: u32) -> App {
        let number = |value: u32| std::num::NonZeroU32::new(value).unwrap();
        let limits = crate::config::RateLimits {
            per_address_per_second: number(1),
            per_address_burst: number(per_address),
            per_key_per_second: number(1),
            per_key_burst: number(per_key),
            connections_per_address: kura_platform::serve::CONNECTIONS_PER_ADDRESS,
            bodies_per_address: crate::edge::limits::BODIES_PER_ADDRESS,
        };
        App(Arc::new(Inner {
            public_url: "http://localhost:7101".into(),
            public_origin: "http://localhost:7101".into(),
            https: false,
            vault_identity: "identity".into(),
            grouped: Grouped::new(&Db::unreachable()),
            db: Db::unreachable(),
            vault: VaultClient::unreachable(),
            secrets: crate::secret::for_tests(),
            notice_secrets: BTreeMap::new(),
            trusted_proxies: 0,
            keys: KeyCache::default(),
            key_uses: KeyUses::default(),
            signals: Signals::default(),
            sealing_keys: SealingKeyCaches::default(),
            limits: Limits::new(&limits),
            running: Running::default(),
            instance: Uuid::from_bytes([1; 16]),
            recover_after: Duration::from_secs(5),
            health: Health::starting(),
            request_logs: RequestLogs::default(),
            streams: Streams::default(),
            webhooks: Sender::new(Reach::Public, resolver::system(), None, Duration::from_secs(1)).unwrap(),
        }))
    }
}
