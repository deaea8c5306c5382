-- Where merchants are told of events, and what they are yet to be told.
CREATE TABLE webhook_endpoints (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    url text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2000),
    description text CHECK (char_length(description) <= 1000),
    -- Kinds of events, or one star for all.
    enabled_events text[] NOT NULL CHECK (cardinality(enabled_events) BETWEEN 1 AND 200),
    metadata jsonb NOT NULL,
    api_version text NOT NULL CHECK (char_length(api_version) <= 64),
    status text NOT NULL CHECK (status IN ('enabled', 'disabled')),
    -- merchant: switched off by its owner. failing: by us, after days of nothing but failures.
    disabled_by text CHECK (disabled_by IN ('merchant', 'failing')),
    -- The signing secret, sealed under a key that is not in this database. The one before it signs too, until its time is over.
    secret_sealed bytea NOT NULL CHECK (octet_length(secret_sealed) BETWEEN 29 AND 200),
    previous_secret_sealed bytea CHECK (octet_length(previous_secret_sealed) BETWEEN 29 AND 200),
    previous_until timestamptz,
    -- By the request that made the secret: run again, it finds its own.
    secret_made_by uuid NOT NULL,
    -- Failures since the last success, the first of them, and until when the endpoint is left alone.
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since timestamptz,
    open_until timestamptz,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    CHECK ((status = 'disabled') = (disabled_by IS NOT NULL)),
    CHECK ((previous_secret_sealed IS NULL) = (previous_until IS NULL)),
    CHECK ((failures = 0) = (failing_since IS NULL))
);
CREATE INDEX webhook_endpoints_of_merchant ON webhook_endpoints (merchant_id, livemode, created_at DESC, id DESC);
GRANT SELECT, INSERT ON webhook_endpoints TO gateway_app;
GRANT UPDATE (url, description, enabled_events, metadata, status, disabled_by, secret_sealed, previous_secret_sealed,
    previous_until, secret_made_by, failures, failing_since, open_until, deleted_at) ON webhook_endpoints TO gateway_app;
GRANT SELECT (merchant_id, id, livemode, status, disabled_by, failures, open_until, deleted_at)
    ON webhook_endpoints TO gateway_work;
CALL keep_rows_apart('webhook_endpoints');

-- One row for each event and each endpoint that wanted it when it happened, made in the statement that writes the event.
CREATE TABLE webhook_deliveries (
    merchant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    livemode boolean NOT NULL,
    -- canceled: the endpoint was deleted or switched off by its owner before.
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'canceled')),
    -- All attempts; those since the delivery was last set going, and when that was.
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    since timestamptz NOT NULL,
    -- Of a pending one: when it is due. One that is being sent is due when its sender must be dead.
    due_at timestamptz NOT NULL,
    attempted_at timestamptz,
    http_status smallint CHECK (http_status BETWEEN 100 AND 999),
    -- Why no answer came, as a word of ours.
    failure text CHECK (char_length(failure) <= 40),
    duration_ms integer CHECK (duration_ms >= 0),
    -- The beginning of what the endpoint answered, for its owner.
    answer text CHECK (char_length(answer) <= 500),
    created_at timestamptz NOT NULL,
    -- No foreign key: its lock on the endpoint's row would be taken by every payment. Endpoints are never removed.
    PRIMARY KEY (merchant_id, event_id, endpoint_id)
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (merchant_id, endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
GRANT SELECT, INSERT ON webhook_deliveries TO gateway_app;
GRANT UPDATE (state, tries, since, due_at, attempted_at, http_status, failure, duration_ms, answer)
    ON webhook_deliveries TO gateway_app;
GRANT SELECT (merchant_id, event_id, endpoint_id, livemode, state, attempts, due_at, created_at), DELETE
    ON webhook_deliveries TO gateway_work;
GRANT UPDATE (state, attempts, due_at) ON webhook_deliveries TO gateway_work;
CALL keep_rows_apart('webhook_deliveries');
