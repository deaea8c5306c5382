-- Merchants and their API keys. A key is kept as an HMAC under a key that is not in this database: a dump signs nobody in.
-- Every table of this schema that belongs to a merchant has merchant_id first in its primary key, so that row-level security
-- and distribution by merchant can be added without a new key.

GRANT USAGE ON SCHEMA public TO gateway_app;
GRANT SELECT ON _sqlx_migrations TO gateway_app;

CREATE TABLE merchants (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL
);
GRANT SELECT, INSERT ON merchants TO gateway_app;

CREATE TABLE api_keys (
    key_hash bytea PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    kind text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    livemode boolean NOT NULL,
    -- What the merchant may see again: the prefix and the last four letters.
    hint text NOT NULL CHECK (char_length(hint) <= 20),
    -- For publishable keys: the pages that may show the card fields and make tokens.
    allowed_origins text[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_origins) <= 50),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX api_keys_of_merchant ON api_keys (merchant_id);
GRANT SELECT, INSERT ON api_keys TO gateway_app;
GRANT UPDATE (revoked_at) ON api_keys TO gateway_app;
