// Reads the text form of a share far enough to tell every typing error where it is. The whole reader is
// vault/custody/src/share.rs; tests/vectors/custody.json holds both to the same answers.

import { lengthPrefixed, utf8 } from "./bytes";

const SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
const HEAD = /^\s*kura[\s-]*share[\s-]*(\d+)\s*:/i;
const LETTERS = 8;
const GROUP = LETTERS + 1;
const GROUPS = 11;
const BODY_LENGTH = 50;
const LENGTH = 55;

export type Problem =
  | "not_a_share"
  | "version"
  | "groups"
  | "group_length"
  | "letter"
  | "mistyped"
  | "checksum"
  | "numbers";

/** Why a text is no share; `group` from 1 where one is to blame. */
export class ShareProblem extends Error {
  constructor(
    readonly problem: Problem,
    readonly group?: number,
    readonly detail?: number,
  ) {
    super(problem);
  }
}

/** The share as the vault wants it: one spelling. Throws a {@link ShareProblem}. */
export async function canonical(text: string): Promise<string> {
  const head = HEAD.exec(text);
  if (head === null) throw new ShareProblem("not_a_share");
  if (head[1] !== "1") throw new ShareProblem("version");
  const typed = text.slice(head[0].length);
  const letters = typed.replace(/[\s-]/g, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  if (letters.length !== GROUPS * GROUP) throw wrongLength(typed);
  const all = new Uint8Array(LENGTH);
  const groups: string[] = [];
  try {
    for (let group = 0; group < GROUPS; group += 1) {
      const symbols = letters.slice(group * GROUP, (group + 1) * GROUP);
      writeGroup(symbols, group + 1, all.subarray(group * 5, group * 5 + 5));
      groups.push(symbols);
    }
    const body = all.slice(0, BODY_LENGTH);
    const whole = lengthPrefixed([utf8("kura share v1"), body]);
    const check = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
    const right = all.slice(BODY_LENGTH).every((byte, at) => byte === check[at]);
    const [index, threshold] = [body[16] ?? 0, body[17] ?? 0];
    body.fill(0);
    whole.fill(0);
    if (!right) throw new ShareProblem("checksum");
    if (index === 0 || threshold < 2) throw new ShareProblem("numbers");
    return `KURA-SHARE-1:${groups.join("-")}`;
  } finally {
    all.fill(0);
  }
}

/** Five bytes of a group, after its check symbol (the number modulo 37) was found right. */
function writeGroup(symbols: string, group: number, out: Uint8Array): void {
  const digits = Array.from(symbols, (symbol) => SYMBOLS.indexOf(symbol));
  digits.forEach((digit, at) => {
    if (digit < 0 || (at < LETTERS && digit >= 32)) throw new ShareProblem("letter", group, at + 1);
  });
  // 40 bits: exact in a double.
  const number = digits.slice(0, LETTERS).reduce((sum, digit) => sum * 32 + digit, 0);
  if (number % 37 !== digits[LETTERS]) throw new ShareProblem("mistyped", group);
  for (let at = 0; at < out.length; at += 1) out[at] = Math.floor(number / 256 ** (4 - at)) % 256;
}

/** Where the person kept the groups apart, the first of another length is named. */
function wrongLength(typed: string): ShareProblem {
  const groups = typed.split(/[\s-]+/).filter((group) => group !== "");
  const uneven = groups.findIndex((group) => group.length !== GROUP);
  if (groups.length !== GROUPS || uneven < 0) return new ShareProblem("groups", groups.length, GROUPS);
  return new ShareProblem("group_length", uneven + 1, groups[uneven]?.length ?? 0);
}

/** Where a group stands in the text as it was typed, to show it: start and end. */
export function place(text: string, group: number): readonly [number, number] {
  let at = HEAD.exec(text)?.[0].length ?? 0;
  let passed = 0;
  let start = at;
  for (; at < text.length && passed < group * GROUP; at += 1) {
    if (/[\s-]/.test(text.charAt(at))) continue;
    if (passed === (group - 1) * GROUP) start = at;
    passed += 1;
  }
  return [start, at];
}
