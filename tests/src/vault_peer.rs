//! The data plane of one vault node, as whoever holds the gateway's certificate sees it.

use std::time::Duration;

use kura_platform::random;
use kura_platform::tls::{TlsConfig, Vault};
use kura_wire::ids::{AttemptId, AuthenticationId, MerchantId, RequestId};
use kura_wire::sealed_box::{SealingKey, SealingKeySet, SignedKeySet, Suite};
use kura_wire::three_d_secure;
use kura_wire::vault as wire;
use serde_json::{Value, json};

use crate::{Stack, block_on};

/// A client of one node.
pub struct VaultPeer {
    client: reqwest::Client,
    base: String,
    /// On whose behalf it asks.
    pub merchant: MerchantId,
}

impl VaultPeer {
    /// With the gateway's certificate, for the sample merchant.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn new(stack: &Stack, node: usize) -> Self {
        let directory = &stack.run().tls["gateway"];
        let file = |name: &str| directory.join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let address = stack.run().vaults[node].data_plane;
        Self {
            client: tls.http_client::<Vault>(address, Duration::from_secs(20)).expect("a client"),
            base: TlsConfig::base_url::<Vault>(address),
            merchant: stack.run().merchants.main.parse().expect("a merchant"),
        }
    }

    /// Sends a request; gives status and body.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        block_on(async {
            let answer = self.client.post(format!("{}{path}", self.base)).json(body).send().await.expect("an answer");
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        })
    }

    /// The same; `None` when no whole answer came back, as when the node dies.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        block_on(async {
            let answer = self.client.post(format!("{}{path}", self.base)).json(body).send().await.ok()?;
            let status = answer.status().as_u16();
            Some((status, answer.json().await.ok()?))
        })
    }

    /// The node's own key that browsers seal to.
    ///
    /// # Panics
    /// When it gives none.
    pub fn sealing_key(&self) -> SealingKey {
        let set: SignedKeySet = block_on(async {
            let request = self.client.get(format!("{}{}", self.base, wire::PATH_SEALING_KEYS));
            request.send().await.expect("an answer").json().await.expect("a key set")
        });
        let keys: SealingKeySet = serde_json::from_str(&set.payload).expect("keys");
        keys.keys.into_iter().find(|key| key.suite == Suite::X25519).expect("X25519")
    }

    /// Who asks.
    pub fn context(&self) -> Value {
        json!({ "request_id": RequestId::from_bytes(random::bytes()), "merchant": self.merchant, "livemode": false })
    }

    /// A saved test card.
    ///
    /// # Panics
    /// When the vault refuses.
    pub fn test_card(&self, name: &str) -> Value {
        let made = self.test_card_answer(name);
        assert_eq!(made.0, 200, "{}", made.1);
        made.1["token"].clone()
    }

    /// What it answers when it is asked for a saved test card.
    pub fn test_card_answer(&self, name: &str) -> (u16, Value) {
        self.post(wire::PATH_TEST_CARD, &json!({ "context": self.context(), "name": name, "allows": "multi" }))
    }

    /// Asks for 1,500 yen.
    pub fn authorize(&self, token: &Value, attempt: AttemptId, reference: &str) -> (u16, Value) {
        self.post(
            wire::PATH_AUTHORIZE,
            &json!({ "context": self.context(), "attempt": attempt, "network_reference": reference, "token": token,
                     "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true }),
        )
    }

    /// A single-use token of a test card, whose code is held.
    ///
    /// # Panics
    /// When the vault refuses.
    pub fn single_use(&self, name: &str) -> Value {
        let body = json!({ "context": self.context(), "name": name, "allows": "single" });
        let (status, made) = self.post(wire::PATH_TEST_CARD, &body);
        assert_eq!((status, &made["cvc_held"]), (200, &json!(true)), "{made}");
        made["token"].clone()
    }

    /// Asks for 1,500 yen, with these fields besides; as a new attempt.
    pub fn authorize_with(&self, token: &Value, more: &Value) -> (u16, Value) {
        let (attempt, reference) = Self::attempt();
        let mut body = json!({ "context": self.context(), "attempt": attempt, "network_reference": reference,
                               "token": token, "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true });
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.post(wire::PATH_AUTHORIZE, &body)
    }

    /// Asks whether the card is good.
    pub fn verify(&self, token: &Value, authentication: Option<AuthenticationId>) -> (u16, Value) {
        let (attempt, reference) = Self::attempt();
        self.post(
            wire::PATH_VERIFY,
            &json!({ "context": self.context(), "attempt": attempt, "network_reference": reference, "token": token,
                     "authentication": authentication }),
        )
    }

    /// Asks who uses the card, for 1,500 yen or for nothing.
    pub fn authenticate(&self, token: &Value, id: AuthenticationId, pays: bool) -> (u16, Value) {
        let money = pays.then(|| json!({ "amount_minor": 1500, "currency": "JPY" }));
        self.post(
            three_d_secure::PATH_AUTHENTICATE,
            &json!({ "context": self.context(), "authentication": id, "token": token, "money": money,
                     "preference": "none", "return_url": "http://localhost:9/3d_secure/return" }),
        )
    }

    /// What became of that?
    pub fn find_authentication(&self, id: AuthenticationId) -> (u16, Value) {
        let body = json!({ "context": self.context(), "authentication": id });
        self.post(three_d_secure::PATH_AUTHENTICATION, &body)
    }

    /// What became of an attempt?
    pub fn resolve(&self, attempt: AttemptId) -> (u16, Value) {
        self.post(wire::PATH_RESOLVE, &json!({ "context": self.context(), "attempt": attempt }))
    }

    /// A new attempt, and what the network is to know it by.
    pub fn attempt() -> (AttemptId, String) {
        let number = u64::from_be_bytes(random::bytes()) % 1_000_000_000_000;
        (AttemptId::from_bytes(random::bytes()), format!("{number:012}"))
    }
}
