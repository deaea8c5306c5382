-- Pages of ours that a shopper pays on, or leaves a card on.
CREATE TABLE checkout_sessions (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    mode text NOT NULL CHECK (mode IN ('payment', 'setup', 'subscription')),
    status text NOT NULL CHECK (status IN ('open', 'complete', 'expired')),
    customer_id uuid,
    currency text CHECK (currency ~ '^[a-z]{3}$'),
    amount_minor bigint CHECK (amount_minor BETWEEN 0 AND 99999999),
    -- [{"price": …, "quantity": …}]
    items jsonb NOT NULL,
    success_url text NOT NULL CHECK (char_length(success_url) <= 2000),
    cancel_url text CHECK (char_length(cancel_url) <= 2000),
    locale text NOT NULL CHECK (locale IN ('auto', 'ja', 'en')),
    client_reference_id text CHECK (char_length(client_reference_id) <= 200),
    email_masked text CHECK (char_length(email_masked) <= 100),
    metadata jsonb NOT NULL,
    -- What goes into the payment, the set-up or the subscription.
    data jsonb NOT NULL,
    payment_intent_id uuid,
    setup_intent_id uuid,
    subscription_id uuid,
    -- Times that the shopper sent the form, and whether the newest is under way.
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    trying boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    completed_at timestamptz,
    look_at timestamptz,
    look_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    FOREIGN KEY (merchant_id, setup_intent_id) REFERENCES setup_intents (merchant_id, id),
    FOREIGN KEY (merchant_id, subscription_id) REFERENCES subscriptions (merchant_id, id),
    CHECK ((status = 'complete') = (completed_at IS NOT NULL)),
    CHECK (NOT trying OR status = 'open'),
    CHECK ((mode = 'setup') = (amount_minor IS NULL)),
    CHECK ((amount_minor IS NULL) = (currency IS NULL))
);
CREATE INDEX checkout_sessions_of_merchant ON checkout_sessions (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX checkout_sessions_by_id ON checkout_sessions (id);
CREATE INDEX checkout_sessions_due ON checkout_sessions (look_at) WHERE look_at IS NOT NULL;
GRANT SELECT, INSERT ON checkout_sessions TO gateway_app;
GRANT UPDATE (status, customer_id, email_masked, metadata, payment_intent_id, setup_intent_id, subscription_id, tries, trying,
    completed_at, look_at, look_count) ON checkout_sessions TO gateway_app;
-- A shopper brings the id alone.
GRANT SELECT (merchant_id, id, livemode, look_at, look_count) ON checkout_sessions TO gateway_work;
GRANT UPDATE (look_at, look_count) ON checkout_sessions TO gateway_work;
CALL keep_rows_apart('checkout_sessions');
