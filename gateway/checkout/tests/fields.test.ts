// What people type, paste and have filled in.

import assert from "node:assert/strict";
import { test } from "node:test";

import { brandOf, cvcLength, groupNumber, luhn, maxLength, numberState } from "../src/brands";
import { caretAfter, digitsOf, expiryDigits, expiryState, formatExpiry, parseExpiry } from "../src/format";
import { messagesFor, textOf } from "../src/messages";

// Published test numbers of every network are known for what they are, and whole.
test("brands are told by their ranges", () => {
  const numbers: [string, string][] = [
    ["4242424242424242", "visa"], ["4222222222222", "visa"], ["5555555555554444", "mastercard"], ["2223003122003222", "mastercard"],
    ["378282246310005", "amex"], ["3530111333300000", "jcb"], ["30569309025904", "diners"], ["36227206271667", "diners"],
    ["6011111111111117", "discover"], ["6200000000000005", "unionpay"],
  ];
  for (const [number, brand] of numbers) {
    assert.equal(brandOf(number), brand, brand);
    assert.equal(numberState(number), "complete", brand);
    assert.equal(numberState(number.slice(0, -1)), "incomplete", brand);
  }
  assert.deepEqual([brandOf("35"), brandOf("2720"), brandOf("2721"), brandOf("")], ["unknown", "mastercard", "unknown", "unknown"]);
  assert.deepEqual([cvcLength("amex"), cvcLength("visa"), cvcLength("unknown")], [4, 3, undefined]);
  assert.deepEqual([maxLength("37"), maxLength("55"), maxLength("")], [15, 16, 19]);
});

// One wrong digit or two swapped ones are seen; a number of no network is refused early.
test("wrong numbers are seen", () => {
  assert.equal(numberState("4242424242424241"), "invalid");
  assert.equal(numberState("4242424242424422"), "invalid");
  assert.equal(numberState("9"), "unsupported");
  assert.equal(numberState("3"), "incomplete");
  assert.equal(numberState(""), "empty");
  assert.equal(luhn(""), false);
});

// Full-width digits, spaces, hyphens and words around a pasted number all come down to its digits.
test("any writing of a number becomes its digits, in the card's groups", () => {
  for (const text of ["４２４２　４２４２　４２４２　４２４２", "4242-4242-4242-4242", " 4242 4242\t4242 4242\n", "4242424242424242"]) {
    assert.equal(groupNumber(digitsOf(text)), "4242 4242 4242 4242");
  }
  assert.equal(groupNumber("378282246310005"), "3782 822463 10005");
  assert.equal(groupNumber("30569309025904"), "3056 930902 5904");
  assert.equal(groupNumber("42424"), "4242 4");
});

// Typed, pasted, filled in by a browser, in full width: all are the same month.
test("any writing of an expiry becomes MM / YY", () => {
  for (const text of ["1227", "12/27", "12 / 27", "12/2027", "122027", "2027-12", "１２／２７", "１２２７", "12-27", "12 27"]) {
    assert.equal(formatExpiry(expiryDigits(text)), "12 / 27", text);
  }
  for (const text of ["5", "05", "5/", "５"]) assert.equal(formatExpiry(expiryDigits(text)), "05 / ", text);
  assert.equal(formatExpiry(expiryDigits("1/27")), "01 / 27");
  assert.equal(formatExpiry(expiryDigits("1")), "1");
  assert.deepEqual(parseExpiry("0130"), { month: 1, year: 2030 });
});

// A card is good through the last day of its month.
test("expiry is judged by the month", () => {
  const today = new Date(2026, 10, 30, 23, 59);
  assert.equal(expiryState("1126", today), "complete");
  assert.equal(expiryState("1026", today), "past");
  assert.equal(expiryState("13", today), "invalid_month");
  assert.equal(expiryState("00", today), "invalid_month");
  assert.equal(expiryState("12", today), "incomplete");
  assert.equal(expiryState("", today), "empty");
});

// Editing in the middle leaves the caret behind the digit it stood behind.
test("the caret keeps its place among the digits", () => {
  assert.equal(caretAfter("4242 4242", 4), 4);
  assert.equal(caretAfter("4242 4242", 5), 6);
  assert.equal(caretAfter("12 / ", 2), 5);
  assert.equal(caretAfter("4242", 0), 0);
});

// A code without a text of ours falls back to the gateway's words, then to a general text; never to the code itself.
test("every code has words", () => {
  assert.match(textOf(messagesFor("en"), "expired_card"), /expired/);
  assert.equal(textOf(messagesFor("en"), "sealed_box_expired"), textOf(messagesFor("en"), "sealing_keys_untrusted"));
  assert.equal(textOf(messagesFor("en"), "new_code", "Words."), "Words.");
  assert.equal(textOf(messagesFor("ja"), "constructor"), messagesFor("ja").other);
});
