//! Closed-loop load: 64 loops, each sends its next request when the last one was answered.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kura_platform::random;
use kura_wire::ids::{MerchantId, RequestId};
use kura_wire::sealed_box::SignedKeySet;
use kura_wire::vault::{self as wire, Context as VaultContext, Tokenize};
use serde_json::{Value, json};

use super::CONNECTIONS;
use super::boxes::seal_cards;
use super::door::Door;
use super::target::Target;

const WARM_UP: Duration = Duration::from_secs(1);
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const INTENTS: &str = "/v1/payment_intents";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Path {
    /// The vault's data plane over mTLS: open a box, seal a card, durable.
    VaultTokenize,
    /// `POST /v1/tokens` at the gateway.
    GatewayTokenize,
    /// `POST /v1/payment_intents/{id}/confirm` at the gateway, through vault and network.
    Confirm,
    /// A whole payment: `POST /v1/payment_intents` with `confirm`, of a customer's saved card.
    Pay,
}

impl Path {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::VaultTokenize => "vault_tokenize",
            Self::GatewayTokenize => "gateway_tokenize",
            Self::Confirm => "confirm",
            Self::Pay => "create + confirm",
        }
    }
}

/// Requests that are ready to be sent, each once or round and round.
pub(super) struct Prepared {
    door: Door,
    authorization: Option<String>,
    supply: Supply,
}

enum Supply {
    /// One path, these bodies over and over.
    Bodies(&'static str, Vec<Bytes>),
    /// Each path once, with an empty body.
    Paths(Mutex<VecDeque<String>>),
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
    let vault = Door::to_vault(target)?;
    let gateway = Door::to_gateway(run)?;
    let keys: SignedKeySet = serde_json::from_slice(&vault.knock().await?.get(wire::PATH_SEALING_KEYS, None).await?)?;
    let sealed = || seal_cards(&keys, &run.keys.pk_test, &run.fronts);
    Ok(Arc::new(match path {
        Path::VaultTokenize => {
            let merchant: MerchantId = run.merchants.main.parse()?;
            let body = |sealed| {
                let request_id = RequestId::from_bytes(random::bytes());
                let context = VaultContext { request_id, merchant, livemode: false };
                serde_json::to_vec(&Tokenize { context, publishable_key: run.keys.pk_test.clone(), sealed })
            };
            let bodies = sealed()?.into_iter().map(|sealed| Ok(body(sealed)?.into())).collect::<Result<_>>()?;
            Prepared { door: vault, authorization: None, supply: Supply::Bodies(wire::PATH_TOKENIZE, bodies) }
        }
        Path::GatewayTokenize => {
            let body = |sealed| json!({ "card": { "sealed_box": sealed } }).to_string().into();
            let bodies = sealed()?.into_iter().map(body).collect();
            let supply = Supply::Bodies("/v1/tokens", bodies);
            Prepared { door: gateway, authorization: Some(bearer(&run.keys.pk_test)), supply }
        }
        Path::Confirm => {
            let authorization = bearer(&run.keys.sk_test);
            let made = make_intents(&gateway, &authorization, duration * 2).await?;
            Prepared { door: gateway, authorization: Some(authorization), supply: Supply::Paths(Mutex::new(made)) }
        }
        Path::Pay => {
            let authorization = bearer(&run.keys.sk_test);
            let supply = Supply::Bodies(INTENTS, payments(&gateway, &authorization).await?);
            Prepared { door: gateway, authorization: Some(authorization), supply }
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
    let mut connection = prepared.door.knock().await?;
    let mut latencies = Vec::new();
    let mut turn = place;
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok((latencies, end));
        }
        let Some((path, body, kind)) = prepared.next(turn) else { return Ok((latencies, began)) };
        turn += CONNECTIONS;
        connection.post(&path, body, kind, prepared.authorization.as_deref()).await?;
        if began >= start {
            latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
}

impl Prepared {
    fn next(&self, turn: usize) -> Option<(Cow<'static, str>, Bytes, &'static str)> {
        Some(match &self.supply {
            Supply::Bodies(path, bodies) => {
                let body = bodies.get(turn % bodies.len().max(1))?;
                (Cow::Borrowed(*path), body.clone(), JSON)
            }
            Supply::Paths(left) => {
                let path = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
                (Cow::Owned(path), Bytes::new(), FORM)
            }
        })
    }
}

/// A payment for each connection, of a customer of its own.
async fn payments(gateway: &Door, authorization: &str) -> Result<Vec<Bytes>> {
    let mut connection = gateway.knock().await?;
    let mut bodies = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let body = Bytes::from_static(b"payment_method=pm_card_visa");
        let answer = connection.post("/v1/customers", body, FORM, Some(authorization)).await?;
        let customer: Value = serde_json::from_slice(&answer)?;
        let customer = customer.get("id").and_then(Value::as_str).context("a customer has an id")?.to_owned();
        let answer = connection.get(&format!("/v1/customers/{customer}/payment_methods"), Some(authorization)).await?;
        let methods: Value = serde_json::from_slice(&answer)?;
        let method = methods.pointer("/data/0/id").and_then(Value::as_str).context("a customer has a card")?;
        let payment = json!({ "amount": 1000, "currency": "jpy", "customer": customer, "payment_method": method,
            "confirm": true });
        bodies.push(payment.to_string().into());
    }
    Ok(bodies)
}

/// PaymentIntents that wait for their confirmation, as many as can be made in the time.
async fn make_intents(gateway: &Door, authorization: &str, within: Duration) -> Result<VecDeque<String>> {
    let end = Instant::now() + within;
    let one = |door: Door, authorization: String| async move {
        let mut connection = door.knock().await?;
        let mut made = Vec::new();
        while Instant::now() < end {
            let body = Bytes::from_static(b"amount=1000&currency=jpy&payment_method=pm_card_visa");
            let answer = connection.post(INTENTS, body, FORM, Some(&authorization)).await?;
            let intent: Value = serde_json::from_slice(&answer)?;
            let id = intent.get("id").and_then(Value::as_str).context("a PaymentIntent has an id")?;
            made.push(format!("{INTENTS}/{id}/confirm"));
        }
        anyhow::Ok(made)
    };
    let loops: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(one(gateway.clone(), authorization.to_owned()))).collect();
    let mut all = VecDeque::new();
    for made in loops {
        all.extend(made.await??);
    }
    Ok(all)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}
