// Seals a card to the vault: HPKE base mode (RFC 9180) under a key that the vault's pinned identity signed.
//
// May enter: the card's fields, the signed key set. May leave: a sealed box. Never leaves: anything readable.
// The other side is wire/src/sealed_box.rs; tests/vectors/sealed_box.json holds both to the same bytes.

import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";

import { type Bytes, fromBase64url, lengthPrefixed, toBase64url, utf8 } from "./bytes";
import { Failure } from "./errors";

const PURPOSE_CARD = "kura card v1";
const PURPOSE_KEYS = "kura sealing keys v1";
const HPKE_INFO = "kura sealed box v1";
/** Every card is as long as every other on the wire. */
export const PADDED_LENGTH = 256;

export type SuiteName = "x25519-sha256-aes256gcm" | "p256-sha256-aes256gcm";

export interface SealingKey {
  readonly key_id: string;
  readonly node: number;
  readonly suite: SuiteName;
  readonly public_key: string;
  readonly not_before_ms: number;
  readonly not_after_ms: number;
}

export interface SignedKeySet {
  readonly payload: string;
  readonly signature: string;
}

export interface SealedBox {
  readonly key_id: string;
  readonly enc: string;
  readonly ciphertext: string;
  readonly origin: string;
  readonly sealed_at_ms: number;
}

/** What goes into the box. */
export interface Card {
  readonly number: string;
  readonly exp_month: number;
  readonly exp_year: number;
  readonly cvc?: string;
  readonly name?: string;
}

/** The bytes under a key set's signature. */
export function signedBytes(payload: string): Bytes {
  return lengthPrefixed([utf8(PURPOSE_KEYS), utf8(payload)]);
}

/** The associated data of a card's box. */
export function cardAad(publishableKey: string, origin: string, sealedAtMs: number): Bytes {
  return lengthPrefixed([utf8(PURPOSE_CARD), utf8(publishableKey), utf8(origin), utf8(String(sealedAtMs))]);
}

/** The card as JSON, spaces behind it up to {@link PADDED_LENGTH} bytes. */
export function paddedPlaintext(card: Card): Bytes {
  const json = utf8(JSON.stringify(card));
  if (json.length > PADDED_LENGTH) throw new Failure("validation_error", "name_too_long", "name");
  const padded = new Uint8Array(PADDED_LENGTH).fill(0x20);
  padded.set(json);
  return padded;
}

/** Checks the signature with the pinned identity (a raw P-256 point, base64url) and reads the keys. */
export async function verifyKeySet(signed: SignedKeySet, identity: string): Promise<SealingKey[]> {
  const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  let genuine = false;
  try {
    const key = await crypto.subtle.importKey("raw", fromBase64url(identity), ecdsa, false, ["verify"]);
    genuine = await crypto.subtle.verify(ecdsa, key, fromBase64url(signed.signature), signedBytes(signed.payload));
  } catch {
    // A malformed identity or signature is no signature.
  }
  if (!genuine) throw new Failure("api_error", "sealing_keys_untrusted");
  return (JSON.parse(signed.payload) as { keys: SealingKey[] }).keys;
}

/** X25519 where the browser has it, else P-256; only keys whose time it is. */
export function chooseKey(keys: readonly SealingKey[], nowMs: number, hasX25519: boolean): SealingKey | undefined {
  const current = keys.filter((key) => key.not_before_ms <= nowMs + CLOCK_TOLERANCE_MS && nowMs < key.not_after_ms);
  const of = (suite: SuiteName) => current.find((key) => key.suite === suite);
  return (hasX25519 ? of("x25519-sha256-aes256gcm") : undefined) ?? of("p256-sha256-aes256gcm");
}

/** A key made this second must not look unborn to a browser whose clock is a little late. */
const CLOCK_TOLERANCE_MS = 10 * 60 * 1000;

/** Whether this browser's WebCrypto has X25519. */
export async function hasX25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

/** Seals a card for one merchant key, one page and one moment. */
export async function sealCard(
  card: Card,
  key: SealingKey,
  publishableKey: string,
  origin: string,
  sealedAtMs: number,
): Promise<SealedBox> {
  const kem = key.suite === "x25519-sha256-aes256gcm" ? new DhkemX25519HkdfSha256() : new DhkemP256HkdfSha256();
  const suite = new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  const recipientPublicKey = await suite.kem.deserializePublicKey(fromBase64url(key.public_key).buffer);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: utf8(HPKE_INFO).buffer });
  const plaintext = paddedPlaintext(card);
  try {
    const ciphertext = await sender.seal(plaintext.buffer, cardAad(publishableKey, origin, sealedAtMs).buffer);
    return {
      key_id: key.key_id,
      enc: toBase64url(new Uint8Array(sender.enc)),
      ciphertext: toBase64url(new Uint8Array(ciphertext)),
      origin,
      sealed_at_ms: sealedAtMs,
    };
  } finally {
    plaintext.fill(0);
  }
}
