-- The books and the timeline. Append-only: the service's role can write and read, and can change nothing.

-- Every movement of money, from one account to another: balanced by construction. The key makes it impossible to book one
-- attempt's movement twice.
CREATE TABLE transfers (
    merchant_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('capture', 'refund')),
    livemode boolean NOT NULL,
    debit_account text NOT NULL CHECK (debit_account IN ('acquirer_receivable', 'merchant_payable')),
    credit_account text NOT NULL CHECK (credit_account IN ('acquirer_receivable', 'merchant_payable')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, attempt_id, kind),
    FOREIGN KEY (merchant_id, attempt_id) REFERENCES attempts (merchant_id, id),
    CHECK (debit_account <> credit_account)
);
GRANT SELECT, INSERT ON transfers TO gateway_app;

CREATE TABLE timeline (
    merchant_id uuid NOT NULL,
    payment_intent_id uuid NOT NULL,
    at timestamptz NOT NULL,
    -- Order among entries of one moment.
    place smallint NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    request_id uuid,
    attempt_id uuid,
    network_reference text,
    amount_minor bigint,
    code text,
    PRIMARY KEY (merchant_id, payment_intent_id, at, place, id)
);
GRANT SELECT, INSERT ON timeline TO gateway_app;
