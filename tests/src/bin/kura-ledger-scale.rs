//! The access ledger at the breach's own scale: a ledger of many rows, exported, verified and scoped by the runner's own
//! commands, with figures. `cargo kura scale-ledger` runs it.
//!
//! The rows go in through COPY, with the hashes, tiles, signed checkpoints and head that the vault itself would have written;
//! the vault must then start on them, which it does only if it finds what its identity has signed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // It measures or it fails.
#![allow(clippy::print_stdout, clippy::print_stderr)] // Its output is the answer.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufWriter, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use kura_ledger::note::{Checkpoint, origin_of};
use kura_ledger::opening::Opening;
use kura_ledger::tree::{Edge, Hash, Tile};
use kura_platform::{clock, random};
use kura_tests::ledger::{identity_key, run_ledger, sign};
use kura_tests::{Options, Stack};
use serde_json::{Value, json};

/// Rows of one second, and so of one checkpoint.
const ROWS_PER_CHECKPOINT: u64 = 1000;
/// Microseconds between two rows: ten million are then some eleven days.
const ROW_EVERY_US: i64 = 100_000;
const CARDS: u64 = 2_415_750;
const MERCHANTS: u64 = 600;
const SAMPLE: usize = 500;
const VERIFY_WITHIN_S: f64 = 60.0;
const SCOPE_WITHIN_S: f64 = 1.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let rows: u64 = after("--rows").and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let json = arguments.iter().any(|argument| argument == "--json");
    let figures = measure(rows);
    if json {
        println!("{figures:#}");
    } else {
        figures.as_object().unwrap().iter().for_each(|(name, value)| println!("{name:<28} {value}"));
    }
    if figures["passed"] == json!(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Numbers that look random and are the same in every run.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id(kind: u64, number: u64) -> [u8; 16] {
    let (high, low) = (mixed(number.wrapping_mul(7) + kind), mixed(number.wrapping_add(kind << 48)));
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

struct Plan {
    rows: u64,
    /// So that the last row is of now.
    first_at_us: i64,
    /// The openings of the thief, by sequence.
    stolen: BTreeSet<u64>,
}

impl Plan {
    fn new(rows: u64) -> Self {
        let mut stolen = BTreeSet::new();
        while stolen.len() < SAMPLE {
            stolen.insert(1 + u64::from_be_bytes(random::bytes()) % rows);
        }
        let span = i64::try_from(rows).unwrap() * ROW_EVERY_US;
        Self { rows, first_at_us: clock::now_ms() * 1000 - span, stolen }
    }

    fn opening(&self, sequence: u64) -> Opening {
        let card = mixed(sequence) % CARDS;
        let is_stolen = self.stolen.contains(&sequence);
        Opening {
            node: 0,
            sequence,
            at_us: self.first_at_us + i64::try_from(sequence).unwrap() * ROW_EVERY_US,
            actor: if is_stolen { "stolen.kura.internal" } else { "gateway.kura.internal" }.to_owned(),
            request: id(1, sequence),
            merchant: id(2, card % MERCHANTS),
            record: id(3, card),
            class: "card".to_owned(),
            records: 1,
            fields: vec!["pan".to_owned()],
            purpose: "authorize".to_owned(),
            attempt: Some(id(4, sequence)),
        }
    }
}

fn measure(rows: u64) -> Value {
    let stack = Stack::start(Options::default().restart());
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM openings"), "0", "a new vault has opened nothing");
    let plan = Plan::new(rows);
    let began = Instant::now();
    fill(&stack, &plan);
    let filled_s = began.elapsed().as_secs_f64();
    eprintln!("{rows} rows in {filled_s:.1} s");
    stack.kill9_and_wait("vault");

    let file = stack.state().join("scale.kura");
    let path = file.to_str().unwrap();
    let began = Instant::now();
    let (code, said) = run_ledger(&stack, &["export", "--out", path]);
    assert_eq!(code, 0, "{said}");
    let export_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (verify_code, said) = run_ledger(&stack, &["verify", "--json", path]);
    let verify_s = began.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&said).unwrap();
    let file_bytes = std::fs::metadata(&file).unwrap().len();
    std::fs::remove_file(&file).unwrap();

    let scopes = scopes(&stack, &plan);
    let slowest = scopes.iter().map(|scope| scope.seconds).fold(0.0, f64::max);
    let exact = scopes.iter().all(|scope| scope.precision == 1.0 && scope.recall == 1.0);
    let intact = verify_code == 0 && report["rows"] == json!(rows);
    json!({
        "rows": rows,
        "fill_s": filled_s,
        "export_s": export_s,
        "export_bytes": file_bytes,
        "verify_s": verify_s,
        "verified_rows_per_s": rows as f64 / verify_s,
        "checkpoints": report["checkpoints"],
        "intact": intact,
        "scopes": scopes.iter().map(Scoped::figures).collect::<Vec<_>>(),
        "slowest_scope_s": slowest,
        "passed": intact && exact && verify_s < VERIFY_WITHIN_S && slowest < SCOPE_WITHIN_S,
    })
}

/// A `COPY … FROM STDIN` under way, as the superuser.
struct Copy {
    child: Child,
    input: BufWriter<std::process::ChildStdin>,
}

impl Copy {
    fn into(stack: &Stack, columns: &str) -> Self {
        let cluster = &stack.run().postgres["vault"];
        let mut psql = Command::new(&cluster.psql);
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=postgres", "--dbname=vault"])
            .arg(format!("--host={}", cluster.socket.display()))
            .arg(format!("--port={}", cluster.port))
            .args(["--command", &format!("COPY {columns} FROM STDIN")])
            .env("PGPASSFILE", &cluster.pgpass)
            .stdin(Stdio::piped());
        let mut child = psql.spawn().expect("psql");
        let input = BufWriter::with_capacity(1 << 20, child.stdin.take().expect("a pipe"));
        Self { child, input }
    }

    fn end(mut self) {
        self.input.flush().expect("psql reads");
        drop(self.input);
        assert!(self.child.wait().expect("psql").success());
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn fill(stack: &Stack, plan: &Plan) {
    let first = plan.first_at_us / 1_000_000;
    stack.sql(
        "vault",
        &format!(
            "DO $$ DECLARE d date; BEGIN
             FOR d IN SELECT generate_series(to_timestamp({first})::date - 1, current_date - 1, '1 day')::date LOOP
                 EXECUTE format('CREATE TABLE %I PARTITION OF openings FOR VALUES FROM (%L) TO (%L)',
                     'openings_' || to_char(d, 'YYYY_MM_DD'), d, d + 1);
             END LOOP; END $$"
        ),
    );
    let indexes = without_indexes(stack);
    let key = identity_key(stack);
    let columns =
        "openings (node, sequence, day, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose,
                   attempt_id, leaf_hash)";
    let mut rows = Copy::into(stack, columns);
    let mut notes = Copy::into(stack, "checkpoints (node, size, root_hash, note, at)");
    let mut stored = Copy::into(stack, "ledger_tiles (node, level, index, hashes)");
    let (mut edge, mut tiles) = (Edge::default(), Vec::<Tile>::new());
    for sequence in 1..=plan.rows {
        let row = plan.opening(sequence);
        let hash = row.leaf_hash();
        edge.push(hash, &mut tiles);
        write_row(&mut rows.input, &row, &hash);
        for Tile { level, index, hashes } in tiles.drain(..) {
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            writeln!(stored.input, "0\t{level}\t{index}\t\\\\x{}", hex(&bytes)).expect("psql reads");
        }
        if sequence % ROWS_PER_CHECKPOINT == 0 || sequence == plan.rows {
            let checkpoint = Checkpoint { origin: origin_of(0), size: sequence, root: edge.root() };
            let note = sign(&key, &checkpoint).replace('\n', "\\n");
            let root = hex(checkpoint.root.as_bytes());
            writeln!(notes.input, "0\t{sequence}\t\\\\x{root}\t{note}\t{}", moment(row.at_us)).expect("psql reads");
        }
    }
    rows.end();
    notes.end();
    stored.end();
    indexes.lines().for_each(|index| drop(stack.sql("vault", index)));
    stack.sql("vault", &format!("UPDATE ledger_heads SET size = {} WHERE node = 0", plan.rows));
    stack.sql("vault", "ANALYZE openings");
}

/// Takes the ledger's indexes away, but for its key: made again afterwards, they cost less than kept up to date on the way.
fn without_indexes(stack: &Stack) -> String {
    let of_ledger = "FROM pg_indexes WHERE tablename = 'openings' AND indexname <> 'openings_pkey'";
    let definitions = stack.sql("vault", &format!("SELECT replace(indexdef, ' ON ONLY ', ' ON ') {of_ledger}"));
    let names = stack.sql("vault", &format!("SELECT string_agg(indexname, ', ') {of_ledger}"));
    assert_eq!(definitions.lines().count(), 5);
    stack.sql("vault", &format!("DROP INDEX {names}"));
    definitions
}

/// As COPY reads it.
fn moment(at_us: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000).expect("a moment")
}

fn write_row(out: &mut impl Write, row: &Opening, hash: &Hash) {
    let at = moment(row.at_us);
    let Opening { sequence, actor, class, records, purpose, .. } = row;
    let (request, merchant, record) = (hex(&row.request), hex(&row.merchant), hex(&row.record));
    let attempt = row.attempt.map_or_else(|| "\\N".to_owned(), |id| hex(&id));
    let (day, fields, hash) = (at.date(), row.fields.join(","), hex(hash.as_bytes()));
    writeln!(
        out,
        "0\t{sequence}\t{day}\t{at}\t{actor}\t{request}\t{merchant}\t{record}\t{class}\t{records}\t{{{fields}}}\t{purpose}\t{attempt}\t\\\\x{hash}"
    )
    .expect("psql reads");
}

/// How well one question was answered.
struct Scoped {
    question: &'static str,
    seconds: f64,
    openings: usize,
    precision: f64,
    recall: f64,
}

impl Scoped {
    fn figures(&self) -> Value {
        json!({ "by": self.question, "s": self.seconds, "openings": self.openings,
                "precision": self.precision, "recall": self.recall })
    }
}

/// The same 500 random openings, found by who did it, by requests, and all openings of the records that they opened.
fn scopes(stack: &Stack, plan: &Plan) -> Vec<Scoped> {
    let stolen: Vec<Opening> = plan.stolen.iter().map(|sequence| plan.opening(*sequence)).collect();
    let list = |name: &str, pick: fn(&Opening) -> [u8; 16]| {
        let file = stack.state().join(name);
        std::fs::write(&file, stolen.iter().map(|row| hex(&pick(row)) + "\n").collect::<String>()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (requests, records) = (list("requests", |row| row.request), list("records", |row| row.record));
    let cards: HashSet<u64> = plan.stolen.iter().map(|sequence| mixed(*sequence) % CARDS).collect();
    let of_cards = (1..=plan.rows).filter(|sequence| cards.contains(&(mixed(*sequence) % CARDS))).collect();
    let since = moment(plan.first_at_us).date().to_string();
    vec![
        scoped(stack, "actor", &["--actor", "stolen.kura.internal", "--since", &since], &plan.stolen),
        scoped(stack, "requests", &["--requests", &requests], &plan.stolen),
        scoped(stack, "records", &["--records", &records], &of_cards),
    ]
}

fn scoped(stack: &Stack, question: &'static str, arguments: &[&str], truth: &BTreeSet<u64>) -> Scoped {
    let began = Instant::now();
    let (code, said) = run_ledger(stack, &[&["scope", "--json"], arguments].concat());
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(code, 0, "{said}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    let place = |opening: &Value| opening["place"]["sequence"].as_u64().unwrap();
    let found: Vec<u64> = answer["openings"].as_array().unwrap().iter().map(place).collect();
    let right = found.iter().filter(|sequence| truth.contains(sequence)).count();
    let grouped: u64 =
        answer["groups"].as_array().unwrap().iter().map(|group| group["openings"].as_u64().unwrap()).sum();
    assert_eq!(grouped, u64::try_from(found.len()).unwrap(), "the groups count what the list has");
    let share = |of: usize| if of == 0 { 0.0 } else { right as f64 / of as f64 };
    Scoped { question, seconds, openings: found.len(), precision: share(found.len()), recall: share(truth.len()) }
}
