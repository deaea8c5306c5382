//! A thief has a dump of every database, and all files of the gateway and the console, keys and certificates included: not one
//! record opens. With the vault's own root key, by the same attempts, all do.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use kura_tests::Stack;
use kura_tests::held::store_payer;
use kura_tests::planes::Plane;
use kura_vault::crypto::aead::Aead;
use kura_wire::sealed_box::length_prefixed;
use serde_json::json;

const KEY_LEN: usize = 32;
/// What stands in front of a sealed field: its format and the id of its key.
const FIELD_HEADER_LEN: usize = 9;

/// Any 32 bytes that could be a key.
type Candidates = HashSet<[u8; KEY_LEN]>;

/// Something sealed, with what it is bound to.
struct Locked {
    what: String,
    binding: Vec<u8>,
    sealed: Vec<u8>,
}

impl Locked {
    fn open(&self, key: &[u8; KEY_LEN]) -> Option<Vec<u8>> {
        Some(Aead::new(key).ok()?.open(&self.binding, &self.sealed).ok()?.to_vec())
    }
}

fn rows(stack: &Stack, statement: &str) -> Vec<Vec<String>> {
    let text = stack.sql("vault", statement);
    text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.replace('-', "").as_bytes()).expect("hexadecimal")
}

/// Everything that is sealed in the vault's database: KEKs under the root, DEKs under KEKs, fields under DEKs.
fn locked(stack: &Stack) -> Vec<Locked> {
    let mut all = Vec::new();
    for row in rows(stack, "SELECT version, provider, encode(material, 'hex') FROM keks WHERE state <> 'destroyed'") {
        let version: i32 = row[0].parse().unwrap();
        let binding = [b"kura kek v1", row[1].as_bytes(), b"development file", &version.to_be_bytes()];
        all.push(Locked { what: format!("KEK {version}"), binding: length_prefixed(&binding), sealed: unhex(&row[2]) });
    }
    let deks =
        "SELECT id, merchant_id, data_class, epoch, encode(dek_wrapped, 'hex') FROM deks WHERE state <> 'destroyed'";
    for row in rows(stack, deks) {
        let (epoch, merchant): (i32, _) = (row[3].parse().unwrap(), unhex(&row[1]));
        let binding = [b"kura dek v1", merchant.as_slice(), row[2].as_bytes(), &epoch.to_be_bytes()];
        all.push(Locked {
            what: format!("DEK {}", row[0]),
            binding: length_prefixed(&binding),
            sealed: unhex(&row[4]),
        });
    }
    let columns = [
        ("cards", "pan_sealed", "'card'"),
        ("customers", "name_sealed", "'customer'"),
        ("customers", "email_sealed", "'customer'"),
        ("payers", "name_sealed", "class"),
        ("payers", "phone_sealed", "class"),
        ("payers", "email_sealed", "class"),
        ("payers", "postcode_sealed", "class"),
        ("payers", "address_sealed", "class"),
    ];
    for (table, column, class) in columns {
        let statement = format!(
            "SELECT id, merchant_id, key_id, {class}, encode({column}, 'hex') FROM {table} WHERE length({column}) > 0"
        );
        for row in rows(stack, &statement) {
            let (record, merchant) = (unhex(&row[0]), unhex(&row[1]));
            let key_id: i64 = row[2].parse().unwrap();
            let binding =
                [table.as_bytes(), column.as_bytes(), &record, &merchant, row[3].as_bytes(), &key_id.to_be_bytes()];
            let sealed = unhex(&row[4])[FIELD_HEADER_LEN..].to_vec();
            let what = format!("{table} {column} {}", row[3]);
            all.push(Locked { what, binding: length_prefixed(&binding), sealed });
        }
    }
    all
}

/// Every 32 bytes in a row: of the content as it is, and of what any run of letters in it decodes to.
fn gather(content: &[u8], candidates: &mut Candidates) {
    let mut windows = |bytes: &[u8]| {
        candidates.extend(bytes.windows(KEY_LEN).map(|window| <[u8; KEY_LEN]>::try_from(window).unwrap()))
    };
    windows(content);
    let in_code = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    let joined: Vec<u8> = content.iter().copied().filter(|byte| *byte != b'\n').collect();
    for text in [content, &joined] {
        for run in text.split(|byte| !in_code(byte)).filter(|run| run.len() >= 43) {
            let encodings = [HEXLOWER, BASE64, BASE64_NOPAD, BASE64URL_NOPAD];
            encodings.iter().filter_map(|encoding| encoding.decode(run).ok()).for_each(|bytes| windows(&bytes));
        }
    }
}

fn gather_files(directory: &Path, candidates: &mut Candidates) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        match entry.file_type().expect("a kind") {
            kind if kind.is_dir() => gather_files(&entry.path(), candidates),
            kind if kind.is_file() => gather(&std::fs::read(entry.path()).expect("a file"), candidates),
            _ => {}
        }
    }
}

fn dump(stack: &Stack, cluster: &str) -> Vec<u8> {
    let cluster = &stack.run().postgres[cluster];
    let dump = Command::new(cluster.psql.with_file_name("pg_dumpall"))
        .arg(format!("--host={}", cluster.socket.display()))
        .args(["--port", &cluster.port.to_string(), "--username", "postgres", "--no-password"])
        .env("PGPASSFILE", &cluster.pgpass)
        .output()
        .expect("pg_dumpall");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    dump.stdout
}

/// What opens by these candidates, and by what they open, and so on.
fn opened(all: &[Locked], mut candidates: Candidates) -> HashSet<String> {
    let mut found = HashSet::new();
    while !candidates.is_empty() {
        let mut next = Candidates::new();
        for key in &candidates {
            for locked in all {
                if let Some(content) = locked.open(key) {
                    found.insert(locked.what.clone());
                    next.extend(<[u8; KEY_LEN]>::try_from(content.as_slice()));
                }
            }
        }
        candidates = next;
    }
    found
}

#[test]
fn dumps_and_the_keys_of_gateway_and_console_open_nothing() {
    let stack = Stack::shared();
    let key = &stack.run().keys.sk_test;
    let card = stack.post("/v1/payment_methods", key, &[("type", "card"), ("card[token]", "tok_visa")]);
    assert_eq!(card.status, 200, "{}", card.text);
    let customer =
        stack.post_json("/v1/customers", key, &json!({ "name": "Hashiru Hashida", "email": "h@example.jp" }));
    assert_eq!(customer.status, 200, "{}", customer.text);
    let merchant = stack.run().merchants.main.parse().unwrap();
    for method in ["konbini", "payeasy", "emoney"] {
        store_payer(&Plane::data(stack), merchant, method);
    }
    let all = locked(stack);
    let kinds: HashSet<&str> = all.iter().map(|locked| locked.what.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, HashSet::from(["KEK", "DEK", "cards", "customers", "payers"]));

    let mut stolen = Candidates::new();
    for directory in ["gateway", "admin", "fronts", "networks"] {
        gather_files(&stack.state().join(directory), &mut stolen);
    }
    // And every database: a key could lie in one.
    for cluster in ["main", "vault"] {
        gather(&dump(stack, cluster), &mut stolen);
    }
    assert!(stolen.len() > 10_000, "there was something to try");
    assert_eq!(opened(&all, stolen), HashSet::new());

    let mut root = Candidates::new();
    gather(&std::fs::read(stack.state().join("vault/dev-keys.json")).unwrap(), &mut root);
    let everything: HashSet<String> = all.iter().map(|locked| locked.what.clone()).collect();
    assert_eq!(opened(&all, root.clone()), everything, "with the root key the same attempts open all of it");

    // Sealed anew, cards, customers and payers of each method open under their new keys.
    stack.vault(&["rotate", "dek", "--execute", "--wait"]).unwrap();
    for table in ["cards", "customers", "payers"] {
        let left = format!("SELECT count(*) FROM {table} JOIN deks ON deks.id = key_id WHERE deks.state <> 'active'");
        assert_eq!(stack.sql("vault", &left), "0", "{table}");
    }
    let resealed = locked(stack);
    let everything: HashSet<String> = resealed.iter().map(|locked| locked.what.clone()).collect();
    assert_eq!((resealed.len(), opened(&resealed, root)), (all.len(), everything));
}
