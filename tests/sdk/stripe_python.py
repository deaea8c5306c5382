"""The official Stripe Python SDK, unmodified, with only the base address and the key changed.

Prints one line for each check; ends with status 1 at the first that fails. Sections whose paths the gateway does not serve are
skipped, and the whole fails if it made fewer than 60 different calls.
"""

import asyncio
import decimal
import hashlib
import hmac
import http.client
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

import stripe

run = json.load(open(os.environ["KURA_RUN_JSON"], encoding="utf-8"))
BASE, KEY = run["gateway"], run["keys"]["sk_test"]
SERVED = set(json.load(urllib.request.urlopen(BASE + "/openapi.json"))["paths"])
LEAST = 60
calls = set()


def client_of(key, base=BASE, retries=0):
    return stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=retries)


client = client_of(KEY)
v1 = client.v1


def check(what, so):
    print(("ok   " if so else "FAIL ") + what, flush=True)
    if not so:
        sys.exit(1)


def call(service, verb, *arguments, of=None):
    """`call("customers", "create", {...})` is `client.v1.customers.create({...})`, counted."""
    calls.add(f"{service}.{verb}" + (f" {of}" if of else ""))
    target = v1
    for part in service.split("."):
        target = getattr(target, part)
    return getattr(target, verb)(*arguments)


def raises(kind, act):
    try:
        act()
    except kind as error:
        return error
    return None


def served(*paths):
    missing = [path for path in paths if path not in SERVED]
    if missing:
        print("skip " + ", ".join(missing) + ": not served", flush=True)
    return not missing


def until(what, so):
    for _ in range(100):
        if so():
            return check(what, True)
        time.sleep(0.1)
    return check(what, False)


def pay(amount, **more):
    return {"amount": amount, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True, **more}


def customers():
    made = call("customers", "create", {"description": "年間会員", "metadata": {"member": "42", "gone": "1"}})
    check("a customer is created", made.id.startswith("cus_") and made.object == "customer")
    check("and retrieved", call("customers", "retrieve", made.id).metadata["member"] == "42")
    changed = call("customers", "update", made.id, {"description": "", "metadata": {"gone": ""}})
    check("an empty string unsets", changed.description is None and changed.metadata.to_dict() == {"member": "42"})
    person = {"name": "山田 花子", "email": "hanako@example.com", "phone": "+81312345678", "address": {"line1": "1-1", "country": "JP"}}
    masked = call("customers", "update", made.id, person, of="person")
    check("a person is taken and masked", masked.email != person["email"] and "@" in masked.email)
    mine = [call("customers", "create", {"metadata": {"n": str(n)}}, of="metadata").id for n in range(5)]
    listed = call("customers", "list", {"limit": 2})
    check("a page has its limit", len(listed.data) == 2 and listed.has_more)
    walked = []
    for one in call("customers", "list", {"limit": 2}, of="auto_paging_iter").auto_paging_iter():
        walked.append(one.id)
        if len(walked) >= 200:
            break
    check("auto_paging_iter walks all, newest first", [id for id in walked if id in mine] == mine[::-1])
    call("customers", "list", {"created": {"gte": made.created}, "ending_before": mine[0]}, of="bounds")
    check("and is deleted", call("customers", "delete", mine[0]).deleted is True)
    check("a deleted one says so", call("customers", "retrieve", mine[0], of="deleted").deleted is True)
    return made.id


def payment_methods(customer):
    attached = call("payment_methods", "attach", "pm_card_visa", {"customer": customer})
    check("a test card is attached", attached.customer == customer and attached.card.last4 == "4242")
    again = call("payment_methods", "retrieve", attached.id, {"expand": ["customer"]})
    check("and shows its customer", again.customer.id == customer)
    check("and is listed", attached.id in [one.id for one in call("payment_methods", "list", {"customer": customer, "type": "card"}).data])
    of_customer = call("customers.payment_methods", "list", customer)
    check("with the customer too", attached.id in [one.id for one in of_customer.data])
    one = call("customers.payment_methods", "retrieve", customer, attached.id)
    check("and one by one", one.id == attached.id)
    changed = call("payment_methods", "update", attached.id, {"card": {"exp_month": 9, "exp_year": 2038}, "metadata": {"shelf": "4"}})
    check("its expiry is updated", (changed.card.exp_month, changed.card.exp_year, changed.metadata["shelf"]) == (9, 2038, "4"))
    other = call("payment_methods", "attach", "pm_card_mastercard", {"customer": customer}, of="mastercard")
    check("another is detached", call("payment_methods", "detach", other.id).customer is None)
    made = call("payment_methods", "create", {"type": "card", "card": {"token": "tok_visa"}})
    check("one is made from a token", made.type == "card")
    return attached.id


def payments(customer, card):
    params = {"amount": 1200, "currency": "jpy", "payment_method": card, "customer": customer, "metadata": {"order": "A-1"}}
    intent = call("payment_intents", "create", params)
    check("a payment waits for confirmation", intent.status == "requires_confirmation")
    check("and has a client secret", intent.client_secret.startswith(intent.id + "_secret_"))
    intent = call("payment_intents", "update", intent.id, {"description": "靴", "metadata": {"order": "A-2", "size": "L"}})
    check("it is updated", intent.description == "靴" and intent.metadata["size"] == "L")
    intent = call("payment_intents", "confirm", intent.id)
    check("confirmed, it has succeeded", intent.status == "succeeded" and intent.amount_received == 1200)
    intent = call("payment_intents", "retrieve", intent.id, {"expand": ["latest_charge", "customer", "payment_method"]})
    details = intent.latest_charge.payment_method_details.card
    check("its charge expands and shows brand and last four", (details.brand, details.last4) == ("visa", "4242"))
    check("its customer and card do too", intent.customer.id == customer and intent.payment_method.id == card)
    check("those of a customer are listed", [one.id for one in call("payment_intents", "list", {"customer": customer}).data] == [intent.id])
    held = call("payment_intents", "create", pay(5000, capture_method="manual"), of="manual")
    check("a manual payment is held", held.status == "requires_capture" and held.amount_capturable == 5000)
    part = call("payment_intents", "capture", held.id, {"amount_to_capture": 3000})
    check("and captured in part", part.amount_received == 3000)
    voided = call("payment_intents", "create", pay(700, capture_method="manual", payment_method="pm_card_jcb"), of="jcb")
    done = call("payment_intents", "cancel", voided.id, {"cancellation_reason": "requested_by_customer"})
    check("another is canceled", done.status == "canceled" and done.cancellation_reason == "requested_by_customer")
    waiting = call("payment_intents", "create", {"amount": 300, "currency": "jpy", "payment_method_types": ["card"]}, of="later")
    paid = call("payment_intents", "confirm", waiting.id, {"payment_method": "pm_card_amex"}, of="payment_method")
    check("a card named at its confirmation pays", paid.status == "succeeded")
    saved = call("payment_intents", "create", pay(450, customer=customer, setup_future_usage="off_session", payment_method="pm_card_mastercard"), of="saved")
    check("a card is kept on the way", saved.setup_future_usage == "off_session")
    dollars = call("payment_intents", "create", pay(1999, currency="usd"), of="usd")
    check("dollars are in cents", dollars.currency == "usd" and dollars.amount_received == 1999)
    listed = call("payment_intents", "list", {"limit": 3, "expand": ["data.latest_charge"]}, of="expand")
    check("a list expands", all(one.latest_charge is None or one.latest_charge.object == "charge" for one in listed.data))
    return intent


def deposits():
    waiting = call("payment_intents", "create", {
        "amount": 3000, "currency": "jpy", "confirm": True, "payment_method_types": ["konbini"],
        "payment_method_data": {"type": "konbini", "billing_details": {"name": "山田 花子", "email": "hanako@example.com", "phone": "0312345678"}},
    }, of="konbini")  # fmt: skip
    check("a konbini payment waits at the store", waiting.next_action.type == "konbini_display_details")
    check("and can be called off", call("payment_intents", "cancel", waiting.id, of="konbini").status == "canceled")


def declines():
    for method, code, decline in [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ]:
        error = raises(stripe.CardError, lambda: call("payment_intents", "create", pay(900, payment_method=method), of=method))
        body = error.json_body["error"] if error else {}
        check(
            f"{method} is a CardError with {decline}",
            error is not None and error.http_status == 402 and error.code == code and body.get("decline_code") == decline,
        )
        check("which names the intent", body["payment_intent"]["status"] == "requires_payment_method")


def refunds(intent):
    refund = call("refunds", "create", {"payment_intent": intent.id, "amount": 200, "reason": "requested_by_customer"})
    check("a part is refunded", refund.status == "succeeded" and refund.amount == 200)
    check("and the rest", call("refunds", "create", {"charge": intent.latest_charge.id}, of="charge").amount == 1000)
    error = raises(stripe.InvalidRequestError, lambda: call("refunds", "create", {"payment_intent": intent.id}, of="too much"))
    check("and no more", error is not None and error.code == "charge_already_refunded")
    check("a refund is read", call("refunds", "retrieve", refund.id, {"expand": ["charge"]}).charge.id == intent.latest_charge.id)
    check("and listed", len(call("refunds", "list", {"payment_intent": intent.id}).data) == 2)
    charge = call("charges", "retrieve", intent.latest_charge.id)
    check("the charge says so", charge.refunded and charge.amount_refunded == 1200)
    listed = call("charges", "list", {"payment_intent": intent.id})
    check("charges are listed", [one.id for one in listed.data] == [charge.id])


def setups(customer):
    setup = call("setup_intents", "create", {"customer": customer, "payment_method_types": ["card"], "usage": "off_session"})
    check("a set-up waits for a card", setup.status == "requires_payment_method")
    check("and has a client secret", setup.client_secret.startswith(setup.id + "_secret_"))
    check("it is updated", call("setup_intents", "update", setup.id, {"description": "定期"}).description == "定期")
    done = call("setup_intents", "confirm", setup.id, {"payment_method": "pm_card_visa"})
    check("confirmed, the card is kept", done.status == "succeeded")
    check("it is read", call("setup_intents", "retrieve", setup.id).payment_method == done.payment_method)
    listed = call("setup_intents", "list", {"customer": customer, "limit": 1})
    check("and listed", [one.id for one in listed.data] == [setup.id])
    other = call("setup_intents", "create", {"metadata": {"a": "b"}}, of="metadata")
    check("another is canceled", call("setup_intents", "cancel", other.id).status == "canceled")


def events(intent):
    told = call("events", "list", {"type": "payment_intent.succeeded", "limit": 50})
    mine = [event for event in told.data if event.data.object["id"] == intent.id]
    check("the payment was told once", len(mine) == 1)
    check("without its client secret", mine[0].data.object["client_secret"] is None)
    check("an event is read", call("events", "retrieve", mine[0].id).type == "payment_intent.succeeded")
    many = call("events", "list", {"types": ["charge.succeeded", "charge.refunded"], "limit": 5}, of="types")
    check("several kinds at once", {event.type for event in many.data} <= {"charge.succeeded", "charge.refunded"})


def webhooks():
    if served("/v1/webhook_endpoints", "/v1/webhook_endpoints/{id}"):
        hook = call("webhook_endpoints", "create", {"url": "https://shop.example/hook", "enabled_events": ["charge.succeeded"]})
        check("a webhook endpoint shows its secret once", hook.secret.startswith("whsec_"))
        read = call("webhook_endpoints", "retrieve", hook.id)
        check("and not again", read.to_dict().get("secret") is None)
        changed = call("webhook_endpoints", "update", hook.id, {"enabled_events": ["*"], "disabled": True})
        check("it is updated", changed.status == "disabled" and changed.enabled_events == ["*"])
        listed = call("webhook_endpoints", "list", {"limit": 100})
        check("and listed", hook.id in [one.id for one in listed.data])
        check("and deleted", call("webhook_endpoints", "delete", hook.id).deleted is True)
    secret, at = "whsec_" + "a" * 32, int(time.time())
    payload = json.dumps({"id": "evt_1", "object": "event", "type": "charge.succeeded", "data": {"object": {"id": "ch_1", "object": "charge"}}})
    signature = hmac.new(secret.encode(), f"{at}.{payload}".encode(), hashlib.sha256).hexdigest()
    event = client.construct_event(payload, f"t={at},v1={signature}", secret)
    check("construct_event takes what is signed", event.data.object["id"] == "ch_1")
    error = raises(stripe.SignatureVerificationError, lambda: client.construct_event(payload + " ", f"t={at},v1={signature}", secret))
    check("and refuses what is not", error is not None)


def catalogue():
    if not served("/v1/products", "/v1/prices", "/v1/prices/{id}"):
        return None
    product = call("products", "create", {"name": "Coffee", "metadata": {"roast": "dark"}})
    check("a product is created", product.active)
    check("it is updated", call("products", "update", product.id, {"description": "beans"}).description == "beans")
    check("and read", call("products", "retrieve", product.id).metadata["roast"] == "dark")
    check("and listed", product.id in [one.id for one in call("products", "list", {"ids": [product.id]}).data])
    price = call("prices", "create", {"product": product.id, "currency": "jpy", "unit_amount": 980, "recurring": {"interval": "month"}})
    check("a price is created", price.unit_amount == 980 and price.recurring.interval == "month")
    check("it is updated", call("prices", "update", price.id, {"nickname": "monthly"}).nickname == "monthly")
    check("and expands its product", call("prices", "retrieve", price.id, {"expand": ["product"]}).product.id == product.id)
    check("and listed", price.id in [one.id for one in call("prices", "list", {"product": product.id}).data])
    empty = call("products", "create", {"name": "none"}, of="unused")
    check("a product without prices is deleted", call("products", "delete", empty.id).deleted is True)
    return price.id


def subscriptions(customer, card, price):
    if price is None or not served("/v1/subscriptions", "/v1/subscriptions/{id}", "/v1/invoices"):
        return
    made = call("subscriptions", "create", {"customer": customer, "items": [{"price": price}], "default_payment_method": card})
    check("a subscription is created", made.id.startswith("sub_"))
    check("it is updated", call("subscriptions", "update", made.id, {"metadata": {"plan": "a"}}).metadata["plan"] == "a")
    paused = call("subscriptions", "update", made.id, {"pause_collection": {"behavior": "void"}}, of="pause")
    check("its collection rests", paused.pause_collection.behavior == "void")
    check("and goes on", call("subscriptions", "update", made.id, {"pause_collection": ""}, of="resume").pause_collection is None)
    check("and read", call("subscriptions", "retrieve", made.id, {"expand": ["customer"]}).customer.id == customer)
    check("and listed", made.id in [one.id for one in call("subscriptions", "list", {"customer": customer}).data])
    invoices = call("invoices", "list", {"customer": customer})
    check("it is invoiced", len(invoices.data) >= 1)
    check("and an invoice is read", call("invoices", "retrieve", invoices.data[0].id).customer == customer)
    check("it is canceled", call("subscriptions", "cancel", made.id).status == "canceled")
    if served("/v1/subscription_items"):
        check("items are listed", call("subscription_items", "list", {"subscription": made.id}).object == "list")


def invoices(customer, card):
    item = call("invoice_items", "create", {"customer": customer, "amount": 1200, "currency": "jpy", "description": "設置"})
    check("an invoice item waits", item.invoice is None and item.amount == 1200)
    check("it is updated", call("invoice_items", "update", item.id, {"amount": 1500}).amount == 1500)
    check("and read", call("invoice_items", "retrieve", item.id, {"expand": ["customer"]}).customer.id == customer)
    listed = call("invoice_items", "list", {"customer": customer, "pending": True})
    check("and listed", item.id in [one.id for one in listed.data])
    other = call("invoice_items", "create", {"customer": customer, "unit_amount_decimal": decimal.Decimal(5), "quantity": 2, "currency": "jpy"}, of="unit")
    check("another is deleted", call("invoice_items", "delete", other.id).deleted is True)
    draft = call("invoices", "create", {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30, "pending_invoice_items_behavior": "include"})
    check("an invoice takes in what waits", draft.status == "draft" and draft.total == 1500 and draft.due_date > draft.created)
    check("it is updated", call("invoices", "update", draft.id, {"description": "七月分"}).description == "七月分")
    sent = call("invoices", "send_invoice", draft.id, {"expand": ["confirmation_secret"]})
    check("it is sent with what the shopper pays with", sent.status == "open" and "_secret_" in sent.confirmation_secret.client_secret)
    check("and paid", call("invoices", "pay", draft.id, {"payment_method": card}).status == "paid")
    empty = call("invoices", "create", {"customer": customer}, of="empty")
    check("a draft is deleted", call("invoices", "delete", empty.id).deleted is True)


def clocks():
    if not served("/v1/test_helpers/test_clocks", "/v1/test_helpers/test_clocks/{id}/advance"):
        return
    now = int(time.time())
    clock = call("test_helpers.test_clocks", "create", {"frozen_time": now, "name": "sdk"})
    check("a test clock stands still", clock.frozen_time == now)
    turned = call("test_helpers.test_clocks", "advance", clock.id, {"frozen_time": now + 3600})
    check("it is turned", turned.frozen_time in (now, now + 3600))
    until("and arrives", lambda: call("test_helpers.test_clocks", "retrieve", clock.id).status == "ready")
    check("it is listed", clock.id in [one.id for one in call("test_helpers.test_clocks", "list").data])
    check("and deleted", call("test_helpers.test_clocks", "delete", clock.id).deleted is True)


def checkouts():
    if not served("/v1/checkout/sessions", "/v1/checkout/sessions/{id}", "/v1/checkout/sessions/{id}/expire"):
        return
    item = {"price_data": {"currency": "jpy", "unit_amount": 500, "product_data": {"name": "Tea"}}, "quantity": 2}
    urls = {"success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart"}
    session = call("checkout.sessions", "create", {"mode": "payment", "line_items": [item], **urls})
    check("a checkout session is opened", session.status == "open" and session.amount_total == 1000 and session.url)
    check("it is read", call("checkout.sessions", "retrieve", session.id).id == session.id)
    check("and listed", session.id in [one.id for one in call("checkout.sessions", "list", {"limit": 10}).data])
    if served("/v1/checkout/sessions/{id}/line_items"):
        check("its items are listed", len(call("checkout.sessions.line_items", "list", session.id).data) == 1)
    check("it expires", call("checkout.sessions", "expire", session.id).status == "expired")


def money():
    if served("/v1/disputes", "/v1/disputes/{id}"):
        for dispute in call("disputes", "list", {"limit": 3}).data:
            check("a dispute is read", call("disputes", "retrieve", dispute.id).object == "dispute")
        evidence = {"customer_name": "山田 花子", "product_description": "靴"}
        error = raises(stripe.InvalidRequestError, lambda: call("disputes", "update", "dp_" + v1.charges.list({"limit": 1}).data[0].id[3:], {"evidence": evidence, "submit": True}))
        check("evidence about a person is refused", error is not None and error.code == "dispute_evidence_personal")
    if served("/v1/balance"):
        check("the balance is read", call("balance", "retrieve").object == "balance")
    if served("/v1/balance_transactions", "/v1/balance_transactions/{id}"):
        for moved in call("balance_transactions", "list", {"limit": 1}).data:
            check("a movement is read", call("balance_transactions", "retrieve", moved.id).object == "balance_transaction")


class Proxy(http.server.BaseHTTPRequestHandler):
    """Between the SDK and the gateway: does to the next requests what is in `plan`, then passes on."""

    plan = []
    seen = []

    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        Proxy.seen.append(self.headers.get("idempotency-key"))
        act = Proxy.plan.pop(0) if Proxy.plan else "pass"
        if act == "break":
            self.close_connection = True
            return self.connection.close()
        to = urllib.parse.urlparse(BASE)
        through = http.client.HTTPConnection(to.hostname, to.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if act in ("pass", "lose"):
            through.request(self.command, self.path, body, headers)
            answer = through.getresponse()
            status, text = answer.status, answer.read()
            if act == "lose":
                self.close_connection = True
                return self.connection.close()
        else:
            kind = {409: "invalid_request_error", 429: "rate_limit_error"}.get(act, "api_error")
            status, text = act, json.dumps({"error": {"type": kind, "code": "x", "message": "x"}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = do

    def log_message(self, *_):
        pass


def retries():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    patient = client_of(KEY, base, retries=3)
    for what in ["break", "lose", 409, 500]:
        Proxy.plan, Proxy.seen = [what], []
        note = str(uuid.uuid4())
        made = patient.v1.payment_intents.create(pay(654, metadata={"note": note}))
        same = len(Proxy.seen) == 2 and len(set(Proxy.seen)) == 1 and Proxy.seen[0]
        check(f"after {what} the SDK asks again with the same key", bool(same) and made.status == "succeeded")
        paid = [one for one in v1.payment_intents.list({"limit": 20}).data if one.metadata.to_dict().get("note") == note]
        check("and it was paid once", [one.id for one in paid] == [made.id])
        calls.add(f"retry {what}")
    Proxy.plan = [429]
    error = raises(stripe.RateLimitError, lambda: client_of(KEY, base).v1.customers.list())
    check("429 is a RateLimitError", error is not None)
    server.shutdown()


def errors(intent):
    key = str(uuid.uuid4())
    first = v1.payment_intents.create(pay(321), {"idempotency_key": key})
    again = v1.payment_intents.create(pay(321), {"idempotency_key": key})
    check("the same Idempotency-Key gives the same payment", first.id == again.id)
    error = raises(stripe.IdempotencyError, lambda: v1.payment_intents.create(pay(322), {"idempotency_key": key}))
    check("and refuses other parameters", error is not None and error.http_status == 400)
    error = raises(stripe.InvalidRequestError, lambda: v1.payment_intents.create({"amount": 1, "currency": "jpy", "colour": "red"}))
    check("an unknown parameter is named", error is not None and error.param == "colour" and error.code == "parameter_unknown")
    stranger = client_of(run["keys"]["other_sk_test"])
    error = raises(stripe.InvalidRequestError, lambda: stranger.v1.payment_intents.retrieve(intent.id))
    check("another merchant's payment does not exist", error is not None and error.http_status == 404)
    error = raises(stripe.AuthenticationError, lambda: client_of("sk_test_wrong").v1.payment_intents.list())
    check("a wrong key is an AuthenticationError", error is not None)
    check("every answer has its request id", (error.request_id or "").startswith("req_"))
    public = client_of(run["keys"]["pk_test"])
    error = raises(stripe.PermissionError, lambda: public.v1.customers.list())
    check("a publishable key is a PermissionError", error is not None and error.http_status == 403)
    secret = v1.payment_intents.retrieve(intent.id).client_secret
    shown = public.v1.payment_intents.retrieve(intent.id, {"client_secret": secret})
    check("but reads the payment whose secret it has", shown.status == "succeeded" and shown.customer is None)
    error = raises(stripe.InvalidRequestError, lambda: v1.customers.list({}, {"stripe_account": "acct_1"}))
    check("connected accounts are refused", error is not None and error.code == "connect_unsupported")
    error = raises(stripe.InvalidRequestError, lambda: v1.customers.list({"expand": ["data.colour"]}))
    check("what can't be expanded is refused", error is not None and error.code == "expand_unknown")


async def asynchronous():
    made = await v1.customers.create_async({"description": "async"})
    check("async: a customer is created", made.id.startswith("cus_"))
    changed = await v1.customers.update_async(made.id, {"metadata": {"a": "1"}})
    check("async: and updated", changed.metadata["a"] == "1")
    paid = await asyncio.gather(*[v1.payment_intents.create_async(pay(100 + n, customer=made.id)) for n in range(8)])
    check("async: eight payments at once", all(one.status == "succeeded" for one in paid))
    walked = [one.id async for one in (await v1.payment_intents.list_async({"customer": made.id, "limit": 3})).auto_paging_iter()]
    check("async: pages follow one another", sorted(walked) == sorted(one.id for one in paid))
    back = await v1.refunds.create_async({"payment_intent": paid[0].id})
    check("async: a refund", back.status == "succeeded")
    check("async: a charge", (await v1.charges.retrieve_async(back.charge)).refunded)
    try:
        await v1.payment_intents.create_async(pay(900, payment_method="pm_card_chargeDeclined"))
        check("async: a decline is a CardError", False)
    except stripe.CardError as error:
        check("async: a decline is a CardError", error.code == "card_declined")
    check("async: and deleted", (await v1.customers.delete_async(made.id)).deleted is True)
    verbs = ["customers.create", "customers.update", "payment_intents.create", "payment_intents.list", "refunds.create"]
    calls.update(f"{verb} async" for verb in [*verbs, "charges.retrieve", "customers.delete"])


customer = customers()
card = payment_methods(customer)
intent = payments(customer, card)
deposits()
declines()
refunds(intent)
setups(customer)
events(intent)
webhooks()
subscriptions(customer, card, catalogue())
invoices(customer, card)
clocks()
checkouts()
money()
errors(intent)
retries()
asyncio.run(asynchronous())
check(f"{len(calls)} different calls, at least {LEAST}", len(calls) >= LEAST)
