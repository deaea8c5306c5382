// What the official verifiers of Node.js say of Kura's webhooks: stripe.webhooks.constructEvent and standardwebhooks.
// Standard input and expectations are those of webhooks.py.
import { readFileSync } from "node:fs";
import Stripe from "stripe";
import { Webhook } from "standardwebhooks";

const OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const stripe = new Stripe("sk_test_none");

function expect(what, so) {
  if (!so) {
    console.log(`FAIL ${what}`);
    process.exit(1);
  }
}

function refused(act) {
  try {
    act();
  } catch {
    return true;
  }
  return false;
}

const verifiers = [
  ["stripe", (body, headers, secret) => stripe.webhooks.constructEvent(body, headers["stripe-signature"], secret)],
  ["standardwebhooks", (body, headers, secret) => new Webhook(secret).verify(body, headers)],
];

let count = 0;
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { body, headers, secret, old_stripe, old_standard } = JSON.parse(line);
  const event = JSON.parse(body);
  for (const [name, says] of verifiers) {
    expect(`${name} accepts it`, says(body, headers, secret).id === event.id);
    expect(`${name} refuses another body`, refused(() => says(body.replace("evt_", "evt-"), headers, secret)));
    expect(`${name} refuses another secret`, refused(() => says(body, headers, OTHER)));
    const old = { ...headers, "stripe-signature": old_stripe, ...old_standard };
    expect(`${name} refuses what was signed ten minutes ago`, refused(() => says(body, old, secret)));
  }
  count += 1;
}
expect("there was something to check", count > 0);
console.log(`ok ${count}`);
