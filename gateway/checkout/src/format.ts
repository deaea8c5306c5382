// From what people type, paste and let their browser fill in to digits, and back to what they see.

/** ASCII digits of a text. Full-width ones (１２３), which Japanese keyboards give, count; all else is dropped. */
export function digitsOf(text: string): string {
  return text.normalize("NFKC").replace(/[^0-9]/g, "");
}

/** An expiry as it stands in the field. */
export interface Expiry {
  readonly month: number;
  /** Four digits. */
  readonly year: number;
}

export type ExpiryState = "empty" | "incomplete" | "invalid_month" | "past" | "complete";

/**
 * The digits MMYY of whatever stands in the field: `1/27`, `12 / 27`, `12/2027`, `2027-12`, `１２２７`, and `5`, which can
 * only be May.
 */
export function expiryDigits(text: string): string {
  const plain = text.normalize("NFKC").trim();
  const iso = /^(\d{4})-(\d{1,2})$/.exec(plain);
  if (iso?.[1] && iso[2]) return iso[2].padStart(2, "0") + iso[1].slice(2);
  const [head = "", ...tail] = plain.split(/[^0-9]+/).filter((part) => part !== "");
  const split = tail.length > 0 || /^\d[^0-9]/.test(plain);
  const month = split && head.length === 1 && head !== "0" ? `0${head}` : head;
  let digits = month + tail.join("");
  if (/^[2-9]/.test(digits)) digits = `0${digits}`;
  return digits.length === 6 && digits.slice(2, 4) === "20" ? digits.slice(0, 2) + digits.slice(4) : digits.slice(0, 4);
}

/** `12 / 27`; the slash comes as soon as the month is there. */
export function formatExpiry(digits: string): string {
  return digits.length < 2 ? digits : `${digits.slice(0, 2)} / ${digits.slice(2)}`;
}

/** Reads MMYY; undefined while it is not whole. */
export function parseExpiry(digits: string): Expiry | undefined {
  if (!/^\d{4}$/.test(digits)) return undefined;
  return { month: Number(digits.slice(0, 2)), year: 2000 + Number(digits.slice(2)) };
}

/** A card is good through the last day of its month. */
export function expiryState(digits: string, today: Date): ExpiryState {
  if (digits === "") return "empty";
  if (digits.length >= 2 && !/^(0[1-9]|1[0-2])/.test(digits)) return "invalid_month";
  const expiry = parseExpiry(digits);
  if (!expiry) return "incomplete";
  const months = expiry.year * 12 + expiry.month;
  return months < today.getFullYear() * 12 + today.getMonth() + 1 ? "past" : "complete";
}

/** Where the caret belongs in `formatted` so that as many digits stand before it as did before formatting. */
export function caretAfter(formatted: string, digitsBefore: number): number {
  if (digitsBefore === 0) return 0;
  let seen = 0;
  for (let at = 0; at < formatted.length; at += 1) {
    if (/[0-9]/.test(formatted.charAt(at))) seen += 1;
    if (seen === digitsBefore) {
      const rest = formatted.slice(at + 1);
      return /[0-9]/.test(rest) ? at + 1 : formatted.length;
    }
  }
  return formatted.length;
}
