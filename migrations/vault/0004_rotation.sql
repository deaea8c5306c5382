-- What a rotation needs to go on after a crash, on whichever node, and what it could not do.

-- The KEK that is to be replaced, and the kind of provider that makes its successor (as before, when NULL).
ALTER TABLE rotations ADD COLUMN old_kek_version integer;
ALTER TABLE rotations ADD COLUMN provider text CHECK (provider IN ('dev-file', 'shamir', 'pkcs11'));
-- The newest DEK when it began: keys up to this one are replaced, once.
ALTER TABLE rotations ADD COLUMN last_key bigint NOT NULL DEFAULT 0;
-- Rows or keys that did not open. They stay as they are, and so does the key that they are under.
ALTER TABLE rotations ADD COLUMN items_damaged bigint NOT NULL DEFAULT 0 CHECK (items_damaged >= 0);
CREATE INDEX rotations_created ON rotations (created_at);

-- How it runs can be changed while it runs.
GRANT UPDATE (rows_per_second, items_damaged) ON rotations TO vault_app;

-- Cards whose month is over are refused unless the import keeps them.
ALTER TABLE imports ADD COLUMN keep_expired boolean NOT NULL DEFAULT false;

-- The node that imported the card, which is part of its token. NULL for cards that came through the gateway: it knows them.
ALTER TABLE cards ADD COLUMN imported_on smallint;

-- Half of each page is left for the versions that a reseal makes, so that they stay on their page and touch no index.
ALTER TABLE cards SET (fillfactor = 50);
