// The merchant's script: puts the card's frame on the page and hands out tokens. `window.Kura` is its only trace.
//
// The page never has card data: the fields are in a frame of the gateway's origin, and nothing that the frame tells has a
// place for them. The gateway is wherever this script was loaded from.

import type { Brand } from "./brands";
import type { KuraError } from "./errors";
import { localeOf, messagesFor, textOf } from "./messages";
import { type Connect, type Locale, opening, type Theme, type ToFrame, type Token, type ToPage, VERSION } from "./protocol";

interface Options {
  readonly locale?: Locale;
}

interface ChangeEvent {
  readonly complete: boolean;
  readonly empty: boolean;
  readonly brand: Brand;
  readonly error: KuraError | null;
}

interface Events {
  ready: undefined;
  change: ChangeEvent;
  focus: undefined;
  blur: undefined;
  /** Enter was pressed in a field. */
  submit: undefined;
  /** The form could not be loaded. */
  loaderror: { readonly error: KuraError };
}

type Handler<Name extends keyof Events> = (event: Events[Name]) => void;
type Result = { readonly token: Token; readonly error?: undefined } | { readonly error: KuraError; readonly token?: undefined };

const LOAD_TIMEOUT_MS = 20_000;
const ANSWER_TIMEOUT_MS = 60_000;
/** Room around the fields for their focus rings; the frame reaches this far beyond its place on every side. */
const BLEED_PX = 4;

const script = document.currentScript;
const base = script instanceof HTMLScriptElement ? new URL(script.src).origin : undefined;

class CardElement {
  private frame: HTMLIFrameElement | undefined;
  private port: MessagePort | undefined;
  private sequence = 0;
  private readonly waiting = new Map<number, (result: Result) => void>();
  private readonly handlers: { [Name in keyof Events]?: Set<Handler<Name>> } = {};
  private readonly dark = window.matchMedia("(prefers-color-scheme: dark)");
  private loadTimer: number | undefined;
  private inFlight: Promise<Result> | undefined;

  constructor(
    private readonly gateway: string,
    private readonly publishableKey: string,
    private readonly locale: Locale,
  ) {}

  /** Puts the form into an element or the first one of a selector. */
  mount(target: string | Element): this {
    const host = typeof target === "string" ? document.querySelector(target) : target;
    if (!host) throw new Error("Kura: there is no element to mount the card form on.");
    this.unmount();
    const theme = themeOf(host, this.dark);
    const frame = document.createElement("iframe");
    const query = new URLSearchParams({ key: this.publishableKey, locale: this.locale });
    frame.src = `${this.gateway}/checkout/card?${query.toString()}#${theme}`;
    frame.title = messagesFor(this.locale).frame_title;
    frame.setAttribute("scrolling", "no");
    frame.setAttribute("referrerpolicy", "origin");
    Object.assign(frame.style, {
      border: "0",
      display: "block",
      width: `calc(100% + ${2 * BLEED_PX}px)`,
      maxWidth: "none",
      margin: `-${BLEED_PX}px`,
      height: "320px",
      colorScheme: theme,
      background: "transparent",
    });
    window.addEventListener("message", this.onHello);
    this.dark.addEventListener("change", this.onTheme);
    this.loadTimer = window.setTimeout(() => this.loadFailed(), LOAD_TIMEOUT_MS);
    this.frame = frame;
    host.replaceChildren(frame);
    return this;
  }

  /** Takes the form, and what was typed, off the page. */
  unmount(): void {
    window.removeEventListener("message", this.onHello);
    this.dark.removeEventListener("change", this.onTheme);
    window.clearTimeout(this.loadTimer);
    this.port?.close();
    this.frame?.remove();
    this.port = this.frame = undefined;
    this.settleAll("not_mounted");
  }

  on<Name extends keyof Events>(name: Name, handler: Handler<Name>): this {
    const set: Set<Handler<Name>> = (this.handlers[name] as Set<Handler<Name>> | undefined) ?? new Set();
    (this.handlers as Record<Name, Set<Handler<Name>>>)[name] = set.add(handler);
    return this;
  }

  off<Name extends keyof Events>(name: Name, handler: Handler<Name>): this {
    this.handlers[name]?.delete(handler);
    return this;
  }

  focus(): void {
    this.send({ type: "focus" });
  }

  /** Empties the fields; also how another card is asked for after a decline. */
  clear(): void {
    this.send({ type: "clear" });
  }

  /** One at a time: who asks again while a token is being made gets that one. */
  createToken(name: string | null): Promise<Result> {
    this.inFlight ??= this.ask(name).finally(() => {
      this.inFlight = undefined;
    });
    return this.inFlight;
  }

  private ask(name: string | null): Promise<Result> {
    if (!this.frame) return Promise.resolve(this.failure("validation_error", "not_mounted"));
    if (!this.port) return Promise.resolve(this.failure("api_connection_error", "card_form_unreachable"));
    const id = (this.sequence += 1);
    return new Promise((resolve) => {
      const timer = window.setTimeout(
        () => this.settle(id, this.failure("api_connection_error", "connection_failed")),
        ANSWER_TIMEOUT_MS,
      );
      this.waiting.set(id, (result) => {
        window.clearTimeout(timer);
        resolve(result);
      });
      this.send({ type: "create_token", id, name });
    });
  }

  /** The frame's greeting: only from our own frame, only from the gateway's origin; the port goes to that origin alone. */
  private readonly onHello = (event: MessageEvent): void => {
    const frame = this.frame?.contentWindow;
    if (!frame || event.source !== frame || event.origin !== this.gateway || opening(event.data) !== "hello") return;
    window.clearTimeout(this.loadTimer);
    // A frame that was loaded anew has forgotten what it was asked.
    this.settleAll("connection_failed");
    this.port?.close();
    const channel = new MessageChannel();
    this.port = channel.port1;
    this.port.onmessage = ({ data }: MessageEvent<ToPage>) => this.receive(data);
    frame.postMessage({ kura: "connect", version: VERSION } satisfies Connect, this.gateway, [channel.port2]);
  };

  private readonly onTheme = (): void => {
    if (!this.frame?.parentElement) return;
    const theme = themeOf(this.frame.parentElement, this.dark);
    this.frame.style.colorScheme = theme;
    this.send({ type: "theme", theme });
  };

  private receive(message: ToPage): void {
    switch (message.type) {
      case "height":
        if (this.frame) this.frame.style.height = `${message.px}px`;
        break;
      case "change":
        this.emit("change", message.state);
        break;
      case "ready":
        this.onTheme();
        this.emit("ready", undefined);
        break;
      case "focus":
      case "blur":
      case "submit":
        this.emit(message.type, undefined);
        break;
      case "token":
        this.settle(message.id, { token: message.token });
        break;
      case "failed":
        this.settle(message.id, { error: message.error });
        break;
    }
  }

  private emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    (this.handlers[name] as Set<Handler<Name>> | undefined)?.forEach((handler) => handler(event));
  }

  private send(message: ToFrame): void {
    this.port?.postMessage(message);
  }

  private settle(id: number, result: Result): void {
    const resolve = this.waiting.get(id);
    this.waiting.delete(id);
    resolve?.(result);
  }

  private settleAll(code: string): void {
    [...this.waiting.keys()].forEach((id) => this.settle(id, this.failure("api_connection_error", code)));
  }

  private loadFailed(): void {
    this.emit("loaderror", this.failure("api_connection_error", "card_form_unreachable"));
  }

  private failure(type: KuraError["type"], code: string): { readonly error: KuraError } {
    return { error: { type, code, message: textOf(messagesFor(this.locale), code) } };
  }
}

/** What the page around the form looks like: dark only if the page says that it can be and the shopper wishes it. */
function themeOf(host: Element, dark: MediaQueryList): Theme {
  const schemes = getComputedStyle(host).colorScheme.split(/\s+/);
  if (!schemes.includes("dark")) return "light";
  return schemes.includes("light") && !dark.matches ? "light" : "dark";
}

function Kura(publishableKey: string, options: Options = {}) {
  if (base === undefined) throw new Error("Kura: load kura.js with a plain <script src> tag.");
  if (!/^pk_(test|live)_\w+$/.test(publishableKey)) {
    throw new Error("Kura: this is not a publishable key. Use the one that begins with pk_; a secret key must never be in a page.");
  }
  const locale = localeOf(options.locale ?? (document.documentElement.lang.slice(0, 2) || undefined));
  return {
    /** A card form, not on the page yet. */
    card: () => new CardElement(base, publishableKey, locale),
    /** A token for what was typed: `{token}`, or `{error}`. Never throws for what a shopper or a network did. */
    createToken: (card: CardElement, data: { readonly name?: string } = {}): Promise<Result> => {
      if (!(card instanceof CardElement)) throw new Error("Kura: createToken wants what kura.card() gave.");
      return card.createToken(data.name?.trim() || null);
    },
  };
}

// Loaded twice, the first one stays.
if (!("Kura" in window)) Object.defineProperty(window, "Kura", { value: Object.freeze(Kura), enumerable: true });
