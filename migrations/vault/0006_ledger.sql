-- The access ledger as a Merkle tree (RFC 9162): each row with its leaf's hash, partitioned by day; the tree's tiles; signed
-- checkpoints; and one row for each node that says how far its ledger goes, which no two writers can move at once.

-- A row as a leaf, version 1 (ledger/src/opening.rs), for the rows that were written before there was a tree.
CREATE FUNCTION pg_temp.put(value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN int4send(length(value)) || value;
CREATE FUNCTION pg_temp.words(fields text[]) RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN int4send(cardinality(fields)) || coalesce((
        SELECT string_agg(int4send(octet_length(field)) || convert_to(field, 'UTF8'), ''::bytea ORDER BY place)
          FROM unnest(fields) WITH ORDINALITY AS each (field, place)), ''::bytea);

ALTER TABLE openings RENAME TO openings_unpartitioned;
ALTER TABLE openings_unpartitioned DROP CONSTRAINT openings_pkey;
DROP INDEX openings_attempt;

CREATE TABLE openings (
    node smallint NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    -- In UTC. The partition, and so a part of every unique key; `ledger_heads` is what keeps a sequence from being used twice.
    day date NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    request_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    class text NOT NULL,
    records integer NOT NULL CHECK (records > 0),
    fields text[] NOT NULL,
    purpose text NOT NULL,
    attempt_id uuid,
    leaf_hash bytea NOT NULL CHECK (length(leaf_hash) = 32),
    PRIMARY KEY (node, sequence, day),
    CONSTRAINT openings_day CHECK (day = (at AT TIME ZONE 'UTC')::date)
) PARTITION BY RANGE (day);
CREATE INDEX openings_attempt ON openings (attempt_id);
CREATE INDEX openings_record ON openings (record_id);
CREATE INDEX openings_request ON openings (request_id);
CREATE INDEX openings_actor ON openings (actor, at);
CREATE INDEX openings_merchant ON openings (merchant_id, at);
-- Where a row goes whose day has no partition: none is ever refused for want of one. Rows in here are an alert.
CREATE TABLE openings_default PARTITION OF openings DEFAULT;

-- Makes the partitions of a day and of so many after it, for a service that has no right to. Gives how many rows stand in
-- the default partition; a day that has rows there gets none of its own (the owner moves them first).
CREATE FUNCTION open_ledger_days(first_day date, ahead integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wanted date;
    name text;
BEGIN
    IF first_day NOT BETWEEN current_date - 2 AND current_date + 2 OR ahead NOT BETWEEN 0 AND 62 THEN
        RAISE EXCEPTION 'only days from now on, two months at the most';
    END IF;
    -- One node at a time.
    PERFORM pg_advisory_xact_lock(7301, 0);
    FOR wanted IN SELECT first_day + n FROM generate_series(0, ahead) AS n LOOP
        name := 'openings_' || to_char(wanted, 'YYYY_MM_DD');
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace);
        CONTINUE WHEN EXISTS (SELECT FROM public.openings_default WHERE day = wanted);
        -- Made apart and then attached: the ledger's writers don't wait for it.
        EXECUTE format('CREATE TABLE public.%I (LIKE public.openings INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE public.openings ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            name, wanted, wanted + 1);
    END LOOP;
    RETURN (SELECT count(*) FROM public.openings_default);
END
$$;
REVOKE ALL ON FUNCTION open_ledger_days(date, integer) FROM PUBLIC;

-- The days that have rows already.
DO $$
DECLARE
    old date;
BEGIN
    FOR old IN SELECT DISTINCT (at AT TIME ZONE 'UTC')::date FROM openings_unpartitioned LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF openings FOR VALUES FROM (%L) TO (%L)',
            'openings_' || to_char(old, 'YYYY_MM_DD'), old, old + 1);
    END LOOP;
END
$$;
INSERT INTO openings (node, sequence, day, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose,
    attempt_id, leaf_hash)
SELECT node, sequence, (at AT TIME ZONE 'UTC')::date, at, actor, request_id, merchant_id, record_id, class, records, fields,
    purpose, attempt_id,
    sha256('\x00'::bytea || pg_temp.put('kura opening v1'::bytea) || pg_temp.put(int2send(node))
        || pg_temp.put(int8send(sequence)) || pg_temp.put(int8send((extract(epoch FROM at) * 1000000)::bigint))
        || pg_temp.put(convert_to(actor, 'UTF8')) || pg_temp.put(uuid_send(request_id)) || pg_temp.put(uuid_send(merchant_id))
        || pg_temp.put(uuid_send(record_id)) || pg_temp.put(convert_to(class, 'UTF8')) || pg_temp.put(int4send(records))
        || pg_temp.words(fields) || pg_temp.put(convert_to(purpose, 'UTF8'))
        || pg_temp.put(coalesce(uuid_send(attempt_id), ''::bytea)))
  FROM openings_unpartitioned;
DROP TABLE openings_unpartitioned;
DROP FUNCTION pg_temp.put(bytea), pg_temp.words(text[]);

-- How many rows a node's ledger has. A row's transaction moves it from what its writer knows, or fails: two writers, or one
-- that lost the answer to a commit, can't use a sequence twice.
CREATE TABLE ledger_heads (
    node smallint PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0)
) WITH (fillfactor = 20);
INSERT INTO ledger_heads SELECT node, max(sequence) FROM openings GROUP BY node;

-- Complete tiles of 256 hashes: level 0 holds leaf hashes, each other the roots of 256 tiles of the one below. They outlive
-- the rows, so that a tree stays provable whose oldest days were taken away.
CREATE TABLE ledger_tiles (
    node smallint NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (node, level, index)
);
-- Hashes don't compress.
ALTER TABLE ledger_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- What the vault has signed: a C2SP signed note for each second in which there were rows.
CREATE TABLE checkpoints (
    node smallint NOT NULL,
    size bigint NOT NULL CHECK (size > 0),
    root_hash bytea NOT NULL CHECK (length(root_hash) = 32),
    note text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (node, size)
);

GRANT SELECT, INSERT ON openings, ledger_tiles, checkpoints TO vault_app;
GRANT SELECT, INSERT, UPDATE (size) ON ledger_heads TO vault_app;
GRANT EXECUTE ON FUNCTION open_ledger_days(date, integer) TO vault_app;
