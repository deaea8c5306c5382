-- Keys with a life of their own: KEKs by version and provider, root secrets, DEKs that are active, retired or destroyed;
-- data classes beside cards; rows that name their key in a column, so that rotation finds them.

-- One key encryption key. `material` is what its provider finds it by: the key sealed under the root key (dev-file, shamir)
-- or the label of an object in the HSM (pkcs11). Empty once destroyed.
CREATE TABLE keks (
    version integer PRIMARY KEY CHECK (version > 0),
    provider text NOT NULL CHECK (provider IN ('dev-file', 'shamir', 'pkcs11')),
    material bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'retired', 'destroyed')),
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    destroyed_at timestamptz,
    CHECK ((state = 'destroyed') = (material = ''::bytea))
);
CREATE UNIQUE INDEX keks_one_active ON keks ((true)) WHERE state = 'active';

-- Secrets of the whole vault that outlive KEKs: what fingerprints and blind indexes are keyed with.
CREATE TABLE root_secrets (
    name text PRIMARY KEY,
    kek_version integer NOT NULL,
    secret_wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL
);

ALTER TABLE deks DROP CONSTRAINT deks_data_class_check;
ALTER TABLE deks ADD CONSTRAINT deks_data_class_check
    CHECK (data_class IN ('card', 'konbini', 'payeasy', 'emoney', 'customer'));
-- A retired key opens and no longer seals; a destroyed one is gone (its wrapping is empty).
ALTER TABLE deks ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired', 'destroyed'));
ALTER TABLE deks ADD COLUMN retired_at timestamptz;
-- The transaction that retired it: once no older one runs, nobody can still be inserting rows under it.
ALTER TABLE deks ADD COLUMN retired_in xid8;
ALTER TABLE deks ADD COLUMN destroyed_at timestamptz;
ALTER TABLE deks ADD CONSTRAINT deks_destroyed_is_empty CHECK ((state = 'destroyed') = (dek_wrapped = ''::bytea));
UPDATE deks SET state = 'retired', retired_at = now(), retired_in = pg_current_xact_id()
 WHERE EXISTS (SELECT FROM deks AS newer WHERE newer.merchant_id = deks.merchant_id
                  AND newer.data_class = deks.data_class AND newer.epoch > deks.epoch);
CREATE UNIQUE INDEX deks_one_active ON deks (merchant_id, data_class) WHERE state = 'active';

-- The DEK of all sealed columns of the row.
ALTER TABLE cards ADD COLUMN key_id bigint;
UPDATE cards SET key_id = ('x' || encode(substring(pan_sealed FROM 2 FOR 8), 'hex'))::bit(64)::bigint;
ALTER TABLE cards ALTER COLUMN key_id SET NOT NULL;
-- Room on each page for the versions that a spent token or a reseal leaves behind.
ALTER TABLE cards SET (fillfactor = 70);

-- A rotation of keys: what a node works on, how far it is, and where it goes on after a crash.
CREATE TABLE rotations (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('kek', 'dek')),
    -- Whose DEKs, and of which class; all when NULL.
    merchant_id uuid,
    data_class text,
    rows_per_second integer CHECK (rows_per_second > 0),
    state text NOT NULL CHECK (state IN ('running', 'done')),
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Keys to re-wrap, or rows to reseal: as estimated at the beginning.
    items_total bigint NOT NULL DEFAULT 0,
    items_done bigint NOT NULL DEFAULT 0,
    -- Reseal: the table and the page of it that comes next, and the passes over all of them so far.
    next_table text,
    next_page bigint NOT NULL DEFAULT 0,
    passes integer NOT NULL DEFAULT 0,
    worked_ms bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX rotations_one_running ON rotations ((true)) WHERE state = 'running';

-- A bulk load of cards from another system. `secret_wrapped` derives the records' ids from line numbers, so that a batch
-- that is sent again finds its own rows.
CREATE TABLE imports (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    kek_version integer NOT NULL,
    secret_wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE TABLE import_batches (
    import_id uuid NOT NULL REFERENCES imports (id),
    number integer NOT NULL CHECK (number >= 0),
    -- HMAC of the batch under the import's secret: the same number with other lines is another file.
    content_hash bytea NOT NULL,
    rows integer NOT NULL,
    -- Lines that were refused, with the code of what is wrong with each; never a digit of them.
    refused jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (import_id, number)
);

-- Openings of all classes; of many records at once in the vault's own batches.
ALTER TABLE openings RENAME COLUMN card_id TO record_id;
ALTER TABLE openings ADD COLUMN class text NOT NULL DEFAULT 'card';
ALTER TABLE openings ADD COLUMN records integer NOT NULL DEFAULT 1 CHECK (records > 0);

ALTER TABLE alerts DROP CONSTRAINT alerts_kind_check;
ALTER TABLE alerts ADD CONSTRAINT alerts_kind_check CHECK (kind ~ '^[a-z_]{1,64}$');
-- Not every alert is about one merchant.
ALTER TABLE alerts ALTER COLUMN merchant_id DROP NOT NULL;

GRANT SELECT, INSERT, UPDATE (material, state, retired_at, destroyed_at) ON keks TO vault_app;
GRANT SELECT, INSERT, UPDATE (kek_version, secret_wrapped) ON root_secrets TO vault_app;
GRANT UPDATE (kek_version, dek_wrapped, state, retired_at, retired_in, destroyed_at) ON deks TO vault_app;
GRANT UPDATE (key_id, pan_sealed, holder_sealed) ON cards TO vault_app;
GRANT SELECT, INSERT ON rotations TO vault_app;
GRANT UPDATE (state, finished_at, items_total, items_done, next_table, next_page, passes, worked_ms) ON rotations TO vault_app;
GRANT SELECT, INSERT, UPDATE (kek_version, secret_wrapped, finished_at) ON imports TO vault_app;
GRANT SELECT, INSERT ON import_batches TO vault_app;
