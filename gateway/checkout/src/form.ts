// The four fields: formatting while one types, validation in words, reading the card once, emptying.
//
// The digits live in the inputs' values alone; there is no second copy to forget.

import { type Brand, brandOf, cvcLength, groupNumber, maxLength, numberState } from "./brands";
import type { KuraError } from "./errors";
import { caretAfter, digitsOf, expiryDigits, expiryState, formatExpiry, parseExpiry } from "./format";
import { type Messages, textOf } from "./messages";
import type { CardState, Token } from "./protocol";
import type { Card } from "./seal";

type FieldName = "number" | "expiry" | "cvc" | "name";

interface Field {
  readonly input: HTMLInputElement;
  readonly error: HTMLElement;
  /** The value as it should stand, of what stands there now. */
  format(text: string, deleting: boolean): string;
  /** What is wrong: at once (`live`), or only once the shopper has moved on or tried to pay. */
  problem(): { readonly code: string; readonly live: boolean } | undefined;
}

/** Finds an element that the page's HTML has for certain. */
export function byId<E extends Element>(id: string, type: new () => E): E {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`card.html has no ${id}`);
  return element;
}

const BRAND_NAMES: Readonly<Record<Brand, string>> = {
  amex: "Amex",
  diners: "Diners",
  discover: "Discover",
  jcb: "JCB",
  mastercard: "Mastercard",
  unionpay: "UnionPay",
  visa: "Visa",
  unknown: "",
};

/** Which field an error speaks of, ours and the gateway's. */
const FIELD_OF_CODE: ReadonlyMap<string, FieldName> = new Map(Object.entries({
  incomplete_number: "number",
  invalid_number: "number",
  incorrect_number: "number",
  unsupported_number: "number",
  incomplete_expiry: "expiry",
  invalid_expiry_month: "expiry",
  invalid_expiry_year: "expiry",
  expired_card: "expiry",
  incomplete_cvc: "cvc",
  invalid_cvc: "cvc",
  incorrect_cvc: "cvc",
  name_too_long: "name",
} as const));

export class CardForm {
  private readonly form = byId("fields", HTMLFormElement);
  private readonly sealed = byId("sealed", HTMLElement);
  private readonly fields: Readonly<Record<FieldName, Field>>;
  private brand: Brand = "unknown";

  constructor(
    private readonly messages: Messages,
    private readonly onEvent: (event: "change" | "focus" | "blur" | "submit") => void,
  ) {
    this.fields = {
      number: field("number", (text) => groupNumber(limit(digitsOf(text))), () => this.numberProblem()),
      expiry: field("expiry", formatExpiryField, () => this.expiryProblem()),
      cvc: field("cvc", (text) => digitsOf(text).slice(0, cvcLength(this.brand) ?? 4), () => this.cvcProblem()),
      name: field("name", (text) => text, () => undefined),
    };
    this.eachField((name) => this.listen(this.fields[name]));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("another", HTMLButtonElement).addEventListener("click", () => {
      this.clear();
      this.focus();
      onEvent("change");
    });
  }

  state(): CardState {
    const { number, expiry, cvc, name } = this.fields;
    const shown = [number, expiry, cvc, name].find((one) => one.input.getAttribute("aria-invalid") === "true");
    return {
      complete: !this.isSealed() && this.firstProblem() === undefined,
      empty: [number, expiry, cvc, name].every(({ input }) => input.value === ""),
      brand: this.brand,
      error: shown ? this.errorOf(shown.error.dataset["code"] ?? "invalid_card") : null,
    };
  }

  /** The card; or, with the problems now showing and the first bad field in focus, why there is none. */
  read(): Card | KuraError {
    const bad = this.firstProblem();
    const expiry = parseExpiry(expiryDigits(this.fields.expiry.input.value));
    if (bad || !expiry) {
      this.eachField((name) => this.show(this.fields[name], this.fields[name].problem()?.code));
      (bad ? this.fields[bad.name] : this.fields.expiry).input.focus();
      return this.errorOf(bad?.code ?? "incomplete_expiry");
    }
    const name = this.fields.name.input.value.trim();
    return {
      number: digitsOf(this.fields.number.input.value),
      exp_month: expiry.month,
      exp_year: expiry.year,
      cvc: digitsOf(this.fields.cvc.input.value),
      ...(name === "" ? {} : { name }),
    };
  }

  /** Shows an error at the field that it speaks of, and says which, if it speaks of one. */
  showFailure(code: string): FieldName | undefined {
    const name = FIELD_OF_CODE.get(code);
    if (name) {
      this.show(this.fields[name], code);
      this.fields[name].input.focus();
    }
    return name;
  }

  /** While a token is being made, nothing can be changed. */
  setBusy(busy: boolean): void {
    this.form.setAttribute("aria-busy", String(busy));
    this.eachField((name) => {
      this.fields[name].input.readOnly = busy;
    });
  }

  isSealed(): boolean {
    return !this.sealed.hidden;
  }

  /** Takes the card out of the document and shows what the token's answer tells of it. */
  showSealed(token: Token): void {
    this.empty();
    const brand = (Object.keys(BRAND_NAMES) as Brand[]).find((known) => known === token.card?.brand) ?? "unknown";
    const { last4, exp_month: month, exp_year: year } = token.card ?? {};
    paintBrand(byId("sealed-brand", HTMLElement), brand);
    const expiry = month && year ? ` ${String(month).padStart(2, "0")} / ${String(year).slice(-2)}` : "";
    byId("sealed-card", HTMLElement).textContent = `•••• ${last4 ?? "••••"}  ${expiry}`.trim();
    this.form.hidden = true;
    this.sealed.hidden = false;
  }

  /** Back to four empty fields. */
  clear(): void {
    this.empty();
    this.sealed.hidden = true;
    this.form.hidden = false;
  }

  focus(): void {
    if (this.isSealed()) byId("another", HTMLButtonElement).focus();
    else this.fields[this.firstProblem()?.name ?? "number"].input.focus();
  }

  private listen(one: Field): void {
    const { input } = one;
    input.addEventListener("input", (event) => {
      // While an input method composes, its text is not ours to change.
      if (!(event instanceof InputEvent && event.isComposing)) this.edited(one, event);
    });
    input.addEventListener("compositionend", (event) => this.edited(one, event));
    input.addEventListener("focus", () => this.onEvent("focus"));
    input.addEventListener("blur", () => {
      if (input.value !== "") this.show(one, one.problem()?.code);
      this.onEvent("change");
      this.onEvent("blur");
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.onEvent("submit");
    });
  }

  private edited(one: Field, event: Event): void {
    reformat(one, event instanceof InputEvent && event.inputType.startsWith("delete"));
    const { number, cvc } = this.fields;
    if (one === number) {
      this.brand = brandOf(digitsOf(number.input.value));
      paintBrand(byId("brand", HTMLElement), this.brand);
      byId("cvc-hint", SVGElement).classList.toggle("four", cvcLength(this.brand) === 4);
      // Another network may want another length of the code that stands there already.
      if (cvc.input.value !== "") this.show(cvc, cvc.problem()?.code);
    }
    const problem = one.problem();
    this.show(one, problem?.live ? problem.code : undefined);
    this.onEvent("change");
  }

  private empty(): void {
    this.eachField((name) => {
      this.fields[name].input.value = "";
      this.show(this.fields[name], undefined);
    });
    this.brand = "unknown";
    paintBrand(byId("brand", HTMLElement), this.brand);
    byId("cvc-hint", SVGElement).classList.remove("four");
  }

  private show({ input, error }: Field, code: string | undefined): void {
    if (code === undefined) input.removeAttribute("aria-invalid");
    else input.setAttribute("aria-invalid", "true");
    const text = code === undefined ? "" : textOf(this.messages, code);
    // Set only when it differs: a live region speaks at every change.
    if (error.textContent !== text) error.textContent = text;
    error.dataset["code"] = code ?? "";
  }

  private errorOf(code: string): KuraError {
    const param = FIELD_OF_CODE.get(code);
    const error = { type: "validation_error", code, message: textOf(this.messages, code) } as const;
    return param ? { ...error, param } : error;
  }

  private firstProblem(): { readonly name: FieldName; readonly code: string } | undefined {
    for (const name of ["number", "expiry", "cvc"] as const) {
      const problem = this.fields[name].problem();
      if (problem) return { name, code: problem.code };
    }
    return undefined;
  }

  private numberProblem() {
    switch (numberState(digitsOf(this.fields.number.input.value))) {
      case "complete":
        return undefined;
      case "invalid":
        return { code: "invalid_number", live: true };
      case "unsupported":
        return { code: "unsupported_number", live: true };
      default:
        return { code: "incomplete_number", live: false };
    }
  }

  private expiryProblem() {
    switch (expiryState(expiryDigits(this.fields.expiry.input.value), new Date())) {
      case "complete":
        return undefined;
      case "invalid_month":
        return { code: "invalid_expiry_month", live: true };
      case "past":
        return { code: "expired_card", live: true };
      default:
        return { code: "incomplete_expiry", live: false };
    }
  }

  private cvcProblem() {
    const length = digitsOf(this.fields.cvc.input.value).length;
    const expected = cvcLength(this.brand);
    const whole = expected === undefined ? length >= 3 : length === expected;
    return whole ? undefined : { code: "incomplete_cvc", live: false };
  }

  private eachField(act: (name: FieldName) => void): void {
    (["number", "expiry", "cvc", "name"] as const).forEach(act);
  }
}

function field(name: FieldName, format: Field["format"], problem: Field["problem"]): Field {
  return { input: byId(name, HTMLInputElement), error: byId(`${name}-error`, HTMLElement), format, problem };
}

function limit(digits: string): string {
  return digits.slice(0, maxLength(digits));
}

function formatExpiryField(text: string, deleting: boolean): string {
  const digits = expiryDigits(text);
  // Deleting the space behind the slash means the month's last digit: else the slash would come back for ever.
  if (deleting && /^\d{2} ?\/?$/.test(text)) return text.length === 2 ? text : digits.slice(0, 1);
  return formatExpiry(digits);
}

/** Writes the formatted text, with the caret behind the same digit as before. */
function reformat({ input, format }: Field, deleting: boolean): void {
  const typed = input.value;
  const formatted = format(typed, deleting);
  if (formatted === typed) return;
  const caret = input.selectionStart ?? typed.length;
  const atEnd = caret >= typed.length;
  const digitsBefore = digitsOf(typed.slice(0, caret)).length;
  input.value = formatted;
  if (document.activeElement !== input) return;
  const at = atEnd ? formatted.length : caretAfter(formatted, digitsBefore);
  input.setSelectionRange(at, at);
}

function paintBrand(badge: HTMLElement, brand: Brand): void {
  badge.dataset["brand"] = brand;
  badge.textContent = BRAND_NAMES[brand];
}
