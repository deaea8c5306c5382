//! 3-D Secure over HTTP: what the vault asks, what a shopper sees and does, and a restart in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::{Router, response::Response};
use common::Folder;
use kura_networks::services;
use kura_networks::three_d_secure::{CHALLENGE_LIFE, Directory};
use serde_json::{Value, json};
use tower::ServiceExt;

const CHALLENGED: &str = "4000000000003220";

/// The directory's two routers, on this journal.
struct Issuer {
    asked: Router,
    pages: Router,
}

impl Issuer {
    fn open(journal: &Path, life: Duration) -> Self {
        let (directory, _) = Directory::open(journal, "http://localhost:7106", life).unwrap();
        let (asked, pages) = services::merge([Arc::clone(&directory).service()]);
        Self { asked, pages }
    }

    async fn ask(&self, question: &Value) -> (StatusCode, Value) {
        let request = Request::post("/3ds/authentications").header("content-type", "application/json");
        read(self.asked.clone().oneshot(request.body(Body::from(question.to_string())).unwrap()).await.unwrap()).await
    }

    async fn find(&self, id: &str) -> (StatusCode, Value) {
        let request = Request::get(format!("/3ds/authentications?id={id}")).body(Body::empty()).unwrap();
        read(self.asked.clone().oneshot(request).await.unwrap()).await
    }

    async fn page(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.pages.clone().oneshot(request).await.unwrap();
        (response.status(), text(response).await)
    }

    async fn enter(&self, path: &str, form: &str) -> Response {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.pages.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap()
    }
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn read(response: Response) -> (StatusCode, Value) {
    (response.status(), serde_json::from_str(&text(response).await).unwrap_or_default())
}

fn question(id: &str, pan: &str) -> Value {
    json!({ "id": id, "pan": pan, "merchant": "SHOP00000000001", "merchant_name": "Green <Grocer>", "amount_minor": 1500, "currency": "jpy",
            "challenge": false, "return_url": "http://localhost:7101/3d_secure/x/return?a=1&b=2" })
}

fn path_of(found: &Value) -> String {
    found["challenge_url"].as_str().unwrap().strip_prefix("http://localhost:7106").unwrap().to_owned()
}

fn code_on(page: &str) -> String {
    let (_, after) = page.split_once("id=\"simulated-code\">").expect("the simulator shows its code");
    after[..6].to_owned()
}

/// The shopper types the code, goes back by a link that proves nothing, and the value is for the vault alone; also after a
/// restart in the middle. The number is nowhere.
#[tokio::test]
async fn a_challenge_survives_a_restart() {
    let folder = Folder::new();
    let journal = folder.path("cases.jsonl");
    let issuer = Issuer::open(&journal, CHALLENGE_LIFE);
    let (status, asked) = issuer.ask(&question("a", CHALLENGED)).await;
    assert_eq!((status, asked["status"].as_str()), (StatusCode::OK, Some("C")));
    assert_eq!(asked["authentication_value"], Value::Null);
    let path = path_of(&asked);
    let (_, page) = issuer.page(&path).await;
    assert!(
        page.contains("3220")
            && page.contains("JPY 1,500")
            && page.contains("Green &#60;Grocer&#62;")
            && !page.contains(CHALLENGED)
    );
    assert_eq!(issuer.enter(&path, "code=000000").await.status(), StatusCode::UNPROCESSABLE_ENTITY);

    let issuer = Issuer::open(&journal, CHALLENGE_LIFE);
    assert_eq!(issuer.find("a").await.1, asked);
    let (_, page) = issuer.page(&format!("{path}?lang=ja")).await;
    assert!(page.contains("認証コード"));
    let entered = issuer.enter(&path, &format!("code={}", code_on(&page))).await;
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let location = entered.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with(&path), "{location}");
    let (_, over) = issuer.page(&location).await;
    let (_, ended) = issuer.find("a").await;
    assert_eq!((ended["status"].as_str(), ended["eci"].as_str()), (Some("Y"), Some("05")));
    let value = ended["authentication_value"].as_str().unwrap();
    assert!(over.contains("href=\"http://localhost:7101/3d_secure/x/return?a=1&#38;b=2\""), "{over}");
    assert!(!over.contains(value));
    assert!(!std::fs::read_to_string(&journal).unwrap().contains(CHALLENGED));
    let again = issuer.enter(&path, "cancel=1").await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    assert_eq!(issuer.find("a").await.1, ended);
}

/// Three wrong codes, giving up and time make it a no, and there is nothing to see behind any other address.
#[tokio::test]
async fn a_challenge_that_is_not_met_fails() {
    let folder = Folder::new();
    let issuer = Issuer::open(&folder.path("cases.jsonl"), CHALLENGE_LIFE);
    let (_, wrong) = issuer.ask(&question("wrong", CHALLENGED)).await;
    for _ in 0..2 {
        assert_eq!(issuer.enter(&path_of(&wrong), "code=12").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(issuer.enter(&path_of(&wrong), "code=12").await.status(), StatusCode::SEE_OTHER);
    let (_, given_up) = issuer.ask(&question("given-up", CHALLENGED)).await;
    issuer.enter(&path_of(&given_up), "code=&cancel=1").await;
    let impatient = Issuer::open(&folder.path("other.jsonl"), Duration::ZERO);
    impatient.ask(&question("late", CHALLENGED)).await;
    for (issuer, id) in [(&issuer, "wrong"), (&issuer, "given-up"), (&impatient, "late")] {
        let (_, found) = issuer.find(id).await;
        assert_eq!((found["status"].as_str(), &found["authentication_value"]), (Some("N"), &Value::Null), "{id}");
    }
    for path in ["/3ds/challenge/x", "/3ds/challenge/00000000-0000-4000-8000-000000000000"] {
        assert_eq!(issuer.page(path).await.0, StatusCode::NOT_FOUND);
        assert_eq!(issuer.enter(path, "code=1").await.status(), StatusCode::NOT_FOUND);
    }
}

/// What is no question is refused; one id is one question; a script for an address is none.
#[tokio::test]
async fn what_is_no_question_is_refused() {
    let folder = Folder::new();
    let issuer = Issuer::open(&folder.path("cases.jsonl"), CHALLENGE_LIFE);
    let with = |name: &str, value: Value| {
        let mut question = question("a", CHALLENGED);
        question[name] = value;
        question
    };
    for (name, value) in [
        ("return_url", json!("javascript:alert(1)")),
        ("return_url", json!("http://x/\"><script>")),
        ("pan", json!("41")),
        ("amount_minor", Value::Null),
        ("id", json!("")),
    ] {
        assert_eq!(issuer.ask(&with(name, value)).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
    }
    assert_eq!(issuer.ask(&with("cvc", json!("123"))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(issuer.find("a").await.0, StatusCode::NOT_FOUND);
    assert_eq!(issuer.ask(&question("a", CHALLENGED)).await.0, StatusCode::OK);
    assert_eq!(issuer.ask(&with("amount_minor", json!(1))).await.0, StatusCode::CONFLICT);
}

/// The page is framed by nobody, runs nothing and sends nothing elsewhere.
#[tokio::test]
async fn the_page_allows_nothing_foreign() {
    let folder = Folder::new();
    let issuer = Issuer::open(&folder.path("cases.jsonl"), CHALLENGE_LIFE);
    let (_, asked) = issuer.ask(&question("a", CHALLENGED)).await;
    let (directory, _) = Directory::open(&folder.path("c.jsonl"), "", CHALLENGE_LIFE).unwrap();
    let (acquirer, _) = kura_networks::acquirer::Acquirer::open(&folder.path("b.jsonl"), directory).unwrap();
    let whole = kura_networks::http::router(Arc::new(acquirer), issuer.pages.clone());
    let response = whole.oneshot(Request::get(path_of(&asked)).body(Body::empty()).unwrap()).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    assert_eq!(response.headers()["cache-control"], "no-store");
}
