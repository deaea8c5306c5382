// Card networks by their number ranges (ISO/IEC 7812): which one, how long, how people group the digits.

export type Brand = "amex" | "diners" | "discover" | "jcb" | "mastercard" | "unionpay" | "visa" | "unknown";

interface Network {
  readonly brand: Exclude<Brand, "unknown">;
  /** Inclusive ranges of leading digits; both ends of a range have the same length. */
  readonly ranges: readonly (readonly [string, string])[];
  readonly lengths: readonly number[];
  readonly cvcLength: 3 | 4;
}

// The first match wins, so a range inside another network's stands before it.
const NETWORKS: readonly Network[] = [
  { brand: "visa", ranges: [["4", "4"]], lengths: [13, 16, 19], cvcLength: 3 },
  { brand: "mastercard", ranges: [["51", "55"], ["2221", "2720"]], lengths: [16], cvcLength: 3 },
  { brand: "amex", ranges: [["34", "34"], ["37", "37"]], lengths: [15], cvcLength: 4 },
  { brand: "jcb", ranges: [["3528", "3589"]], lengths: [16, 17, 18, 19], cvcLength: 3 },
  { brand: "diners", ranges: [["300", "305"], ["309", "309"], ["36", "36"], ["38", "39"]], lengths: [14, 16, 19], cvcLength: 3 },
  { brand: "discover", ranges: [["6011", "6011"], ["644", "649"], ["65", "65"]], lengths: [16, 19], cvcLength: 3 },
  { brand: "unionpay", ranges: [["62", "62"], ["81", "81"]], lengths: [16, 17, 18, 19], cvcLength: 3 },
];

const LONGEST = 19;

function within(digits: string, [low, high]: readonly [string, string]): boolean {
  const head = digits.slice(0, low.length);
  return head.length === low.length && head >= low && head <= high;
}

/** Whether more digits could still make this the beginning of a range. */
function mayBecome(digits: string, [low, high]: readonly [string, string]): boolean {
  const length = Math.min(digits.length, low.length);
  const head = digits.slice(0, length);
  return head >= low.slice(0, length) && head <= high.slice(0, length);
}

function networkOf(digits: string): Network | undefined {
  return NETWORKS.find((network) => network.ranges.some((range) => within(digits, range)));
}

/** The network of a number, as soon as its first digits tell. */
export function brandOf(digits: string): Brand {
  return networkOf(digits)?.brand ?? "unknown";
}

/** False once no network's number begins like this. */
export function mayBeSupported(digits: string): boolean {
  return NETWORKS.some((network) => network.ranges.some((range) => mayBecome(digits, range)));
}

/** Digits that a number of this beginning has at the most. */
export function maxLength(digits: string): number {
  const lengths = networkOf(digits)?.lengths ?? [LONGEST];
  return lengths[lengths.length - 1] ?? LONGEST;
}

/** Digits of the security code; undefined while the network is not known. */
export function cvcLength(brand: Brand): 3 | 4 | undefined {
  return NETWORKS.find((network) => network.brand === brand)?.cvcLength;
}

/** The check digit (ISO/IEC 7812-1 annex B). */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place += 1) {
    const value = digits.charCodeAt(digits.length - 1 - place) - 48;
    const doubled = place % 2 === 1 ? value * 2 : value;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** What can be said of a number as it stands. */
export type NumberState = "empty" | "incomplete" | "invalid" | "unsupported" | "complete";

export function numberState(digits: string): NumberState {
  if (digits === "") return "empty";
  if (!mayBeSupported(digits)) return "unsupported";
  const lengths = networkOf(digits)?.lengths;
  if (lengths?.includes(digits.length)) {
    if (luhn(digits)) return "complete";
    // A 13-digit Visa number is rare, and sixteen digits pass through thirteen.
    return digits.length >= 14 ? "invalid" : "incomplete";
  }
  return "incomplete";
}

/** The digits in the groups that are printed on the card: 4-4-4-4, 4-6-5 for Amex, 4-6-4 for Diners of fourteen. */
export function groupNumber(digits: string): string {
  const brand = brandOf(digits);
  const sixes = brand === "amex" || (brand === "diners" && digits.length <= 14);
  const pattern = sixes ? /^(\d{1,4})(\d{1,6})?(\d{1,5})?/ : /^(\d{1,4})(\d{1,4})?(\d{1,4})?(\d{1,4})?(\d{1,3})?/;
  const groups = pattern.exec(digits)?.slice(1) ?? [];
  return groups.filter((group): group is string => group !== undefined).join(" ");
}
