//! Which calls lead to which event.

/// A call: its path, with `{0}` for the id of the first call's object, and its parameters. That a card is refused may be what
/// it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// `POST` or `DELETE`.
    pub(super) method: &'static str,
    /// Its path.
    pub(super) path: &'static str,
    /// Its parameters.
    pub(super) form: &'static [(&'static str, &'static str)],
}

const fn post(path: &'static str, form: &'static [(&'static str, &'static str)]) -> Call {
    Call { method: "POST", path, form }
}

const PAID: Call = post("/v1/payment_intents", PAID_FORM);
const PAID_FORM: &[(&str, &str)] =
    &[("amount", "2000"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
const UNPAID: Call = post("/v1/payment_intents", &[("amount", "2000"), ("currency", "jpy")]);
const DECLINED: Call = post(
    "/v1/payment_intents",
    &[("amount", "2000"), ("currency", "jpy"), ("payment_method", "pm_card_chargeDeclined"), ("confirm", "true")],
);
const HELD: Call = post(
    "/v1/payment_intents",
    &[
        ("amount", "2000"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("capture_method", "manual"),
    ],
);
const LOST: Call = post(
    "/v1/payment_intents",
    &[("amount", "2000"), ("currency", "jpy"), ("payment_method", "pm_card_networkTimeout"), ("confirm", "true")],
);
const TO_AUTHENTICATE: Call = post(
    "/v1/payment_intents",
    &[
        ("amount", "2000"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_threeDSecure2Required"),
        ("confirm", "true"),
    ],
);
const SET_UP_TO_AUTHENTICATE: Call =
    post("/v1/setup_intents", &[("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true")]);
const CUSTOMER: Call = post("/v1/customers", &[("description", "made by kura trigger")]);
const CUSTOMER_WITH_CARD: Call =
    post("/v1/customers", &[("description", "made by kura trigger"), ("payment_method", "pm_card_visa")]);
const REFUND: Call = post("/v1/refunds", &[("payment_intent", "{0}")]);
const SET_UP: Call = post("/v1/setup_intents", &[("payment_method", "pm_card_visa"), ("confirm", "true")]);
const NOT_SET_UP: Call =
    post("/v1/setup_intents", &[("payment_method", "pm_card_chargeDeclined"), ("confirm", "true")]);

/// Events, and the calls that lead to each, in the order of the alphabet.
pub(super) const KNOWN: &[(&str, &[Call])] = &[
    ("charge.captured", &[HELD, post("/v1/payment_intents/{0}/capture", &[])]),
    ("charge.failed", &[DECLINED]),
    ("charge.refunded", &[PAID, REFUND]),
    ("charge.succeeded", &[PAID]),
    ("customer.created", &[CUSTOMER]),
    ("customer.deleted", &[CUSTOMER, Call { method: "DELETE", path: "/v1/customers/{0}", form: &[] }]),
    ("customer.updated", &[CUSTOMER, post("/v1/customers/{0}", &[("description", "changed by kura trigger")])]),
    ("payment_intent.amount_capturable_updated", &[HELD]),
    ("payment_intent.canceled", &[UNPAID, post("/v1/payment_intents/{0}/cancel", &[])]),
    ("payment_intent.created", &[UNPAID]),
    ("payment_intent.payment_failed", &[DECLINED]),
    ("payment_intent.processing", &[LOST]),
    ("payment_intent.requires_action", &[TO_AUTHENTICATE]),
    ("payment_intent.succeeded", &[PAID]),
    ("payment_method.attached", &[CUSTOMER_WITH_CARD]),
    ("payment_method.detached", &[CUSTOMER_WITH_CARD, Call { method: "DELETE", path: "/v1/customers/{0}", form: &[] }]),
    ("refund.created", &[PAID, REFUND]),
    ("refund.updated", &[PAID, REFUND]),
    ("setup_intent.canceled", &[post("/v1/setup_intents", &[]), post("/v1/setup_intents/{0}/cancel", &[])]),
    ("setup_intent.created", &[post("/v1/setup_intents", &[])]),
    ("setup_intent.requires_action", &[SET_UP_TO_AUTHENTICATE]),
    ("setup_intent.setup_failed", &[NOT_SET_UP]),
    ("setup_intent.succeeded", &[SET_UP]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// In their order, each once, and no call names one that comes after it.
    #[test]
    fn the_table_is_sound() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (event, calls) in KNOWN {
            assert!(!calls.is_empty() && !calls[0].path.contains('{'), "{event}");
            assert!(calls.iter().all(|call| ["POST", "DELETE"].contains(&call.method)), "{event}");
        }
    }
}
