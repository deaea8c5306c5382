-- Payments. The checks repeat what the state machine proves: nothing is captured that was not authorized, nothing refunded
-- that was not captured, even if the program were wrong.

CREATE TABLE payment_intents (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 99999999),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    status text NOT NULL CHECK (status IN ('requires_payment_method', 'requires_confirmation', 'requires_action',
        'processing', 'requires_capture', 'canceled', 'succeeded')),
    capture_method text NOT NULL CHECK (capture_method IN ('automatic', 'manual')),
    amount_capturable_minor bigint NOT NULL DEFAULT 0,
    amount_received_minor bigint NOT NULL DEFAULT 0,
    amount_refunding_minor bigint NOT NULL DEFAULT 0,
    amount_refunded_minor bigint NOT NULL DEFAULT 0,
    -- The card named for it: the vault's record, and whether its use is that of tok_ (single) or pm_ (multi).
    card_record uuid,
    card_use text CHECK (card_use IN ('single', 'multi')),
    customer_id uuid,
    description text CHECK (char_length(description) <= 1000),
    receipt_email_masked text CHECK (char_length(receipt_email_masked) <= 100),
    metadata jsonb NOT NULL,
    automatic_payment_methods boolean NOT NULL,
    latest_charge_id uuid,
    error_code text,
    error_decline_code text,
    error_charge_id uuid,
    error_card_record uuid,
    cancellation_reason text,
    canceled_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, card_record) REFERENCES cards (merchant_id, record),
    CHECK (amount_capturable_minor BETWEEN 0 AND amount_minor),
    CHECK (amount_received_minor BETWEEN 0 AND amount_minor),
    CHECK (amount_refunding_minor >= 0 AND amount_refunded_minor >= 0),
    CHECK (amount_refunding_minor + amount_refunded_minor <= amount_received_minor),
    CHECK ((card_record IS NULL) = (card_use IS NULL)),
    CHECK ((status = 'canceled') = (canceled_at IS NOT NULL))
);
CREATE INDEX payment_intents_of_merchant ON payment_intents (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX payment_intents_of_customer ON payment_intents (merchant_id, customer_id, created_at DESC, id DESC)
    WHERE customer_id IS NOT NULL;
CREATE INDEX payment_intents_by_age ON payment_intents (created_at DESC, id DESC);
CREATE INDEX payment_intents_by_id ON payment_intents (id);
GRANT SELECT, INSERT ON payment_intents TO gateway_app;
GRANT UPDATE (amount_minor, status, amount_capturable_minor, amount_received_minor, amount_refunding_minor,
    amount_refunded_minor, card_record, card_use, customer_id, description, receipt_email_masked, metadata, latest_charge_id,
    error_code, error_decline_code, error_charge_id, error_card_record, cancellation_reason, canceled_at)
    ON payment_intents TO gateway_app;

-- One attempt at moving money: the unit that must never happen twice. Written before the vault is asked.
CREATE TABLE attempts (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    payment_intent_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('authorize', 'capture', 'void', 'refund')),
    -- The authorization that a capture, void or refund is about.
    original_id uuid,
    -- The charge that it makes (authorize) or is about.
    charge_id uuid NOT NULL,
    refund_id uuid,
    network_reference text NOT NULL UNIQUE CHECK (network_reference ~ '^[0-9A-Z]{12}$'),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 99999999),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    card_record uuid NOT NULL,
    -- Authorize and capture in one.
    capture boolean NOT NULL,
    -- unresolved: asked, or about to be. unsent: the vault refused before anything was sent. reversed: it did not happen.
    state text NOT NULL CHECK (state IN ('unresolved', 'approved', 'declined', 'reversed', 'unsent')),
    code text,
    request_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    resolve_at timestamptz NOT NULL,
    resolve_count integer NOT NULL DEFAULT 0,
    resolved_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    CHECK ((kind = 'authorize') = (original_id IS NULL)),
    CHECK ((kind = 'refund') = (refund_id IS NOT NULL)),
    CHECK ((state = 'unresolved') = (resolved_at IS NULL))
);
CREATE INDEX attempts_of_intent ON attempts (merchant_id, payment_intent_id);
CREATE INDEX attempts_unresolved ON attempts (resolve_at) WHERE state = 'unresolved';
-- At most one attempt of an intent is under way besides refunds, whatever the program believes.
CREATE UNIQUE INDEX attempts_one_under_way ON attempts (merchant_id, payment_intent_id)
    WHERE state = 'unresolved' AND kind <> 'refund';
GRANT SELECT, INSERT ON attempts TO gateway_app;
GRANT UPDATE (state, code, resolve_at, resolve_count, resolved_at) ON attempts TO gateway_app;

-- An authorization that the network answered.
CREATE TABLE charges (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    payment_intent_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('succeeded', 'failed')),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 99999999),
    currency text NOT NULL,
    amount_captured_minor bigint NOT NULL DEFAULT 0,
    -- What of an authorization was never captured and is free again.
    amount_released_minor bigint NOT NULL DEFAULT 0,
    amount_refunded_minor bigint NOT NULL DEFAULT 0,
    captured boolean NOT NULL,
    card_record uuid NOT NULL,
    customer_id uuid,
    approval_code text,
    response_code text,
    decline_code text,
    cvc_check text,
    description text,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, attempt_id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    CHECK (amount_captured_minor BETWEEN 0 AND amount_minor),
    CHECK (amount_captured_minor + amount_released_minor <= amount_minor),
    CHECK (amount_refunded_minor BETWEEN 0 AND amount_captured_minor)
);
CREATE INDEX charges_of_intent ON charges (merchant_id, payment_intent_id, created_at DESC, id DESC);
CREATE INDEX charges_of_merchant ON charges (merchant_id, livemode, created_at DESC, id DESC);
GRANT SELECT, INSERT ON charges TO gateway_app;
GRANT UPDATE (amount_captured_minor, amount_released_minor, amount_refunded_minor, captured) ON charges TO gateway_app;

CREATE TABLE refunds (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    payment_intent_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 99999999),
    currency text NOT NULL,
    reason text CHECK (reason IN ('duplicate', 'fraudulent', 'requested_by_customer')),
    failure_reason text,
    metadata jsonb NOT NULL,
    network_reference text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id)
);
CREATE INDEX refunds_of_intent ON refunds (merchant_id, payment_intent_id, created_at DESC, id DESC);
CREATE INDEX refunds_of_merchant ON refunds (merchant_id, livemode, created_at DESC, id DESC);
GRANT SELECT, INSERT ON refunds TO gateway_app;
GRANT UPDATE (status, failure_reason) ON refunds TO gateway_app;
