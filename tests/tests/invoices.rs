//! Invoices that merchants write themselves, those that are sent, and subscriptions whose collection rests.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_tests::{Answer, Stack};
use serde_json::{Value, json};

const START: i64 = 1_800_000_000;
const DAY: i64 = 24 * 3600;

fn sk(stack: &Stack) -> &str {
    &stack.run().keys.sk_test
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, sk(stack), form);
    assert_eq!(answer.status, 200, "{path} {form:?}: {}", answer.text);
    answer.json()
}

fn get(stack: &Stack, path: &str) -> Value {
    let answer = stack.read(path, sk(stack));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_else(|| panic!("{object}"))
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// What was told of objects whose kinds begin so, of one customer, oldest first.
fn told(stack: &Stack, customer: &str, prefix: &str) -> Vec<String> {
    let (mut told, mut after) = (Vec::new(), String::new());
    for _ in 0..20 {
        let page = get(stack, &format!("/v1/events?limit=100{after}"));
        for event in page["data"].as_array().unwrap() {
            let kind = event["type"].as_str().unwrap().strip_prefix(prefix);
            if let Some(kind) = kind.filter(|_| event["data"]["object"]["customer"] == customer) {
                told.push(kind.to_owned());
            }
        }
        let last = page["data"].as_array().unwrap().last();
        match last.filter(|_| page["has_more"] == true) {
            Some(last) => after = format!("&starting_after={}", id(last)),
            None => break,
        }
    }
    told.reverse();
    told
}

/// A customer on a clock of its own, with a card that pays.
struct World<'a> {
    stack: &'a Stack,
    clock: String,
    customer: String,
}

impl<'a> World<'a> {
    fn new(stack: &'a Stack) -> Self {
        let clock = post(stack, "/v1/test_helpers/test_clocks", &[("frozen_time", &START.to_string())]);
        let customer = post(stack, "/v1/customers", &[("test_clock", id(&clock))]);
        let method = post(stack, "/v1/payment_methods/pm_card_visa/attach", &[("customer", id(&customer))]);
        let path = format!("/v1/customers/{}", id(&customer));
        post(stack, &path, &[("invoice_settings[default_payment_method]", id(&method))]);
        Self { stack, clock: id(&clock).to_owned(), customer: id(&customer).to_owned() }
    }

    fn turn_to(&self, at: i64) {
        let path = format!("/v1/test_helpers/test_clocks/{}", self.clock);
        post(self.stack, &format!("{path}/advance"), &[("frozen_time", &at.to_string())]);
        let began = Instant::now();
        while get(self.stack, &path)["status"] != "ready" {
            assert!(began.elapsed() < Duration::from_secs(60), "the clock stands");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn price(&self, amount: &str) -> String {
        let form = [
            ("currency", "jpy"),
            ("unit_amount", amount),
            ("recurring[interval]", "month"),
            ("product_data[name]", "定期便"),
        ];
        id(&post(self.stack, "/v1/prices", &form)).to_owned()
    }

    fn subscribe(&self, more: &[(&str, &str)]) -> Value {
        let price = self.price("2000");
        let form = [&[("customer", &*self.customer), ("items[0][price]", &*price)], more].concat();
        post(self.stack, "/v1/subscriptions", &form)
    }

    fn invoices(&self) -> Vec<Value> {
        get(self.stack, &format!("/v1/invoices?customer={}&limit=20", self.customer))["data"]
            .as_array()
            .unwrap()
            .clone()
    }
}

/// Items wait for the customer's next invoice, are changed and deleted; a draft takes them in, becomes final, and is paid.
#[test]
fn items_come_onto_an_invoice() {
    let stack = Stack::shared();
    let world = World::new(stack);
    let customer = &*world.customer;
    let form = [
        ("customer", customer),
        ("amount", "1200"),
        ("currency", "jpy"),
        ("description", "設置"),
        ("metadata[a]", "1"),
    ];
    let first = post(stack, "/v1/invoiceitems", &form);
    assert_eq!(
        (&first["object"], &first["amount"], &first["invoice"]),
        (&json!("invoiceitem"), &json!(1200), &Value::Null)
    );
    assert_eq!((&first["test_clock"], &first["date"]), (&json!(world.clock), &json!(START)));
    let once =
        post(stack, "/v1/prices", &[("currency", "jpy"), ("unit_amount", "300"), ("product_data[name]", "送料")]);
    let second =
        post(stack, "/v1/invoiceitems", &[("customer", customer), ("pricing[price]", id(&once)), ("quantity", "2")]);
    assert_eq!(
        (&second["amount"], &second["description"], &second["quantity"]),
        (&json!(600), &json!("送料"), &json!(2))
    );
    let credit = [("customer", customer), ("unit_amount_decimal", "-50"), ("quantity", "2"), ("currency", "jpy")];
    let third = post(stack, "/v1/invoiceitems", &credit);
    assert_eq!(third["amount"], -100);
    post(stack, "/v1/invoiceitems", &[("customer", customer), ("amount", "100"), ("currency", "usd")]);

    let path = format!("/v1/invoiceitems/{}", id(&first));
    let changed = post(stack, &path, &[("amount", "1000"), ("metadata[a]", "")]);
    assert_eq!((&changed["amount"], &changed["metadata"]), (&json!(1000), &json!({})));
    assert_eq!(post(stack, &format!("/v1/invoiceitems/{}", id(&second)), &[("quantity", "3")])["amount"], 900);
    let pending = get(stack, &format!("/v1/invoiceitems?customer={customer}&pending=true"));
    let waiting: Vec<&str> = pending["data"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(waiting.len(), 4);
    assert_eq!(code(&stack.read(&path, &stack.run().keys.other_sk_test)), is(404, "resource_missing"));

    let form = [("customer", customer), ("pending_invoice_items_behavior", "include"), ("description", "七月分")];
    let draft = post(stack, "/v1/invoices", &form);
    assert_eq!((&draft["status"], &draft["total"], &draft["currency"]), (&json!("draft"), &json!(1800), &json!("jpy")));
    assert_eq!((&draft["billing_reason"], &draft["auto_advance"]), (&json!("manual"), &json!(false)));
    assert_eq!(draft["lines"]["data"].as_array().unwrap().len(), 3, "dollars wait for another");
    let lines = draft["lines"]["data"].as_array().unwrap();
    let item = |line: &&Value| line["parent"]["invoice_item_details"]["invoice_item"] == first["id"];
    assert_eq!(lines.iter().find(item).unwrap()["amount"], 1000);
    // On the draft they can still be changed, added and deleted.
    assert_eq!(post(stack, &path, &[("amount", "1100")])["invoice"], draft["id"]);
    let form = [("customer", customer), ("amount", "5"), ("invoice", id(&draft))];
    let added = post(stack, "/v1/invoiceitems", &form);
    let invoice = format!("/v1/invoices/{}", id(&draft));
    assert_eq!(get(stack, &invoice)["total"], 1905);
    assert_eq!(stack.delete(&format!("/v1/invoiceitems/{}", id(&added)), sk(stack)).json()["deleted"], true);
    assert_eq!(post(stack, &invoice, &[("metadata[b]", "2")])["amount_due"], 1900);

    let last = post(stack, &format!("{invoice}/finalize?expand[]=confirmation_secret"), &[]);
    assert_eq!((&last["status"], &last["amount_due"]), (&json!("open"), &json!(1900)));
    let payment = last["payments"]["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    assert_eq!(last["confirmation_secret"]["type"], "payment_intent");
    let secret = last["confirmation_secret"]["client_secret"].as_str().unwrap();
    assert!(secret.starts_with(&format!("{payment}_secret_")), "{secret}");
    let by_page =
        stack.read(&format!("/v1/payment_intents/{payment}?client_secret={secret}"), &stack.run().keys.pk_test);
    assert_eq!(by_page.status, 200, "{}", by_page.text);
    assert_eq!(get(stack, &invoice)["confirmation_secret"], Value::Null, "only where it is asked for");
    stays(stack, &invoice, &path);
    let paid = post(stack, &format!("{invoice}/pay?expand[]=confirmation_secret"), &[]);
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(1900)));
    assert_eq!(paid["confirmation_secret"], Value::Null);
    let expected = ["created", "updated", "updated", "updated", "updated", "finalized", "paid", "payment_succeeded"];
    assert_eq!(told(stack, customer, "invoice."), expected);
    let expected = ["created", "created", "created", "created", "created", "deleted"];
    assert_eq!(told(stack, customer, "invoiceitem."), expected);
}

/// What is final stays as it is.
fn stays(stack: &Stack, invoice: &str, item: &str) {
    for form in [[("amount", "1")], [("metadata[x]", "1")]] {
        assert_eq!(code(&stack.post(item, sk(stack), &form)), is(400, "invoice_unexpected_state"));
    }
    assert_eq!(code(&stack.delete(item, sk(stack))), is(400, "invoice_unexpected_state"));
    assert_eq!(code(&stack.post(invoice, sk(stack), &[("description", "x")])), is(400, "invoice_unexpected_state"));
    assert_eq!(code(&stack.delete(invoice, sk(stack))), is(400, "invoice_unexpected_state"));
}

/// A draft that is deleted lets go what waited, which the next one takes.
#[test]
fn a_deleted_draft_lets_go_what_waited() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[]);
    let form = [("customer", id(&customer)), ("amount", "100"), ("currency", "usd")];
    let item = post(stack, "/v1/invoiceitems", &form);
    let form = [("customer", id(&customer)), ("pending_invoice_items_behavior", "include")];
    for _ in 0..2 {
        let draft = post(stack, "/v1/invoices", &form);
        assert_eq!((&draft["currency"], &draft["total"]), (&json!("usd"), &json!(100)));
        let path = format!("/v1/invoices/{}", id(&draft));
        assert_eq!(stack.delete(&path, &stack.run().keys.other_sk_test).status, 404);
        let gone = stack.delete(&path, sk(stack));
        assert_eq!((gone.status, gone.json()["deleted"].clone()), (200, json!(true)));
        assert_eq!(get(stack, &format!("/v1/invoiceitems/{}", id(&item)))["invoice"], Value::Null);
        assert_eq!(code(&stack.read(&path, sk(stack))), is(404, "resource_missing"));
    }
}

/// Repeated, one request makes one item and one draft.
#[test]
fn repeated_drafts_are_one() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[]);
    let form = [("customer", id(&customer)), ("amount", "700"), ("currency", "jpy")];
    let again = |path: &str, key: &str, form: &[(&str, &str)]| {
        let twice = [(), ()].map(|()| stack.try_post(path, sk(stack), key, form).unwrap().json());
        assert_eq!(twice[0]["id"], twice[1]["id"]);
        twice[0].clone()
    };
    let key = id(&customer).to_owned();
    again("/v1/invoiceitems", &format!("{key}-item"), &form);
    let form = [("customer", id(&customer)), ("pending_invoice_items_behavior", "include")];
    let draft = again("/v1/invoices", &format!("{key}-invoice"), &form);
    assert_eq!(draft["total"], 700);
    let form = [("customer", id(&customer)), ("amount", "700"), ("currency", "jpy"), ("quantity", "2")];
    assert_eq!(code(&stack.post("/v1/invoiceitems", sk(stack), &form)), is(400, "parameter_invalid"));
    let form = [("customer", id(&customer)), ("amount", "1"), ("currency", "usd"), ("invoice", id(&draft))];
    assert_eq!(code(&stack.post("/v1/invoiceitems", sk(stack), &form)), is(400, "parameter_invalid"));
    let form = [("customer", id(&customer)), ("unit_amount_decimal", "0.5"), ("currency", "jpy")];
    assert_eq!(code(&stack.post("/v1/invoiceitems", sk(stack), &form)), is(400, "parameter_invalid"));
    let form = [("customer", id(&customer)), ("days_until_due", "3")];
    assert_eq!(code(&stack.post("/v1/invoices", sk(stack), &form)), is(400, "parameter_invalid"));
    let form = [("customer", id(&customer)), ("collection_method", "send_invoice")];
    assert_eq!(code(&stack.post("/v1/invoices", sk(stack), &form)), is(400, "parameter_missing"));
}

/// What is sent has a term: it is not charged, it is told when it is overdue, and it can still be paid.
#[test]
fn a_sent_invoice_has_a_term() {
    let stack = Stack::shared();
    let world = World::new(stack);
    let form = [("customer", &*world.customer), ("collection_method", "send_invoice"), ("days_until_due", "7")];
    let draft = post(stack, "/v1/invoices", &form);
    assert_eq!((&draft["collection_method"], &draft["due_date"]), (&json!("send_invoice"), &json!(START + 7 * DAY)));
    let form = [("customer", &*world.customer), ("amount", "4000"), ("invoice", id(&draft))];
    post(stack, "/v1/invoiceitems", &form);
    let path = format!("/v1/invoices/{}", id(&draft));
    let sent = post(stack, &format!("{path}/send"), &[]);
    assert_eq!((&sent["status"], &sent["amount_due"]), (&json!("open"), &json!(4000)));
    world.turn_to(START + 6 * DAY);
    assert_eq!(told(stack, &world.customer, "invoice."), ["created", "updated", "finalized", "sent"]);
    assert_eq!(get(stack, &path)["attempt_count"], 0, "nobody charges it");
    world.turn_to(START + 8 * DAY);
    assert_eq!(told(stack, &world.customer, "invoice.").last().unwrap(), "overdue");
    assert_eq!(post(stack, &format!("{path}/pay"), &[])["status"], "paid");
    let charged = post(stack, "/v1/invoices", &[("customer", &*world.customer)]);
    let refused = stack.post(&format!("/v1/invoices/{}/send", id(&charged)), sk(stack), &[]);
    assert_eq!(code(&refused), is(400, "invoice_unexpected_state"));
}

/// A subscription whose invoices are sent is active at once, past due when one is overdue, and active again when it is paid.
#[test]
fn a_subscription_sends_its_invoices() {
    let stack = Stack::shared();
    let world = World::new(stack);
    let made = world.subscribe(&[("collection_method", "send_invoice"), ("days_until_due", "5")]);
    assert_eq!((&made["status"], &made["days_until_due"]), (&json!("active"), &json!(5)));
    let first = &world.invoices()[0];
    assert_eq!((&first["status"], &first["collection_method"]), (&json!("draft"), &json!("send_invoice")));
    world.turn_to(START + 2 * 3600);
    let path = format!("/v1/invoices/{}", id(first));
    assert_eq!(get(stack, &path)["status"], "open");
    assert_eq!(told(stack, &world.customer, "invoice."), ["created", "finalized", "sent"]);
    world.turn_to(START + 6 * DAY);
    let subscription = format!("/v1/subscriptions/{}", id(&made));
    assert_eq!(get(stack, &subscription)["status"], "past_due");
    post(stack, &format!("{path}/pay"), &[]);
    assert_eq!(get(stack, &subscription)["status"], "active");
    let changed = post(stack, &subscription, &[("collection_method", "charge_automatically")]);
    assert_eq!(
        (&changed["collection_method"], &changed["days_until_due"]),
        (&json!("charge_automatically"), &Value::Null)
    );
    world.turn_to(START + 33 * DAY);
    assert_eq!(world.invoices()[0]["status"], "paid", "charged again");
}

/// While collection rests invoices are called off, given up or stay drafts, and it goes on at its moment.
#[test]
fn collection_rests_and_goes_on() {
    let stack = Stack::shared();
    for (behavior, status) in [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")] {
        let world = World::new(stack);
        let made = world.subscribe(&[]);
        let path = format!("/v1/subscriptions/{}", id(&made));
        let until = (START + 40 * DAY).to_string();
        let form = [("pause_collection[behavior]", behavior), ("pause_collection[resumes_at]", &*until)];
        let paused = post(stack, &path, &form);
        assert_eq!(paused["pause_collection"], json!({"behavior": behavior, "resumes_at": START + 40 * DAY}));
        world.turn_to(START + 35 * DAY);
        assert_eq!(world.invoices()[0]["status"], status);
        assert_eq!(get(stack, &path)["status"], "active");
        world.turn_to(START + 41 * DAY);
        assert_eq!(get(stack, &path)["pause_collection"], Value::Null);
        world.turn_to(START + 65 * DAY);
        let invoices = world.invoices();
        let all: Vec<&str> = invoices.iter().map(|one| one["status"].as_str().unwrap()).collect();
        assert_eq!(all, ["paid", status, "paid"]);
        let again = post(stack, &path, &[("pause_collection[behavior]", "void")]);
        assert_eq!(again["pause_collection"]["resumes_at"], Value::Null);
        assert_eq!(post(stack, &path, &[("pause_collection", "")])["pause_collection"], Value::Null);
        let past = [("pause_collection[behavior]", "void"), ("pause_collection[resumes_at]", "1000")];
        assert_eq!(code(&stack.post(&path, sk(stack), &past)), is(400, "parameter_invalid"));
    }
}
