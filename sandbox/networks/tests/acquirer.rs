//! The acquirer over its own wire: ISO 8583 in TLS 1.3 with client certificates, and its books over HTTP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{ANSWER_LOST, Authority, Client, NEVER_ARRIVES, Running, VISA, about, echo, payment, reference};
use kura_iso8583::{Class, CvcResult, Field, Message, Mti};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Five hundred requests sent before one answer is read: each is answered once, under its own reference, and booked once.
#[tokio::test(flavor = "multi_thread")]
async fn many_requests_are_in_flight_at_once() {
    let running = Running::start();
    let mut client = running.connect().await;
    let frames: Vec<u8> =
        (0..500).flat_map(|number| payment(Class::Financial, number, VISA).encode_frame().to_vec()).collect();
    client.send_bytes(&frames).await.unwrap();
    let mut answered = BTreeSet::new();
    for _ in 0..500 {
        let answer = client.receive().await.unwrap().unwrap();
        assert_eq!(answer.mti(), Mti::Answer(Class::Financial));
        assert_eq!(answer.field(Field::ResponseCode), Some("00"));
        assert_eq!(answer.cvc_result(), Ok(Some(CvcResult::Match)));
        assert!(answered.insert(answer.field(Field::Reference).unwrap().to_owned()));
    }
    assert_eq!(answered, (0..500).map(reference).collect());
    let totals = running.json("/acquirer/totals").await;
    let expected =
        serde_json::json!({"authorized": 500_000, "captured": 500_000, "refunded": 0, "reversed": 0, "count": 500});
    assert_eq!(totals["jpy"], expected);
}

/// The whole life of a payment: authorize, capture in part, repeat the capture, refund, too much refund; and a void.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_lives_its_life() {
    let running = Running::start();
    let mut client = running.connect().await;
    assert_eq!(client.code(&echo(1)).await, "00");
    let original = payment(Class::Authorization, 2, VISA);
    let approved = client.ask(&original).await;
    assert_eq!(approved.field(Field::ApprovalCode).unwrap().len(), 6);
    // What an answer repeats; neither the PAN nor the CVC is among it.
    assert_eq!(format!("{approved:?}"), "Message(0110 [3, 4, 7, 11, 37, 38, 39, 41, 42, 48, 49])");
    let capture = about(Class::Capture, 3, &original, 600);
    assert_eq!(client.code(&capture).await, "00");
    assert_eq!(client.code(&capture).await, "00");
    assert_eq!(client.code(&about(Class::Financial, 4, &original, 601)).await, "13");
    assert_eq!(client.code(&about(Class::Financial, 5, &original, 600)).await, "00");
    assert_eq!(client.code(&original).await, "94");
    let voided = payment(Class::Authorization, 6, VISA);
    assert_eq!(client.code(&voided).await, "00");
    assert_eq!(client.code(&about(Class::Reversal, 7, &voided, 1000)).await, "00");
    let asked = client.ask(&about(Class::Inquiry, 8, &voided, 0)).await;
    assert_eq!(
        (asked.field(Field::ResponseCode), asked.field(Field::AdditionalResponse)),
        (Some("00"), Some("reversed"))
    );

    let books = running.json("/acquirer/books").await;
    let kinds: Vec<_> =
        books["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["authorization", "capture", "refund", "refund", "authorization", "reversal"]);
    let first = &books["entries"][0];
    assert_eq!(first["sequence"], 1);
    assert_eq!(first["reference"], reference(2));
    assert_eq!(first["original_reference"], serde_json::Value::Null);
    assert_eq!(first["merchant"], "SHOP00000000001");
    assert_eq!((&first["amount_minor"], &first["currency"]), (&1000.into(), &"jpy".into()));
    assert_eq!(
        (&first["response_code"], &first["approval_code"]),
        (&"00".into(), &approved.field(Field::ApprovalCode).into())
    );
    assert_eq!(
        (&first["captured"], &first["reversed"], &first["last_four"]),
        (&true.into(), &false.into(), &"4242".into())
    );
    assert_eq!(books["entries"][4]["reversed"], true);
}

/// A message that never arrives: silence, others on the connection go on, an inquiry finds nothing; once it is taken back it
/// can't be booked any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_arrives_can_be_taken_back() {
    let running = Running::start();
    let mut client = running.connect().await;
    let lost = payment(Class::Financial, 1, NEVER_ARRIVES);
    client.send(&lost).await;
    assert!(client.is_silent().await);
    assert_eq!(client.code(&echo(2)).await, "00");
    let asked = client.ask(&about(Class::Inquiry, 1, &lost, 0)).await;
    assert_eq!((asked.field(Field::ResponseCode), asked.field(Field::AdditionalResponse)), (Some("25"), None));
    for _ in 0..2 {
        assert_eq!(client.code(&about(Class::ReversalAdvice, 1, &lost, 1000)).await, "00");
    }
    let asked = client.ask(&about(Class::Inquiry, 1, &lost, 0)).await;
    assert_eq!(
        (asked.field(Field::ResponseCode), asked.field(Field::AdditionalResponse)),
        (Some("25"), Some("reversed"))
    );
    assert_eq!(client.code(&payment(Class::Financial, 1, VISA)).await, "94");
    assert_eq!(running.json("/acquirer/totals").await["jpy"]["captured"], 0);
    assert!(running.get("/").await.1.contains("ahead of its original"));
}

/// A lost answer: silence, and the inquiry has the approval with its code and CVC result; the books have it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_by_an_inquiry() {
    let running = Running::start();
    let mut client = running.connect().await;
    let lost = payment(Class::Financial, 1, ANSWER_LOST);
    client.send(&lost).await;
    assert!(client.is_silent().await);
    let asked = client.ask(&about(Class::Inquiry, 1, &lost, 0)).await;
    assert_eq!((asked.field(Field::ResponseCode), asked.field(Field::AdditionalResponse)), (Some("00"), None));
    assert_eq!(asked.cvc_result(), Ok(Some(CvcResult::Match)));
    let books = running.json(&format!("/acquirer/books?reference={}", reference(1))).await;
    assert_eq!(books["entries"].as_array().unwrap().len(), 1);
    assert_eq!(books["entries"][0]["approval_code"].as_str(), asked.field(Field::ApprovalCode));
    assert_eq!(client.code(&about(Class::Financial, 2, &lost, 1000)).await, "00");
}

/// Without a certificate, with one of another CA, or with TLS 1.2, nothing gets in.
#[tokio::test(flavor = "multi_thread")]
async fn only_certificates_of_the_networks_ca_get_in() {
    let running = Running::start();
    let refused = async |tls: rustls::ClientConfig| {
        // In TLS 1.3 the client's side of the handshake ends before the server has judged its certificate.
        let Ok(mut client) = Client::connect_with(running.iso, tls).await else { return true };
        let _ = client.send_bytes(&echo(1).encode_frame()).await;
        !matches!(client.receive().await, Ok(Some(_)))
    };
    assert!(!refused(running.client.client_config().unwrap()).await);
    let other = Authority::new(&running.folder, "other");
    let stranger = other.identity(&running.folder, "client.networks.example", &running.networks);
    assert!(refused(stranger.client_config().unwrap()).await);
    let bare = |version: &'static rustls::SupportedProtocolVersion| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&running.client.ca).unwrap()).unwrap();
        rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
    };
    assert!(refused(bare(&rustls::version::TLS13).with_no_client_auth()).await);
    let chain = || vec![CertificateDer::from_pem_file(&running.client.certificate).unwrap()];
    let key = || PrivateKeyDer::from_pem_file(&running.client.private_key).unwrap();
    assert!(!refused(bare(&rustls::version::TLS13).with_client_auth_cert(chain(), key()).unwrap()).await);
    assert!(refused(bare(&rustls::version::TLS12).with_client_auth_cert(chain(), key()).unwrap()).await);
    assert_eq!(running.journal(), "");
}

/// A message that is none is dropped alone; one that lacks a field is answered 30; a frame that can't be followed ends the
/// connection. Nothing of it is booked.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_input_harms_only_itself() {
    let running = Running::start();
    let mut client = running.connect().await;
    client.send_bytes(&[0, 4, b'9', b'9', b'9', b'9']).await.unwrap();
    client.send(&Message::new(Mti::Request(Class::Authorization))).await;
    let mut answer = Message::new(Mti::Answer(Class::Authorization));
    answer.set(Field::Reference, &reference(1)).unwrap();
    client.send(&answer).await;
    assert_eq!(client.code(&echo(1)).await, "00");

    let whole = payment(Class::Financial, 2, VISA);
    for missing in [Field::Pan, Field::Amount, Field::Expiry, Field::Merchant, Field::Currency, Field::Stan] {
        let mut request = Message::new(whole.mti());
        for field in whole.fields().filter(|field| *field != missing) {
            request.set(field, whole.field(field).unwrap()).unwrap();
        }
        assert_eq!(client.code(&request).await, "30", "{missing:?}");
    }
    for (field, value) in [
        (Field::ProcessingCode, "010000"),
        (Field::Expiry, "3013"),
        (Field::Currency, "000"),
        (Field::PrivateData, "9203"),
    ] {
        let mut request = payment(Class::Financial, 2, VISA);
        request.set(field, value).unwrap();
        assert_eq!(client.code(&request).await, "30", "{field:?}");
    }
    client.send_bytes(&[0xff, 0xff]).await.unwrap();
    assert!(!matches!(client.receive().await, Ok(Some(_))));
    assert_eq!(running.journal(), "");
}

/// A PAN and a CVC that were sent stand nowhere: not in the journal, not in the books, not on the page.
#[tokio::test(flavor = "multi_thread")]
async fn neither_pan_nor_cvc_is_kept() {
    let running = Running::start();
    let mut client = running.connect().await;
    let pan = "4111111111111111";
    let mut request = payment(Class::Financial, 1, pan);
    request.set_cvc("7391").unwrap();
    assert_eq!(client.code(&request).await, "00");
    let mut refund = about(Class::Financial, 2, &request, 10);
    refund.set(Field::Pan, pan).unwrap();
    assert_eq!(client.code(&refund).await, "00");
    let page = running.get("/").await.1;
    assert!(page.contains("•••• 1111"));
    for text in [running.journal(), running.get("/acquirer/books").await.1, page.replace(' ', "")] {
        assert!(text.contains("1111"));
        assert!(!text.contains(pan) && !text.contains("411111") && !text.contains("7391"));
    }
}

/// Health, pages of the books, their bounds, and a page for people that may run no script.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_can_be_read_over_http() {
    let running = Running::start();
    assert_eq!(running.get("/healthz").await, (200, "ok".to_owned()));
    assert_eq!(running.json("/acquirer/totals").await, serde_json::json!({}));
    assert!(running.get("/").await.1.contains("Nothing was booked yet"));
    let mut client = running.connect().await;
    for number in 0..25 {
        client.code(&payment(Class::Financial, number, VISA)).await;
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = running.json(&format!("/acquirer/books?after={after}&limit=10")).await;
        for entry in page["entries"].as_array().unwrap() {
            seen.push(entry["reference"].as_str().unwrap().to_owned());
            after = entry["sequence"].as_u64().unwrap();
        }
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, (0..25).map(reference).collect::<Vec<_>>());
    assert_eq!(running.json("/acquirer/books?reference=ZZZZZZZZZZZZ").await["entries"], serde_json::json!([]));
    for query in ["limit=0", "limit=5001", "limit=x", "after=-1", "reference=short", "order=asc"] {
        assert_eq!(running.get(&format!("/acquirer/books?{query}")).await.0, 400, "{query}");
    }
    let client = kura_platform::tls::public_http_client(Duration::from_secs(5)).unwrap();
    let response = client.get(format!("{}/", running.http)).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let page = response.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("style=") && page.contains("JPY 25,000"));
}

/// Told to stop, the server takes no more, but what it has taken is answered, and the answers arrive: the connection isn't reset
/// for the requests that were left unread.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_what_is_in_flight_be_answered() {
    let running = Running::start();
    let mut client = running.connect().await;
    assert_eq!(client.code(&echo(1)).await, "00");
    let frames: Vec<u8> =
        (10..2000).flat_map(|number| payment(Class::Financial, number, VISA).encode_frame().to_vec()).collect();
    client.send_bytes(&frames).await.unwrap();
    let first = client.receive().await.unwrap().unwrap();
    assert_eq!(first.field(Field::ResponseCode), Some("00"));
    running.stop();
    let mut answered = 1;
    while let Ok(Some(_)) = client.receive().await {
        answered += 1;
    }
    assert_eq!(running.journal().lines().count(), answered);
}

/// Not part of the suite (`--ignored`): how many authorizations a second one connection carries, client and TLS included.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_authorizations_per_second() {
    const COUNT: u64 = 50_000;
    const WINDOW: u64 = 256;
    let running = Running::start();
    let mut client = running.connect().await;
    let started = Instant::now();
    let mut sent = 0;
    for received in 0..COUNT {
        while sent < COUNT && sent < received + WINDOW {
            client.send(&payment(Class::Financial, sent, VISA)).await;
            sent += 1;
        }
        assert_eq!(client.receive().await.unwrap().unwrap().field(Field::ResponseCode), Some("00"));
    }
    println!("{:.0} authorizations per second", COUNT as f64 / started.elapsed().as_secs_f64());
    assert_eq!(running.json("/acquirer/totals").await["jpy"]["count"], COUNT);
}
