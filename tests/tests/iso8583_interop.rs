//! Kura's ISO 8583 codec and an independent one agree on every byte, in both directions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use kura_iso8583::{Characters, Class, Field, Length, Message, Mti};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use serde_json::json;

const OUR_MESSAGES: usize = 2000;

#[derive(Serialize, Deserialize)]
struct Exchanged {
    mti: String,
    fields: BTreeMap<String, String>,
    hex: String,
}

#[derive(Deserialize)]
struct Foreign {
    refuse: String,
    hex: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Received {
    Message(Exchanged),
    Foreign(Foreign),
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The interpreter that has pyiso8583. Without it this test fails: a check that is skipped proves nothing.
fn python() -> PathBuf {
    let named = std::env::var_os("KURA_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| workspace().join(".kura/tools/venv/bin/python"));
    let works = Command::new(&python).args(["-c", "import iso8583"]).stderr(Stdio::null()).status();
    assert!(
        works.is_ok_and(|status| status.success()),
        "{} is no Python with pyiso8583. Run the tests with `cargo kura test`, which makes one, or set KURA_PYTHON to an \
         interpreter that has what tests/requirements.txt names.",
        python.display()
    );
    python
}

fn bounds(length: Length) -> (usize, usize) {
    match length {
        Length::Fixed(len) => (len, len),
        Length::TwoDigits(min, max) | Length::ThreeDigits(min, max) => (min, max),
    }
}

fn table() -> serde_json::Value {
    let rows: Vec<_> = Field::ALL
        .iter()
        .map(|field| {
            let (min, max) = bounds(field.length());
            let characters = match field.characters() {
                Characters::Digits => "digits",
                Characters::UpperAlphanumeric => "upper_alphanumeric",
                Characters::Printable => "printable",
            };
            let prefix = field.length().prefix_len();
            json!({"number": field.number(), "prefix": prefix, "min": min, "max": max, "characters": characters})
        })
        .collect();
    json!({ "table": rows })
}

fn any_value(field: Field) -> impl Strategy<Value = String> {
    let (min, max) = bounds(field.length());
    let class = match field.characters() {
        Characters::Digits => "[0-9]",
        Characters::UpperAlphanumeric => "[0-9A-Z]",
        Characters::Printable => "[ -~]",
    };
    proptest::string::string_regex(&format!("{class}{{{min},{max}}}")).unwrap()
}

/// Messages with any set of fields, from a fixed seed.
fn our_messages() -> Vec<Exchanged> {
    let mut runner = TestRunner::deterministic();
    let mtis: Vec<Mti> = Class::ALL.into_iter().flat_map(|class| [Mti::Request(class), Mti::Answer(class)]).collect();
    let fields = proptest::sample::subsequence(Field::ALL, 0..=Field::ALL.len());
    (0..OUR_MESSAGES)
        .map(|place| {
            let mut message = Message::new(mtis[place % mtis.len()]);
            for field in fields.new_tree(&mut runner).unwrap().current() {
                message.set(field, &any_value(field).new_tree(&mut runner).unwrap().current()).unwrap();
            }
            exchanged(&message)
        })
        .collect()
}

fn exchanged(message: &Message) -> Exchanged {
    let fields = message.fields().map(|field| (field.number().to_string(), message.field(field).unwrap().to_owned()));
    Exchanged { mti: message.mti().to_string(), fields: fields.collect(), hex: HEXLOWER.encode(&message.encode()) }
}

/// Runs the check with our table and messages; gives what the other side made.
fn check(python: &Path, messages: &[Exchanged]) -> Vec<Received> {
    let mut child = Command::new(python)
        .arg(workspace().join("tests/interop/pyiso8583_check.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", table()).unwrap();
    for message in messages {
        writeln!(input, "{}", serde_json::to_string(message).unwrap()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the codecs differ; the reason is above");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// pyiso8583 reads what Kura wrote and writes the same bytes again; Kura reads what pyiso8583 wrote and writes the same bytes
/// again; and Kura refuses each field and message type that the specification has and the dialect doesn't.
#[test]
fn two_codecs_agree_on_every_byte() {
    let python = python();
    let (mut read, mut refused) = (0, 0);
    for received in check(&python, &our_messages()) {
        match received {
            Received::Message(theirs) => {
                let message = Message::decode(&HEXLOWER.decode(theirs.hex.as_bytes()).unwrap()).unwrap();
                let ours = exchanged(&message);
                assert_eq!((ours.mti, ours.fields, ours.hex), (theirs.mti, theirs.fields, theirs.hex));
                read += 1;
            }
            Received::Foreign(foreign) => {
                let bytes = HEXLOWER.decode(foreign.hex.as_bytes()).unwrap();
                assert!(Message::decode(&bytes).is_err(), "{} was not refused", foreign.refuse);
                refused += 1;
            }
        }
    }
    assert_eq!(read, 2000);
    // Fields 2 to 128 without 65 and ours, and six message types.
    assert_eq!(refused, 126 - Field::ALL.len() + 6);
}
