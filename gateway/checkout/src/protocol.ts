// What the merchant's page and the card's frame say to each other. No message has a place for card data.
//
// The frame says hello to its parent; the parent answers a hello from the gateway's origin with one end of a
// MessageChannel, addressed to that origin. All else goes through the channel, which nobody can listen to from outside.

import type { Brand } from "./brands";
import type { KuraError } from "./errors";

export const VERSION = 1;
export type Theme = "light" | "dark";
export type Locale = "ja" | "en";

/** Frame to parent window. */
export interface Hello {
  readonly kura: "hello";
  readonly version: number;
}

/** Parent window to frame, with the port. */
export interface Connect {
  readonly kura: "connect";
  readonly version: number;
}

/** The API's token object, as far as a page needs it. */
export interface Token {
  readonly id: string;
  readonly object: "token";
  readonly card?: {
    readonly brand?: string;
    readonly last4?: string;
    readonly exp_month?: number;
    readonly exp_year?: number;
  };
  readonly [field: string]: unknown;
}

export interface CardState {
  readonly complete: boolean;
  readonly empty: boolean;
  readonly brand: Brand;
  readonly error: KuraError | null;
}

/** Through the channel, page to frame. */
export type ToFrame =
  | { readonly type: "create_token"; readonly id: number; readonly name: string | null }
  | { readonly type: "theme"; readonly theme: Theme }
  | { readonly type: "focus" }
  | { readonly type: "clear" };

/** Through the channel, frame to page. */
export type ToPage =
  | { readonly type: "ready" }
  | { readonly type: "height"; readonly px: number }
  | { readonly type: "change"; readonly state: CardState }
  | { readonly type: "focus" | "blur" | "submit" }
  | { readonly type: "token"; readonly id: number; readonly token: Token }
  | { readonly type: "failed"; readonly id: number; readonly error: KuraError };

/** Whether a window message is the opening of this protocol, and which. */
export function opening(data: unknown): Hello["kura"] | Connect["kura"] | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { kura, version } = data as Partial<Hello | Connect>;
  return version === VERSION && (kura === "hello" || kura === "connect") ? kura : undefined;
}
