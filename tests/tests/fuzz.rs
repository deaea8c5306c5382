//! The readers that meet strangers' bytes, fed with the corpus that fuzzing has kept (`tests/fuzz/corpus`), and with random
//! changes to it. `cargo kura fuzz` does it with coverage, for as long as one likes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::{fuzz, workspace};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = workspace().join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// No entry of the corpus, and none with a few bytes changed, cut off or put in, makes a reader break a promise.
#[test]
fn readers_keep_their_promises() {
    for (name, target) in fuzz::TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has a corpus");
        corpus.iter().for_each(|bytes| target(bytes));
        let changes = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..6);
        let strategy = (prop::sample::select(corpus), changes);
        let mut runner = TestRunner::new(Config { cases: 2000, failure_persistence: None, ..Config::default() });
        let run = runner.run(&strategy, |(mut bytes, changes)| {
            for (place, kind, byte) in changes {
                let place = place.index(bytes.len() + 1);
                match kind {
                    0 => bytes.insert(place, byte),
                    1 => bytes.truncate(place.max(1)),
                    _ if place < bytes.len() => bytes[place] = byte,
                    _ => {}
                }
            }
            target(&bytes);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
