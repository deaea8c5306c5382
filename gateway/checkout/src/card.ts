// The frame's entry: meets the merchant's page, runs the form, makes tokens.
//
// May enter: keystrokes; from the page, requests that carry no card data. May leave: to the vault a sealed box, to the page a
// token, the brand, and errors in words. The origin that a box is bound to is the one that the browser reports of the page.

import { Failure, type KuraError } from "./errors";
import { byId, CardForm } from "./form";
import { localeOf, messagesFor, textOf } from "./messages";
import { opening, type ToFrame, type ToPage, VERSION, type Hello, type Theme } from "./protocol";
import type { Card } from "./seal";
import { TokenClient } from "./tokens";

const root = document.documentElement;
const locale = localeOf(root.dataset["locale"]);
const messages = messagesFor(locale);

let page: { readonly port: MessagePort; readonly origin: string } | undefined;

const tokens = new TokenClient(root.dataset["publishableKey"] ?? "", root.dataset["vaultIdentity"] ?? "");
const form = new CardForm(messages, (event) => {
  if (event === "focus") tokens.warmUp();
  if (event === "change") sendChange();
  else send({ type: event });
});

function send(message: ToPage): void {
  page?.port.postMessage(message);
}

/** Measured now, and not when the browser next draws: it does not draw a frame that is scrolled out of sight. */
function sendHeight(): void {
  send({ type: "height", px: Math.ceil(root.getBoundingClientRect().height) });
}

function sendChange(): void {
  send({ type: "change", state: form.state() });
  sendHeight();
}

function setTheme(theme: string): void {
  if (theme === "light" || theme === "dark") root.dataset["theme"] = theme satisfies Theme;
}

function localize(): void {
  root.lang = locale;
  document.title = messages.frame_title;
  document.querySelectorAll<HTMLElement>("[data-text]").forEach((element) => {
    element.textContent = messages[element.dataset["text"] as keyof typeof messages];
  });
  document.querySelectorAll<HTMLInputElement>("[data-placeholder]").forEach((input) => {
    input.placeholder = messages[input.dataset["placeholder"] as keyof typeof messages];
  });
}

/** In words, and at its field; `param` names a field of this form, and is absent where the error stands at none. */
function explain(error: unknown): KuraError {
  const { type, code, detail } = error instanceof Failure ? error : new Failure("api_error", "internal");
  const message = textOf(messages, code, detail);
  const param = form.showFailure(code);
  return param === undefined ? { type, code, message } : { type, code, message, param };
}

async function createToken(id: number, name: string | null, origin: string): Promise<void> {
  if (form.isSealed()) {
    const code = "token_already_made";
    send({ type: "failed", id, error: { type: "validation_error", code, message: textOf(messages, code) } });
    return;
  }
  const card = form.read();
  if (!("number" in card)) {
    sendChange();
    send({ type: "failed", id, error: card });
    return;
  }
  form.setBusy(true);
  const answer = await ask(id, name === null ? card : { ...card, name }, origin);
  form.setBusy(false);
  // The state goes before the answer, so that a page that tidies up on a change does not wipe off what the answer says.
  sendChange();
  send(answer);
}

async function ask(id: number, card: Card, origin: string): Promise<ToPage> {
  try {
    const token = await tokens.create(card, origin);
    form.showSealed(token);
    return { type: "token", id, token };
  } catch (error) {
    return { type: "failed", id, error: explain(error) };
  }
}

function receive(message: ToFrame, origin: string): void {
  switch (message.type) {
    case "create_token":
      void createToken(message.id, message.name, origin);
      break;
    case "theme":
      setTheme(message.theme);
      break;
    case "focus":
      form.focus();
      break;
    case "clear":
      form.clear();
      sendChange();
      break;
  }
}

/** Meets the page once. Who frames us the browser has checked already (frame-ancestors of the key's allowed origins). */
function meetPage(): void {
  window.addEventListener("message", (event) => {
    const [port] = event.ports;
    const stranger = event.source !== window.parent || event.origin === "null" || event.origin === "";
    if (page || stranger || !port || opening(event.data) !== "connect") return;
    const { origin } = event;
    page = { port, origin };
    port.onmessage = ({ data }: MessageEvent<ToFrame>) => receive(data, origin);
    send({ type: "ready" });
    sendChange();
    new ResizeObserver(sendHeight).observe(root);
  });
  // To whoever frames us: it says nothing, and the answer is checked.
  window.parent.postMessage({ kura: "hello", version: VERSION } satisfies Hello, "*");
}

localize();
setTheme(location.hash.slice(1));
if (window.parent === window) byId("card", HTMLElement).textContent = messages.unusable;
else meetPage();
