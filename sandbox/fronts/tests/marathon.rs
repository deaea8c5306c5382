//! The shop against a gateway that answers what a test tells it to: every way that a payment can go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_fronts::{FrontsConfig, SecretKey, router};
use reqwest::Client;
use serde_json::{Value, json};

const SCRIPT: &str = "// kura.js";
/// Of [`SCRIPT`], by another program.
const SCRIPT_INTEGRITY: &str = "sha384-W1uIz6rg30LAaxStRy304I+oNxZd24q/LxDzoUDw9PeMazfTAsqItxulgNTe7bDK";

/// One request for a payment, as the gateway got it.
struct Seen {
    idempotency_key: String,
    authorization: String,
    form: HashMap<String, String>,
}

#[derive(Clone, Default)]
struct Gateway {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    looked_up: Arc<Mutex<Option<Value>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

async fn pay(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let seen = Seen { idempotency_key: text("idempotency-key"), authorization: text("authorization"), form };
    gateway.seen.lock().unwrap().push(seen);
    // Long enough for a second click to come in between.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, body) = gateway.answers.lock().unwrap().pop_front().unwrap();
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

async fn look_up(State(gateway): State<Gateway>, Path(_id): Path<String>) -> Json<Value> {
    Json(gateway.looked_up.lock().unwrap().clone().unwrap())
}

async fn start(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct Shop {
    gateway: Gateway,
    client: Client,
    url: String,
}

impl Shop {
    /// A shop whose gateway will answer these, in turn.
    async fn open(answers: &[(u16, Value)]) -> Self {
        let gateway = Gateway::default();
        gateway.answers.lock().unwrap().extend(answers.iter().cloned());
        let routes = Router::new()
            .route("/js/v1/kura.js", get(|| async { SCRIPT }))
            .route("/v1/payment_intents", post(pay))
            .route("/v1/payment_intents/{id}", get(look_up))
            .with_state(gateway.clone());
        let address = start(routes).await;
        let secret = std::env::temp_dir().join(format!("kura-fronts-test-{}", address.port()));
        std::fs::write(&secret, "sk_test_0\n").unwrap();
        let config = FrontsConfig {
            listener: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://localhost:1".parse().unwrap(),
            gateway_url: format!("http://{address}").parse().unwrap(),
            publishable_key: "pk_test_0".to_owned(),
            secret_key_file: secret.clone(),
        };
        let shop = start(router(&config, SecretKey::read(&secret).unwrap()).unwrap()).await;
        std::fs::remove_file(secret).unwrap();
        let client = kura_platform::tls::public_http_client(Duration::from_secs(5)).unwrap();
        Self { gateway, client, url: format!("http://{shop}") }
    }

    /// Sends a form with this nonce; gives the address and the text of the page that it led to.
    async fn enter(&self, nonce: &str) -> (String, String) {
        let form = [
            ("lang", "en"),
            ("nonce", nonce),
            ("race", "10k"),
            ("name", "Run <Runner>"),
            ("email", "runner@example.com"),
            ("token", "tok_1"),
            ("amount", "1"),
        ];
        self.page(self.client.post(format!("{}/entries", self.url)).form(&form)).await
    }

    async fn page(&self, request: reqwest::RequestBuilder) -> (String, String) {
        let response = request.send().await.unwrap();
        (response.url().path().to_owned(), response.text().await.unwrap())
    }

    fn payments(&self) -> usize {
        self.gateway.seen.lock().unwrap().len()
    }
}

fn nonce(letter: &str) -> String {
    letter.repeat(32)
}

fn intent(status: &str) -> Value {
    json!({"id": "pi_1", "object": "payment_intent", "status": status})
}

/// A payment is asked for as the SDKs ask, at the race's price whatever the form says, with nothing about the participant.
#[tokio::test]
async fn an_entry_is_paid_at_the_races_price() {
    let shop = Shop::open(&[(200, intent("succeeded"))]).await;
    let (_, page) = shop.enter(&nonce("a")).await;
    assert!(page.contains("data-outcome=\"paid\"") && page.contains("pi_1") && page.contains("¥5,500"));
    assert!(page.contains("Run &#60;Runner&#62;"), "what was typed is escaped");
    let seen = shop.gateway.seen.lock().unwrap();
    let form = &seen[0].form;
    assert_eq!(seen[0].authorization, "Bearer sk_test_0");
    assert_eq!((form["amount"].as_str(), form["currency"].as_str(), form["confirm"].as_str()), ("5500", "jpy", "true"));
    assert_eq!(form["payment_method_data[type]"], "card");
    assert_eq!(form["payment_method_data[card][token]"], "tok_1");
    assert!(form.values().all(|value| !value.contains("runner@") && !value.contains("Runner")));
}

/// Two clicks at the same moment, and one more later, are one payment and one entry.
#[tokio::test]
async fn a_form_sent_three_times_is_paid_once() {
    let shop = Shop::open(&[(200, intent("succeeded"))]).await;
    let form = nonce("b");
    let (first, second) = tokio::join!(shop.enter(&form), shop.enter(&form));
    let third = shop.enter(&form).await;
    assert!(first.0 == second.0 && second.0 == third.0);
    assert!(second.1.contains("data-outcome=\"paid\""));
    assert_eq!(shop.payments(), 1);
}

/// A decline says why, keeps what was typed, and the form under it is a new one.
#[tokio::test]
async fn a_decline_leads_back_to_a_new_form() {
    let error = json!({"error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}});
    let shop = Shop::open(&[(402, error)]).await;
    let (path, page) = shop.enter(&nonce("c")).await;
    assert!(page.contains("not enough funds") && page.contains("have not been charged"));
    assert!(page.contains("runner@example.com") && !page.contains(&nonce("c")) && !page.contains("tok_1"));
    shop.page(shop.client.get(format!("{}{path}", shop.url))).await;
    assert_eq!(shop.payments(), 1, "looking at it again pays nothing");
}

/// A payment that the network left open is shown as that, is never asked for again, and turns into a receipt once it is known.
#[tokio::test]
async fn an_open_payment_is_looked_up_and_not_repeated() {
    let shop = Shop::open(&[(200, intent("processing"))]).await;
    *shop.gateway.looked_up.lock().unwrap() = Some(intent("processing"));
    let (path, page) = shop.enter(&nonce("d")).await;
    assert!(page.contains("data-outcome=\"processing\""));
    *shop.gateway.looked_up.lock().unwrap() = Some(intent("succeeded"));
    let (_, page) = shop.page(shop.client.get(format!("{}{path}", shop.url))).await;
    assert!(page.contains("data-outcome=\"paid\""));
    assert_eq!(shop.payments(), 1);
}

/// When the gateway fails, the entry waits, and trying again carries the same idempotency key: one charge at the most.
#[tokio::test]
async fn a_retry_carries_the_same_idempotency_key() {
    let shop = Shop::open(&[(503, json!({})), (200, intent("succeeded"))]).await;
    let (path, page) = shop.enter(&nonce("e")).await;
    assert!(page.contains("data-outcome=\"away\""));
    let (_, page) = shop.page(shop.client.post(format!("{}{path}/retry", shop.url))).await;
    assert!(page.contains("data-outcome=\"paid\""));
    let seen = shop.gateway.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].idempotency_key, seen[1].idempotency_key);
}

/// The gateway's script is pinned by its checksum, and the policy lets in no other origin and nothing inline.
#[tokio::test]
async fn the_page_pins_the_script_and_its_policy_is_strict() {
    let shop = Shop::open(&[]).await;
    let mut page = String::new();
    for _ in 0..100 {
        page = shop.page(shop.client.get(&shop.url)).await.1;
        if page.contains("integrity=") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(page.contains(&format!("integrity=\"{SCRIPT_INTEGRITY}\" crossorigin=\"anonymous\"")), "{page}");
    let response = shop.client.get(&shop.url).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self' http://127.0.0.1:"));
    assert!(!policy.contains("unsafe") && !policy.contains('*'));
    assert_eq!(response.headers()["cache-control"], "no-store");
}

/// Nothing is paid for a form without a token, and an unknown entry is not found.
#[tokio::test]
async fn forms_without_a_token_are_refused() {
    let shop = Shop::open(&[]).await;
    let request = shop.client.post(format!("{}/entries", shop.url)).form(&[("nonce", nonce("f"))]);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let missing = shop.client.get(format!("{}/entries/{}", shop.url, nonce("0")));
    assert_eq!(missing.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(shop.payments(), 0);
}
