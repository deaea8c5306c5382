"""The official Stripe Python SDK, unmodified: prices, a customer on a test clock, a subscription and its renewal, a checkout.

Prints one line for each check; ends with status 1 at the first that fails.
"""

import json
import os
import sys
import time

import stripe

run = json.load(open(os.environ["KURA_RUN_JSON"], encoding="utf-8"))
client = stripe.StripeClient(
    run["keys"]["sk_test"],
    base_addresses={"api": run["gateway"]},
    max_network_retries=0,
)
v1 = client.v1


def check(what, so):
    print(("ok   " if so else "FAIL ") + what, flush=True)
    if not so:
        sys.exit(1)


product = v1.products.create({"name": "Coffee", "metadata": {"shelf": "4"}})
price = v1.prices.create(
    {"currency": "jpy", "unit_amount": 1500, "recurring": {"interval": "month"}, "product": product.id}
)
check("a price is recurring", price.recurring.interval == "month" and price.unit_amount == 1500)
start = 1_800_000_000
clock = v1.test_helpers.test_clocks.create({"frozen_time": start, "name": "python"})
customer = v1.customers.create({"test_clock": clock.id})
method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
subscription = v1.subscriptions.create(
    {
        "customer": customer.id,
        "items": [{"price": price.id, "quantity": 2}],
        "expand": ["latest_invoice.payments.data.payment.payment_intent", "latest_invoice.confirmation_secret"],
    }
)
check("a subscription is active", subscription.status == "active" and subscription.test_clock == clock.id)
invoice = subscription.latest_invoice
check("its invoice is paid", invoice.status == "paid" and invoice.total == 3000)
check("by a payment", invoice.payments.data[0].payment.payment_intent.amount_received == 3000)
item = subscription["items"].data[0]
check("its period is on its item", item.current_period_start == start and item.current_period_end > start)
v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": item.current_period_end + 2 * 3600})
began = time.monotonic()
while v1.test_helpers.test_clocks.retrieve(clock.id).status == "advancing" and time.monotonic() - began < 60:
    time.sleep(0.2)
check("a clock is turned", v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready")
invoices = v1.invoices.list({"subscription": subscription.id}).data
check("the subscription is renewed", [it.status for it in invoices] == ["paid", "paid"])
check("for a new period", invoices[0].billing_reason == "subscription_cycle")
canceled = v1.subscriptions.cancel(subscription.id)
check("and canceled", canceled.status == "canceled" and canceled.ended_at >= item.current_period_end)
session = v1.checkout.sessions.create(
    {"mode": "payment", "success_url": "https://shop.example/thanks", "line_items": [{"price_data": {"currency": "jpy", "unit_amount": 100, "product_data": {"name": "Cup"}}}]}
)
check("a checkout has a page", session.status == "open" and session.url.startswith(run["gateway"]))
expired = v1.checkout.sessions.expire(session.id)
check("and ends", expired.status == "expired" and expired.url is None)
v1.test_helpers.test_clocks.delete(clock.id)
