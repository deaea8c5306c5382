-- What merchants asked and how it ended, for themselves to read: never a body, a query's values or a header. Kept for thirty days.
CREATE TABLE request_logs (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    method text NOT NULL CHECK (method ~ '^[A-Z]{1,10}$'),
    -- Words and ids of ours; everything else as a star.
    path text NOT NULL CHECK (path ~ '^/[a-z0-9_/*]*$' AND char_length(path) <= 400),
    status smallint NOT NULL CHECK (status BETWEEN 100 AND 599),
    code text CHECK (code ~ '^[a-z0-9_]{1,64}$'),
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    -- The prefix and the last four letters of the key.
    key_hint text NOT NULL CHECK (char_length(key_hint) <= 20),
    idempotency_key text CHECK (char_length(idempotency_key) <= 255),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX request_logs_of_merchant ON request_logs (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX request_logs_by_age ON request_logs USING brin (created_at);
GRANT SELECT ON request_logs TO gateway_app;
-- Written for many merchants at once, away from the requests themselves.
GRANT INSERT, DELETE, SELECT (merchant_id, id, created_at) ON request_logs TO gateway_work;
CALL keep_rows_apart('request_logs');
