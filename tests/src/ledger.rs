//! The access ledger in tests: through the control plane as the console reads it, through the runner's commands, and signed
//! with the vault's own key, as a thief of it could.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use kura_ledger::export::Frame;
use kura_ledger::note::{Checkpoint, PublicIdentity};
use kura_ledger::opening::place_of;
use kura_ledger::tree::Hash;
use kura_platform::random;
use kura_platform::tls::{TlsConfig, Vault};
use kura_wire::ledger as wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{Stack, block_on, program};

/// The vault's control plane, with the console's certificate.
pub struct Control {
    http: reqwest::Client,
    base: String,
}

impl Control {
    /// Of a running Kura.
    ///
    /// # Panics
    /// When its certificates can't be used.
    pub fn of(stack: &Stack) -> Self {
        let directory = &stack.run().tls["admin"];
        let file = |name: &str| directory.join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let address = stack.run().control["vault"];
        let http = tls.http_client::<Vault>(address, Duration::from_secs(30)).expect("a client");
        Self { http, base: TlsConfig::base_url::<Vault>(address) }
    }

    /// `GET`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn get<A: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> A {
        serde_json::from_slice(&self.bytes(path, query)).expect("an answer of this interface")
    }

    /// `POST`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> A {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        block_on(async { request.send().await.expect("an answer").error_for_status().expect(path).json().await })
            .expect("an answer of this interface")
    }

    fn bytes(&self, path: &str, query: &impl Serialize) -> Vec<u8> {
        let request = self.http.get(format!("{}{path}", self.base)).query(query);
        let body = async { request.send().await.expect("an answer").error_for_status().expect(path).bytes().await };
        block_on(body).expect("a whole answer").to_vec()
    }

    /// The vault's identity.
    ///
    /// # Panics
    /// When the vault is away.
    pub fn identity(&self) -> String {
        self.get::<wire::Head>(wire::PATH_HEAD, &json!({})).identity
    }

    /// All rows: the stored hash, and the leaf.
    ///
    /// # Panics
    /// When the vault is away.
    pub fn rows(&self) -> Vec<(Hash, Vec<u8>)> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let page = self.bytes(wire::PATH_ROWS, &json!({ "after": after, "limit": wire::MAX_LEDGER_PAGE }));
            let mut rest = page.as_slice();
            if rest.is_empty() {
                return rows;
            }
            while let Some((Frame::Row { stored, leaf }, behind)) = Frame::first(rest) {
                after = place_of(leaf).expect("a leaf").1;
                rows.push((stored, leaf.to_vec()));
                rest = behind;
            }
        }
    }
}

/// Runs `kura ledger …` on a stack; gives its exit code and what it printed.
///
/// # Panics
/// When it can't be run.
pub fn run_ledger(stack: &Stack, arguments: &[&str]) -> (i32, String) {
    let mut kura = Command::new(program("kura"));
    kura.arg("ledger").arg("--state").arg(stack.state()).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    let output = kura.output().expect("the runner");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = if out.is_empty() { err } else { out };
    (output.status.code().unwrap_or(-1), said.into_owned())
}

/// The vault's private key, from its file: what a thief of it has.
///
/// # Panics
/// When it can't be read.
pub fn identity_key(stack: &Stack) -> EcdsaKeyPair {
    key_of(&stack.state().join("vault/identity.pem"))
}

fn key_of(file: &Path) -> EcdsaKeyPair {
    let text = std::fs::read_to_string(file).expect("the identity");
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64.decode(body.as_bytes()).expect("PEM");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).expect("a P-256 key")
}

/// The public half.
///
/// # Panics
/// When it is none.
pub fn public(key: &EcdsaKeyPair) -> PublicIdentity {
    PublicIdentity::parse(&BASE64URL_NOPAD.encode(key.public_key().as_ref())).expect("a point")
}

/// A note, signed as the vault signs.
///
/// # Panics
/// When it can't be.
pub fn sign(key: &EcdsaKeyPair, checkpoint: &Checkpoint) -> String {
    let signature = key.sign(&random::source(), checkpoint.text().as_bytes()).expect("a signature");
    checkpoint.note(&public(key), signature.as_ref())
}
