// Asking for a token: the cache, the one retry, and every way to fail in the one shape.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CipherSuite, Aes256Gcm, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";

import { toBase64url } from "../src/bytes";
import { type Card, signedBytes } from "../src/seal";
import { TokenClient } from "../src/tokens";

const CARD: Card = { number: "4242424242424242", exp_month: 12, exp_year: 2030, cvc: "123" };
const ORIGIN = "https://shop.example";

/** A gateway in place of `fetch`: signed keys, and the given answers to /v1/tokens in turn. */
async function gateway(answers: readonly (() => Response)[], keyLifeMs = 3_600_000) {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const identity = toBase64url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  const kem = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() }).kem;
  const sealing = await kem.generateKeyPair();
  const public_key = toBase64url(new Uint8Array(await kem.serializePublicKey(sealing.publicKey)));
  const seen = { keys: 0, tokens: [] as string[] };
  globalThis.fetch = async (path, init) => {
    if (path === "/checkout/sealing_keys") {
      seen.keys += 1;
      const now = Date.now();
      const key = { key_id: `00k${seen.keys}`, node: 0, suite: "p256-sha256-aes256gcm", public_key, not_before_ms: now, not_after_ms: now + keyLifeMs };
      const payload = JSON.stringify({ keys: [key] });
      const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, signedBytes(payload));
      return Response.json({ payload, signature: toBase64url(new Uint8Array(signature)) });
    }
    seen.tokens.push(String(init?.body));
    const answer = answers[seen.tokens.length - 1];
    if (!answer) throw new TypeError("network");
    return answer();
  };
  return { client: new TokenClient("pk_test_00", identity), seen };
}

const ok = () => Response.json({ id: "tok_1", object: "token" });
const refuse = (status: number, error: object) => () => Response.json({ error }, { status });

// One key fetch serves many tokens while the key lives, and a key about to end is fetched anew.
test("keys are cached while they are valid", async () => {
  const lasting = await gateway([ok, ok]);
  await lasting.client.create(CARD, ORIGIN);
  await lasting.client.create(CARD, ORIGIN);
  assert.equal(lasting.seen.keys, 1);
  const ending = await gateway([ok, ok], 1_000);
  await ending.client.create(CARD, ORIGIN);
  await ending.client.create(CARD, ORIGIN);
  assert.equal(ending.seen.keys, 2);
});

// A key that the vault has let go is replaced and the card sealed anew, once; a second refusal is told.
test("an expired sealing key is retried once with a new one", async () => {
  const expired = refuse(400, { type: "invalid_request_error", code: "sealing_key_expired" });
  const once = await gateway([expired, ok]);
  assert.equal((await once.client.create(CARD, ORIGIN)).id, "tok_1");
  assert.equal(once.seen.keys, 2);
  assert.notEqual(once.seen.tokens[0], once.seen.tokens[1]);
  const twice = await gateway([expired, expired, ok]);
  await assert.rejects(twice.client.create(CARD, ORIGIN), { code: "sealing_key_expired" });
  assert.equal(twice.seen.tokens.length, 2);
});

// Declines, limits, outages, junk and a dead network each have a type and a code; none repeats the card.
test("every failure has a type and a code", async () => {
  const cases: [readonly (() => Response)[], object][] = [
    [[refuse(402, { type: "card_error", code: "incorrect_number", param: "number" })], { type: "card_error", code: "incorrect_number", param: "number" }],
    [[refuse(429, {})], { type: "rate_limit_error", code: "rate_limit" }],
    [[() => new Response("<html>", { status: 502 })], { type: "api_error", code: "http_502" }],
    [[() => new Response("null")], { type: "api_error", code: "unexpected_answer" }],
    [[() => Response.json({})], { type: "api_error", code: "unexpected_answer" }],
    [[], { type: "api_connection_error", code: "connection_failed" }],
  ];
  for (const [answers, expected] of cases) {
    const { client } = await gateway(answers);
    await assert.rejects(client.create(CARD, ORIGIN), expected);
  }
});

// What goes over the wire is the box and nothing readable of the card; a failed key fetch does not stick.
test("only a box is posted, and a failed key fetch is tried anew", async () => {
  const { client, seen } = await gateway([ok]);
  const fetch = globalThis.fetch;
  globalThis.fetch = () => Promise.reject(new TypeError("network"));
  await assert.rejects(client.create(CARD, ORIGIN), { code: "connection_failed" });
  globalThis.fetch = fetch;
  await client.create(CARD, ORIGIN);
  const body = JSON.parse(seen.tokens[0] ?? "") as { card: { sealed_box: object } };
  assert.deepEqual(Object.keys(body), ["card"]);
  assert.deepEqual(Object.keys(body.card.sealed_box).sort(), ["ciphertext", "enc", "key_id", "origin", "sealed_at_ms"]);
  assert.doesNotMatch(seen.tokens[0] ?? "", /42424242/);
});
