// The official Stripe Node SDK, unmodified, with only the base address and the key changed.
//
// Prints one line for each check; ends with status 1 at the first that fails. Sections whose paths the gateway does not serve
// are skipped, and the whole fails if it made fewer than 60 different calls.

import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import Stripe from "stripe";

const run = JSON.parse(readFileSync(process.env.KURA_RUN_JSON, "utf8"));
const base = new URL(run.gateway);
const served = new Set(Object.keys((await (await fetch(`${run.gateway}/openapi.json`)).json()).paths));
const LEAST = 60;
const calls = new Set();

const clientOf = (key, to = base, retries = 0) =>
  new Stripe(key, { protocol: "http", host: to.hostname, port: to.port, maxNetworkRetries: retries });
const stripe = clientOf(run.keys.sk_test);

function check(what, so) {
  console.log(`${so ? "ok   " : "FAIL "}${what}`);
  if (!so) process.exit(1);
}

// `call("customers.create", [{…}])` is `stripe.customers.create({…})`, counted.
function call(name, parameters = [], of = "") {
  calls.add(`${name} ${of}`);
  const parts = name.split(".");
  const verb = parts.pop();
  const service = parts.reduce((from, part) => from[part], stripe);
  return service[verb](...parameters);
}

async function raises(kind, act) {
  try {
    await act();
  } catch (error) {
    return error instanceof kind ? error : null;
  }
  return null;
}

function serves(...paths) {
  const missing = paths.filter((path) => !served.has(path));
  if (missing.length > 0) console.log(`skip ${missing.join(", ")}: not served`);
  return missing.length === 0;
}

const ids = (list) => list.data.map((one) => one.id);
const pay = (amount, more = {}) => ({ amount, currency: "jpy", payment_method: "pm_card_visa", confirm: true, ...more });
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function customers() {
  const made = await call("customers.create", [{ description: "年間会員", metadata: { member: "42", gone: "1" } }]);
  check("a customer is created", made.id.startsWith("cus_") && made.object === "customer");
  check("and retrieved", (await call("customers.retrieve", [made.id])).metadata.member === "42");
  const changed = await call("customers.update", [made.id, { description: "", metadata: { gone: "" } }]);
  check("an empty string unsets", changed.description === null && JSON.stringify(changed.metadata) === '{"member":"42"}');
  const person = { name: "山田 花子", email: "hanako@example.com", address: { line1: "1-1", country: "JP" } };
  const masked = await call("customers.update", [made.id, person], "person");
  check("a person is taken and masked", masked.email !== person.email && masked.email.includes("@"));
  const mine = [];
  for (let n = 0; n < 5; n += 1) mine.push((await call("customers.create", [{ metadata: { n } }], "metadata")).id);
  const listed = await call("customers.list", [{ limit: 2 }]);
  check("a page has its limit", listed.data.length === 2 && listed.has_more);
  const walked = [];
  await call("customers.list", [{ limit: 2 }], "autoPagingEach").autoPagingEach((one) => {
    walked.push(one.id);
    return walked.length < 200;
  });
  check("autoPagingEach walks all, newest first", walked.filter((id) => mine.includes(id)).join() === mine.reverse().join());
  const array = await call("customers.list", [{ limit: 2 }], "autoPagingToArray").autoPagingToArray({ limit: 4 });
  check("autoPagingToArray stops", array.length === 4);
  await call("customers.list", [{ created: { gte: made.created }, ending_before: mine[4] }], "bounds");
  check("and is deleted", (await call("customers.del", [mine[0]])).deleted === true);
  check("a deleted one says so", (await call("customers.retrieve", [mine[0]], "deleted")).deleted === true);
  return made.id;
}

async function paymentMethods(customer) {
  const attached = await call("paymentMethods.attach", ["pm_card_visa", { customer }]);
  check("a test card is attached", attached.customer === customer && attached.card.last4 === "4242");
  const again = await call("paymentMethods.retrieve", [attached.id, { expand: ["customer"] }]);
  check("and shows its customer", again.customer.id === customer);
  check("and is listed", ids(await call("paymentMethods.list", [{ customer, type: "card" }])).includes(attached.id));
  check("with the customer too", ids(await call("customers.listPaymentMethods", [customer])).includes(attached.id));
  const one = await call("customers.retrievePaymentMethod", [customer, attached.id]);
  check("and one by one", one.id === attached.id);
  const changed = await call("paymentMethods.update", [attached.id, { card: { exp_month: 9, exp_year: 2038 }, metadata: { shelf: "4" } }]);
  check("its expiry is updated", changed.card.exp_month === 9 && changed.card.exp_year === 2038 && changed.metadata.shelf === "4");
  const other = await call("paymentMethods.attach", ["pm_card_mastercard", { customer }], "mastercard");
  check("another is detached", (await call("paymentMethods.detach", [other.id])).customer === null);
  const made = await call("paymentMethods.create", [{ type: "card", card: { token: "tok_visa" } }]);
  check("one is made from a token", made.type === "card");
  return attached.id;
}

async function payments(customer, card) {
  const params = { amount: 1200, currency: "jpy", payment_method: card, customer, metadata: { order: "A-1" } };
  let intent = await call("paymentIntents.create", [params]);
  check("a payment waits for confirmation", intent.status === "requires_confirmation");
  check("and has a client secret", intent.client_secret.startsWith(`${intent.id}_secret_`));
  intent = await call("paymentIntents.update", [intent.id, { description: "靴", metadata: { order: "A-2" } }]);
  check("it is updated", intent.description === "靴" && intent.metadata.order === "A-2");
  intent = await call("paymentIntents.confirm", [intent.id]);
  check("confirmed, it has succeeded", intent.status === "succeeded" && intent.amount_received === 1200);
  intent = await call("paymentIntents.retrieve", [intent.id, { expand: ["latest_charge", "customer", "payment_method"] }]);
  const details = intent.latest_charge.payment_method_details.card;
  check("its charge expands and shows brand and last four", details.brand === "visa" && details.last4 === "4242");
  check("its customer and card do too", intent.customer.id === customer && intent.payment_method.id === card);
  check("those of a customer are listed", ids(await call("paymentIntents.list", [{ customer }])).join() === intent.id);
  const held = await call("paymentIntents.create", [pay(5000, { capture_method: "manual" })], "manual");
  check("a manual payment is held", held.status === "requires_capture" && held.amount_capturable === 5000);
  const part = await call("paymentIntents.capture", [held.id, { amount_to_capture: 3000 }]);
  check("and captured in part", part.amount_received === 3000);
  const jcb = pay(700, { capture_method: "manual", payment_method: "pm_card_jcb" });
  const voided = await call("paymentIntents.create", [jcb], "jcb");
  const done = await call("paymentIntents.cancel", [voided.id, { cancellation_reason: "duplicate" }]);
  check("another is canceled", done.status === "canceled" && done.cancellation_reason === "duplicate");
  const later = { amount: 300, currency: "jpy", payment_method_types: ["card"] };
  const waiting = await call("paymentIntents.create", [later], "later");
  const paid = await call("paymentIntents.confirm", [waiting.id, { payment_method: "pm_card_amex" }], "payment_method");
  check("a card named at its confirmation pays", paid.status === "succeeded");
  const kept = pay(450, { customer, setup_future_usage: "off_session", payment_method: "pm_card_mastercard" });
  check("a card is kept on the way", (await call("paymentIntents.create", [kept], "saved")).setup_future_usage === "off_session");
  const dollars = await call("paymentIntents.create", [pay(1999, { currency: "usd" })], "usd");
  check("dollars are in cents", dollars.amount_received === 1999);
  const listed = await call("paymentIntents.list", [{ limit: 3, expand: ["data.latest_charge"] }], "expand");
  check("a list expands", listed.data.every((one) => one.latest_charge === null || one.latest_charge.object === "charge"));
  const billing_details = { name: "山田 花子", email: "hanako@example.com", phone: "0312345678" };
  const konbini = {
    amount: 3000, currency: "jpy", confirm: true, payment_method_types: ["konbini"],
    payment_method_data: { type: "konbini", billing_details },
  };
  const deposit = await call("paymentIntents.create", [konbini], "konbini");
  check("a konbini payment waits at the store", deposit.next_action.type === "konbini_display_details");
  check("and can be called off", (await call("paymentIntents.cancel", [deposit.id], "konbini")).status === "canceled");
  return intent;
}

async function declines() {
  for (const [method, code, decline] of [
    ["pm_card_chargeDeclined", "card_declined", "generic_decline"],
    ["pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"],
    ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"],
  ]) {
    const params = pay(900, { payment_method: method });
    const error = await raises(Stripe.errors.StripeCardError, () => call("paymentIntents.create", [params], method));
    const so = error?.statusCode === 402 && error.code === code && error.decline_code === decline;
    check(`${method} is a StripeCardError with ${decline}`, so);
    check("which names the intent", error.payment_intent.status === "requires_payment_method");
  }
}

async function refunds(intent) {
  const charge = intent.latest_charge.id;
  const refund = await call("refunds.create", [{ payment_intent: intent.id, amount: 200, reason: "duplicate" }]);
  check("a part is refunded", refund.status === "succeeded" && refund.amount === 200);
  check("and the rest", (await call("refunds.create", [{ charge }], "charge")).amount === 1000);
  const more = () => call("refunds.create", [{ payment_intent: intent.id }], "too much");
  check("and no more", (await raises(Stripe.errors.StripeInvalidRequestError, more))?.code === "charge_already_refunded");
  check("a refund is read", (await call("refunds.retrieve", [refund.id, { expand: ["charge"] }])).charge.id === charge);
  check("and listed", (await call("refunds.list", [{ payment_intent: intent.id }])).data.length === 2);
  check("the charge says so", (await call("charges.retrieve", [charge])).amount_refunded === 1200);
  check("charges are listed", ids(await call("charges.list", [{ payment_intent: intent.id }])).join() === charge);
}

async function setups(customer) {
  const params = { customer, payment_method_types: ["card"], usage: "off_session" };
  const setup = await call("setupIntents.create", [params]);
  check("a set-up waits for a card", setup.status === "requires_payment_method");
  check("and has a client secret", setup.client_secret.startsWith(`${setup.id}_secret_`));
  check("it is updated", (await call("setupIntents.update", [setup.id, { description: "定期" }])).description === "定期");
  const done = await call("setupIntents.confirm", [setup.id, { payment_method: "pm_card_visa" }]);
  check("confirmed, the card is kept", done.status === "succeeded");
  check("it is read", (await call("setupIntents.retrieve", [setup.id])).payment_method === done.payment_method);
  check("and listed", ids(await call("setupIntents.list", [{ customer, limit: 1 }])).join() === setup.id);
  const other = await call("setupIntents.create", [{ metadata: { a: "b" } }], "metadata");
  check("another is canceled", (await call("setupIntents.cancel", [other.id])).status === "canceled");
}

async function events(intent) {
  const told = await call("events.list", [{ type: "payment_intent.succeeded", limit: 50 }]);
  const mine = told.data.filter((event) => event.data.object.id === intent.id);
  check("the payment was told once", mine.length === 1);
  check("without its client secret", mine[0].data.object.client_secret === null);
  check("an event is read", (await call("events.retrieve", [mine[0].id])).type === "payment_intent.succeeded");
  const types = ["charge.succeeded", "charge.refunded"];
  const many = await call("events.list", [{ types, limit: 5 }], "types");
  check("several kinds at once", many.data.every((event) => types.includes(event.type)));
}

async function webhooks() {
  if (serves("/v1/webhook_endpoints", "/v1/webhook_endpoints/{id}")) {
    const params = { url: "https://shop.example/hook", enabled_events: ["charge.succeeded"] };
    const hook = await call("webhookEndpoints.create", [params]);
    check("a webhook endpoint shows its secret once", hook.secret.startsWith("whsec_"));
    check("and not again", !(await call("webhookEndpoints.retrieve", [hook.id])).secret);
    const changed = await call("webhookEndpoints.update", [hook.id, { enabled_events: ["*"], disabled: true }]);
    check("it is updated", changed.status === "disabled" && changed.enabled_events.join() === "*");
    check("and listed", ids(await call("webhookEndpoints.list", [{ limit: 100 }])).includes(hook.id));
    check("and deleted", (await call("webhookEndpoints.del", [hook.id])).deleted === true);
  }
  const secret = `whsec_${"a".repeat(32)}`;
  const at = Math.floor(Date.now() / 1000);
  const object = { id: "ch_1", object: "charge" };
  const payload = JSON.stringify({ id: "evt_1", object: "event", type: "charge.succeeded", data: { object } });
  const signature = createHmac("sha256", secret).update(`${at}.${payload}`).digest("hex");
  const event = stripe.webhooks.constructEvent(payload, `t=${at},v1=${signature}`, secret);
  check("constructEvent takes what is signed", event.data.object.id === "ch_1");
  const wrong = () => stripe.webhooks.constructEvent(`${payload} `, `t=${at},v1=${signature}`, secret);
  check("and refuses what is not", (await raises(Stripe.errors.StripeSignatureVerificationError, wrong)) !== null);
}

async function catalogue() {
  if (!serves("/v1/products", "/v1/prices", "/v1/prices/{id}")) return null;
  const product = await call("products.create", [{ name: "Coffee", metadata: { roast: "dark" } }]);
  check("a product is created", product.active);
  check("it is updated", (await call("products.update", [product.id, { description: "beans" }])).description === "beans");
  check("and read", (await call("products.retrieve", [product.id])).metadata.roast === "dark");
  check("and listed", ids(await call("products.list", [{ ids: [product.id] }])).includes(product.id));
  const params = { product: product.id, currency: "jpy", unit_amount: 980, recurring: { interval: "month" } };
  const price = await call("prices.create", [params]);
  check("a price is created", price.unit_amount === 980 && price.recurring.interval === "month");
  check("it is updated", (await call("prices.update", [price.id, { nickname: "monthly" }])).nickname === "monthly");
  const read = await call("prices.retrieve", [price.id, { expand: ["product"] }]);
  check("and expands its product", read.product.id === product.id);
  check("and listed", ids(await call("prices.list", [{ product: product.id }])).includes(price.id));
  const empty = await call("products.create", [{ name: "none" }], "unused");
  check("a product without prices is deleted", (await call("products.del", [empty.id])).deleted === true);
  return price.id;
}

async function subscriptions(customer, card, price) {
  if (!price || !serves("/v1/subscriptions", "/v1/subscriptions/{id}", "/v1/invoices")) return;
  const params = { customer, items: [{ price }], default_payment_method: card };
  const made = await call("subscriptions.create", [params]);
  check("a subscription is created", made.id.startsWith("sub_"));
  check("it is updated", (await call("subscriptions.update", [made.id, { metadata: { plan: "a" } }])).metadata.plan === "a");
  const read = await call("subscriptions.retrieve", [made.id, { expand: ["customer"] }]);
  check("and read", read.customer.id === customer);
  check("and listed", ids(await call("subscriptions.list", [{ customer }])).includes(made.id));
  const invoices = await call("invoices.list", [{ customer }]);
  check("it is invoiced", invoices.data.length >= 1);
  check("and an invoice is read", (await call("invoices.retrieve", [invoices.data[0].id])).customer === customer);
  const pause = { pause_collection: { behavior: "void" } };
  const paused = await call("subscriptions.update", [made.id, pause], "pause");
  check("its collection rests", paused.pause_collection.behavior === "void");
  const goesOn = await call("subscriptions.update", [made.id, { pause_collection: "" }], "resume");
  check("and goes on", goesOn.pause_collection === null);
  check("it is canceled", (await call("subscriptions.cancel", [made.id])).status === "canceled");
  if (serves("/v1/subscription_items")) {
    check("items are listed", (await call("subscriptionItems.list", [{ subscription: made.id }])).object === "list");
  }
}

async function invoices(customer, card) {
  const item = await call("invoiceItems.create", [{ customer, amount: 1200, currency: "jpy", description: "設置" }]);
  check("an invoice item waits", item.invoice === null && item.amount === 1200);
  check("it is updated", (await call("invoiceItems.update", [item.id, { amount: 1500 }])).amount === 1500);
  check("and read", (await call("invoiceItems.retrieve", [item.id, { expand: ["customer"] }])).customer.id === customer);
  check("and listed", ids(await call("invoiceItems.list", [{ customer, pending: true }])).includes(item.id));
  const other = await call("invoiceItems.create", [{ customer, amount: 5, currency: "jpy" }], "other");
  check("another is deleted", (await call("invoiceItems.del", [other.id])).deleted === true);
  const sending = { collection_method: "send_invoice", days_until_due: 30, pending_invoice_items_behavior: "include" };
  const draft = await call("invoices.create", [{ customer, ...sending }]);
  check("an invoice takes in what waits", draft.status === "draft" && draft.total === 1500 && draft.due_date > draft.created);
  check("it is updated", (await call("invoices.update", [draft.id, { description: "七月分" }])).description === "七月分");
  const sent = await call("invoices.sendInvoice", [draft.id, { expand: ["confirmation_secret"] }]);
  check("it is sent with what the shopper pays with", sent.status === "open" && sent.confirmation_secret.client_secret.includes("_secret_"));
  check("and paid", (await call("invoices.pay", [draft.id, { payment_method: card }])).status === "paid");
  const empty = await call("invoices.create", [{ customer }], "empty");
  check("a draft is deleted", (await call("invoices.del", [empty.id])).deleted === true);
}

async function clocks() {
  if (!serves("/v1/test_helpers/test_clocks", "/v1/test_helpers/test_clocks/{id}/advance")) return;
  const frozen_time = Math.floor(Date.now() / 1000);
  const clock = await call("testHelpers.testClocks.create", [{ frozen_time, name: "sdk" }]);
  check("a test clock stands still", clock.frozen_time === frozen_time);
  await call("testHelpers.testClocks.advance", [clock.id, { frozen_time: frozen_time + 3600 }]);
  let turned = clock;
  for (let n = 0; n < 100 && turned.frozen_time === frozen_time; n += 1) {
    await sleep(100);
    turned = await call("testHelpers.testClocks.retrieve", [clock.id]);
    if (turned.status !== "ready") turned = clock;
  }
  check("it is turned", turned.frozen_time === frozen_time + 3600);
  check("it is listed", ids(await call("testHelpers.testClocks.list")).includes(clock.id));
  check("and deleted", (await call("testHelpers.testClocks.del", [clock.id])).deleted === true);
}

async function checkouts() {
  const path = "/v1/checkout/sessions";
  if (!serves(path, `${path}/{id}`, `${path}/{id}/expire`)) return;
  const item = { price_data: { currency: "jpy", unit_amount: 500, product_data: { name: "Tea" } }, quantity: 2 };
  const urls = { success_url: "https://shop.example/thanks", cancel_url: "https://shop.example/cart" };
  const session = await call("checkout.sessions.create", [{ mode: "payment", line_items: [item], ...urls }]);
  check("a checkout session is opened", session.status === "open" && session.amount_total === 1000 && session.url);
  check("it is read", (await call("checkout.sessions.retrieve", [session.id])).id === session.id);
  check("and listed", ids(await call("checkout.sessions.list", [{ limit: 10 }])).includes(session.id));
  if (serves(`${path}/{id}/line_items`)) {
    check("its items are listed", (await call("checkout.sessions.listLineItems", [session.id])).data.length === 1);
  }
  check("it expires", (await call("checkout.sessions.expire", [session.id])).status === "expired");
}

async function money() {
  if (serves("/v1/disputes", "/v1/disputes/{id}")) {
    for (const { id } of (await call("disputes.list", [{ limit: 3 }])).data) {
      check("a dispute is read", (await call("disputes.retrieve", [id])).object === "dispute");
    }
    const [charge] = (await stripe.charges.list({ limit: 1 })).data;
    const evidence = { customer_name: "山田 花子", product_description: "靴" };
    const said = () => call("disputes.update", [`dp_${charge.id.slice(3)}`, { evidence, submit: true }]);
    const error = await raises(Stripe.errors.StripeInvalidRequestError, said);
    check("evidence about a person is refused", error?.code === "dispute_evidence_personal");
  }
  if (serves("/v1/balance")) check("the balance is read", (await call("balance.retrieve")).object === "balance");
  if (serves("/v1/balance_transactions", "/v1/balance_transactions/{id}")) {
    for (const { id } of (await call("balanceTransactions.list", [{ limit: 1 }])).data) {
      check("a movement is read", (await call("balanceTransactions.retrieve", [id])).object === "balance_transaction");
    }
  }
}

// Between the SDK and the gateway: does to the next requests what is in `plan`, then passes on.
async function retries() {
  let plan = [];
  let seen = [];
  const proxy = http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      seen.push(request.headers["idempotency-key"]);
      const act = plan.shift() ?? "pass";
      if (act === "break") return request.socket.destroy();
      if (typeof act === "number") {
        const type = { 409: "invalid_request_error", 429: "rate_limit_error" }[act] ?? "api_error";
        response.writeHead(act, { "content-type": "application/json" });
        return response.end(JSON.stringify({ error: { type, code: "x", message: "x" } }));
      }
      const { hostname, port } = base;
      const { method, url: path } = request;
      const headers = { ...request.headers, host: base.host };
      const through = http.request({ hostname, port, method, path, headers }, (answer) => {
        if (act === "lose") return request.socket.destroy();
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      through.end(Buffer.concat(chunks));
    });
  });
  await new Promise((ready) => proxy.listen(0, "127.0.0.1", ready));
  const to = new URL(`http://127.0.0.1:${proxy.address().port}`);
  const patient = clientOf(run.keys.sk_test, to, 3);
  for (const what of ["break", "lose", 409, 500]) {
    [plan, seen] = [[what], []];
    const note = randomUUID();
    const made = await patient.paymentIntents.create(pay(654, { metadata: { note } }));
    const same = seen.length === 2 && new Set(seen).size === 1 && Boolean(seen[0]);
    check(`after ${what} the SDK asks again with the same key`, same && made.status === "succeeded");
    const paid = (await stripe.paymentIntents.list({ limit: 20 })).data.filter((one) => one.metadata.note === note);
    check("and it was paid once", paid.length === 1 && paid[0].id === made.id);
    calls.add(`retry ${what}`);
  }
  plan = [429];
  const limited = () => clientOf(run.keys.sk_test, to).customers.list();
  check("429 is a StripeRateLimitError", (await raises(Stripe.errors.StripeRateLimitError, limited)) !== null);
  proxy.close();
  proxy.closeAllConnections();
}

async function errors(intent) {
  const { StripeIdempotencyError, StripeInvalidRequestError, StripeAuthenticationError, StripePermissionError } = Stripe.errors;
  const idempotencyKey = randomUUID();
  const first = await stripe.paymentIntents.create(pay(321), { idempotencyKey });
  const again = await stripe.paymentIntents.create(pay(321), { idempotencyKey });
  check("the same Idempotency-Key gives the same payment", first.id === again.id);
  let error = await raises(StripeIdempotencyError, () => stripe.paymentIntents.create(pay(322), { idempotencyKey }));
  check("and refuses other parameters", error?.statusCode === 400);
  error = await raises(StripeInvalidRequestError, () => stripe.paymentIntents.create({ ...pay(1), colour: "red" }));
  check("an unknown parameter is named", error?.param === "colour" && error.code === "parameter_unknown");
  const stranger = clientOf(run.keys.other_sk_test);
  error = await raises(StripeInvalidRequestError, () => stranger.paymentIntents.retrieve(intent.id));
  check("another merchant's payment does not exist", error?.statusCode === 404);
  error = await raises(StripeAuthenticationError, () => clientOf("sk_test_wrong").paymentIntents.list());
  check("a wrong key is a StripeAuthenticationError", error !== null);
  check("every answer has its request id", error.requestId.startsWith("req_"));
  const open = clientOf(run.keys.pk_test);
  error = await raises(StripePermissionError, () => open.customers.list());
  check("a publishable key is a StripePermissionError", error?.statusCode === 403);
  const { client_secret } = await stripe.paymentIntents.retrieve(intent.id);
  const shown = await open.paymentIntents.retrieve(intent.id, { client_secret });
  check("but reads the payment whose secret it has", shown.status === "succeeded" && shown.customer === null);
  error = await raises(StripeInvalidRequestError, () => stripe.customers.list({}, { stripeAccount: "acct_1" }));
  check("connected accounts are refused", error?.code === "connect_unsupported");
  error = await raises(StripeInvalidRequestError, () => stripe.customers.list({ expand: ["data.colour"] }));
  check("what can't be expanded is refused", error?.code === "expand_unknown");
}

const customer = await customers();
const card = await paymentMethods(customer);
const intent = await payments(customer, card);
await declines();
await refunds(intent);
await setups(customer);
await events(intent);
await webhooks();
await subscriptions(customer, card, await catalogue());
await invoices(customer, card);
await clocks();
await checkouts();
await money();
await errors(intent);
await retries();
check(`${calls.size} different calls, at least ${LEAST}`, calls.size >= LEAST);
