-- What networks say they have settled, day by day, held against the books. A row of theirs names no merchant: these tables are
-- the gateway's own, and the role that works for merchants has nothing to do with them.
CREATE TABLE settlement_rows (
    livemode boolean NOT NULL,
    network text NOT NULL CHECK (network IN ('card', 'konbini', 'payeasy', 'emoney')),
    -- The network's own.
    sequence bigint NOT NULL,
    day date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('payment', 'refund', 'reversal', 'refund_reversal', 'chargeback', 'chargeback_reversal')),
    network_reference text NOT NULL CHECK (network_reference ~ '^[0-9A-Za-z]{12}$'),
    -- What it counts for: a payment, a refund or a dispute, by whose reference; what takes back counts for what it takes back.
    class text NOT NULL CHECK (class IN ('payment', 'refund', 'dispute')),
    subject text NOT NULL CHECK (subject ~ '^[0-9A-Za-z]{12}$'),
    -- More of its class, or less.
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    at timestamptz NOT NULL,
    PRIMARY KEY (livemode, network, sequence)
);
CREATE INDEX settlement_rows_of_subject ON settlement_rows (livemode, network, subject);
CREATE INDEX settlement_rows_of_day ON settlement_rows (livemode, network, day, sequence);
GRANT SELECT, INSERT ON settlement_rows TO gateway_work;

CREATE TABLE reconciliations (
    livemode boolean NOT NULL,
    network text NOT NULL CHECK (network IN ('card', 'konbini', 'payeasy', 'emoney')),
    day date NOT NULL,
    -- The day was over when its rows were read, and they were compared.
    complete boolean NOT NULL,
    rows bigint NOT NULL,
    compared_at timestamptz NOT NULL,
    PRIMARY KEY (livemode, network, day)
);
GRANT SELECT, INSERT, UPDATE ON reconciliations TO gateway_work;

CREATE TABLE reconciliation_differences (
    id uuid PRIMARY KEY,
    livemode boolean NOT NULL,
    network text NOT NULL CHECK (network IN ('card', 'konbini', 'payeasy', 'emoney')),
    class text NOT NULL CHECK (class IN ('payment', 'refund', 'dispute')),
    subject text NOT NULL,
    currency text NOT NULL,
    -- Zero where it is not there at all.
    theirs_minor bigint NOT NULL,
    ours_minor bigint NOT NULL,
    -- Whose, where it is known.
    owner_id uuid,
    day date NOT NULL,
    found_at timestamptz NOT NULL,
    -- Open until both say the same, or until somebody has explained it.
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('matched', 'by_hand')),
    resolved_by text CHECK (char_length(resolved_by) BETWEEN 1 AND 100),
    note text CHECK (char_length(note) BETWEEN 1 AND 1000),
    UNIQUE (livemode, network, class, subject, currency),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
    CHECK ((resolution = 'by_hand') = (resolved_by IS NOT NULL AND note IS NOT NULL)),
    CHECK (theirs_minor <> ours_minor OR resolution = 'matched')
);
CREATE INDEX reconciliation_differences_open ON reconciliation_differences (found_at DESC, id DESC) WHERE resolved_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON reconciliation_differences TO gateway_work;

-- The books of all merchants, to be held against the networks', and nothing more of them.
GRANT SELECT (merchant_id, attempt_id, kind, livemode, debit_account, credit_account, amount_minor, currency, created_at)
    ON transfers TO gateway_work;
CREATE INDEX transfers_by_age ON transfers USING brin (created_at);
