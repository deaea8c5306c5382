-- Disputes: a cardholder's issuer takes a payment back, the merchant may answer once, the issuer decides. What the merchant says
-- is passed on and not kept.
CREATE TABLE disputes (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    -- The network's.
    case_number text NOT NULL CHECK (case_number ~ '^[0-9A-Za-z]{12}$'),
    -- The attempt that made the disputed payment.
    attempt_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    payment_intent_id uuid NOT NULL,
    reason text NOT NULL CHECK (reason IN ('credit_not_processed', 'duplicate', 'fraudulent', 'general', 'product_not_received',
        'product_unacceptable', 'subscription_canceled', 'unrecognized')),
    status text NOT NULL CHECK (status IN ('needs_response', 'under_review', 'won', 'lost')),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 99999999),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    -- The network counts its changes.
    version integer NOT NULL CHECK (version > 0),
    respond_by timestamptz NOT NULL,
    -- The merchant's evidence reached the network.
    has_evidence boolean NOT NULL DEFAULT false,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, case_number),
    FOREIGN KEY (merchant_id, attempt_id) REFERENCES attempts (merchant_id, id),
    FOREIGN KEY (merchant_id, charge_id) REFERENCES charges (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id)
);
CREATE INDEX disputes_of_merchant ON disputes (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX disputes_of_charge ON disputes (merchant_id, charge_id, created_at DESC, id DESC);
CREATE INDEX disputes_of_intent ON disputes (merchant_id, payment_intent_id, created_at DESC, id DESC);
GRANT SELECT, INSERT ON disputes TO gateway_app;
GRANT UPDATE (status, version, has_evidence, metadata) ON disputes TO gateway_app;
-- Whose an id is that somebody asked for.
GRANT SELECT (merchant_id, id) ON disputes TO gateway_work;
CALL keep_rows_apart('disputes');

ALTER TABLE charges ADD COLUMN disputed boolean NOT NULL DEFAULT false;
GRANT UPDATE (disputed) ON charges TO gateway_app;

-- A payment can be disputed in parts: of one attempt and kind there is one movement for each of what moved it.
ALTER TABLE transfers
    DROP CONSTRAINT transfers_pkey,
    ADD PRIMARY KEY (merchant_id, attempt_id, kind, source_id),
    DROP CONSTRAINT transfers_kind_check,
    ADD CONSTRAINT transfers_kind_check
        CHECK (kind IN ('capture', 'refund', 'deposit', 'unapplied', 'dispute', 'dispute_reversal'));
