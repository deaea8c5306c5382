-- One row for each Idempotency-Key of a merchant in one mode, for 24 hours. Publishable keys are public, so theirs are a
-- space of their own (scope): a shopper can't occupy the keys that the merchant's server is going to use.

CREATE TABLE idempotency_keys (
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    scope text NOT NULL CHECK (scope IN ('publishable', 'secret')),
    key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    -- HMAC of method, path and body.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- Every id that the request makes is derived from this, so running it again meets what it made before.
    seed bytea NOT NULL CHECK (octet_length(seed) = 16),
    -- in_flight: somebody is running it. retryable: it ended without a final answer and may run again. finished: replay it.
    state text NOT NULL CHECK (state IN ('in_flight', 'retryable', 'finished')),
    -- The process that runs it, by its start.
    instance uuid NOT NULL,
    claimed_at timestamptz NOT NULL,
    request_id uuid NOT NULL,
    status smallint CHECK (status BETWEEN 200 AND 599),
    body text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, livemode, scope, key),
    CHECK ((state = 'finished') = (status IS NOT NULL AND body IS NOT NULL))
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO gateway_app;
