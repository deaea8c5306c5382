//! Products, prices, subscriptions and their invoices, over the merchants' API.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::search::tool;
use kura_tests::{Answer, Stack, wait_until, workspace};
use serde_json::{Value, json};

fn sk(stack: &Stack) -> &str {
    &stack.run().keys.sk_test
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, sk(stack), form);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
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

fn refused(answer: &Answer) -> (u16, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &answer.json()["error"];
    (answer.status, text(&error["code"]), text(&error["param"]))
}

fn refusal(status: u16, code: &str, param: &str) -> (u16, String, String) {
    (status, code.to_owned(), param.to_owned())
}

/// A price is made with its product in one call or of a product that is there; it is found by what it is, and its names move.
#[test]
fn products_have_prices() {
    let stack = Stack::shared();
    let form = [
        ("name", "定期便"),
        ("unit_label", "箱"),
        ("default_price_data[currency]", "jpy"),
        ("default_price_data[unit_amount]", "3980"),
        ("default_price_data[recurring][interval]", "month"),
        ("metadata[shelf]", "4"),
    ];
    let product = post(stack, "/v1/products", &form);
    let path = format!("/v1/products/{}?expand[]=default_price", id(&product));
    let price = get(stack, &path)["default_price"].clone();
    assert_eq!((&price["unit_amount"], &price["type"]), (&json!(3980), &json!("recurring")));
    assert_eq!(price["recurring"]["interval_count"], 1);
    assert_eq!(price["product"], product["id"]);

    let form =
        [("currency", "jpy"), ("unit_amount", "500"), ("product_data[name]", "送料"), ("lookup_key", "carriage")];
    let once = post(stack, "/v1/prices", &form);
    assert_eq!((&once["type"], &once["recurring"]), (&json!("one_time"), &Value::Null));
    let form = [("currency", "jpy"), ("unit_amount", "600"), ("product", id(&product)), ("lookup_key", "carriage")];
    let taken = stack.post("/v1/prices", sk(stack), &form);
    assert_eq!(refused(&taken), refusal(400, "parameter_invalid", "lookup_key"));
    let moved = post(stack, "/v1/prices", &[&form[..], &[("transfer_lookup_key", "true")]].concat());
    let named = get(stack, "/v1/prices?lookup_keys[]=carriage");
    assert_eq!((named["data"].as_array().unwrap().len(), &named["data"][0]["id"]), (1, &moved["id"]));
    assert_eq!(get(stack, &format!("/v1/prices/{}", id(&once)))["lookup_key"], Value::Null);

    let of_product = get(stack, &format!("/v1/prices?product={}&type=recurring", id(&product)));
    assert_eq!(of_product["data"].as_array().unwrap().len(), 1);
    let off = post(stack, &format!("/v1/prices/{}", id(&moved)), &[("active", "false"), ("nickname", "old")]);
    assert_eq!((&off["active"], &off["nickname"], &off["unit_amount"]), (&json!(false), &json!("old"), &json!(600)));
    let told = get(stack, "/v1/events?type=price.updated&limit=1");
    assert_eq!(told["data"][0]["data"]["previous_attributes"], json!({"active": true, "nickname": null}));

    let kept = stack.delete(&format!("/v1/products/{}", id(&product)), sk(stack));
    assert_eq!(refused(&kept), refusal(400, "parameter_invalid", "id"));
    let empty = post(stack, "/v1/products", &[("name", "none")]);
    let gone = stack.delete(&format!("/v1/products/{}", id(&empty)), sk(stack));
    assert_eq!((gone.status, gone.json()["deleted"].clone()), (200, json!(true)));
    assert_eq!(stack.read(&format!("/v1/products/{}", id(&empty)), sk(stack)).status, 404);
}

/// What means nothing here is refused by its name, amounts and periods have bounds, and nothing is anybody else's.
#[test]
fn prices_take_what_they_mean() {
    let stack = Stack::shared();
    let product = post(stack, "/v1/products", &[("name", "Coffee")]);
    let base = [("currency", "jpy"), ("unit_amount", "1"), ("product", id(&product))];
    let with = |more: &[(&str, &str)]| refused(&stack.post("/v1/prices", sk(stack), &[&base[..], more].concat()));
    for name in ["billing_scheme", "tiers", "tiers_mode", "transform_quantity", "recurring[meter]"] {
        let more = [("recurring[interval]", "month"), (name, "x")];
        assert_eq!(with(&more), refusal(400, "parameter_unknown", name));
    }
    let long = [("recurring[interval]", "year"), ("recurring[interval_count]", "4")];
    assert_eq!(with(&long), refusal(400, "parameter_invalid", "recurring[interval_count]"));
    let costly = [("currency", "jpy"), ("unit_amount", "100000000"), ("product", id(&product))];
    assert_eq!(
        refused(&stack.post("/v1/prices", sk(stack), &costly)),
        refusal(400, "parameter_invalid", "unit_amount")
    );
    let other = &stack.run().keys.other_sk_test;
    assert_eq!(refused(&stack.post("/v1/prices", other, &base)), refusal(404, "resource_missing", "product"));
    assert_eq!(stack.read(&format!("/v1/products/{}", id(&product)), other).status, 404);
    let first = stack.try_post("/v1/prices", sk(stack), "price-once", &base).expect("an answer");
    let again = stack.try_post("/v1/prices", sk(stack), "price-once", &base).expect("an answer");
    assert_eq!(first.json()["id"], again.json()["id"]);
}

const DAY: i64 = 86_400;

/// A customer who lives by a clock of their own, and pays with this card.
struct Shop<'a> {
    stack: &'a Stack,
    clock: String,
    customer: String,
}

fn unix(date: &str) -> i64 {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(&format!("{date}Z"), &Rfc3339).unwrap().unix_timestamp()
}

impl<'a> Shop<'a> {
    fn new(stack: &'a Stack, at: &str, card: Option<&str>) -> Self {
        let at = unix(at).to_string();
        let clock = post(stack, "/v1/test_helpers/test_clocks", &[("frozen_time", &at), ("name", "billing")]);
        assert_eq!(clock["status"], "ready");
        let customer = post(stack, "/v1/customers", &[("test_clock", id(&clock)), ("description", "会員")]);
        assert_eq!((&customer["test_clock"], customer["created"].to_string()), (&clock["id"], at));
        let shop = Self { stack, clock: id(&clock).to_owned(), customer: id(&customer).to_owned() };
        if let Some(card) = card {
            shop.pays_with(card);
        }
        shop
    }

    fn pays_with(&self, card: &str) {
        let path = format!("/v1/payment_methods/{card}/attach");
        let method = post(self.stack, &path, &[("customer", &self.customer)]);
        let form = [("invoice_settings[default_payment_method]", id(&method))];
        post(self.stack, &format!("/v1/customers/{}", self.customer), &form);
    }

    fn price(&self, amount: i64, interval: &str) -> String {
        let amount = amount.to_string();
        let form = [
            ("currency", "jpy"),
            ("unit_amount", amount.as_str()),
            ("product_data[name]", "定期便"),
            ("recurring[interval]", interval),
        ];
        id(&post(self.stack, "/v1/prices", &form)).to_owned()
    }

    fn subscribe(&self, price: &str, more: &[(&str, &str)]) -> Value {
        let form = [("customer", self.customer.as_str()), ("items[0][price]", price)];
        post(self.stack, "/v1/subscriptions", &[&form[..], more].concat())
    }

    fn turn_to(&self, at: i64) {
        let path = format!("/v1/test_helpers/test_clocks/{}", self.clock);
        let turned = post(self.stack, &format!("{path}/advance"), &[("frozen_time", &at.to_string())]);
        assert_eq!(turned["status"], "advancing");
        let began = std::time::Instant::now();
        loop {
            let clock = get(self.stack, &path);
            match clock["status"].as_str() {
                Some("ready") => break assert_eq!(clock["frozen_time"], at),
                Some("advancing") if began.elapsed().as_secs() < 60 => {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                _ => panic!("{clock}"),
            }
        }
    }

    fn subscription(&self, of: &Value) -> Value {
        get(self.stack, &format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(of)))
    }

    /// Oldest first.
    fn invoices(&self) -> Vec<Value> {
        let all = get(self.stack, &format!("/v1/invoices?limit=100&customer={}", self.customer));
        all["data"].as_array().unwrap().iter().rev().cloned().collect()
    }

    fn payments(&self, status: &str) -> usize {
        let all = get(self.stack, &format!("/v1/payment_intents?limit=100&customer={}", self.customer));
        all["data"].as_array().unwrap().iter().filter(|payment| payment["status"] == status).count()
    }

    /// The kinds of what was told of this customer's subscription and invoices, oldest first.
    fn told(&self, prefix: &str) -> Vec<String> {
        let all = get(self.stack, "/v1/events?limit=100");
        let about = |event: &&Value| event["data"]["object"]["customer"] == self.customer.as_str();
        let kinds = all["data"].as_array().unwrap().iter().filter(about);
        let kinds = kinds.filter_map(|event| event["type"].as_str().map(str::to_owned));
        let mut told: Vec<String> = kinds.filter(|kind| kind.starts_with(prefix)).collect();
        told.reverse();
        told
    }
}

/// A subscription is paid when it is made, and again in each period, an hour after its invoice was made; what was begun on the
/// 31st is due on the last day of short months and on the 31st after them.
#[test]
fn a_subscription_is_paid_in_every_period() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-01-31T10:00:00", Some("pm_card_visa"));
    let price = shop.price(3980, "month");
    let made = shop.subscribe(&price, &[("items[0][quantity]", "2"), ("metadata[plan]", "a")]);
    assert_eq!((&made["status"], &made["collection_method"]), (&json!("active"), &json!("charge_automatically")));
    let item = &made["items"]["data"][0];
    assert_eq!((&item["current_period_start"], &item["quantity"]), (&json!(unix("2027-01-31T10:00:00")), &json!(2)));
    assert_eq!(item["current_period_end"], unix("2027-02-28T10:00:00"));
    let first = shop.subscription(&made)["latest_invoice"].clone();
    assert_eq!(
        (&first["status"], &first["amount_paid"], &first["total"]),
        (&json!("paid"), &json!(7960), &json!(7960))
    );
    assert_eq!(first["billing_reason"], "subscription_create");
    let parent = &first["parent"]["subscription_details"];
    assert_eq!((&parent["subscription"], &parent["metadata"]), (&made["id"], &json!({"plan": "a"})));
    let line = &first["lines"]["data"][0];
    assert_eq!(line["description"], "2 × 定期便 (at ¥3,980 / month)");
    assert_eq!(line["pricing"]["price_details"]["price"], price.as_str());
    let payment = &first["payments"]["data"][0];
    assert_eq!((&payment["status"], &payment["amount_paid"]), (&json!("paid"), &json!(7960)));
    assert!(payment["payment"]["payment_intent"].as_str().unwrap().starts_with("pi_"));
    assert!(first["number"].as_str().unwrap().ends_with("-0001"));
    let begun = [
        "payment_method.attached",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ];
    assert_eq!(shop.told(""), begun);

    shop.turn_to(unix("2027-02-28T10:00:00"));
    let renewed = shop.subscription(&made);
    let draft = &renewed["latest_invoice"];
    assert_eq!((&renewed["status"], &draft["status"]), (&json!("active"), &json!("draft")));
    assert_eq!(draft["automatically_finalizes_at"], unix("2027-02-28T11:00:00"));
    assert_eq!(renewed["items"]["data"][0]["current_period_end"], unix("2027-03-31T10:00:00"));
    assert_eq!(shop.payments("succeeded"), 1);
    shop.turn_to(unix("2027-04-30T12:00:00"));
    let invoices = shop.invoices();
    let seen: Vec<_> =
        invoices.iter().map(|it| (it["status"].as_str().unwrap(), it["created"].as_i64().unwrap())).collect();
    let days = ["2027-01-31T10:00:00", "2027-02-28T10:00:00", "2027-03-31T10:00:00", "2027-04-30T10:00:00"];
    assert_eq!(seen, days.map(|day| ("paid", unix(day))));
    assert_eq!(shop.payments("succeeded"), 4);
    let lines: Vec<_> = invoices.iter().map(|it| it["lines"]["data"][0]["period"].clone()).collect();
    assert_eq!(lines[2], json!({"start": unix("2027-03-31T10:00:00"), "end": unix("2027-04-30T10:00:00")}));
    assert_eq!(invoices[3]["billing_reason"], "subscription_cycle");
    assert_eq!(invoices[3]["status_transitions"]["paid_at"], unix("2027-04-30T11:00:00"));
}

/// A trial costs nothing, its end is told three days before, and then the first period is paid.
#[test]
fn a_trial_ends_with_a_paid_period() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-03-01T00:00:00", Some("pm_card_visa"));
    let made = shop.subscribe(&shop.price(500, "month"), &[("trial_period_days", "14")]);
    let end = unix("2027-03-15T00:00:00");
    assert_eq!((&made["status"], &made["trial_end"]), (&json!("trialing"), &json!(end)));
    assert_eq!((&made["billing_cycle_anchor"], shop.payments("succeeded")), (&json!(end), 0));
    let first = shop.invoices()[0].clone();
    assert_eq!((&first["status"], &first["total"]), (&json!("paid"), &json!(0)));
    assert_eq!(first["payments"]["data"], json!([]));
    shop.turn_to(end - 3 * DAY - 1);
    assert!(!shop.told("customer.subscription").contains(&"customer.subscription.trial_will_end".to_owned()));
    shop.turn_to(end - 3 * DAY);
    assert_eq!(shop.told("customer.subscription").last().unwrap(), "customer.subscription.trial_will_end");
    shop.turn_to(end + 3600);
    let paid = shop.subscription(&made);
    assert_eq!((&paid["status"], &paid["latest_invoice"]["amount_paid"]), (&json!("active"), &json!(500)));
    assert_eq!(paid["items"]["data"][0]["current_period_end"], unix("2027-04-15T00:00:00"));

    let poor = Shop::new(stack, "2027-03-01T00:00:00", None);
    let more = [("trial_period_days", "7"), ("trial_settings[end_behavior][missing_payment_method]", "cancel")];
    let made = poor.subscribe(&poor.price(500, "month"), &more);
    poor.turn_to(unix("2027-03-08T00:00:00"));
    let over = poor.subscription(&made);
    assert_eq!((&over["status"], &over["ended_at"]), (&json!("canceled"), &json!(unix("2027-03-08T00:00:00"))));
}

/// An invoice that can't be paid is tried again after 1, 3, 5 and 7 days; then the subscription ends, or stays unpaid.
#[test]
fn a_failed_renewal_is_tried_again() {
    let stack = Stack::shared();
    let start = unix("2027-05-10T00:00:00");
    let shop = Shop::new(stack, "2027-05-10T00:00:00", Some("pm_card_visa"));
    let made = shop.subscribe(&shop.price(700, "year"), &[]);
    shop.pays_with("pm_card_chargeDeclined");
    let due = unix("2028-05-10T00:00:00");
    shop.turn_to(due + 3600);
    let late = shop.subscription(&made);
    assert_eq!((&late["status"], &late["latest_invoice"]["status"]), (&json!("past_due"), &json!("open")));
    assert_eq!(late["latest_invoice"]["attempt_count"], 1);
    assert_eq!(late["latest_invoice"]["next_payment_attempt"], due + 3600 + DAY);
    assert_eq!(get(stack, &format!("/v1/customers/{}", shop.customer))["delinquent"], true);
    shop.turn_to(due + 3600 + DAY);
    assert_eq!(shop.subscription(&made)["latest_invoice"]["attempt_count"], 2);
    shop.turn_to(due + 3600 + 4 * DAY);
    // A card that works ends it.
    shop.pays_with("pm_card_mastercard");
    shop.turn_to(due + 3600 + 9 * DAY);
    let paid = shop.subscription(&made);
    assert_eq!((&paid["status"], &paid["latest_invoice"]["status"]), (&json!("active"), &json!("paid")));
    assert_eq!(paid["latest_invoice"]["attempt_count"], 4);
    assert_eq!(get(stack, &format!("/v1/customers/{}", shop.customer))["delinquent"], false);
    assert_eq!(shop.payments("succeeded"), 2);
    let failures = shop.told("invoice.payment_failed");
    assert_eq!(failures.len(), 3);
    assert_eq!(made["created"], start);

    shop.pays_with("pm_card_chargeDeclined");
    let due = unix("2029-05-10T00:00:00");
    shop.turn_to(due + 3600 + 16 * DAY - 1);
    assert_eq!(shop.subscription(&made)["status"], "past_due");
    shop.turn_to(due + 3600 + 16 * DAY);
    let over = shop.subscription(&made);
    assert_eq!(
        (&over["status"], &over["cancellation_details"]["reason"]),
        (&json!("canceled"), &json!("payment_failed"))
    );
    assert_eq!(
        (&over["latest_invoice"]["attempt_count"], &over["latest_invoice"]["status"]),
        (&json!(5), &json!("open"))
    );
    assert_eq!(over["latest_invoice"]["next_payment_attempt"], Value::Null);
    assert_eq!(shop.told("customer.subscription.deleted").len(), 1);
}

/// It ends at once, with its period, or at a moment; what was asked for can be taken back; nothing is due after the end.
#[test]
fn subscriptions_are_canceled() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-06-01T00:00:00", Some("pm_card_visa"));
    let price = shop.price(300, "week");
    let (now, later, then) = (shop.subscribe(&price, &[]), shop.subscribe(&price, &[]), shop.subscribe(&price, &[]));
    let path = |of: &Value| format!("/v1/subscriptions/{}", id(of));
    let form = "cancellation_details[feedback]=too_expensive";
    let over = stack.delete(&format!("{}?{form}", path(&now)), sk(stack));
    assert_eq!((over.status, &over.json()["status"]), (200, &json!("canceled")), "{}", over.text);
    assert_eq!(over.json()["cancellation_details"]["feedback"], "too_expensive");
    assert_eq!(refused(&stack.delete(&path(&now), sk(stack))).0, 404);
    let changed = stack.post(&path(&now), sk(stack), &[("description", "x")]);
    assert_eq!(refused(&changed), refusal(400, "subscription_unexpected_state", ""));

    let end = unix("2027-06-08T00:00:00");
    let asked = post(stack, &path(&later), &[("cancel_at_period_end", "true")]);
    assert_eq!((&asked["status"], &asked["cancel_at"]), (&json!("active"), &json!(end)));
    let back = post(stack, &path(&later), &[("cancel_at_period_end", "false")]);
    assert_eq!((&back["cancel_at"], &back["canceled_at"]), (&Value::Null, &Value::Null));
    post(stack, &path(&later), &[("cancel_at_period_end", "true")]);
    post(stack, &path(&then), &[("cancel_at", &(end + 3 * DAY).to_string())]);
    let paid = shop.payments("succeeded");
    shop.turn_to(end + 30 * DAY);
    let (later, then) = (shop.subscription(&later), shop.subscription(&then));
    assert_eq!((&later["status"], &later["ended_at"]), (&json!("canceled"), &json!(end)));
    assert_eq!((&then["status"], &then["ended_at"]), (&json!("canceled"), &json!(end + 3 * DAY)));
    assert_eq!(shop.payments("succeeded"), paid + 1, "one more week of the one that ended in it");
    assert_eq!(shop.told("customer.subscription.deleted").len(), 3);
    let listed = get(stack, &format!("/v1/subscriptions?customer={}", shop.customer));
    assert_eq!(listed["data"], json!([]));
    let all = get(stack, &format!("/v1/subscriptions?customer={}&status=ended", shop.customer));
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
}

/// Where the first payment is not made the subscription is incomplete, and never begins if it stays so; the shopper's payment
/// begins it.
#[test]
fn the_first_payment_begins_it() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-07-01T00:00:00", None);
    let price = shop.price(900, "month");
    let form = [("customer", shop.customer.as_str()), ("items[0][price]", &price)];
    let no_card = stack.post("/v1/subscriptions", sk(stack), &form);
    assert_eq!(refused(&no_card), refusal(404, "resource_missing", "default_payment_method"));

    let save = ("payment_settings[save_default_payment_method]", "on_subscription");
    let made = shop.subscribe(&price, &[("payment_behavior", "default_incomplete"), save]);
    let path = format!(
        "/v1/subscriptions/{}?expand[]=latest_invoice.payments.data.payment.payment_intent&expand[]=latest_invoice.confirmation_secret",
        id(&made)
    );
    let payment = get(stack, &path)["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"].clone();
    assert_eq!((&made["status"], &payment["status"]), (&json!("incomplete"), &json!("requires_payment_method")));
    assert_eq!(payment["setup_future_usage"], "off_session");
    let touched = stack.post(&format!("/v1/payment_intents/{}/cancel", id(&payment)), sk(stack), &[]);
    assert_eq!(refused(&touched).1, "payment_intent_unexpected_state");
    let touched = stack.post(&format!("/v1/payment_intents/{}", id(&payment)), sk(stack), &[("amount", "1")]);
    assert_eq!(refused(&touched).1, "payment_intent_unexpected_state");
    let confirm = format!("/v1/payment_intents/{}/confirm", id(&payment));
    let declined = stack.post(&confirm, sk(stack), &[("payment_method", "pm_card_chargeDeclined")]);
    assert_eq!(declined.status, 402);
    assert_eq!(shop.subscription(&made)["status"], "incomplete");
    post(stack, &confirm, &[("payment_method", "pm_card_visa")]);
    wait_until("it to be active", || shop.subscription(&made)["status"] == "active");
    assert_eq!(shop.subscription(&made)["latest_invoice"]["status"], "paid");
    assert!(shop.subscription(&made)["default_payment_method"].as_str().unwrap().starts_with("pm_"));

    shop.pays_with("pm_card_chargeDeclined");
    let failed = shop.subscribe(&price, &[]);
    assert_eq!(failed["status"], "incomplete");
    let refused_one = stack.post(
        "/v1/subscriptions",
        sk(stack),
        &[&form[..], &[("payment_behavior", "error_if_incomplete")]].concat(),
    );
    assert_eq!(refused(&refused_one).1, "card_declined");
    shop.turn_to(unix("2027-07-01T23:00:00"));
    let expired = shop.subscription(&failed);
    assert_eq!(
        (&expired["status"], &expired["latest_invoice"]["status"]),
        (&json!("incomplete_expired"), &json!("void"))
    );
    assert_eq!(shop.payments("succeeded"), 1);
}

/// A repeated request makes one subscription and charges once; nothing of it is anybody else's; a clock's end is its customers'.
#[test]
fn a_repeated_subscription_charges_once() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-08-01T00:00:00", Some("pm_card_visa"));
    let price = shop.price(1200, "month");
    let form = [("customer", shop.customer.as_str()), ("items[0][price]", &price)];
    let first =
        stack.try_post("/v1/subscriptions", sk(stack), &format!("once-{}", shop.clock), &form).expect("an answer");
    let again =
        stack.try_post("/v1/subscriptions", sk(stack), &format!("once-{}", shop.clock), &form).expect("an answer");
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!((shop.payments("succeeded"), shop.invoices().len()), (1, 1));
    let other = &stack.run().keys.other_sk_test;
    for path in [
        format!("/v1/subscriptions/{}", id(&first.json())),
        format!("/v1/invoices/{}", first.json()["latest_invoice"].as_str().unwrap()),
        format!("/v1/test_helpers/test_clocks/{}", shop.clock),
    ] {
        assert_eq!(stack.read(&path, other).status, 404, "{path}");
        assert_eq!(stack.read(&path, sk(stack)).status, 200, "{path}");
    }
    let clock = format!("/v1/test_helpers/test_clocks/{}", shop.clock);
    let back = stack.post(&format!("{clock}/advance"), sk(stack), &[("frozen_time", "1")]);
    assert_eq!(refused(&back), refusal(400, "parameter_invalid", "frozen_time"));
    assert_eq!(stack.delete(&clock, sk(stack)).json()["deleted"], true);
    assert_eq!(stack.read(&clock, sk(stack)).status, 404);
    let left = get(stack, &format!("/v1/customers/{}", shop.customer));
    assert_eq!(left["deleted"], true);
    assert_eq!(shop.subscription(&first.json())["status"], "canceled");
}

/// A change within a period gives back what was not used and asks for what is new, to the second: on the next invoice, at once, or
/// not at all. A preview says the same and changes nothing.
#[test]
fn changes_are_prorated() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-04-01T00:00:00", Some("pm_card_visa"));
    let (small, large) = (shop.price(3000, "month"), shop.price(6000, "month"));
    let made = shop.subscribe(&small, &[]);
    let item = id(&made["items"]["data"][0]).to_owned();
    shop.turn_to(unix("2027-04-16T00:00:00"));
    let change = [("items[0][id]", item.as_str()), ("items[0][price]", &large)];
    let preview = [
        ("subscription", id(&made)),
        ("subscription_details[items][0][id]", &item),
        ("subscription_details[items][0][price]", &large),
    ];
    let shown = post(stack, "/v1/invoices/create_preview", &preview);
    let amounts = |invoice: &Value| -> Vec<i64> {
        invoice["lines"]["data"].as_array().unwrap().iter().map(|line| line["amount"].as_i64().unwrap()).collect()
    };
    assert_eq!((amounts(&shown), &shown["total"], &shown["id"]), (vec![-1500, 3000, 6000], &json!(7500), &Value::Null));
    assert_eq!(shop.subscription(&made)["items"]["data"][0]["price"]["id"], small.as_str());

    let path = format!("/v1/subscriptions/{}", id(&made));
    let changed = post(stack, &path, &change);
    assert_eq!((&changed["status"], &changed["items"]["data"][0]["price"]["id"]), (&json!("active"), &json!(large)));
    assert_eq!(shop.invoices().len(), 1);
    shop.turn_to(unix("2027-05-01T02:00:00"));
    let renewed = shop.subscription(&made)["latest_invoice"].clone();
    assert_eq!((amounts(&renewed), &renewed["amount_paid"]), (vec![-1500, 3000, 6000], &json!(7500)));
    let line = &renewed["lines"]["data"][0];
    let details = &line["parent"]["subscription_item_details"];
    assert_eq!((&details["proration"], &details["subscription_item"]), (&json!(true), &json!(item)));
    assert!(line["description"].as_str().unwrap().starts_with("Unused time on 1 × 定期便 after 16 Apr"));

    // Twice as many, paid at once; then fewer: what is given back is a credit that the next invoice takes.
    shop.turn_to(unix("2027-05-16T12:00:00"));
    let path_of_item = format!("/v1/subscription_items/{item}");
    let more = [("quantity", "2"), ("proration_behavior", "always_invoice")];
    assert_eq!(post(stack, &path_of_item, &more)["quantity"], 2);
    let now = shop.subscription(&made)["latest_invoice"].clone();
    assert_eq!((amounts(&now), &now["billing_reason"]), (vec![-3000, 6000], &json!("subscription_update")));
    assert_eq!((&now["status"], &now["amount_paid"]), (&json!("paid"), &json!(3000)));
    post(stack, &path_of_item, &[("quantity", "1"), ("proration_behavior", "always_invoice")]);
    let back = shop.subscription(&made)["latest_invoice"].clone();
    assert_eq!((&back["total"], &back["amount_due"], &back["status"]), (&json!(-3000), &json!(0), &json!("paid")));
    assert_eq!(back["ending_balance"], -3000);
    let customer = get(stack, &format!("/v1/customers/{}", shop.customer));
    assert_eq!((&customer["balance"], &customer["currency"]), (&json!(-3000), &json!("jpy")));
    post(stack, &path_of_item, &[("price", small.as_str()), ("proration_behavior", "none")]);
    shop.turn_to(unix("2027-06-01T02:00:00"));
    let credited = shop.subscription(&made)["latest_invoice"].clone();
    assert_eq!((amounts(&credited), &credited["starting_balance"]), (vec![3000], &json!(-3000)));
    assert_eq!((&credited["amount_due"], &credited["status"]), (&json!(0), &json!("paid")));

    // Due at other times: a new period begins.
    let yearly = shop.price(30_000, "year");
    post(stack, &path, &[("items[0][id]", &item), ("items[0][price]", &yearly), ("proration_behavior", "none")]);
    let year = shop.subscription(&made);
    assert_eq!(year["items"]["data"][0]["current_period_end"], unix("2028-06-01T02:00:00"));
    assert_eq!((&year["latest_invoice"]["amount_paid"], &year["status"]), (&json!(30_000), &json!("active")));
    let mixed = stack.post("/v1/subscription_items", sk(stack), &[("subscription", id(&made)), ("price", &small)]);
    assert_eq!(refused(&mixed), refusal(400, "parameter_invalid", "items"));
    let last = stack.delete(&path_of_item, sk(stack));
    assert_eq!(refused(&last), refusal(400, "parameter_invalid", "items"));
}

/// A draft is made final and paid by hand; an open invoice is paid with another card, called off, given up.
#[test]
fn invoices_are_paid_by_hand() {
    let stack = Stack::shared();
    let shop = Shop::new(stack, "2027-09-01T00:00:00", Some("pm_card_visa"));
    let made = shop.subscribe(&shop.price(800, "month"), &[]);
    let newest = || shop.subscription(&made)["latest_invoice"].clone();
    shop.turn_to(unix("2027-10-01T00:00:00"));
    let draft = newest();
    let path = |invoice: &Value, what: &str| format!("/v1/invoices/{}/{what}", id(invoice));
    let voided = stack.post(&path(&draft, "void"), sk(stack), &[]);
    assert_eq!(refused(&voided), refusal(400, "invoice_unexpected_state", ""));
    let open = post(stack, &path(&draft, "finalize"), &[("auto_advance", "false")]);
    assert_eq!((&open["status"], &open["auto_advance"]), (&json!("open"), &json!(false)));
    let declined = stack.post(&path(&open, "pay"), sk(stack), &[("payment_method", "pm_card_chargeDeclined")]);
    assert_eq!(refused(&declined), (402, "card_declined".to_owned(), String::new()));
    assert_eq!(shop.subscription(&made)["status"], "past_due");
    let paid = post(stack, &path(&open, "pay"), &[("payment_method", "pm_card_mastercard")]);
    assert_eq!((&paid["status"], &paid["attempt_count"]), (&json!("paid"), &json!(2)));
    assert_eq!((&shop.subscription(&made)["status"], shop.payments("succeeded")), (&json!("active"), 2));
    assert_eq!(refused(&stack.post(&path(&open, "pay"), sk(stack), &[])).1, "invoice_unexpected_state");

    shop.pays_with("pm_card_chargeDeclined");
    shop.turn_to(unix("2027-11-01T02:00:00"));
    let void = post(stack, &path(&newest(), "void"), &[]);
    let lines = get(stack, &path(&void, "lines"));
    assert_eq!((&void["status"], &lines["data"][0]["amount"]), (&json!("void"), &json!(800)));
    assert_eq!((&shop.subscription(&made)["status"], shop.payments("canceled")), (&json!("active"), 1));
    shop.turn_to(unix("2027-12-01T02:00:00"));
    let lost = post(stack, &path(&newest(), "mark_uncollectible"), &[]);
    assert_eq!((&lost["status"], &lost["next_payment_attempt"]), (&json!("uncollectible"), &Value::Null));
    shop.turn_to(unix("2027-12-20T00:00:00"));
    assert_eq!(newest()["attempt_count"], 1);
    assert_eq!(shop.told("invoice.").last().unwrap(), "invoice.marked_uncollectible");
}

/// The official Python SDK: a price, a customer on a clock, a subscription, its renewal.
#[test]
fn the_python_sdk_subscribes() {
    let stack = Stack::shared();
    let python = workspace().join(tool("KURA_PYTHON", ".kura/tools/venv/bin/python"));
    let mut command = std::process::Command::new(python);
    command
        .arg(workspace().join("tests/sdk/stripe_python_billing.py"))
        .env("KURA_RUN_JSON", stack.state().join("run.json"));
    let output = command.output().expect("python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().count() >= 8 && !said.contains("FAIL"), "{said}");
}
