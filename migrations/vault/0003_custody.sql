-- Custodians: who holds shares of the root key. Never a share, nor anything that narrows one down.

CREATE TABLE custodian_sets (
    id uuid PRIMARY KEY,
    threshold smallint NOT NULL CHECK (threshold BETWEEN 2 AND 32),
    -- Names in the order of their shares.
    custodians text[] NOT NULL CHECK (cardinality(custodians) BETWEEN 2 AND 32 AND threshold <= cardinality(custodians)),
    -- Pending until a threshold of its shares was entered; retired when another set took its place.
    state text NOT NULL CHECK (state IN ('pending', 'active', 'retired')),
    -- Nothing, sealed under the root: tells whether shares make it, and is no easier to guess than the root's 256 bits.
    check_value bytea NOT NULL,
    created_at timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at timestamptz
);
CREATE UNIQUE INDEX custodian_sets_one_active ON custodian_sets ((true)) WHERE state = 'active';
CREATE UNIQUE INDEX custodian_sets_one_pending ON custodian_sets ((true)) WHERE state = 'pending';

GRANT SELECT, INSERT, UPDATE (state, activated_at, retired_at) ON custodian_sets TO vault_app;
