//! The property of money: whatever merchants' servers ask, in whatever order, however often and all at once, while cards decline,
//! shoppers pay late, twice or not at all, cardholders dispute, networks fall silent and services are killed, no money is made,
//! lost or moved twice, and what happened was told once.
//!
//! `KURA_MONEY_SECONDS` runs it for longer, `KURA_MONEY_SEED` (64 hexadecimal digits) makes the same plans again. What happened is
//! counted in `target/kura-money.txt`.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod books;
mod plan;
mod server;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_platform::random;
use kura_tests::{Options, Stack, workspace};

use crate::plan::{plans, seed};
use crate::server::{Server, Told};

const SERVERS: usize = 8;
const SECONDS: u64 = 20;
/// Lives that say something.
const ENOUGH: usize = 60;
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Sets the flag when it is dropped: a panic must not leave the servers asking.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The property. Random lives of payments, asked by eight servers at once, while every few seconds the vault or the gateway is
/// killed.
#[test]
fn no_money_is_made_lost_or_moved_twice() {
    let seed = seed();
    println!("KURA_MONEY_SEED={}", data_encoding::HEXLOWER.encode(&seed));
    let seconds = std::env::var("KURA_MONEY_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let options = Options::default()
        .unlimited()
        .restart()
        .set("gateway.recovery.every_ms=200")
        .set("gateway.recovery.after_ms=1500")
        .set("vault.acquirer.test.response_timeout_ms=800")
        .set("vault.services.test.response_timeout_ms=800");
    let stack = &Stack::start(options);
    let (told, gave_up, stop, lives) =
        (Mutex::new(Told::default()), AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let mut kills = 0;
    std::thread::scope(|scope| {
        for number in 0..SERVERS {
            let (told, gave_up, stop, lives) = (&told, &gave_up, &stop, &lives);
            scope.spawn(move || {
                let mut server = Server { stack, told, gave_up, name: format!("server-{number}"), asked: 0 };
                let mut next = plans(seed, number);
                while !stop.load(Ordering::Relaxed) {
                    server.live(&next());
                    lives.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stops_the_servers = StopOnDrop(&stop);
        let began = Instant::now();
        // A busy machine gets more time.
        let is_slow = || lives.load(Ordering::Relaxed) < ENOUGH && began.elapsed() < Duration::from_secs(4 * seconds);
        while began.elapsed() < Duration::from_secs(seconds) || is_slow() {
            std::thread::sleep(Duration::from_millis(1_500 + 8 * u64::from(random::bytes::<1>()[0])));
            let name = ["vault", "gateway"][kills % 2];
            let old = stack.kill9(name);
            stack.wait_restarted(name, old);
            kills += 1;
        }
    });
    settled(stack);
    let told = told.into_inner().unwrap();
    let counted = format!(
        "{} lives, {kills} kills; answers {:?}; elsewhere {:?}; {}",
        lives.load(Ordering::Relaxed),
        told.codes,
        told.done,
        books::counted(stack)
    );
    println!("{counted}");
    std::fs::write(workspace().join("target/kura-money.txt"), format!("{counted}\n")).expect("a place for the counts");
    assert_eq!(gave_up.load(Ordering::Relaxed), 0, "everything is answered in the end");
    assert!(lives.load(Ordering::Relaxed) >= ENOUGH, "too few");
    books::check(stack, &told);
}

/// Nothing is undecided but what waits for its shopper.
fn settled(stack: &Stack) {
    let undecided = "SELECT a.kind, a.id, a.amount_minor, o.kind, o.state, a.created_at FROM attempts a
         LEFT JOIN attempts o ON o.merchant_id = a.merchant_id AND o.id = a.original_id WHERE a.state = 'unresolved' AND NOT EXISTS (
             SELECT FROM deposits d WHERE d.merchant_id = a.merchant_id AND d.id = a.id AND d.state = 'waiting')";
    let began = Instant::now();
    loop {
        let left = stack.sql("gateway", undecided);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < SETTLED_WITHIN, "attempts stay undecided: {left}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
