//! Closed-loop load: 64 loops, each sends its next request when the last one was answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kura_platform::random;
use kura_wire::ids::{MerchantId, RequestId};
use kura_wire::sealed_box::SignedKeySet;
use kura_wire::vault::{self as wire, Context as VaultContext, Tokenize};
use serde_json::{Value, json};

use super::CONNECTIONS;
use super::boxes::seal_cards;
use super::target::Target;

const WARM_UP: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// The vault's data plane over mTLS: open a box, seal a card, durable.
    VaultTokenize,
    /// `POST /v1/tokens` at the gateway.
    GatewayTokenize,
    /// `POST /v1/payment_intents/{id}/confirm` at the gateway, through vault and network.
    Confirm,
}

impl Path {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::VaultTokenize => "vault_tokenize",
            Self::GatewayTokenize => "gateway_tokenize",
            Self::Confirm => "confirm",
        }
    }
}

/// Requests that are ready to be sent, each once or round and round.
pub(super) struct Prepared {
    client: reqwest::Client,
    authorization: Option<String>,
    supply: Supply,
}

enum Supply {
    /// One address, these bodies over and over.
    Bodies(String, Vec<String>),
    /// Each address once, with an empty body.
    Addresses(Mutex<VecDeque<String>>),
}

/// Latencies in microseconds, and how long it took.
pub(super) struct Sample {
    pub(super) latencies_us: Vec<u64>,
    pub(super) elapsed: Duration,
}

impl Sample {
    pub(super) fn count(&self) -> usize {
        self.latencies_us.len()
    }
}

/// Makes everything that the load needs.
pub(super) async fn prepare(target: &Target, path: Path, duration: Duration) -> Result<Arc<Prepared>> {
    let run = &target.run;
    let vault = vault_client(target)?;
    let vault_url = TlsBase::of(run.vault_data_plane);
    let keys: SignedKeySet =
        vault.get(format!("{vault_url}{}", wire::PATH_SEALING_KEYS)).send().await?.error_for_status()?.json().await?;
    let sealed = || seal_cards(&keys, &run.keys.pk_test, &run.fronts);
    Ok(Arc::new(match path {
        Path::VaultTokenize => {
            let merchant: MerchantId = run.merchants.main.parse()?;
            let body = |sealed| {
                let request_id = RequestId::from_bytes(random::bytes());
                let context = VaultContext { request_id, merchant, livemode: false };
                serde_json::to_string(&Tokenize { context, publishable_key: run.keys.pk_test.clone(), sealed })
            };
            let bodies = sealed()?.into_iter().map(body).collect::<Result<_, _>>()?;
            let supply = Supply::Bodies(format!("{vault_url}{}", wire::PATH_TOKENIZE), bodies);
            Prepared { client: vault, authorization: None, supply }
        }
        Path::GatewayTokenize => {
            let body = |sealed| json!({ "card": { "sealed_box": sealed } }).to_string();
            let bodies = sealed()?.into_iter().map(body).collect();
            let supply = Supply::Bodies(format!("{}/v1/tokens", run.gateway), bodies);
            Prepared { client: gateway_client()?, authorization: Some(bearer(&run.keys.pk_test)), supply }
        }
        Path::Confirm => {
            let client = gateway_client()?;
            let authorization = bearer(&run.keys.sk_test);
            let made = make_intents(&client, &run.gateway, &authorization, duration * 2).await?;
            Prepared { client, authorization: Some(authorization), supply: Supply::Addresses(Mutex::new(made)) }
        }
    }))
}

/// Runs it. A warm-up comes first and does not count.
///
/// # Errors
/// Any answer that is not a success.
pub(super) async fn run(prepared: Arc<Prepared>, duration: Duration) -> Result<Sample> {
    let start = Instant::now() + WARM_UP;
    let end = start + duration;
    let loops: Vec<_> =
        (0..CONNECTIONS).map(|place| tokio::spawn(one_loop(Arc::clone(&prepared), place, start, end))).collect();
    let mut latencies_us = Vec::new();
    let mut last = start;
    for finished in loops {
        let (latencies, ended) = finished.await??;
        latencies_us.extend(latencies);
        last = last.max(ended);
    }
    ensure!(!latencies_us.is_empty(), "no request was answered in time");
    latencies_us.sort_unstable();
    Ok(Sample { latencies_us, elapsed: last - start })
}

async fn one_loop(prepared: Arc<Prepared>, place: usize, start: Instant, end: Instant) -> Result<(Vec<u64>, Instant)> {
    let mut latencies = Vec::new();
    let mut turn = place;
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok((latencies, end));
        }
        let Some(request) = prepared.request(turn) else { return Ok((latencies, began)) };
        turn += CONNECTIONS;
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        ensure!(status.is_success(), "HTTP {status}: {}", String::from_utf8_lossy(&body));
        if began >= start {
            latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
}

impl Prepared {
    fn request(&self, turn: usize) -> Option<reqwest::RequestBuilder> {
        let request = match &self.supply {
            Supply::Bodies(address, bodies) => {
                let body = bodies.get(turn % bodies.len().max(1))?;
                self.client.post(address).header("content-type", "application/json").body(body.clone())
            }
            Supply::Addresses(left) => {
                let address = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
                self.client.post(address)
            }
        };
        Some(match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    }
}

/// PaymentIntents that wait for their confirmation, as many as can be made in the time.
async fn make_intents(
    client: &reqwest::Client,
    gateway: &str,
    authorization: &str,
    within: Duration,
) -> Result<VecDeque<String>> {
    let end = Instant::now() + within;
    let address = format!("{gateway}/v1/payment_intents");
    let one = |client: reqwest::Client, address: String, authorization: String| async move {
        let mut made = Vec::new();
        while Instant::now() < end {
            let body = "amount=1000&currency=jpy&payment_method=pm_card_visa";
            let request = client.post(&address).header("authorization", &authorization);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            let answer = request.send().await?;
            let status = answer.status();
            let intent: Value = answer.json().await?;
            ensure!(status.is_success(), "HTTP {status}: {intent}");
            made.push(format!("{address}/{}/confirm", intent.get("id").and_then(Value::as_str).unwrap_or_default()));
        }
        Ok(made)
    };
    let loops: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(one(client.clone(), address.clone(), authorization.to_owned())))
        .collect();
    let mut all = VecDeque::new();
    for made in loops {
        all.extend(made.await??);
    }
    Ok(all)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn gateway_client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(kura_platform::tls::no_tls()?)
        .http1_only()
        .pool_max_idle_per_host(CONNECTIONS)
        .timeout(REQUEST_TIMEOUT)
        .no_proxy()
        .build()?)
}

/// HTTP/1.1, so that 64 requests at a time are 64 connections.
fn vault_client(target: &Target) -> Result<reqwest::Client> {
    let mut tls = target.gateway_tls().client_config()?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve(TlsBase::NAME, target.run.vault_data_plane)
        .pool_max_idle_per_host(CONNECTIONS)
        .timeout(REQUEST_TIMEOUT)
        .no_proxy()
        .build()?)
}

/// How the vault is addressed.
struct TlsBase;

impl TlsBase {
    const NAME: &'static str = <kura_platform::tls::Vault as kura_platform::tls::Zone>::NAME;

    fn of(address: std::net::SocketAddr) -> String {
        kura_platform::tls::TlsConfig::base_url::<kura_platform::tls::Vault>(address)
    }
}
