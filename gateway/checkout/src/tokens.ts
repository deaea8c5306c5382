// Asks the gateway for a token: fetches and checks the sealing keys, seals, posts the box.
//
// What leaves this module for the network is a sealed box and a publishable key, nothing else of the card.

import { Failure, type ErrorType } from "./errors";
import type { Token } from "./protocol";
import { type Card, chooseKey, hasX25519, type SealingKey, sealCard, type SignedKeySet, verifyKeySet } from "./seal";

const PATH_KEYS = "/checkout/sealing_keys";
const PATH_TOKENS = "/v1/tokens";
const TIMEOUT_MS = 25_000;
/** A browser's clock that differs more than this from the gateway's is corrected: the vault refuses boxes of another time. */
const CLOCK_TRUST_MS = 2 * 60 * 1000;
/** Keys are fetched anew this long before they end. */
const EARLY_MS = 30_000;

interface ErrorBody {
  readonly error?: { readonly type?: string; readonly code?: string; readonly message?: string; readonly param?: string };
}

export class TokenClient {
  private key: Promise<SealingKey> | undefined;
  private clockOffsetMs = 0;

  constructor(
    private readonly publishableKey: string,
    private readonly vaultIdentity: string,
  ) {}

  /** Fetches the keys ahead of need. Failures show when a token is asked for. */
  warmUp(): void {
    this.sealingKey().catch(() => undefined);
  }

  /** A token for the card. `origin` is the merchant page's, as the browser reported it. */
  async create(card: Card, origin: string): Promise<Token> {
    if (globalThis.crypto?.subtle === undefined) throw new Failure("api_error", "browser_unsupported");
    try {
      return await this.attempt(card, origin);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "sealing_key_expired") throw error;
      this.key = undefined;
      return await this.attempt(card, origin);
    }
  }

  private async attempt(card: Card, origin: string): Promise<Token> {
    const key = await this.sealingKey();
    const box = await sealCard(card, key, this.publishableKey, origin, this.nowMs());
    const response = await request(PATH_TOKENS, {
      method: "POST",
      headers: { authorization: `Bearer ${this.publishableKey}`, "content-type": "application/json" },
      body: JSON.stringify({ card: { sealed_box: box } }),
    });
    const token = (await body(response)) as Token;
    if (typeof token.id !== "string") throw new Failure("api_error", "unexpected_answer");
    return token;
  }

  private async sealingKey(): Promise<SealingKey> {
    const held = this.key;
    if (held) {
      const key = await held.catch(() => undefined);
      if (key && this.nowMs() < key.not_after_ms - EARLY_MS) return key;
    }
    // Whoever came first while the old one was looked at has started it already.
    if (this.key === held) this.key = this.fetchSealingKey();
    return (this.key ??= this.fetchSealingKey());
  }

  private async fetchSealingKey(): Promise<SealingKey> {
    const response = await request(PATH_KEYS, { cache: "no-store" });
    const keys = await verifyKeySet((await body(response)) as SignedKeySet, this.vaultIdentity);
    const served = Date.parse(response.headers.get("date") ?? "");
    this.clockOffsetMs = Math.abs(served - Date.now()) > CLOCK_TRUST_MS ? served - Date.now() : 0;
    const key = chooseKey(keys, this.nowMs(), await hasX25519());
    if (!key) throw new Failure("api_error", "sealing_keys_unavailable");
    return key;
  }

  private nowMs(): number {
    return Math.round(Date.now() + this.clockOffsetMs);
  }
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(path, {
      ...init,
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: abort.signal,
    });
    // The body is read under the same deadline.
    const text = await response.text();
    return new Response(text, { status: response.status, headers: response.headers });
  } catch {
    throw new Failure("api_connection_error", "connection_failed");
  } finally {
    clearTimeout(timer);
  }
}

/** The JSON of a success; the gateway's error envelope becomes a {@link Failure}. */
async function body(response: Response): Promise<unknown> {
  const parsed: unknown = await response.json().catch(() => undefined);
  if (response.ok && typeof parsed === "object" && parsed !== null) return parsed;
  const error = (parsed as ErrorBody | undefined)?.error;
  const fallback = response.status === 429 ? "rate_limit" : response.ok ? "unexpected_answer" : `http_${response.status}`;
  throw new Failure(errorType(error?.type, response.status), error?.code ?? fallback, error?.param, error?.message);
}

const TYPES: readonly ErrorType[] = [
  "api_error",
  "authentication_error",
  "card_error",
  "idempotency_error",
  "invalid_request_error",
  "rate_limit_error",
];

function errorType(type: string | undefined, status: number): ErrorType {
  return TYPES.find((known) => known === type) ?? (status === 429 ? "rate_limit_error" : "api_error");
}
