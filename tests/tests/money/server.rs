//! A merchant's server, and all that happens to its payments elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_platform::standard_webhooks::{ID, SIGNATURE, Secret, TIMESTAMP};
use kura_tests::{Answer, Stack, block_on};
use kura_wire::ids::{DisputeId, PaymentIntentId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::plan::{Begin, Plan, Step, Verb};

/// The longest that a merchant's server keeps asking about one thing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one waits to be told of a dispute before one can answer.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// Where the answers to all that was asked are remembered.
#[derive(Default)]
pub(crate) struct Told {
    /// By Idempotency-Key: the object's id.
    objects: BTreeMap<String, String>,
    /// By payment: the last words that it can't take back.
    pub(crate) last_words: BTreeMap<String, String>,
    /// Answers by their codes.
    pub(crate) codes: BTreeMap<String, usize>,
    /// What shoppers, cardholders, issuers and networks did.
    pub(crate) done: BTreeMap<String, usize>,
    /// Disputes that were opened, by their networks' case numbers.
    pub(crate) cases: BTreeSet<String>,
}

pub(crate) struct Server<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) told: &'a Mutex<Told>,
    pub(crate) gave_up: &'a AtomicUsize,
    pub(crate) name: String,
    pub(crate) asked: usize,
}

/// A payment, and what was disputed of it.
struct Life {
    payment: String,
    amount: i64,
    cases: Vec<String>,
}

impl Life {
    fn uuid(&self) -> Uuid {
        Uuid::from_bytes(*self.payment.parse::<PaymentIntentId>().unwrap().as_bytes())
    }
}

/// Who pays without a card, and what the payment may be paid with.
fn deposit(network: &'static str) -> Vec<(&'static str, String)> {
    let mut form = vec![("payment_method_data[type]", network.to_owned())];
    let (name, phone) = ("payment_method_data[billing_details][name]", "payment_method_data[billing_details][phone]");
    match network {
        "emoney" => form.push(("payment_method_data[billing_details][email]", "pays@example.jp".to_owned())),
        _ => form.extend([(name, "払込 太郎".to_owned()), (phone, "09011112222".to_owned())]),
    }
    form
}

impl Server<'_> {
    fn key(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}", self.name, self.asked)
    }

    /// Asks with one key until there is a final answer.
    fn ask(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Option<Answer> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let answer = self.stack.try_post(path, &self.stack.run().keys.sk_test, key, form);
            if let Some(answer) = answer
                && answer.status != 409
                && answer.status != 429
                && answer.status < 500
            {
                self.remember(key, &answer);
                return Some(answer);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.gave_up.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn remember(&self, key: &str, answer: &Answer) {
        let mut told = self.told.lock().unwrap();
        let body = answer.json();
        let code = body["error"]["code"].as_str().unwrap_or("ok").to_owned();
        assert!(answer.status == 200 || answer.status == 402 || answer.status == 400, "{}", answer.text);
        *told.codes.entry(code).or_default() += 1;
        if answer.status != 200 {
            return;
        }
        let id = body["id"].as_str().unwrap().to_owned();
        let first = told.objects.entry(key.to_owned()).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "one key, one object");
        if body["object"] == "payment_intent"
            && let Some(status @ ("succeeded" | "canceled")) = body["status"].as_str()
        {
            let last = told.last_words.entry(id).or_insert_with(|| status.to_owned());
            assert_eq!(last, status, "what was said is not taken back");
        }
    }

    fn count(&self, what: &str) {
        *self.told.lock().unwrap().done.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn live(&mut self, plan: &Plan) {
        let mut form = vec![("amount", plan.amount.to_string()), ("currency", "jpy".to_owned())];
        form.extend(plan.manual.then(|| ("capture_method", "manual".to_owned())));
        match plan.begin {
            Begin::Bare => {}
            Begin::Card(card) => {
                form.extend([("payment_method", card.to_owned()), ("confirm", "true".to_owned())]);
            }
            Begin::Deposit(network) => {
                form.push(("confirm", "true".to_owned()));
                let types = ["card", "konbini", "payeasy", "emoney"];
                form.extend(types.map(|kind| ("payment_method_types[]", kind.to_owned())));
                form.extend(deposit(network));
            }
        }
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let key = self.key();
        let Some(made) = self.ask("/v1/payment_intents", &key, &form) else { return };
        let body = made.json();
        let made = if made.status == 402 { &body["error"]["payment_intent"] } else { &body };
        let payment = made["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        let mut life = Life { payment, amount: plan.amount, cases: Vec::new() };
        for step in &plan.steps {
            self.step(&mut life, step);
        }
    }

    fn step(&mut self, life: &mut Life, step: &Step) {
        let Some((path, form)) = self.request(life, &step.verb) else { return };
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let shared = self.key();
        let keys: Vec<String> =
            (0..step.at_once).map(|_| if step.one_key { shared.clone() } else { self.key() }).collect();
        let ask = |key: &String| self.ask(&path, key, &form).map(|answer| (answer.status, answer.text));
        if keys.len() == 1 {
            ask(&keys[0]);
        } else {
            std::thread::scope(|scope| {
                let asked: Vec<_> = keys.iter().map(|key| scope.spawn(move || ask(key))).collect();
                for one in asked {
                    one.join().unwrap();
                }
            });
        }
        if step.again {
            ask(&keys[0]);
        }
    }

    /// What the merchant's server asks; `None` for what happens elsewhere, which then has happened.
    fn request(&self, life: &mut Life, verb: &Verb) -> Option<(String, Vec<(&'static str, String)>)> {
        let path = |verb: &str| format!("/v1/payment_intents/{}{verb}", life.payment);
        Some(match verb {
            Verb::Confirm(card) => (path("/confirm"), vec![("payment_method", (*card).to_owned())]),
            Verb::Deposit(network) => (path("/confirm"), deposit(network)),
            Verb::Capture(part) => {
                (path("/capture"), part.iter().map(|part| ("amount_to_capture", part.to_string())).collect())
            }
            Verb::Cancel => (path("/cancel"), Vec::new()),
            Verb::Refund(part) => {
                let mut form = vec![("payment_intent", life.payment.clone())];
                form.extend(part.map(|part| ("amount", part.to_string())));
                ("/v1/refunds".to_owned(), form)
            }
            Verb::Reprice(amount) => (path(""), vec![("amount", amount.to_string())]),
            Verb::Answer { evidence } => {
                let dispute = self.dispute(life.cases.last()?)?;
                if *evidence {
                    let said = ("evidence[uncategorized_text]", "It was signed for.".to_owned());
                    (format!("/v1/disputes/{dispute}"), vec![said])
                } else {
                    (format!("/v1/disputes/{dispute}/close"), Vec::new())
                }
            }
            elsewhere => {
                self.happen(life, elsewhere);
                return None;
            }
        })
    }

    /// What happens without the merchant.
    fn happen(&self, life: &mut Life, verb: &Verb) {
        match verb {
            Verb::BringMoney { late } => {
                self.of_deposit(life, |reference| {
                    let became = self.act(&format!("deposits/acts/{reference}/pay"), &json!({ "late": late }));
                    self.count(&format!("brought{} {}", if *late { " late" } else { "" }, became["became"]));
                });
            }
            Verb::RunOut => self.of_deposit(life, |reference| {
                let became = self.act(&format!("deposits/acts/{reference}/expire"), &json!({}));
                self.count(&format!("ran out {}", became["became"]));
            }),
            Verb::SayNo => self.of_deposit(life, |reference| {
                let became = self.act(&format!("deposits/acts/{reference}/refuse"), &json!({}));
                self.count(&format!("said no {}", became["became"]));
            }),
            Verb::TellAgain => self.of_deposit(life, |reference| {
                let stands = self.stack.get(&format!("{}/deposits/acts/{reference}", self.stack.run().networks)).json();
                if stands["standing"] == "paid" {
                    let network = stands["network"].as_str().unwrap();
                    let status = self.notice(network, reference, stands["amount_minor"].as_i64().unwrap());
                    self.count(&format!("told again {}", status.map_or(0, |status| status)));
                }
            }),
            Verb::TellOfMore(more) => self.of_deposit(life, |reference| {
                let stands = self.stack.get(&format!("{}/deposits/acts/{reference}", self.stack.run().networks)).json();
                if let Some(network) = stands["network"].as_str() {
                    let status = self.notice(network, reference, stands["amount_minor"].as_i64().unwrap() + more);
                    assert!(status.is_none_or(|status| status >= 400), "a notice about other money was taken");
                    self.count(&format!("told of more {}", status.map_or(0, |status| status)));
                }
            }),
            Verb::Dispute(part) => {
                let find = format!(
                    "SELECT network_reference FROM attempts WHERE payment_intent_id = '{}' AND kind = 'authorize'
                     AND state = 'approved' LIMIT 1",
                    life.uuid()
                );
                let reference = self.stack.sql("gateway", &find);
                if reference.is_empty() {
                    return;
                }
                let part = part.map(|part| part.min(life.amount + 1));
                let wish = json!({ "reference": reference, "reason": "product_not_received", "amount_minor": part });
                let opened = self.act("disputes/acts/open", &wish);
                self.count(&format!("dispute {}", opened["became"]));
                if opened["became"] == "done" {
                    let case = opened["dispute"].as_str().unwrap().to_owned();
                    self.told.lock().unwrap().cases.insert(case.clone());
                    life.cases.push(case);
                }
            }
            Verb::Decide { won } => {
                if let Some(case) = life.cases.last() {
                    let became = self.act(&format!("disputes/acts/{case}/decide"), &json!({ "won": won }));
                    self.count(&format!("decided {} {}", if *won { "won" } else { "lost" }, became["became"]));
                }
            }
            _ => unreachable!("a merchant's server asks it"),
        }
    }

    /// With the newest deposit of a payment, if there is one.
    fn of_deposit(&self, life: &Life, act: impl Fn(&str)) {
        let find = format!(
            "SELECT network_reference FROM attempts WHERE payment_intent_id = '{}' AND kind = 'deposit'
             ORDER BY created_at DESC LIMIT 1",
            life.uuid()
        );
        let reference = self.stack.sql("gateway", &find);
        if !reference.is_empty() {
            act(&reference);
        }
    }

    /// At the networks. What they have not heard of yet is nothing.
    fn act(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.stack.run().networks);
        block_on(async {
            let answer = Stack::http().post(url).json(body).send().await.expect("the networks live");
            answer.json().await.unwrap_or(json!({ "became": "unknown there" }))
        })
    }

    /// A notice, signed as the network does. `None` when nobody answered.
    fn notice(&self, network: &str, reference: &str, amount_minor: i64) -> Option<u16> {
        let now = clock::now();
        let id = format!("{network}-{reference}-paid");
        let at = now.format(&time::format_description::well_known::Rfc3339).unwrap();
        let body = json!({
            "id": id, "method": network, "kind": "paid", "network_reference": reference,
            "money": { "amount_minor": amount_minor, "currency": "JPY" }, "at": at,
        });
        let secret = Secret::read(&self.stack.state().join(format!("notices/{network}.secret"))).unwrap();
        let (second, body) = (now.unix_timestamp(), body.to_string());
        let request = Stack::http()
            .post(format!("{}/networks/{network}/notices", self.stack.run().gateway))
            .header("content-type", "application/json")
            .header(ID, &id)
            .header(TIMESTAMP, second)
            .header(SIGNATURE, secret.sign(&id, second, body.as_bytes()));
        block_on(async { request.body(body).send().await.ok().map(|answer| answer.status().as_u16()) })
    }

    /// A dispute by its case number, once we have heard of it.
    fn dispute(&self, case: &str) -> Option<DisputeId> {
        let began = Instant::now();
        while began.elapsed() < HEARD_WITHIN {
            let id = self.stack.sql("gateway", &format!("SELECT id FROM disputes WHERE case_number = '{case}'"));
            if let Ok(id) = id.parse::<Uuid>() {
                return Some(DisputeId::from_bytes(*id.as_bytes()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}
