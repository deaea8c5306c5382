//! Billing's bad days: gateways that are killed in the midst of renewals, and two of them at once on one database. Each period has
//! one invoice, each invoice one payment, and the acquirer's books are ours.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kura_platform::random;
use kura_tests::{Options, Stack, program, wait_until};
use serde_json::Value;

const SUBSCRIBERS: usize = 32;
const AMOUNT: i64 = 3980;
/// Each with two kills: one while invoices are made, one while they are paid.
const ROUNDS: usize = 4;
/// By a clock that is turned; the others live by the world's time.
const ON_CLOCKS: usize = 4;
/// A clock that a dead worker turned is turned on after a minute.
const DONE_WITHIN: Duration = Duration::from_secs(150);

fn options() -> Options {
    let options = Options::default().unlimited().set("gateway.recovery.every_ms=100");
    options.set("gateway.recovery.after_ms=3000")
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, &stack.run().keys.sk_test, form);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_else(|| panic!("{object}"))
}

fn count(stack: &Stack, statement: &str) -> usize {
    stack.sql("gateway", statement).parse().expect("a number")
}

fn price(stack: &Stack) -> String {
    let amount = AMOUNT.to_string();
    let form = [("currency", "jpy"), ("unit_amount", amount.as_str()), ("product_data[name]", "定期便")];
    id(&post(stack, "/v1/prices", &[&form[..], &[("recurring[interval]", "month")]].concat())).to_owned()
}

/// A customer with a card and a subscription, whose first invoice is paid at once.
fn subscribe(stack: &Stack, price: &str, clock: Option<&str>) {
    let clock = clock.map(|clock| ("test_clock", clock));
    let customer = post(stack, "/v1/customers", &clock.into_iter().collect::<Vec<_>>());
    let card = post(stack, "/v1/payment_methods/pm_card_visa/attach", &[("customer", id(&customer))]);
    let form = [("customer", id(&customer)), ("default_payment_method", id(&card)), ("items[0][price]", price)];
    let subscription = post(stack, "/v1/subscriptions", &form);
    assert_eq!(subscription["status"], "active", "{subscription}");
}

/// The period of all who live by the world's time ends now.
fn end_periods(stack: &Stack) {
    stack.sql(
        "gateway",
        "UPDATE subscriptions SET period_end_at = now(), due_at = now(), look_at = now() WHERE test_clock_id IS NULL",
    );
}

/// The hour for which invoices stay drafts is over.
fn end_drafts(stack: &Stack) {
    stack.sql(
        "gateway",
        "UPDATE invoices SET due_at = now(), look_at = now() WHERE status = 'draft' AND test_clock_id IS NULL",
    );
}

/// What a dead worker had claimed is due again now, not in a minute, and what was taken back is tried again, as it would be some
/// days later. A clock's lease is left to end by itself.
fn look_again(stack: &Stack) {
    stack.sql(
        "gateway",
        "UPDATE invoices SET due_at = now(), look_at = now()
         WHERE status = 'open' AND NOT trying AND due_at > now() AND test_clock_id IS NULL",
    );
    for (table, due) in
        [("subscriptions", "look_count > 0"), ("invoices", "look_count > 0 OR trying OR status = 'open'")]
    {
        stack.sql("gateway", &format!("UPDATE {table} SET look_at = now() WHERE look_at > now() AND ({due})"));
    }
}

/// Waits for so many, looking again and again as time would.
fn until(stack: &Stack, what: &str, statement: &str, wanted: usize) {
    let began = Instant::now();
    loop {
        let found = count(stack, statement);
        if found == wanted {
            return;
        }
        assert!(found < wanted, "{found} of {wanted} {what}");
        assert!(began.elapsed() < DONE_WITHIN, "{found} of {wanted} {what}");
        look_again(stack);
        std::thread::sleep(Duration::from_millis(200));
    }
}

const MADE: &str = "SELECT count(*) FROM invoices";
const PAID: &str = "SELECT count(*) FROM invoices WHERE status = 'paid'";

/// Somewhere within this many milliseconds.
fn rest(most: u64) {
    std::thread::sleep(Duration::from_millis(u64::from_be_bytes(random::bytes()) % most));
}

/// What the acquirer approved and has not taken back, by reference.
fn theirs(stack: &Stack) -> BTreeMap<String, i64> {
    let page = stack.get(&format!("{}/acquirer/books?limit=5000", stack.run().networks)).json();
    assert_ne!(page["has_more"], true);
    let entries = page["entries"].as_array().expect("entries").iter();
    let standing = entries
        .filter(|entry| entry["kind"] == "purchase" && entry["response_code"] == "00" && entry["reversed"] == false);
    standing
        .map(|entry| (entry["reference"].as_str().unwrap().into(), entry["amount_minor"].as_i64().unwrap()))
        .collect()
}

/// Each subscription has so many invoices, of periods that follow on each other; each is paid by a payment of its own, with one
/// approved attempt, one movement and one event; and the acquirer's books are ours.
fn assert_each_paid_once(stack: &Stack, subscribers: usize, invoices: usize) {
    wait_until("all attempts to be settled", || {
        stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") == "0"
    });
    let all = subscribers * invoices;
    for (what, statement, wanted) in [
        ("invoices", MADE, all),
        ("paid invoices", PAID, all),
        ("periods", "SELECT count(DISTINCT (subscription_id, period_end_at)) FROM invoices", all),
        ("subscribers", "SELECT count(*) FROM subscriptions WHERE status = 'active'", subscribers),
        ("payments", "SELECT count(DISTINCT payment_intent_id) FROM invoices", all),
        ("all payments", "SELECT count(*) FROM payment_intents WHERE status = 'succeeded'", all),
        ("charges", "SELECT count(*) FROM charges WHERE status = 'succeeded'", all),
        ("approved attempts", "SELECT count(*) FROM attempts WHERE state = 'approved'", all),
        ("movements", "SELECT count(*) FROM transfers", all),
        ("numbers", "SELECT count(DISTINCT (customer_id, number)) FROM invoices", all),
        ("told paid", "SELECT count(*) FROM events WHERE type = 'invoice.paid'", all),
        ("told made", "SELECT count(*) FROM events WHERE type = 'invoice.created'", all),
        ("told final", "SELECT count(*) FROM events WHERE type = 'invoice.finalized'", all),
        ("told of payments", "SELECT count(*) FROM events WHERE type = 'payment_intent.succeeded'", all),
        (
            "other numbers of invoices",
            "SELECT count(*) FROM (SELECT subscription_id, count(*) AS has FROM invoices GROUP BY 1) AS of_one GROUP BY has",
            subscribers,
        ),
    ] {
        assert_eq!(count(stack, statement), wanted, "{what}");
    }
    let approved =
        stack.sql("gateway", "SELECT network_reference, amount_minor FROM attempts WHERE state = 'approved'");
    let ours: BTreeMap<String, i64> = approved
        .lines()
        .filter_map(|row| row.split_once('|'))
        .map(|(at, sum)| (at.into(), sum.parse().unwrap()))
        .collect();
    assert!(ours.values().all(|amount| *amount == AMOUNT));
    assert_eq!(theirs(stack), ours, "the acquirer's books are ours");
}

/// Killed twice in each of four months in which all subscriptions are due at once: while their invoices are made and while they are
/// paid. No month is billed twice, none is forgotten, and nobody pays twice.
#[test]
fn killed_in_the_midst_of_renewals_each_month_is_billed_once() {
    let stack = &Stack::start(options().restart());
    let price = price(stack);
    (0..SUBSCRIBERS).for_each(|_| subscribe(stack, &price, None));
    assert_each_paid_once(stack, SUBSCRIBERS, 1);
    let mut midst = 0;
    for round in 1..=ROUNDS {
        let (before, after) = (SUBSCRIBERS * round, SUBSCRIBERS * (round + 1));
        for (begin, what, statement) in
            [(end_periods as fn(&Stack), "invoices are made", MADE), (end_drafts, "invoices are paid", PAID)]
        {
            begin(stack);
            wait_until("the work to begin", || count(stack, statement) > before);
            rest(150);
            stack.kill9_and_wait("gateway");
            let done = count(stack, statement) - before;
            println!("round {round}: killed when {done} of {SUBSCRIBERS} {what}");
            midst += usize::from(done < SUBSCRIBERS);
            until(stack, what, statement, after);
        }
    }
    assert!(midst >= ROUNDS, "only {midst} kills were in the midst of work");
    assert_each_paid_once(stack, SUBSCRIBERS, ROUNDS + 1);
}

/// A second gateway on the same database and vault, with listeners of its own.
struct Replica(Child);

impl Replica {
    fn start(stack: &Stack) -> Self {
        let config = std::fs::read_to_string(stack.state().join("gateway/gateway.toml")).unwrap();
        let free = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let [public, control] = [free(), free()];
        let elsewhere = |line: &str| {
            if line.starts_with("public_listener = ") {
                format!("public_listener = \"{public}\"")
            } else if line.starts_with("control_plane = ") {
                format!("control_plane = \"{control}\"")
            } else {
                line.to_owned()
            }
        };
        let config: Vec<String> = config.lines().map(elsewhere).collect();
        let file = stack.state().join("gateway/replica.toml");
        std::fs::write(&file, config.join("\n")).unwrap();
        let log = std::fs::File::create(stack.state().join("logs/replica.log")).unwrap();
        let mut command = Command::new(program("kura-gateway"));
        command.arg("--config").arg(file).arg("serve").stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().expect("the gateway is built");
        let replica = Self(child);
        wait_until("the replica to be ready", || stack.log("replica").contains("ready"));
        replica
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const READY: &str = "SELECT count(*) FROM test_clocks WHERE status = 'ready'";
const DAY: i64 = 86_400;

fn turn_to(stack: &Stack, clocks: &[String], at: i64) {
    for clock in clocks {
        post(stack, &format!("/v1/test_helpers/test_clocks/{clock}/advance"), &[("frozen_time", &at.to_string())]);
    }
}

/// Two gateways work on the same renewals, of those who live by the world's time and by clocks that are turned; whichever takes
/// what, each month is billed once and paid once. In the first month one of them is held still in the midst, the other does its
/// work, and then it goes on as if no time had passed; in the second the other is killed.
#[test]
fn two_gateways_bill_each_month_once() {
    let stack = &Stack::start(options());
    let replica = Replica::start(stack);
    let price = price(stack);
    (0..SUBSCRIBERS).for_each(|_| subscribe(stack, &price, None));
    let now = kura_platform::clock::now().unix_timestamp();
    let clocks: Vec<String> = (0..ON_CLOCKS)
        .map(|_| {
            let at = now.to_string();
            id(&post(stack, "/v1/test_helpers/test_clocks", &[("frozen_time", &at)])).to_owned()
        })
        .collect();
    for clock in &clocks {
        (0..2).for_each(|_| subscribe(stack, &price, Some(clock)));
    }
    let all = SUBSCRIBERS + 2 * ON_CLOCKS;
    assert_each_paid_once(stack, all, 1);

    let mut replica = Some(replica);
    for month in 1..=2 {
        // A month and a bit later each time.
        turn_to(stack, &clocks, now + month * 32 * DAY);
        let done = usize::try_from(month).unwrap();
        let made = "SELECT count(*) FROM invoices WHERE test_clock_id IS NULL";
        let paid = format!("{PAID} AND test_clock_id IS NULL");
        end_periods(stack);
        if month == 1 {
            wait_until("the work to begin", || count(stack, made) > SUBSCRIBERS * done);
            stack.pause("gateway");
            println!("one is held still when {} of {SUBSCRIBERS} are made", count(stack, made) - SUBSCRIBERS * done);
        }
        until(stack, "invoices are made", made, SUBSCRIBERS * (done + 1));
        if month == 1 {
            stack.go_on("gateway");
        }
        end_drafts(stack);
        if month == 2 {
            wait_until("the work to begin", || count(stack, &paid) > SUBSCRIBERS * done);
            drop(replica.take());
            println!("the other is killed when {} of {SUBSCRIBERS} are paid", count(stack, &paid) - SUBSCRIBERS * done);
        }
        until(stack, "invoices are paid", &paid, SUBSCRIBERS * (done + 1));
        until(stack, "clocks are turned", READY, ON_CLOCKS);
    }
    // What was taken back is tried again within these days; another month does not begin in them.
    turn_to(stack, &clocks, now + 80 * DAY);
    until(stack, "clocks are turned", READY, ON_CLOCKS);
    assert_each_paid_once(stack, all, 3);
}
