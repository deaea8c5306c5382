-- Keeping a card for later, with the shopper there: the issuer is asked whether the card is good, for nothing, and perhaps who it is.
CREATE TABLE setup_intents (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
        'canceled', 'succeeded')),
    usage text NOT NULL CHECK (usage IN ('on_session', 'off_session')),
    customer_id uuid,
    card_record uuid,
    card_use text CHECK (card_use IN ('single', 'multi')),
    description text CHECK (char_length(description) <= 1000),
    metadata jsonb NOT NULL,
    automatic_payment_methods boolean NOT NULL,
    return_url text CHECK (char_length(return_url) <= 2000),
    request_three_d_secure text NOT NULL CHECK (request_three_d_secure IN ('automatic', 'any', 'challenge')),
    error_code text,
    error_decline_code text,
    error_card_record uuid,
    cancellation_reason text CHECK (cancellation_reason IN ('abandoned', 'duplicate', 'requested_by_customer')),
    -- The question to the network that is under way, and when somebody else than its asker may look at it.
    attempt_id uuid,
    network_reference text CHECK (network_reference ~ '^[0-9A-Z]{12}$'),
    authentication_id uuid,
    resolve_at timestamptz,
    resolve_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, card_record) REFERENCES cards (merchant_id, record),
    CHECK ((card_record IS NULL) = (card_use IS NULL)),
    CHECK ((attempt_id IS NULL) = (network_reference IS NULL)),
    CHECK (resolve_at IS NULL OR attempt_id IS NOT NULL)
);
CREATE INDEX setup_intents_of_merchant ON setup_intents (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX setup_intents_of_customer ON setup_intents (merchant_id, customer_id, created_at DESC, id DESC)
    WHERE customer_id IS NOT NULL;
CREATE INDEX setup_intents_unresolved ON setup_intents (resolve_at) WHERE resolve_at IS NOT NULL;
GRANT SELECT, INSERT ON setup_intents TO gateway_app;
GRANT UPDATE (status, usage, customer_id, card_record, card_use, description, metadata, return_url, request_three_d_secure,
    error_code, error_decline_code, error_card_record, cancellation_reason, attempt_id, network_reference, authentication_id,
    resolve_at, resolve_count) ON setup_intents TO gateway_app;
GRANT SELECT (merchant_id, id, livemode, resolve_at, resolve_count) ON setup_intents TO gateway_work;
GRANT UPDATE (resolve_at, resolve_count) ON setup_intents TO gateway_work;
CALL keep_rows_apart('setup_intents');

ALTER TABLE authentications
    ADD FOREIGN KEY (merchant_id, setup_intent_id) REFERENCES setup_intents (merchant_id, id);
CREATE UNIQUE INDEX authentications_one_under_way_of_setup ON authentications (merchant_id, setup_intent_id)
    WHERE state <> 'ended' AND setup_intent_id IS NOT NULL;
