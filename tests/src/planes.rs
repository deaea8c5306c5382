//! The services' planes as an owned gateway and an operator see them: with the gateway's certificate asking anything for any
//! merchant, and with the runner's own `kura vault`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kura_platform::tls::{Gateway, TlsConfig, Vault, Zone};
use kura_platform::{clock, random};
use kura_shopper::{TypedCard, checked_key, seal};
use kura_wire::ids::{AttemptId, MerchantId, RequestId};
use kura_wire::sealed_box::{SealingKey, SignedKeySet, Suite};
use kura_wire::vault as wire;
use serde_json::{Value, json};

use crate::stack::program;
use crate::{Stack, block_on, workspace};

const PK: &str = "pk_test_planes";
const ORIGIN: &str = "https://shop.example";

/// A client with a zone's certificate, for one of the services' planes.
#[derive(Debug, Clone)]
pub struct Plane {
    client: reqwest::Client,
    base: String,
}

impl Plane {
    /// The data plane, with the gateway's certificate.
    pub fn data(stack: &Stack) -> Self {
        Self::of::<Vault>(stack, "gateway", stack.run().vault_data_plane)
    }

    /// The control plane, with the console's certificate.
    pub fn control(stack: &Stack) -> Self {
        Self::of::<Vault>(stack, "admin", stack.run().control["vault"])
    }

    /// The gateway's control plane, with the console's certificate.
    pub fn gateway_control(stack: &Stack) -> Self {
        Self::of::<Gateway>(stack, "admin", stack.run().control["gateway"])
    }

    fn of<Z: Zone>(stack: &Stack, service: &str, address: std::net::SocketAddr) -> Self {
        let file = |name: &str| stack.run().tls[service].join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let client = tls.http_client::<Z>(address, Duration::from_secs(30)).expect("a client");
        Self { client, base: TlsConfig::base_url::<Z>(address) }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or_default())
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> (u16, Value) {
        block_on(self.send(self.client.get(format!("{}{path}", self.base))))
    }

    /// `POST`.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        block_on(self.post_async(path, body))
    }

    /// [`Self::post`], for many at once.
    pub async fn post_async(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body)).await
    }
}

/// Who asks, for a merchant in test mode.
pub fn context(merchant: MerchantId) -> Value {
    json!({ "request_id": RequestId::from_bytes(random::bytes()), "merchant": merchant, "livemode": false })
}

/// A merchant that nobody else in the tests uses. The vault takes the gateway's word for whose a request is.
pub fn new_merchant() -> MerchantId {
    MerchantId::from_bytes(random::bytes())
}

/// The identity that browsers have pinned.
pub fn identity(stack: &Stack) -> String {
    let config = std::fs::read_to_string(stack.state().join("gateway/gateway.toml")).expect("the gateway's file");
    let line = config.lines().find_map(|line| line.strip_prefix("vault_identity = ")).expect("the pinned identity");
    line.trim_matches('"').to_owned()
}

/// A gateway in wrong hands.
#[derive(Debug)]
pub struct OwnedGateway {
    /// The vault's data plane.
    pub plane: Plane,
    key: SealingKey,
}

impl OwnedGateway {
    /// With the vault's key of the moment.
    pub fn new(stack: &Stack) -> Self {
        let plane = Plane::data(stack);
        let (status, set) = plane.get(wire::PATH_SEALING_KEYS);
        assert_eq!(status, 200, "{set}");
        let set: SignedKeySet = serde_json::from_value(set).expect("a key set");
        Self { plane, key: checked_key(&set, &identity(stack), Suite::X25519).expect("a key") }
    }

    /// What a tokenize of this card asks.
    pub fn tokenize_body(&self, merchant: MerchantId, card: &TypedCard) -> Value {
        let sealed = seal(&self.key, card, PK, ORIGIN, clock::now_ms()).expect("a box");
        json!({ "context": context(merchant), "publishable_key": PK, "sealed": sealed })
    }

    /// A single-use token of a card.
    pub fn tokenize(&self, merchant: MerchantId, card: &TypedCard) -> Value {
        let (status, made) = self.plane.post(wire::PATH_TOKENIZE, &self.tokenize_body(merchant, card));
        assert_eq!(status, 200, "{made}");
        made
    }

    /// A saved card.
    pub fn save(&self, merchant: MerchantId, card: &TypedCard) -> Value {
        let made = self.tokenize(merchant, card);
        let body = json!({ "context": context(merchant), "token": made["token"] });
        let (status, saved) = self.plane.post(wire::PATH_ATTACH, &body);
        assert_eq!(status, 200, "{saved}");
        saved
    }

    /// Asks for money by a token.
    pub fn authorize(&self, merchant: MerchantId, token: &Value, attempt: AttemptId) -> (u16, Value) {
        let number = attempt.as_bytes().iter().fold(0_u64, |sum, byte| sum.wrapping_mul(257) + u64::from(*byte));
        let reference = format!("{:012}", number % 1_000_000_000_000);
        self.plane.post(
            wire::PATH_AUTHORIZE,
            &json!({ "context": context(merchant), "attempt": attempt, "network_reference": reference, "token": token,
                     "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true }),
        )
    }
}

/// What `kura vault` did.
#[derive(Debug)]
pub struct Ran {
    /// Whether it ended well.
    pub success: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `kura vault --json …` with this on its standard input.
///
/// # Panics
/// When it can't be run.
pub fn kura_vault(stack: &Stack, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(program("kura"));
    command.args(["vault", "--json", "--state"]).arg(stack.state()).args(arguments).current_dir(workspace());
    command.env("NO_COLOR", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the runner is built");
    // Who refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}
