//! The gateway under a moderate load of payments, and how long each takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kura_tests::{Answer, Stack, block_on};

/// Shoppers, each with one payment at a time.
const SHOPPERS: usize = 4;
/// A shopper's next payment begins so long after its last one began.
const EVERY: Duration = Duration::from_millis(100);

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    pub(super) payments: usize,
    pub(super) failed: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// Shoppers that pay until they are stopped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    shoppers: Vec<JoinHandle<(Vec<f64>, usize)>>,
}

impl Load {
    /// Starts them on these tokens.
    pub(super) fn start(stack: &Stack, tokens: &[&str]) -> Self {
        let (stop, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tokens: Arc<Vec<String>> = Arc::new(tokens.iter().map(|token| (*token).to_owned()).collect());
        let (gateway, key) = (stack.run().gateway.clone(), stack.run().keys.sk_test.clone());
        let shopper = |_| {
            let (stop, turn, tokens) = (Arc::clone(&stop), Arc::clone(&turn), Arc::clone(&tokens));
            let (gateway, key) = (gateway.clone(), key.clone());
            std::thread::spawn(move || shop(&stop, &turn, &tokens, &gateway, &key))
        };
        Self { shoppers: (0..SHOPPERS).map(shopper).collect(), stop }
    }

    /// Ends it.
    pub(super) fn stop_after(self, time: Duration) -> Latency {
        std::thread::sleep(time);
        self.stop.store(true, Ordering::Relaxed);
        let (mut all, mut failed) = (Vec::new(), 0);
        for shopper in self.shoppers {
            let (latencies, failures) = shopper.join().expect("a shopper");
            all.extend(latencies);
            failed += failures;
        }
        all.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A place in a list.
            let place = ((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1));
            all.get(place).copied().unwrap_or_default()
        };
        Latency { payments: all.len(), failed, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

fn shop(stop: &AtomicBool, turn: &AtomicUsize, tokens: &[String], gateway: &str, key: &str) -> (Vec<f64>, usize) {
    let http = Stack::http();
    let (mut latencies, mut failed) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let token = &tokens[turn.fetch_add(1, Ordering::Relaxed) % tokens.len()];
        let request = http.post(format!("{gateway}/v1/payment_intents")).bearer_auth(key).form(&form(token));
        let status = block_on(async { request.send().await.ok().map(|answer| answer.status().as_u16()) });
        failed += usize::from(status != Some(200));
        latencies.push(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
    }
    (latencies, failed)
}

fn form(token: &str) -> [(&str, &str); 4] {
    [("amount", "700"), ("currency", "jpy"), ("payment_method", token), ("confirm", "true")]
}

/// One payment.
pub(super) fn pay(stack: &Stack, key: &str, token: &str) -> Option<Answer> {
    let answer = stack.post("/v1/payment_intents", key, &form(token));
    (answer.status == 200).then_some(answer)
}
