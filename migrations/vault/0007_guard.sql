-- What limits and watches the vault's own peers: budgets of openings, freezes, canaries; and which node works on an attempt.

-- Openings that nodes have taken out of a minute's or a day's ceiling, in blocks. Shared by all nodes, so that two of them
-- can't open twice as much, and on disk, so that a restart forgives nothing.
CREATE TABLE budget_windows (
    peer text NOT NULL,
    purpose text NOT NULL,
    span text NOT NULL CHECK (span IN ('minute', 'day')),
    starts_at timestamptz NOT NULL,
    leased bigint NOT NULL CHECK (leased >= 0),
    -- What the last lease gave: an UPSERT can't tell otherwise.
    granted bigint NOT NULL CHECK (granted >= 0),
    PRIMARY KEY (peer, purpose, span, starts_at)
);

-- What a peer may not do any more, until a person releases it.
CREATE TABLE freezes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer text NOT NULL,
    purpose text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('budget_exceeded', 'canary_used')),
    node smallint NOT NULL,
    frozen_at timestamptz NOT NULL,
    merchant_id uuid,
    record_id uuid,
    request_id uuid,
    released_at timestamptz,
    released_by text,
    release_reason text CHECK (char_length(release_reason) BETWEEN 1 AND 500),
    CHECK ((released_at IS NULL) = (released_by IS NULL)),
    CHECK ((released_at IS NULL) = (release_reason IS NULL))
);
CREATE UNIQUE INDEX freezes_one_in_force ON freezes (peer, purpose) WHERE released_at IS NULL;

-- Records that nobody has a reason to use. Which ones they are is known only by a keyed hash, whose key is in no database.
CREATE TABLE canaries (
    record_hash bytea PRIMARY KEY CHECK (octet_length(record_hash) = 32),
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    made_at timestamptz NOT NULL,
    -- Replaced by another one. It is watched all the same: an old copy of the database still names it.
    retired_at timestamptz
);

ALTER TABLE alerts ADD COLUMN peer text;
ALTER TABLE alerts ADD COLUMN purpose text;

-- The node that works on the attempt; the others leave it alone as long as that one may be at it.
ALTER TABLE attempts ADD COLUMN node smallint NOT NULL DEFAULT 0;
-- It is being taken back at the network: from then on no answer to the attempt itself counts.
ALTER TABLE attempts ADD COLUMN reversing boolean NOT NULL DEFAULT false;

GRANT SELECT, INSERT, DELETE, UPDATE (leased, granted) ON budget_windows TO vault_app;
GRANT SELECT, INSERT, UPDATE (released_at, released_by, release_reason) ON freezes TO vault_app;
GRANT SELECT, INSERT, UPDATE (retired_at) ON canaries TO vault_app;
GRANT UPDATE (reversing) ON attempts TO vault_app;
