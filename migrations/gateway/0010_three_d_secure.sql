-- 3-D Secure: each proof of who the cardholder is that was asked for, and where the shopper goes afterwards.
CREATE TABLE authentications (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    -- What it is for: a payment, or a card that is kept.
    payment_intent_id uuid,
    setup_intent_id uuid,
    card_record uuid NOT NULL,
    card_use text NOT NULL CHECK (card_use IN ('single', 'multi')),
    preference text NOT NULL CHECK (preference IN ('none', 'challenge')),
    -- asked: the issuer is being asked. challenge: the issuer asks the shopper. ended: it is over.
    state text NOT NULL CHECK (state IN ('asked', 'challenge', 'ended')),
    -- The issuer's page.
    url text CHECK (char_length(url) <= 2000),
    transaction_id text CHECK (char_length(transaction_id) <= 64),
    result text CHECK (result IN ('authenticated', 'attempt_acknowledged', 'failed', 'rejected', 'unavailable', 'not_supported')),
    flow text CHECK (flow IN ('frictionless', 'challenge')),
    eci text CHECK (eci ~ '^0[0-7]$'),
    created_at timestamptz NOT NULL,
    look_at timestamptz NOT NULL,
    look_count integer NOT NULL DEFAULT 0,
    ended_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    FOREIGN KEY (merchant_id, card_record) REFERENCES cards (merchant_id, record),
    CHECK ((payment_intent_id IS NULL) <> (setup_intent_id IS NULL)),
    CHECK ((state = 'ended') = (result IS NOT NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK (state <> 'challenge' OR url IS NOT NULL)
);
-- One at a time, whatever the program believes.
CREATE UNIQUE INDEX authentications_one_under_way ON authentications (merchant_id, payment_intent_id)
    WHERE state <> 'ended' AND payment_intent_id IS NOT NULL;
CREATE INDEX authentications_due ON authentications (look_at) WHERE state <> 'ended';
CREATE INDEX authentications_by_id ON authentications (id);
GRANT SELECT, INSERT ON authentications TO gateway_app;
GRANT UPDATE (state, url, transaction_id, result, flow, eci, look_at, look_count, ended_at) ON authentications TO gateway_app;
-- A shopper who comes back brings the id alone.
GRANT SELECT (merchant_id, id, livemode, state, look_at, look_count) ON authentications TO gateway_work;
GRANT UPDATE (look_at, look_count) ON authentications TO gateway_work;
CALL keep_rows_apart('authentications');

ALTER TABLE payment_intents
    -- Where the shopper goes after the issuer's, the bank's or the wallet's page.
    ADD COLUMN return_url text CHECK (char_length(return_url) <= 2000),
    -- When 3-D Secure is asked for.
    ADD COLUMN request_three_d_secure text NOT NULL DEFAULT 'automatic'
        CHECK (request_three_d_secure IN ('automatic', 'any', 'challenge')),
    -- The payment method is kept for later.
    ADD COLUMN setup_future_usage text CHECK (setup_future_usage IN ('on_session', 'off_session'));
GRANT UPDATE (return_url, request_three_d_secure, setup_future_usage) ON payment_intents TO gateway_app;

ALTER TABLE attempts
    -- The proof that went along.
    ADD COLUMN authentication_id uuid,
    -- Set going by the merchant, by an agreement with the cardholder.
    ADD COLUMN off_session boolean NOT NULL DEFAULT false,
    -- Declined for want of a proof, which was then asked for: this made no charge.
    ADD COLUMN stepped_up boolean NOT NULL DEFAULT false,
    ADD FOREIGN KEY (merchant_id, authentication_id) REFERENCES authentications (merchant_id, id);
GRANT UPDATE (stepped_up) ON attempts TO gateway_app;
