//! `kura-scale CARDS SAMPLE [--json]`, reached as `cargo kura scale`: a fresh Kura, as many cards as the breach had, imported
//! and rotated, with a gateway under load; then every row is opened with the key material at rest and compared.
//!
//! The yardstick is PostgreSQL's own COPY of rows of the same shape into the same cluster in the same run. It fails when a
//! card was lost, or when a figure is below what is promised.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // A measurement fails by panicking.
#![allow(clippy::cast_precision_loss, clippy::indexing_slicing)] // Figures for people.

mod figures;
mod load;
mod yardstick;

use std::collections::HashMap;
use std::fs::File;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use figures::Figures;
use kura_tests::{Options, Stack, block_on, generated, key_material};
use kura_wire::ids::CardToken;
use load::Load;
use serde_json::Value;

/// How long latency is measured with nothing else going on.
const QUIET: Duration = Duration::from_secs(10);
/// Sampled tokens are charged from so many threads.
const PAYERS: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u32>().ok());
    let (Some(cards), Some(sample)) = (number(0), number(1)) else {
        eprintln!("kura-scale CARDS SAMPLE [--json]");
        return ExitCode::from(2);
    };
    let json = arguments.iter().any(|argument| argument == "--json");
    let figures = measure(cards, sample.min(cards));
    figures.print(json);
    if figures.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(cards: u32, sample: u32) -> Figures {
    let stack = Stack::start(Options::default().unlimited());
    let mut figures = Figures { cards, ..Figures::default() };

    eprintln!("  COPY of rows of the same shape …");
    figures.copy_rows_per_second = yardstick::copy_rows_per_second(&stack, cards);
    eprintln!("  import …");
    let tokens = import(&stack, cards, &mut figures);
    let sampled: Vec<&str> = (0..sample).map(|turn| tokens[step(turn, sample, tokens.len())].1.as_str()).collect();

    eprintln!("  the gateway's latency with nothing else going on …");
    figures.latency_before = Load::start(&stack, &sampled).stop_after(QUIET);
    eprintln!("  KEK rotation …");
    let began = Instant::now();
    let kek = rotate(&stack, "kek");
    figures.kek_seconds = began.elapsed().as_secs_f64();
    figures.damaged += kek["items_damaged"].as_u64().unwrap_or(u64::MAX);
    eprintln!("  DEK rotation, under load …");
    let load = Load::start(&stack, &sampled);
    let began = Instant::now();
    let dek = rotate(&stack, "dek");
    let took = began.elapsed();
    figures.latency_during = load.stop_after(Duration::ZERO);
    figures.damaged += dek["items_damaged"].as_u64().unwrap_or(u64::MAX);
    figures.resealed = dek["items_done"].as_u64().unwrap_or_default();
    figures.reseal_rows_per_second = figures.resealed as f64 / took.as_secs_f64();
    figures.passes = dek["passes"].as_u64().unwrap_or_default();

    eprintln!("  authorizing {sample} sampled tokens …");
    (figures.authorized, figures.sampled) = (authorize(&stack, &sampled), sample);
    eprintln!("  opening every row with the key material at rest …");
    compare(&stack, &tokens, &mut figures);
    figures.alerts = stack.sql("vault", "SELECT count(*) FROM alerts").parse().expect("a count");
    let unrecorded = "SELECT sum(records) >= (SELECT items_done FROM rotations WHERE kind = 'dek') FROM openings
                      WHERE purpose = 'reseal'";
    figures.every_batch_recorded = stack.sql("vault", unrecorded) == "t";
    figures
}

/// Spreads the sample over all of them.
fn step(turn: u32, sample: u32, all: usize) -> usize {
    usize::try_from(u64::from(turn) * all as u64 / u64::from(sample.max(1))).expect("an index")
}

fn import(stack: &Stack, cards: u32, figures: &mut Figures) -> Vec<(u32, String)> {
    let (from, to) = (stack.state().join("cards.csv"), stack.state().join("tokens.csv"));
    generated::write_csv(&from, cards);
    let merchant = stack.run().merchants.main.clone();
    let mut command = stack.operator(&["import", "--merchant", &merchant]);
    command.stdin(File::open(&from).expect("the cards")).stdout(File::create(&to).expect("a file"));
    let began = Instant::now();
    let status = command.status().expect("the import");
    figures.import_rows_per_second = f64::from(cards) / began.elapsed().as_secs_f64();
    assert!(status.success(), "the import failed");
    std::fs::remove_file(from).expect("the cards");
    generated::read_tokens(&to)
}

fn rotate(stack: &Stack, kind: &str) -> Value {
    let (done, said) = stack.ask_operator(&["rotate", kind, "--execute", "--wait"]);
    assert_eq!(done["running"], false, "{said}");
    done
}

/// Charges each token once; gives how many went through.
fn authorize(stack: &Stack, tokens: &[&str]) -> u32 {
    let key = stack.run().keys.sk_test.as_str();
    let share = tokens.len().div_ceil(PAYERS).max(1);
    std::thread::scope(|scope| {
        let payers: Vec<_> = tokens
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    let paid = |token: &&&str| {
                        load::pay(stack, key, token).is_some_and(|answer| answer.json()["status"] == "succeeded")
                    };
                    u32::try_from(share.iter().filter(paid).count()).expect("a count")
                })
            })
            .collect();
        payers.into_iter().map(|payer| payer.join().expect("a payer")).sum()
    })
}

fn compare(stack: &Stack, tokens: &[(u32, String)], figures: &mut Figures) {
    let record = |token: &str| token.parse::<CardToken>().expect("a token").record;
    let mut left: HashMap<[u8; 16], u32> = tokens.iter().map(|(card, token)| (record(token), *card)).collect();
    let began = Instant::now();
    let mut right = 0;
    let rows = block_on(key_material::open_all(stack, |record, digits| {
        let expected = left.remove(&record).map(generated::number);
        right += u32::from(expected.is_some() && digits == expected.as_ref().map(String::as_bytes));
    }));
    figures.opened_rows_per_second = rows as f64 / began.elapsed().as_secs_f64();
    figures.opened_right = right;
    figures.lost = figures.cards - right;
}
