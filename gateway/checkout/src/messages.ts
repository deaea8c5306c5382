// Every word that a shopper reads here, in both languages; the type keeps them in step.

import type { Locale } from "./protocol";

const en = {
  frame_title: "Secure card fields",
  number: "Card number",
  expiry: "Expiry",
  expiry_hint: "MM / YY",
  cvc: "Security code",
  cvc_hint: "CVC",
  name: "Name on card",
  optional: "optional",
  another: "Use another card",
  sealed: "Card ready",
  valid_thru: "Valid thru",
  promise: "Encrypted on this device. The shop never sees your card.",
  unusable: "This form can’t be used here.",

  incomplete_number: "The card number is incomplete.",
  invalid_number: "The card number is not right. Please check the digits.",
  unsupported_number: "We don’t take this kind of card.",
  incomplete_expiry: "The expiry date is incomplete.",
  invalid_expiry_month: "The month is from 01 to 12.",
  invalid_expiry_year: "The expiry year is not right.",
  expired_card: "This card has expired.",
  incomplete_cvc: "The security code is incomplete.",
  invalid_cvc: "The security code is not right.",
  name_too_long: "Please shorten the name.",
  invalid_card: "These card details can’t be read. Please enter them again.",

  token_already_made: "This card is ready already. Choose “Use another card” to change it.",
  connection_failed: "No connection to the payment service. Nothing was charged. Please try again.",
  card_form_unreachable: "The card form could not be loaded. Please reload the page.",
  not_mounted: "The card form is not on the page.",
  rate_limit: "Too many tries. Please wait a moment and try again.",
  sealing_keys: "Your card could not be encrypted safely, so nothing was sent. Please try again later.",
  unavailable: "Card payments are not available at the moment. Nothing was charged. Please try again shortly.",
  browser_unsupported: "This browser can’t encrypt your card. Please use a current browser over https.",
  card_payments_stopped: "Card payments are paused at the moment. Please try later or pay another way.",
  other: "Something went wrong. Nothing was charged. Please try again.",
};

export type Messages = typeof en;

const ja: Messages = {
  frame_title: "カード情報の入力欄（暗号化）",
  number: "カード番号",
  expiry: "有効期限",
  expiry_hint: "月 / 年",
  cvc: "セキュリティコード",
  cvc_hint: "CVC",
  name: "カード名義",
  optional: "任意",
  another: "別のカードを使う",
  sealed: "カードの準備ができました",
  valid_thru: "有効期限",
  promise: "この端末で暗号化します。お店にカード番号は渡りません。",
  unusable: "このフォームはここでは使えません。",

  incomplete_number: "カード番号が途中です。",
  invalid_number: "カード番号が正しくありません。もう一度ご確認ください。",
  unsupported_number: "このカードはご利用いただけません。",
  incomplete_expiry: "有効期限が途中です。",
  invalid_expiry_month: "月は 01 から 12 で入力してください。",
  invalid_expiry_year: "有効期限の年が正しくありません。",
  expired_card: "有効期限が切れています。",
  incomplete_cvc: "セキュリティコードが途中です。",
  invalid_cvc: "セキュリティコードが正しくありません。",
  name_too_long: "カード名義を短くしてください。",
  invalid_card: "カード情報を読み取れませんでした。もう一度入力してください。",

  token_already_made: "カードの準備はできています。変えるときは「別のカードを使う」を押してください。",
  connection_failed: "決済サービスに接続できません。請求はされていません。もう一度お試しください。",
  card_form_unreachable: "カード入力欄を読み込めませんでした。ページを再読み込みしてください。",
  not_mounted: "カード入力欄がページにありません。",
  rate_limit: "短い時間に何度も送信されました。少し待ってからお試しください。",
  sealing_keys: "カード情報を安全に暗号化できないため、送信を中止しました。時間をおいてお試しください。",
  unavailable: "ただいまカード払いを利用できません。請求はされていません。少し待ってからお試しください。",
  browser_unsupported: "このブラウザーではカード情報を暗号化できません。最新のブラウザーをお使いください。",
  card_payments_stopped: "ただいまカード払いを休止しています。時間をおくか、ほかの支払い方法をご利用ください。",
  other: "問題が起きました。請求はされていません。もう一度お試しください。",
};

/** The page's texts; without a wish, the browser's language decides. */
export function messagesFor(locale: Locale): Messages {
  return locale === "ja" ? ja : en;
}

export function localeOf(wish: string | null | undefined): Locale {
  if (wish === "ja" || wish === "en") return wish;
  return navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en";
}

// Codes of the gateway and of this script that share a text.
const TEXT_OF_CODE: Readonly<Record<string, keyof Messages>> = {
  incorrect_number: "invalid_number",
  incorrect_cvc: "invalid_cvc",
  sealing_keys_untrusted: "sealing_keys",
  sealing_keys_unavailable: "sealing_keys",
  sealing_key_expired: "sealing_keys",
  sealed_box_invalid: "sealing_keys",
  sealed_box_expired: "sealing_keys",
  vault_unavailable: "unavailable",
  overloaded: "unavailable",
};

/** The text for an error code; `detail` (the gateway's words) where we have none of our own. */
export function textOf(messages: Messages, code: string, detail?: string): string {
  const key = TEXT_OF_CODE[code] ?? code;
  return Object.prototype.hasOwnProperty.call(messages, key) ? messages[key as keyof Messages] : (detail ?? messages.other);
}
