-- Zone 2. The service's role owns nothing, can't change this schema, and can't delete or rewrite what must last.

-- One data encryption key per merchant, data class and epoch, wrapped under the KEK of the key provider.
CREATE TABLE deks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id uuid NOT NULL,
    data_class text NOT NULL CHECK (data_class IN ('card')),
    epoch integer NOT NULL CHECK (epoch > 0),
    kek_version integer NOT NULL,
    dek_wrapped bytea NOT NULL,
    -- Seals are counted in blocks that a process reserves before it uses them: at most 2^31 with one key (NIST SP 800-38D).
    seals_reserved bigint NOT NULL DEFAULT 0 CHECK (seals_reserved BETWEEN 0 AND 2147483648),
    created_at timestamptz NOT NULL,
    UNIQUE (merchant_id, data_class, epoch)
);

-- One card of one merchant. `tok_X` and `pm_X` both name the row X; spent_at and saved_at say which of them is in force.
CREATE TABLE cards (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    pan_sealed bytea NOT NULL,
    holder_sealed bytea,
    -- HMAC of the number under a key that is in no database.
    fingerprint_hash bytea NOT NULL,
    merchant_fingerprint text NOT NULL,
    brand text NOT NULL,
    bin text NOT NULL CHECK (length(bin) = 6),
    last_four text NOT NULL CHECK (length(last_four) = 4),
    exp_month smallint NOT NULL,
    exp_year smallint NOT NULL,
    created_at timestamptz NOT NULL,
    -- The attempt or the attachment that used up `tok_X`.
    spent_by uuid,
    saved_at timestamptz
);

-- One attempt at moving money, recorded before anything is sent. Without an outcome it may or may not have arrived.
CREATE TABLE attempts (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    kind text NOT NULL CHECK (kind IN ('authorize', 'purchase', 'capture', 'void', 'refund', 'tombstone')),
    card_id uuid,
    original_id uuid,
    network_reference text NOT NULL,
    stan integer NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    created_at timestamptz NOT NULL,
    outcome text CHECK (outcome IN ('approved', 'declined', 'reversed')),
    approval_code text,
    response_code text,
    cvc_check text,
    decided_at timestamptz,
    UNIQUE (network_reference)
);

-- The access ledger: every opening of a sealed record, durable before the use.
CREATE TABLE openings (
    node smallint NOT NULL,
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    request_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    card_id uuid NOT NULL,
    fields text[] NOT NULL,
    purpose text NOT NULL,
    attempt_id uuid,
    PRIMARY KEY (node, sequence)
);
CREATE INDEX openings_attempt ON openings (attempt_id);

-- What must be looked at by a person.
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('sealed_data_unopenable', 'wrapped_key_unopenable')),
    merchant_id uuid NOT NULL,
    record_id uuid,
    request_id uuid
);

GRANT USAGE ON SCHEMA public TO vault_app;
GRANT SELECT ON _sqlx_migrations TO vault_app;
GRANT SELECT, INSERT, UPDATE (seals_reserved) ON deks TO vault_app;
GRANT SELECT, INSERT, UPDATE (spent_by, saved_at) ON cards TO vault_app;
GRANT SELECT, INSERT, UPDATE (outcome, approval_code, response_code, cvc_check, decided_at) ON attempts TO vault_app;
GRANT SELECT, INSERT ON openings TO vault_app;
GRANT SELECT, INSERT ON alerts TO vault_app;
