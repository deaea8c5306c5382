-- Keys with bounds: restricted ones with rights of their own, addresses that may use a key, an end, and when it was last used.
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_kind_check,
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'restricted')),
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN name text CHECK (char_length(name) BETWEEN 1 AND 100),
    -- What a restricted key may do: `customers:read`, `refunds:write`. Writing includes reading.
    ADD COLUMN rights text[] NOT NULL DEFAULT '{}' CHECK (cardinality(rights) <= 100),
    -- From where it may be used; from everywhere where there are none.
    ADD COLUMN allowed_addresses cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_addresses) <= 100),
    ADD COLUMN expires_at timestamptz,
    -- To the minute.
    ADD COLUMN last_used_at timestamptz,
    -- The key that takes its place.
    ADD COLUMN rolled_to uuid,
    ADD CHECK (kind = 'restricted' OR cardinality(rights) = 0),
    ADD CHECK (kind = 'publishable' OR cardinality(allowed_origins) = 0),
    ADD CHECK (kind <> 'publishable' OR cardinality(allowed_addresses) = 0);
ALTER TABLE api_keys ALTER COLUMN id DROP DEFAULT;
GRANT UPDATE (name, rights, allowed_origins, allowed_addresses, expires_at, last_used_at, rolled_to) ON api_keys TO gateway_work;

-- What only somebody does who has a key that is not theirs, or tries what their key is not for: for people to look at.
CREATE TABLE signals (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,32}$'),
    key_id uuid NOT NULL,
    key_hint text NOT NULL CHECK (char_length(key_hint) <= 20),
    address inet NOT NULL,
    -- Method and path with ids as stars.
    route text NOT NULL CHECK (char_length(route) <= 200),
    -- The id that was asked for, where that is what it is about, and whose it is if it is somebody's.
    object text CHECK (char_length(object) <= 64),
    owner_id uuid,
    -- The first request of its kind; how many there were within a moment.
    request_id uuid NOT NULL,
    times integer NOT NULL CHECK (times > 0),
    at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX signals_by_age ON signals (at DESC, id DESC);
CREATE INDEX signals_of_merchant ON signals (merchant_id, at DESC, id DESC);
GRANT SELECT, INSERT, DELETE ON signals TO gateway_work;
CALL keep_rows_apart('signals');

-- Whose an id is that somebody asked for: by its primary key, merchant for merchant, so no further index is kept for it.
GRANT SELECT (merchant_id, id) ON customers, payers, charges, refunds, events TO gateway_work;
