"""The official Stripe Python SDK, unmodified, with only the base address and the key changed.

Prints one line for each check; ends with status 1 at the first that fails.
"""

import json
import os
import sys
import uuid

import stripe

run = json.load(open(os.environ["KURA_RUN_JSON"], encoding="utf-8"))
client = stripe.StripeClient(
    run["keys"]["sk_test"],
    base_addresses={"api": run["gateway"]},
    max_network_retries=0,
)


def check(what, so):
    print(("ok   " if so else "FAIL ") + what, flush=True)
    if not so:
        sys.exit(1)


def raises(kind, act):
    try:
        act()
    except kind as error:
        return error
    return None


v1 = client.v1
customer = v1.customers.create({"description": "年間会員", "metadata": {"member": "42"}})
check("a customer is created", customer.id.startswith("cus_") and customer.object == "customer")
check("and retrieved", v1.customers.retrieve(customer.id).metadata["member"] == "42")

intent = v1.payment_intents.create(
    {"amount": 1200, "currency": "jpy", "payment_method": "pm_card_visa", "customer": customer.id, "metadata": {"order": "A-1"}}
)
check("a payment intent with pm_card_visa waits for confirmation", intent.status == "requires_confirmation")
intent = v1.payment_intents.confirm(intent.id)
check("confirmed, it has succeeded", intent.status == "succeeded" and intent.amount_received == 1200)
intent = v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
card = intent.latest_charge.payment_method_details.card
check("its charge expands and shows brand and last four", (card.brand, card.last4) == ("visa", "4242"))

refund = v1.refunds.create({"payment_intent": intent.id, "amount": 200})
check("a part is refunded", refund.status == "succeeded" and refund.amount == 200)
refund = v1.refunds.create({"payment_intent": intent.id})
check("and the rest", refund.amount == 1000)
error = raises(stripe.InvalidRequestError, lambda: v1.refunds.create({"payment_intent": intent.id}))
check("and no more", error is not None and error.code == "charge_already_refunded")
charge = v1.charges.retrieve(intent.latest_charge.id)
check("the charge says so", charge.refunded and charge.amount_refunded == 1200)

held = v1.payment_intents.create(
    {"amount": 5000, "currency": "jpy", "payment_method": "pm_card_mastercard", "capture_method": "manual", "confirm": True}
)
check("a manual payment is held", held.status == "requires_capture" and held.amount_capturable == 5000)
check("and captured in part", v1.payment_intents.capture(held.id, {"amount_to_capture": 3000}).amount_received == 3000)
voided = v1.payment_intents.create(
    {"amount": 700, "currency": "jpy", "payment_method": "pm_card_jcb", "capture_method": "manual", "confirm": True}
)
check("another is canceled", v1.payment_intents.cancel(voided.id).status == "canceled")

ids = [one.id for one in v1.payment_intents.list({"limit": 2}).auto_paging_iter()]
ours = [one for one in ids if one in (voided.id, held.id, intent.id)]  # others may pay at the same time
check("all are listed, page by page, newest first", ours == [voided.id, held.id, intent.id] and len(set(ids)) == len(ids))
listed = v1.payment_intents.list({"customer": customer.id})
check("those of a customer too", [one.id for one in listed.data] == [intent.id])

for method, code, decline in [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
]:
    params = {"amount": 900, "currency": "jpy", "payment_method": method, "confirm": True}
    error = raises(stripe.CardError, lambda: v1.payment_intents.create(params))
    body = error.json_body["error"] if error else {}
    check(
        f"{method} is a CardError with {decline}",
        error is not None and error.http_status == 402 and error.code == code and body.get("decline_code") == decline,
    )
    check("which names the intent", body["payment_intent"]["status"] == "requires_payment_method")

key = str(uuid.uuid4())
params = {"amount": 321, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True}
first = v1.payment_intents.create(params, {"idempotency_key": key})
again = v1.payment_intents.create(params, {"idempotency_key": key})
check("the same Idempotency-Key gives the same payment", first.id == again.id)
changed = {**params, "amount": 322}
error = raises(stripe.IdempotencyError, lambda: v1.payment_intents.create(changed, {"idempotency_key": key}))
check("and refuses other parameters", error is not None and error.http_status == 400)

error = raises(stripe.InvalidRequestError, lambda: v1.payment_intents.create({"amount": 1, "currency": "jpy", "colour": "red"}))
check("an unknown parameter is named", error is not None and error.param == "colour" and error.code == "parameter_unknown")
stranger = stripe.StripeClient(run["keys"]["other_sk_test"], base_addresses={"api": run["gateway"]})
error = raises(stripe.InvalidRequestError, lambda: stranger.v1.payment_intents.retrieve(intent.id))
check("another merchant's payment does not exist", error is not None and error.http_status == 404)
wrong = stripe.StripeClient("sk_test_wrong", base_addresses={"api": run["gateway"]})
error = raises(stripe.AuthenticationError, lambda: wrong.v1.payment_intents.list())
check("a wrong key is an AuthenticationError", error is not None)
check("every answer has its request id", (error.request_id or "").startswith("req_"))

endpoint = v1.webhook_endpoints.create(
    {"url": "https://shop.example/hooks", "enabled_events": ["charge.succeeded", "charge.refunded"], "metadata": {"a": "b"}}
)
check("a webhook endpoint is made, with its secret", endpoint.id.startswith("we_") and endpoint.secret.startswith("whsec_"))
endpoint = v1.webhook_endpoints.update(endpoint.id, {"enabled_events": ["*"], "disabled": True})
check("and changed, without it", endpoint.status == "disabled" and endpoint.enabled_events == ["*"] and getattr(endpoint, "secret", None) is None)
check("and listed", endpoint.id in [one.id for one in v1.webhook_endpoints.list({"limit": 20}).auto_paging_iter()])
check("and deleted", v1.webhook_endpoints.delete(endpoint.id).deleted)
missing = raises(stripe.InvalidRequestError, lambda: v1.webhook_endpoints.retrieve(endpoint.id))
check("and gone", missing is not None and missing.code == "resource_missing")
log = client.raw_request("get", "/v1/request_logs/" + missing.request_id)
check("whose log can be read", json.loads(log.data)["code"] == "resource_missing")
