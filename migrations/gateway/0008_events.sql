-- What happened, as merchants are told of it: an event is written in the transaction that made it happen, with the object as it
-- was then. Kept for thirty days.
CREATE TABLE events (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    type text NOT NULL CHECK (type ~ '^[a-z_.]{1,64}$'),
    -- The object as the API showed it at that moment, and of an update what its changed properties were before.
    object json NOT NULL,
    previous json,
    request_id uuid,
    idempotency_key text CHECK (char_length(idempotency_key) <= 255),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX events_of_merchant ON events (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX events_of_type ON events (merchant_id, livemode, type, created_at DESC, id DESC);
CREATE INDEX events_by_age ON events (created_at);
GRANT SELECT, INSERT ON events TO gateway_app;
GRANT SELECT (merchant_id, id, created_at), DELETE ON events TO gateway_work;
CALL keep_rows_apart('events');

-- Whether the merchant was told that this attempt's end is not known.
ALTER TABLE attempts ADD COLUMN told_processing boolean NOT NULL DEFAULT false;
GRANT UPDATE (told_processing) ON attempts TO gateway_app;
