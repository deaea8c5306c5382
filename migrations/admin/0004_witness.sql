-- The console as a witness in another zone: the vault's checkpoints as they were seen, and what was wrong with them.
-- Append-only: admin_app may INSERT and SELECT, and nothing else.

CREATE TABLE witness_checkpoints (
    -- The log, such as kura.internal/vault/access/0.
    origin    text        NOT NULL CHECK (length(origin) BETWEEN 1 AND 200),
    size      bigint      NOT NULL CHECK (size > 0),
    root_hash bytea       NOT NULL CHECK (length(root_hash) = 32),
    -- The signed note itself, so that anyone can verify it again.
    note      text        NOT NULL CHECK (length(note) <= 4096),
    seen_at   timestamptz NOT NULL,
    PRIMARY KEY (origin, size)
);

CREATE TABLE witness_findings (
    id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    -- The vault node's control plane, and the log it served; none while it is silent.
    peer   text        NOT NULL,
    origin text,
    kind   text        NOT NULL CHECK (kind IN ('bad_signature', 'inconsistent', 'shrunk', 'origin_changed', 'silent')),
    -- What it served, as evidence.
    size   bigint,
    note   text        CHECK (length(note) <= 4096),
    -- The size that it should have gone on from.
    kept   bigint
);
CREATE INDEX witness_findings_at ON witness_findings (at);

GRANT SELECT, INSERT ON witness_checkpoints, witness_findings TO admin_app;
