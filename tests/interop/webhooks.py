"""What the official verifiers of Python say of Kura's webhooks: stripe.Webhook.construct_event and standardwebhooks.

Standard input, one JSON object a line: {"secret", "headers", "body", "old_stripe", "old_standard"}. Each must be accepted as it came, and
refused with another body, under another secret, and as what was signed ten minutes ago (old_stripe, old_standard). The first
surprise ends the program with status 1.
"""

import json
import sys

import standardwebhooks
import stripe

OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def refused(kind, act):
    try:
        act()
    except kind:
        return True
    return False


def expect(what, so):
    if not so:
        print("FAIL " + what)
        sys.exit(1)


def stripe_says(body, headers, secret):
    return stripe.Webhook.construct_event(body, headers["stripe-signature"], secret)


def standard_says(body, headers, secret):
    return standardwebhooks.Webhook(secret).verify(body, headers)


count = 0
for line in sys.stdin:
    sent = json.loads(line)
    body, headers, secret = sent["body"], sent["headers"], sent["secret"]
    event = json.loads(body)
    found = stripe_says(body, headers, secret)
    expect("stripe gives the event", found.id == event["id"] and found.type == event["type"])
    old = {**headers, "stripe-signature": sent["old_stripe"], **sent["old_standard"]}
    for name, says, kind in (
        ("stripe", stripe_says, stripe.SignatureVerificationError),
        ("standardwebhooks", standard_says, standardwebhooks.WebhookVerificationError),
    ):
        expect(name + " accepts it", says(body, headers, secret)["id"] == event["id"])
        expect(name + " refuses another body", refused(kind, lambda: says(body.replace("evt_", "evt-"), headers, secret)))
        expect(name + " refuses another secret", refused(kind, lambda: says(body, headers, OTHER)))
        expect(name + " refuses what was signed ten minutes ago", refused(kind, lambda: says(body, old, secret)))
    count += 1
expect("there was something to check", count > 0)
print(f"ok {count}")
