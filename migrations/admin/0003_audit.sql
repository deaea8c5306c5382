-- What people did in the console. Append-only: admin_app may INSERT and SELECT, and nothing else.

CREATE TABLE audit (
    -- 1, 2, 3, … without gaps and in the order of commit, so that a row's place can be its leaf in a Merkle tree.
    sequence        bigint      PRIMARY KEY,
    at              timestamptz NOT NULL,
    kind            text        NOT NULL CHECK (kind ~ '^[a-z_]{3,40}$'),
    -- Without a foreign key: a row says what was so when it was written.
    person_id       uuid,
    request_id      text,
    address         inet,
    user_agent_hash bytea       CHECK (length(user_agent_hash) = 32),
    -- What it was done to, such as pi_….
    subject         text        CHECK (length(subject) <= 100),
    -- Words of a closed set, never what somebody typed.
    detail          text        CHECK (detail ~ '^[a-z0-9_]{1,60}$')
);
CREATE INDEX audit_person ON audit (person_id, sequence);
CREATE INDEX audit_at ON audit (at);

-- The place is given here and by nobody else. The lock lasts until commit; the console writes few rows, and the row is the
-- last statement of its transaction.
CREATE FUNCTION audit_give_place() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(6521);
    SELECT coalesce(max(sequence), 0) + 1 INTO NEW.sequence FROM audit;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_give_place BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_give_place();

GRANT SELECT, INSERT ON audit TO admin_app;
