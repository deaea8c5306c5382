// Shares and boxes: the same answers and the same bytes as the vault's side.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { canonical, place, ShareProblem } from "../src/share";
import { type Purpose, shareAad, signedBytes, trustedKey, Untrusted } from "../src/seal";

declare const CUSTODY: string;

interface Vectors {
  readonly shares: { text: string; canonical?: string; problem?: string }[];
  readonly associated_data: { node: number; purpose: Purpose; sealed_at_ms: number; hex: string }[];
  readonly signed_bytes: { payload: string; hex: string }[];
}

const vectors = JSON.parse(readFileSync(`${CUSTODY}/../../tests/vectors/custody.json`, "utf8")) as Vectors;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

// Both read one file: what is a share, and what is wrong where.
test("shares are read and refused as the vault does it", async () => {
  for (const { text, canonical: wanted, problem } of vectors.shares) {
    const outcome = await canonical(text).catch((error: unknown) => {
      assert(error instanceof ShareProblem);
      return [error.problem, error.group, error.detail].filter((part) => part !== undefined).join(" ");
    });
    assert.equal(outcome, wanted ?? problem, text);
  }
});

test("associated data and signed bytes equal the shared vectors", () => {
  for (const { node, purpose, sealed_at_ms, hex: wanted } of vectors.associated_data) {
    assert.equal(hex(shareAad(node, purpose, sealed_at_ms)), wanted);
  }
  for (const { payload, hex: wanted } of vectors.signed_bytes) assert.equal(hex(signedBytes(payload)), wanted);
});

test("a mistyped group is found where it was typed", () => {
  const text = " KURA-SHARE-1: 012345678-ABCDEFGHJ\n kmnpqrstv";
  const at = (group: number) => text.slice(...place(text, group));
  assert.deepEqual([at(1), at(2), at(3)], ["012345678", "ABCDEFGHJ", "kmnpqrstv"]);
});

// A key set is taken with the signature of the pinned identity alone, and for custody alone.
test("keys without the vault's signature are refused", async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const sign = async (bytes: Uint8Array<ArrayBuffer>) => {
    const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const signature = new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, bytes));
    return [Buffer.from(raw).toString("base64url"), Buffer.from(signature).toString("base64url")] as const;
  };
  const key = { key_id: "hk", node: 0, public_key: "", not_after_ms: Date.now() + 1000 };
  const payload = JSON.stringify({ keys: [{ ...key, suite: "x25519-sha256-aes256gcm" }, { ...key, suite: "p256-sha256-aes256gcm" }] });
  const [identity, signature] = await sign(signedBytes(payload));
  assert.equal((await trustedKey({ payload, signature }, identity)).key_id, "hk");
  const [stranger] = await sign(signedBytes(payload));
  await assert.rejects(trustedKey({ payload, signature }, stranger), Untrusted);
  await assert.rejects(trustedKey({ payload: payload.replace('"hk"', '"hj"'), signature }, identity), Untrusted);
  const [signer, bare] = await sign(new Uint8Array(new TextEncoder().encode(payload)));
  await assert.rejects(trustedKey({ payload, signature: bare }, signer), Untrusted);
});
