//! Webhooks over https: to a server whose certificate an authority vouches for that the gateway was told to trust, and to no
//! other; the delivery says what was wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_platform::clock;
use kura_tests::authority::Authority;
use kura_tests::receiver::Receiver;
use kura_tests::{Options, Stack, wait_until};
use serde_json::Value;
use time::Duration;

/// One endpoint, and what became of the one delivery to it.
struct Endpoint {
    receiver: Receiver,
    id: String,
}

impl Endpoint {
    fn new(stack: &Stack, receiver: Receiver) -> Self {
        let url = receiver.url("/webhooks");
        assert!(url.starts_with("https://"), "{url}");
        let form = [("url", url.as_str()), ("enabled_events[]", "customer.created")];
        let made = stack.post("/v1/webhook_endpoints", &stack.run().keys.sk_test, &form);
        assert_eq!(made.status, 200, "{}", made.text);
        Self { receiver, id: made.json()["id"].as_str().unwrap().to_owned() }
    }

    fn delivery(&self, stack: &Stack, event: &str) -> Value {
        let path = format!("/v1/events/{event}/deliveries");
        let all = stack.read(&path, &stack.run().keys.sk_test).json();
        let of_this = |delivery: &&Value| delivery["webhook_endpoint"] == self.id.as_str();
        all["data"].as_array().expect("a list").iter().find(of_this).cloned().unwrap_or_default()
    }
}

/// A certificate of an authority that is trusted, for this address, and in its time; each of the three is needed, and a server
/// without one of them is told nothing at all. Trusting an authority of one's own is said aloud.
#[test]
fn webhooks_go_to_servers_that_a_trusted_authority_vouches_for() {
    let [trusted, other] = ["Trusted", "Somebody"].map(|name| Authority::new(&format!("{name}'s test authority")));
    let directory = kura_tests::workspace().join("target/kura-tests");
    std::fs::create_dir_all(&directory).unwrap();
    let ca = directory.join(format!("webhooks-ca-{}.pem", std::process::id()));
    trusted.write(&ca);
    let options = Options::default().set(&format!("gateway.webhooks.ca={}", ca.display()));
    let stack = &Stack::start(options.set("gateway.webhooks.every_ms=100").set("gateway.webhooks.first_pause_ms=200"));
    let (later, before) = (clock::now() + Duration::days(20), clock::now() - Duration::days(1));
    let good = Endpoint::new(stack, Receiver::start_https(trusted.server("127.0.0.1", later)));
    let refused = [
        ("certificate_untrusted", other.server("127.0.0.1", later)),
        ("certificate_of_other_name", trusted.server("shop.example", later)),
        ("certificate_out_of_date", trusted.server("127.0.0.1", before)),
    ]
    .map(|(why, tls)| (why, Endpoint::new(stack, Receiver::start_https(tls))));

    let sk = &stack.run().keys.sk_test;
    let customer = stack.post("/v1/customers", sk, &[("description", "https")]).json();
    let came = good.receiver.wait(1, |received| received.kind() == "customer.created");
    assert_eq!(came[0].event()["data"]["object"]["id"], customer["id"]);
    let event = came[0].event()["id"].as_str().unwrap().to_owned();
    wait_until("it to be on record", || good.delivery(stack, &event)["last_attempt"]["http_status"] == 200);
    for (why, endpoint) in &refused {
        wait_until("it to be tried again", || {
            endpoint.delivery(stack, &event)["attempts"].as_i64().is_some_and(|tries| tries > 1)
        });
        let delivery = endpoint.delivery(stack, &event);
        assert_eq!(
            (&delivery["last_attempt"]["failure"], &delivery["last_attempt"]["http_status"]),
            (&Value::from(*why), &Value::Null)
        );
        assert!(endpoint.receiver.received().is_empty(), "{why}: nothing was said to it");
    }
    assert!(stack.log("gateway").contains("webhooks also trust the authorities in this file"), "it is said aloud");
    std::fs::remove_file(ca).unwrap();
}
