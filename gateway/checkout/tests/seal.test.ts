// The sealed box: the same bytes as the vault's side, a real opening, and the refusals.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";

import { fromBase64url, toBase64url, utf8 } from "../src/bytes";
import { type Card, cardAad, chooseKey, paddedPlaintext, sealCard, type SealingKey, signedBytes, type SuiteName, verifyKeySet } from "../src/seal";

declare const CHECKOUT: string;

interface Vectors {
  readonly associated_data: { publishable_key: string; origin: string; sealed_at_ms: number; hex: string }[];
  readonly signed_bytes: { payload: string; hex: string }[];
  readonly padded_plaintext: { card: Card; hex: string }[];
}

const vectors = JSON.parse(readFileSync(`${CHECKOUT}/../../tests/vectors/sealed_box.json`, "utf8")) as Vectors;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const CARD: Card = { number: "4242424242424242", exp_month: 12, exp_year: 2030, cvc: "123" };
const PK = "pk_test_00";
const ORIGIN = "https://shop.example";

// Browser and vault bind a box to the same bytes, sign and pad the same bytes: both read one file.
test("associated data, signed bytes and padding equal the shared vectors", () => {
  for (const v of vectors.associated_data) assert.equal(hex(cardAad(v.publishable_key, v.origin, v.sealed_at_ms)), v.hex);
  for (const v of vectors.signed_bytes) assert.equal(hex(signedBytes(v.payload)), v.hex);
  for (const v of vectors.padded_plaintext) assert.equal(hex(paddedPlaintext(v.card)), v.hex);
});

// Every card is 256 bytes long inside the box, and a name that does not fit is refused, not cut.
test("cards are padded to one length, too long a name is refused", () => {
  assert.equal(paddedPlaintext({ ...CARD, name: "A" }).length, 256);
  assert.throws(() => paddedPlaintext({ ...CARD, name: "蔵".repeat(80) }), { code: "name_too_long", param: "name" });
});

const SUITES: readonly SuiteName[] = ["x25519-sha256-aes256gcm", "p256-sha256-aes256gcm"];

function hpke(suite: SuiteName) {
  const kem = suite === "x25519-sha256-aes256gcm" ? new DhkemX25519HkdfSha256() : new DhkemP256HkdfSha256();
  return new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}

async function sealedTo(suite: SuiteName) {
  const pair = await hpke(suite).kem.generateKeyPair();
  const key: SealingKey = {
    key_id: "00k",
    node: 0,
    suite,
    public_key: toBase64url(new Uint8Array(await hpke(suite).kem.serializePublicKey(pair.publicKey))),
    not_before_ms: 0,
    not_after_ms: Number.MAX_SAFE_INTEGER,
  };
  const box = await sealCard(CARD, key, PK, ORIGIN, 1_795_377_600_000);
  const open = async (aad: Uint8Array<ArrayBuffer>) => {
    const recipient = { recipientKey: pair.privateKey, enc: fromBase64url(box.enc).buffer, info: utf8("kura sealed box v1").buffer };
    return hpke(suite).open(recipient, fromBase64url(box.ciphertext).buffer, aad.buffer);
  };
  return { box, open };
}

// In both suites the box opens to the card for its own merchant key, page and time, and for nothing else.
test("a box opens only under the associated data that it was sealed with", async () => {
  for (const suite of SUITES) {
    const { box, open } = await sealedTo(suite);
    const plain = new TextDecoder().decode(await open(cardAad(PK, ORIGIN, box.sealed_at_ms)));
    assert.deepEqual(JSON.parse(plain), CARD);
    assert.doesNotMatch(JSON.stringify(box), /4242/);
    for (const aad of [
      cardAad("pk_test_01", ORIGIN, box.sealed_at_ms),
      cardAad(PK, "https://evil.example", box.sealed_at_ms),
      cardAad(PK, ORIGIN, box.sealed_at_ms + 1),
    ]) {
      await assert.rejects(open(aad));
    }
  }
});

async function signer() {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const identity = toBase64url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  const sign = async (bytes: Uint8Array<ArrayBuffer>) =>
    toBase64url(new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, bytes)));
  return { identity, sign };
}

// Keys count only under the pinned identity's signature over domain and payload: an altered payload, another identity, a
// signature without the domain, and junk are all refused.
test("only key sets that the pinned identity signed are used", async () => {
  const [vault, other] = [await signer(), await signer()];
  const payload = '{"keys":[]}';
  const signature = await vault.sign(signedBytes(payload));
  assert.deepEqual(await verifyKeySet({ payload, signature }, vault.identity), []);
  const refused = { code: "sealing_keys_untrusted" };
  await assert.rejects(verifyKeySet({ payload: '{"keys":[ ]}', signature }, vault.identity), refused);
  await assert.rejects(verifyKeySet({ payload, signature }, other.identity), refused);
  await assert.rejects(verifyKeySet({ payload, signature: await vault.sign(utf8(payload)) }, vault.identity), refused);
  await assert.rejects(verifyKeySet({ payload, signature: "!" }, vault.identity), refused);
  await assert.rejects(verifyKeySet({ payload, signature }, ""), refused);
});

// X25519 where the browser has it, P-256 where not; a key outside its time is never used.
test("the suite follows the browser and keys are used in their time only", () => {
  const key = (suite: SuiteName, from: number, to: number): SealingKey => ({
    key_id: suite,
    node: 0,
    suite,
    public_key: "",
    not_before_ms: from,
    not_after_ms: to,
  });
  const now = 10_000_000;
  const both = [key(SUITES[1]!, now - 1, now + 1), key(SUITES[0]!, now - 1, now + 1)];
  assert.equal(chooseKey(both, now, true)?.suite, SUITES[0]);
  assert.equal(chooseKey(both, now, false)?.suite, SUITES[1]);
  assert.equal(chooseKey([key(SUITES[0]!, now - 2, now)], now, true), undefined);
  assert.equal(chooseKey([key(SUITES[0]!, now + 3_600_000, now + 7_200_000)], now, true), undefined);
  assert.equal(chooseKey([key(SUITES[0]!, now - 1, now + 1)], now, false), undefined);
});
