// Seals a share to one vault node: HPKE base mode (RFC 9180) under a custody key that the vault's pinned identity signed.
//
// May enter: a share, the signed key set. May leave: a sealed box. Never leaves: anything readable.
// The other side is wire/src/custody.rs; tests/vectors/custody.json holds both to the same bytes.

import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";

import { type Bytes, fromBase64url, lengthPrefixed, toBase64url, utf8 } from "./bytes";

const HPKE_INFO = "kura sealed box v1";
const X25519 = "x25519-sha256-aes256gcm";

export interface SealingKey {
  readonly key_id: string;
  readonly node: number;
  readonly suite: string;
  readonly public_key: string;
  readonly not_after_ms: number;
}

export interface SignedKeySet {
  readonly payload: string;
  readonly signature: string;
}

export type Purpose = "unseal" | "reshare";

/** The keys are not this vault's. */
export class Untrusted extends Error {}

/** The bytes under the signature of a node's custody keys. */
export function signedBytes(payload: string): Bytes {
  return lengthPrefixed([utf8("kura custody keys v1"), utf8(payload)]);
}

/** What an entered share is bound to: one node, one purpose, one moment. */
export function shareAad(node: number, purpose: Purpose, sealedAtMs: number): Bytes {
  return lengthPrefixed([utf8("kura custody share v1"), utf8(String(node)), utf8(purpose), utf8(String(sealedAtMs))]);
}

/** Checks the signature with the pinned identity (a raw P-256 point, base64url) and gives the key to seal to. */
export async function trustedKey(signed: SignedKeySet, identity: string): Promise<SealingKey> {
  const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  let genuine = false;
  try {
    const key = await crypto.subtle.importKey("raw", fromBase64url(identity), ecdsa, false, ["verify"]);
    genuine = await crypto.subtle.verify(ecdsa, key, fromBase64url(signed.signature), signedBytes(signed.payload));
  } catch {
    // A malformed identity or signature is no signature.
  }
  if (!genuine) throw new Untrusted();
  const { keys } = JSON.parse(signed.payload) as { keys: SealingKey[] };
  const wanted = (await hasX25519()) ? X25519 : "p256-sha256-aes256gcm";
  const found = keys.find((key) => key.suite === wanted && Date.now() < key.not_after_ms);
  if (found === undefined) throw new Untrusted();
  return found;
}

async function hasX25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

/** The box, as the vault's control plane reads it. */
export async function sealShare(share: string, key: SealingKey, purpose: Purpose): Promise<string> {
  const kem = key.suite === X25519 ? new DhkemX25519HkdfSha256() : new DhkemP256HkdfSha256();
  const suite = new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  const recipientPublicKey = await suite.kem.deserializePublicKey(fromBase64url(key.public_key).buffer);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: utf8(HPKE_INFO).buffer });
  const sealedAtMs = Date.now();
  const plaintext = utf8(share);
  try {
    const ciphertext = await sender.seal(plaintext.buffer, shareAad(key.node, purpose, sealedAtMs).buffer);
    return JSON.stringify({
      purpose,
      key_id: key.key_id,
      enc: toBase64url(new Uint8Array(sender.enc)),
      ciphertext: toBase64url(new Uint8Array(ciphertext)),
      sealed_at_ms: sealedAtMs,
    });
  } finally {
    plaintext.fill(0);
  }
}
