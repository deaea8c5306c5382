//! The public router in process, without database and vault: what the edge refuses never needs them.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::api_key::{ApiKey, KeyKind};
use crate::app::tests::{app_limited, without_backends};

const PAN: &str = "4539578763621486";
const API: &[(&str, &str)] = &[
    ("POST", "/v1/tokens"),
    ("GET", "/v1/tokens/tok_1"),
    ("POST", "/v1/payment_methods"),
    ("GET", "/v1/payment_methods"),
    ("GET", "/v1/payment_methods/pm_1"),
    ("POST", "/v1/payment_methods/pm_1"),
    ("POST", "/v1/payment_methods/pm_1/attach"),
    ("POST", "/v1/payment_methods/pm_1/detach"),
    ("POST", "/v1/payment_intents"),
    ("GET", "/v1/payment_intents"),
    ("GET", "/v1/payment_intents/pi_1"),
    ("POST", "/v1/payment_intents/pi_1"),
    ("POST", "/v1/payment_intents/pi_1/confirm"),
    ("POST", "/v1/payment_intents/pi_1/capture"),
    ("POST", "/v1/payment_intents/pi_1/cancel"),
    ("POST", "/v1/refunds"),
    ("GET", "/v1/refunds"),
    ("GET", "/v1/refunds/re_1"),
    ("GET", "/v1/disputes"),
    ("GET", "/v1/disputes/dp_1"),
    ("POST", "/v1/disputes/dp_1"),
    ("POST", "/v1/disputes/dp_1/close"),
    ("GET", "/v1/balance"),
    ("GET", "/v1/balance_transactions"),
    ("GET", "/v1/balance_transactions/txn_1"),
    ("GET", "/v1/charges"),
    ("GET", "/v1/charges/ch_1"),
    ("POST", "/v1/customers"),
    ("GET", "/v1/customers"),
    ("GET", "/v1/customers/cus_1"),
    ("POST", "/v1/customers/cus_1"),
    ("DELETE", "/v1/customers/cus_1"),
    ("GET", "/v1/customers/cus_1/payment_methods"),
    ("GET", "/v1/customers/cus_1/payment_methods/pm_1"),
    ("GET", "/v1/events"),
    ("POST", "/v1/setup_intents"),
    ("GET", "/v1/setup_intents"),
    ("GET", "/v1/setup_intents/seti_1"),
    ("POST", "/v1/setup_intents/seti_1"),
    ("POST", "/v1/setup_intents/seti_1/confirm"),
    ("POST", "/v1/setup_intents/seti_1/cancel"),
    ("GET", "/v1/events/evt_1"),
    ("GET", "/v1/events/stream"),
    ("POST", "/v1/events/evt_1/retry"),
    ("GET", "/v1/events/evt_1/deliveries"),
    ("GET", "/v1/request_logs"),
    ("GET", "/v1/request_logs/req_1"),
    ("POST", "/v1/webhook_endpoints"),
    ("GET", "/v1/webhook_endpoints"),
    ("GET", "/v1/webhook_endpoints/we_1"),
    ("POST", "/v1/webhook_endpoints/we_1"),
    ("DELETE", "/v1/webhook_endpoints/we_1"),
    ("POST", "/v1/webhook_endpoints/we_1/roll_secret"),
    ("POST", "/v1/checkout/sessions"),
    ("GET", "/v1/checkout/sessions"),
    ("GET", "/v1/checkout/sessions/cs_1"),
    ("GET", "/v1/checkout/sessions/cs_1/line_items"),
    ("POST", "/v1/checkout/sessions/cs_1/expire"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions/sub_1"),
    ("POST", "/v1/subscriptions/sub_1"),
    ("DELETE", "/v1/subscriptions/sub_1"),
    ("GET", "/v1/invoices"),
    ("GET", "/v1/invoices/in_1"),
    ("GET", "/v1/invoices/in_1/lines"),
    ("POST", "/v1/invoices"),
    ("POST", "/v1/invoices/in_1"),
    ("DELETE", "/v1/invoices/in_1"),
    ("POST", "/v1/invoices/in_1/send"),
    ("POST", "/v1/invoiceitems"),
    ("GET", "/v1/invoiceitems"),
    ("GET", "/v1/invoiceitems/ii_1"),
    ("POST", "/v1/invoiceitems/ii_1"),
    ("DELETE", "/v1/invoiceitems/ii_1"),
    ("POST", "/v1/invoices/create_preview"),
    ("POST", "/v1/invoices/in_1/finalize"),
    ("POST", "/v1/invoices/in_1/pay"),
    ("POST", "/v1/invoices/in_1/void"),
    ("POST", "/v1/invoices/in_1/mark_uncollectible"),
    ("POST", "/v1/subscription_items"),
    ("GET", "/v1/subscription_items"),
    ("GET", "/v1/subscription_items/si_1"),
    ("POST", "/v1/subscription_items/si_1"),
    ("DELETE", "/v1/subscription_items/si_1"),
    ("POST", "/v1/test_helpers/test_clocks"),
    ("GET", "/v1/test_helpers/test_clocks"),
    ("GET", "/v1/test_helpers/test_clocks/clock_1"),
    ("POST", "/v1/test_helpers/test_clocks/clock_1/advance"),
    ("DELETE", "/v1/test_helpers/test_clocks/clock_1"),
    ("POST", "/v1/products"),
    ("GET", "/v1/products"),
    ("GET", "/v1/products/prod_1"),
    ("POST", "/v1/products/prod_1"),
    ("DELETE", "/v1/products/prod_1"),
    ("POST", "/v1/prices"),
    ("GET", "/v1/prices"),
    ("GET", "/v1/prices/price_1"),
    ("POST", "/v1/prices/price_1"),
];
const PAGES: &[&str] = &[
    "/",
    "/docs/errors",
    "/docs/api",
    "/docs/quickstart",
    "/js/v1/kura.js",
    "/checkout/assets/card.js",
    "/checkout/assets/card.css",
    "/assets/pages.css",
];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn send(router: &Router, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 40000))));
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

fn public() -> Router {
    without_backends().public_router()
}

/// Every answer has its request id and the strict headers, errors and pages alike, and says which version of the API is served.
#[tokio::test]
async fn every_answer_is_dressed() {
    let router = public();
    let paths = PAGES.iter().map(|path| ("GET", *path)).chain([("GET", "/nowhere"), ("PUT", "/v1/tokens")]);
    for (method, path) in paths.chain(API.iter().copied()) {
        let answer =
            send(&router, request(method, path).header("stripe-version", "2026-10-01").body(Body::empty()).unwrap())
                .await;
        let header =
            |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        assert!(header("request-id").starts_with("req_"), "{path}");
        assert_eq!(header("stripe-version"), crate::render::API_VERSION, "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!header("content-security-policy").contains("unsafe"), "{path}");
        assert!(!header("ratelimit-limit").is_empty() && !header("ratelimit-remaining").is_empty(), "{path}");
    }
}

/// Unknown paths, unknown methods, missing and wrong keys: each in the envelope.
#[tokio::test]
async fn what_is_not_there_is_said_in_the_envelope() {
    let router = public();
    let nowhere = send(&router, request("GET", "/v1/nowhere").body(Body::empty()).unwrap()).await;
    assert_eq!((nowhere.status.as_u16(), nowhere.code().as_str()), (404, "url_unknown"));
    let put = send(&router, request("PUT", "/v1/tokens").body(Body::empty()).unwrap()).await;
    assert_eq!((put.status.as_u16(), put.code().as_str()), (405, "method_not_allowed"));
    for (method, path) in API {
        let none = send(&router, request(method, path).body(Body::empty()).unwrap()).await;
        assert_eq!((none.status.as_u16(), none.code().as_str()), (401, "api_key_missing"), "{path}");
        let wrong =
            request(method, path).header("authorization", "Bearer sk_test_hunter2").body(Body::empty()).unwrap();
        let wrong = send(&router, wrong).await;
        assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (401, "api_key_invalid"), "{path}");
        assert!(!wrong.text.contains("hunter2"), "{path}");
    }
}

/// A well-formed key can't be checked without the database: that is our fault and says so, with nothing of the cause.
#[tokio::test]
async fn a_database_that_is_away_is_not_the_merchants_fault() {
    let key = ApiKey::draw(KeyKind::Secret, false);
    let asked =
        request("GET", "/v1/payment_intents").header("authorization", format!("Bearer {}", key.reveal_to_its_maker()));
    let answer = send(&public(), asked.body(Body::empty()).unwrap()).await;
    assert!(answer.status.is_server_error());
    assert_eq!(answer.headers["stripe-should-retry"], "true");
    assert!(!answer.text.contains("sqlx") && !answer.text.contains("127.0.0.1"));
}

/// A card number is refused on every route, before authentication, wherever it stands, and is not repeated.
#[tokio::test]
async fn raw_card_numbers_are_refused_on_every_route() {
    let router = public();
    let form = "application/x-www-form-urlencoded";
    for (method, path) in
        API.iter().copied().chain(PAGES.iter().map(|path| ("GET", *path))).chain([("GET", "/nowhere")])
    {
        let requests = [
            request(method, &format!("{path}?x={PAN}")).body(Body::empty()),
            request(method, &format!("{path}?{PAN}=x")).body(Body::empty()),
            request(method, &format!("{path}?x=4539%205787%2063621486")).body(Body::empty()),
            request(method, path).header("x-note", PAN).body(Body::empty()),
            request(method, path).header("idempotency-key", PAN).body(Body::empty()),
            request(method, path).header("content-type", form).body(Body::from(format!("description={PAN}"))),
            request(method, path).header("content-type", "application/json").body(Body::from(format!("{{\"a\":{PAN}"))),
            request(method, path).body(Body::from(format!("\u{1}{PAN}"))),
        ];
        for (place, request) in requests.into_iter().enumerate() {
            let answer = send(&router, request.unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (400, "raw_card_data_refused"),
                "{path} {place}"
            );
            assert!(!format!("{:?}{}", answer.headers, answer.text).contains(PAN), "{path} {place}");
        }
    }
}

/// A body over the limit is refused with its envelope, announced or not.
#[tokio::test]
async fn large_bodies_are_refused() {
    let router = public();
    let large = "a".repeat(300 * 1024);
    let announced = request("POST", "/v1/tokens").header("content-length", large.len()).body(Body::from(large.clone()));
    let streamed = request("POST", "/v1/tokens").body(Body::from(large));
    for request in [announced, streamed] {
        let answer = send(&router, request.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"));
    }
}

/// Past the limit the answer is 429 in the envelope, and says how long to wait: a second at least.
#[tokio::test]
async fn limits_say_when_to_come_back() {
    for (per_address, per_key) in [(3, 1_000), (1_000, 3)] {
        let router = app_limited(per_address, per_key).public_router();
        let ask = || request("GET", "/v1/charges").header("authorization", "Bearer x").body(Body::empty()).unwrap();
        for _ in 0..3 {
            assert_eq!(send(&router, ask()).await.status.as_u16(), 401);
        }
        let answer = send(&router, ask()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limit"));
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait >= 1);
    }
}

/// The page of error codes has an anchor for every code, and errors lead there.
#[tokio::test]
async fn every_code_is_documented() {
    let router = public();
    let page = send(&router, request("GET", "/docs/errors").body(Body::empty()).unwrap()).await;
    for code in crate::codes::Code::ALL {
        assert!(page.text.contains(&format!("id=\"{}\"", code.as_str())), "{code:?}");
    }
    let error = send(&router, request("GET", "/v1/nowhere").body(Body::empty()).unwrap()).await;
    assert!(error.text.contains("http://localhost:7101/docs/errors#url_unknown"));
}

/// The merchant's script can be loaded and pinned from any page; a card page without a good key is no page.
#[tokio::test]
async fn checkout_files_are_served() {
    let router = public();
    let script = send(&router, request("GET", "/js/v1/kura.js").body(Body::empty()).unwrap()).await;
    assert_eq!(script.headers["access-control-allow-origin"], "*");
    assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
    for query in ["", "?key=pk_test_wrong", "?key=x&colour=red", "?key=x&locale=fr"] {
        let page = send(&router, request("GET", &format!("/checkout/card{query}")).body(Body::empty()).unwrap()).await;
        assert!(page.status.is_client_error(), "{query}");
    }
}

/// Until it is ready, the gateway says that it is not, and no more.
#[tokio::test]
async fn health_has_no_details() {
    let answer = send(&public(), request("GET", "/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "not ready\n"));
}
