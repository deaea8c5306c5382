//! Payments without a card over the wire: the vault's questions over mutual TLS, people's pages and acts over plain HTTP, and a
//! restart in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use common::{Authority, Folder, listen};
use kura_networks::deposits::desk::Desk;
use kura_networks::services::{self, KuraVault};
use kura_platform::tls::{Zone, public_http_client};
use serde_json::{Value, json};

const SERVICES: &str = "services.networks.example";
const MERCHANT: &str = "SHOP00000000001";

/// The desk in this process.
struct Running {
    folder: Folder,
    vault: reqwest::Client,
    people: reqwest::Client,
    asked: String,
    pages: String,
    handles: [Handle<SocketAddr>; 2],
}

impl Running {
    fn start() -> Self {
        Self::on(Folder::new())
    }

    fn on(folder: Folder) -> Self {
        let networks = Authority::new(&folder, "networks");
        let own = networks.identity(&folder, SERVICES, &networks);
        let (asked_listener, asked_at) = listen();
        let (pages_listener, pages_at) = listen();
        let pages_url = format!("http://{pages_at}");
        let (desk, _) = Desk::open(&folder.path("deposits.jsonl"), &pages_url).unwrap();
        let (asked, pages) = services::merge([desk.service()]);
        tokio::spawn(Arc::clone(&desk).expire());
        let handles = [Handle::new(), Handle::new()];
        let tls = own.server_for::<KuraVault>().unwrap();
        tokio::spawn(kura_platform::serve::mutual_tls(asked_listener, tls, asked, handles[0].clone()));
        tokio::spawn(kura_platform::serve::plain(pages_listener, pages, handles[1].clone()));
        let patience = Duration::from_secs(2);
        let identity = networks.identity(&folder, KuraVault::NAME, &networks);
        Self {
            vault: identity.http_client_named(SERVICES, asked_at, patience).unwrap(),
            people: public_http_client(patience).unwrap(),
            asked: format!("https://{SERVICES}:{}", asked_at.port()),
            pages: pages_url,
            folder,
            handles,
        }
    }

    /// Ends it, and starts it again on the same journal.
    fn restart(self) -> Self {
        self.handles.iter().for_each(Handle::shutdown);
        Self::on(self.folder)
    }

    async fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.vault.post(format!("{}/deposits/{path}", self.asked)).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn find(&self, network: &str, reference: &str) -> (u16, Value) {
        let url = format!("{}/deposits/{network}/requests/{reference}?merchant={MERCHANT}", self.asked);
        let answer = self.vault.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn act(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.people.post(format!("{}/deposits/acts/{path}", self.pages)).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A page's status, policy and text.
    async fn page(&self, path: &str) -> (u16, String, String) {
        let answer = self.people.get(format!("{}{path}", self.pages)).send().await.unwrap();
        let policy = answer.headers().get("content-security-policy").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), policy.unwrap_or_default(), answer.text().await.unwrap())
    }
}

fn request(reference: &str, amount_minor: u64) -> Value {
    json!({
        "reference": reference, "merchant": MERCHANT, "amount_minor": amount_minor, "currency": "jpy",
        "expires_at": "2099-01-01T00:00:00Z", "payer": { "name": "山田 <b>太郎</b>", "phone": "09012345678" },
    })
}

fn wallet(reference: &str, amount_minor: u64, return_url: &str) -> Value {
    let mut body = request(reference, amount_minor);
    body["payer"] = json!({ "email": "taro@example.jp" });
    body["return_url"] = json!(return_url);
    body
}

/// Asked for at a store, paid by number, given back in parts; a restart in between loses nothing.
#[tokio::test]
async fn a_store_takes_the_money() {
    let desk = Running::start();
    let (status, waiting) = desk.ask("konbini/requests", &request("000000000001", 1000)).await;
    assert_eq!((status, &waiting["state"]), (200, &json!("waiting")), "{waiting}");
    assert_eq!(waiting["instructions"]["stores"].as_array().unwrap().len(), 4);
    assert_eq!(desk.ask("konbini/requests", &request("000000000001", 1000)).await, (200, waiting.clone()));
    assert_eq!(desk.ask("konbini/requests", &request("000000000001", 2000)).await.0, 409);
    let desk = desk.restart();
    let again = desk.find("konbini", "000000000001").await.1;
    assert_eq!(again["instructions"]["stores"], waiting["instructions"]["stores"]);
    let number = &waiting["instructions"]["stores"][1]["payment_code"];
    let paid = desk.act("pay", &json!({ "network": "konbini", "number": number })).await;
    assert_eq!(paid, (200, json!({ "became": "done" })));
    let (_, state) = desk.find("konbini", "000000000001").await;
    assert_eq!((&state["state"], &state["place"]), (&json!("paid"), &json!("lawson")));
    let back = |reference: &str, amount_minor: u64| {
        json!({ "reference": reference, "original": "000000000001", "merchant": MERCHANT,
                "amount_minor": amount_minor, "currency": "jpy" })
    };
    let accepted = (200, json!({ "outcome": "accepted" }));
    assert_eq!(desk.ask("konbini/refunds", &back("000000000002", 600)).await, accepted);
    let desk = desk.restart();
    assert_eq!(desk.ask("konbini/refunds", &back("000000000002", 600)).await, accepted);
    assert_eq!(desk.ask("konbini/refunds", &back("000000000003", 401)).await.1["outcome"], "refused");
    assert_eq!(desk.ask("payeasy/refunds", &back("000000000004", 1)).await.0, 404);
    let day = kura_platform::clock::now().date();
    let url = format!("{}/deposits/konbini/settlement?day={day}", desk.asked);
    let settled: Value = desk.vault.get(url).send().await.unwrap().json().await.unwrap();
    let rows: Vec<_> = settled["rows"].as_array().unwrap().iter().map(|row| (&row["kind"], &row["money"])).collect();
    let yen = |amount: u64| json!({ "amount_minor": amount, "currency": "JPY" });
    assert_eq!(rows, [(&json!("payment"), &yen(1000)), (&json!("refund"), &yen(600))]);
}

/// A withdrawal of what hasn't come keeps it out, and of what is paid changes nothing; another merchant finds nothing.
#[tokio::test]
async fn what_is_withdrawn_is_not_paid() {
    let desk = Running::start();
    let own = json!({ "merchant": MERCHANT });
    let withdraw = "payeasy/requests/000000000009/withdraw";
    assert_eq!(desk.ask(withdraw, &own).await, (200, json!({ "state": "not_made" })));
    assert_eq!(desk.ask("payeasy/requests", &request("000000000009", 500)).await.1, json!({ "state": "not_made" }));
    let (_, waiting) = desk.ask("payeasy/requests", &request("000000000001", 500)).await;
    assert_eq!(
        desk.ask("payeasy/requests/000000000001/withdraw", &json!({ "merchant": "SHOP00000000002" })).await.0,
        404
    );
    assert_eq!(desk.ask("payeasy/requests/000000000001/withdraw", &own).await.1["state"], "withdrawn");
    let number = &waiting["instructions"]["customer_number"];
    let paid = desk.act("pay", &json!({ "network": "payeasy", "number": number, "late": true })).await;
    assert_eq!(paid.1["became"], "closed");
    assert_eq!(desk.find("payeasy", "000000000007").await.0, 404);
    assert_eq!(desk.ask("payeasy/requests", &json!({ "payer": { "name": "秘密" } })).await.0, 400);
}

/// The time of a request ends by itself, and money that comes late is taken when it is forced in.
#[tokio::test]
async fn time_ends_by_itself() {
    let desk = Running::start();
    let mut body = request("000000000001", 1000);
    let soon = kura_platform::clock::now() + Duration::from_millis(700);
    body["expires_at"] = json!(soon.format(&time::format_description::well_known::Rfc3339).unwrap());
    assert_eq!(desk.ask("konbini/requests", &body).await.1["state"], "waiting");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(desk.find("konbini", "000000000001").await.1["state"], "expired");
    assert_eq!(desk.act("000000000001/pay", &json!({})).await.1["became"], "expired");
    assert_eq!(desk.act("000000000001/pay", &json!({ "late": true, "place": "seicomart" })).await.1["became"], "done");
    assert_eq!(desk.find("konbini", "000000000001").await.1["place"], "seicomart");
}

/// The wallet asks, approves or refuses, and leads back to the shop and nowhere else; the mail sink has the way to it.
#[tokio::test]
async fn a_wallet_asks_its_owner() {
    let desk = Running::start();
    let shop = format!("{}/deposits?shop=1", desk.pages);
    let (_, waiting) = desk.ask("emoney/requests", &wallet("000000000001", 800, &shop)).await;
    let url = waiting["instructions"]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&desk.pages).unwrap();
    let (status, policy, html) = desk.page(&format!("{path}?lang=en")).await;
    assert_eq!(status, 200);
    assert!(policy.contains(&format!("form-action 'self' {};", desk.pages)), "{policy}");
    assert!(html.contains("¥800") && html.contains("Approve") && !html.contains("<script"), "{html}");
    let mails = desk.page("/mail").await.2;
    assert!(mails.contains(path) && mails.contains("taro@example.jp"));
    let post = |answer: &'static str| desk.people.post(&url).form(&[("answer", answer)]);
    assert_eq!(post("approve").send().await.unwrap().url().as_str(), shop);
    assert_eq!(desk.find("emoney", "000000000001").await.1["state"], "paid");
    assert!(post("refuse").send().await.unwrap().url().as_str().ends_with("said=closed"));
    desk.ask("emoney/requests", &wallet("000000000002", 800, "https://shop.example/")).await;
    assert_eq!(desk.act("000000000002/refuse", &json!({})).await.1["became"], "done");
    assert_eq!(desk.find("emoney", "000000000002").await.1, json!({ "state": "refused", "reason": "shopper_refused" }));
    assert_eq!(desk.page("/emoney/wallet/00000000000000000000000000").await.0, 404);
}

/// At the register all numbers must be right; what people typed is shown as text; each page is in both languages.
#[tokio::test]
async fn people_pay_at_a_register() {
    let desk = Running::start();
    let (_, waiting) = desk.ask("konbini/requests", &request("000000000001", 1234)).await;
    let store = &waiting["instructions"]["stores"][0];
    let (number, confirmation) =
        (store["payment_code"].as_str().unwrap(), store["confirmation_number"].as_str().unwrap());
    let named = format!("/konbini?number={number}&confirmation={confirmation}");
    let (status, policy, html) = desk.page(&format!("{named}&lang=ja")).await;
    assert_eq!(status, 200);
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self' ;"), "{policy}");
    assert!(html.contains("1,234円") && html.contains("支払う") && !html.contains("<b>太郎"), "{html}");
    assert!(desk.page(&format!("{named}&lang=en")).await.2.contains("¥1,234"));
    let wrong = desk.page(&format!("/konbini?number={number}&confirmation=00000000000&lang=en")).await.2;
    assert!(wrong.contains("There is no payment with these numbers") && !wrong.contains("1,234"));
    let voucher = waiting["instructions"]["voucher_url"].as_str().unwrap().strip_prefix(&desk.pages).unwrap();
    assert!(desk.page(voucher).await.2.contains(number));
    let form = [("number", number), ("confirmation", confirmation)];
    let pay = desk.people.post(format!("{}/konbini/pay?lang=en", desk.pages)).form(&form).send().await.unwrap();
    assert!(pay.text().await.unwrap().contains("Paid. Thank you."));
    assert_eq!(desk.find("konbini", "000000000001").await.1["place"], "familymart");
    for page in ["/deposits", "/payeasy", "/konbini", "/mail"] {
        for lang in ["ja", "en"] {
            let (status, _, html) = desk.page(&format!("{page}?lang={lang}")).await;
            assert_eq!(status, 200, "{page}");
            assert!(html.contains(&format!("<html lang=\"{lang}\">")));
        }
    }
}

/// A lost answer is a request that is there; one that never arrived is not.
#[tokio::test]
async fn answers_and_requests_get_lost() {
    let desk = Running::start();
    let lost = |reference: &str, amount| {
        desk.vault.post(format!("{}/deposits/konbini/requests", desk.asked)).json(&request(reference, amount)).send()
    };
    assert!(lost("000000000001", 1905).await.unwrap_err().is_timeout());
    assert_eq!(desk.find("konbini", "000000000001").await.1["state"], "waiting");
    assert!(lost("000000000002", 1906).await.unwrap_err().is_timeout());
    assert_eq!(desk.find("konbini", "000000000002").await.0, 404);
}

/// A day's settlement comes in pages, whole and in order; another day or network has none of it.
#[tokio::test]
async fn a_settlement_comes_in_pages() {
    let desk = Running::start();
    for number in 1..=203 {
        let reference = format!("{number:012}");
        desk.ask("konbini/requests", &request(&reference, 1000 + number)).await;
        desk.act(&format!("{reference}/pay"), &json!({})).await;
    }
    let day = kura_platform::clock::now().date();
    let read = async |network: &str, day: time::Date, after: u64| -> Value {
        let url = format!("{}/deposits/{network}/settlement?day={day}&after={after}", desk.asked);
        desk.vault.get(url).send().await.unwrap().json().await.unwrap()
    };
    let first = read("konbini", day, 0).await;
    let rows = first["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &first["has_more"], &rows[199]["sequence"]), (200, &json!(true), &json!(200)));
    let rest = read("konbini", day, 200).await;
    assert_eq!((rest["rows"].as_array().unwrap().len(), &rest["has_more"]), (3, &json!(false)));
    assert_eq!(rest["rows"][2]["money"]["amount_minor"], 1203);
    let nothing = json!({ "rows": [], "has_more": false });
    assert_eq!(read("konbini", day.previous_day().unwrap(), 0).await, nothing);
    assert_eq!(read("payeasy", day, 0).await, nothing);
}
