-- Payments without a card: at a convenience store, by bank (Pay-easy), from a wallet. The shopper is told what to do; the network
-- says later whether the money is there. Who pays is known to the vault; here is the masked form.
CREATE TABLE payers (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    method text NOT NULL CHECK (method IN ('konbini', 'payeasy', 'emoney')),
    name_masked text CHECK (char_length(name_masked) <= 100),
    email_masked text CHECK (char_length(email_masked) <= 320),
    phone_masked text CHECK (char_length(phone_masked) <= 50),
    postcode_masked text CHECK (char_length(postcode_masked) <= 20),
    address_masked text CHECK (char_length(address_masked) <= 100),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
GRANT SELECT, INSERT ON payers TO gateway_app;
CALL keep_rows_apart('payers');

ALTER TABLE payment_intents
    ADD COLUMN payer_id uuid,
    ADD COLUMN error_payer_id uuid,
    -- What it may be paid with.
    ADD COLUMN payment_method_types text[] NOT NULL DEFAULT '{card}'
        CHECK (payment_method_types <@ ARRAY['card', 'konbini', 'payeasy', 'emoney'] AND cardinality(payment_method_types) > 0),
    -- What was said of deposits before it was confirmed.
    ADD COLUMN deposit_options jsonb NOT NULL DEFAULT '{}',
    ADD FOREIGN KEY (merchant_id, payer_id) REFERENCES payers (merchant_id, id),
    ADD CHECK (card_record IS NULL OR payer_id IS NULL),
    ADD CHECK (error_card_record IS NULL OR error_payer_id IS NULL);
GRANT UPDATE (payer_id, error_payer_id, payment_method_types, deposit_options) ON payment_intents TO gateway_app;
GRANT SELECT (payer_id, error_payer_id) ON payment_intents TO gateway_work;

ALTER TABLE attempts
    ALTER COLUMN card_record DROP NOT NULL,
    ADD COLUMN payer_id uuid,
    ADD FOREIGN KEY (merchant_id, payer_id) REFERENCES payers (merchant_id, id),
    ADD CONSTRAINT attempts_method_check CHECK ((card_record IS NULL) <> (payer_id IS NULL)),
    DROP CONSTRAINT attempts_kind_check,
    ADD CONSTRAINT attempts_kind_check CHECK (kind IN ('authorize', 'capture', 'void', 'refund', 'deposit')),
    DROP CONSTRAINT attempts_check,
    ADD CONSTRAINT attempts_original_check CHECK ((kind IN ('authorize', 'deposit')) = (original_id IS NULL)),
    ADD CONSTRAINT attempts_deposit_check CHECK (kind <> 'deposit' OR payer_id IS NOT NULL);
-- A network's notice names the request by its reference alone.
GRANT SELECT (network_reference) ON attempts TO gateway_work;

ALTER TABLE charges
    ALTER COLUMN card_record DROP NOT NULL,
    ADD COLUMN payer_id uuid,
    -- Where a deposit was made: a store's or a bank's name in one word.
    ADD COLUMN deposit_place text CHECK (char_length(deposit_place) <= 64),
    ADD FOREIGN KEY (merchant_id, payer_id) REFERENCES payers (merchant_id, id),
    ADD CHECK ((card_record IS NULL) <> (payer_id IS NULL));

ALTER TABLE refunds
    -- Where it goes back to.
    ADD COLUMN method text NOT NULL DEFAULT 'card' CHECK (method IN ('card', 'konbini', 'payeasy', 'emoney'));

CREATE TABLE deposits (
    merchant_id uuid NOT NULL,
    -- The attempt that asked for it.
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    payment_intent_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    method text NOT NULL CHECK (method IN ('konbini', 'payeasy', 'emoney')),
    -- asked: the network is being asked. waiting: the shopper is to act. paid: booked for its payment. ended: it will not come.
    -- unapplied: it came when its payment could not take it any more; booked apart, for somebody to give back.
    state text NOT NULL CHECK (state IN ('asked', 'waiting', 'paid', 'ended', 'unapplied')),
    description text CHECK (char_length(description) <= 22),
    confirmation_number text CHECK (confirmation_number ~ '^[0-9]{10,11}$'),
    -- What the shopper is to do, as the network said it.
    instructions jsonb,
    expires_at timestamptz NOT NULL,
    paid_at timestamptz,
    place text CHECK (char_length(place) <= 64),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, id) REFERENCES attempts (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    FOREIGN KEY (merchant_id, payer_id) REFERENCES payers (merchant_id, id),
    CHECK (state <> 'waiting' OR instructions IS NOT NULL),
    CHECK ((state IN ('paid', 'unapplied')) = (paid_at IS NOT NULL))
);
-- One at a time, whatever the program believes.
CREATE UNIQUE INDEX deposits_one_under_way ON deposits (merchant_id, payment_intent_id) WHERE state IN ('asked', 'waiting');
CREATE INDEX deposits_by_id ON deposits (id);
GRANT SELECT, INSERT ON deposits TO gateway_app;
GRANT UPDATE (state, instructions, paid_at, place) ON deposits TO gateway_app;
-- A shopper who opens the voucher brings the id alone.
GRANT SELECT (merchant_id, id, livemode) ON deposits TO gateway_work;
CALL keep_rows_apart('deposits');

-- What networks told, each once, written in the transaction that acts on it.
CREATE TABLE notices (
    merchant_id uuid NOT NULL,
    method text NOT NULL CHECK (method IN ('konbini', 'payeasy', 'emoney')),
    id text NOT NULL CHECK (char_length(id) BETWEEN 1 AND 64),
    livemode boolean NOT NULL,
    attempt_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('paid', 'refused', 'expired')),
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, method, id)
);
GRANT SELECT, INSERT ON notices TO gateway_app;
CALL keep_rows_apart('notices');

-- Each network has its account, and money that no payment can take has one of its own.
ALTER TABLE transfers
    DROP CONSTRAINT transfers_kind_check,
    DROP CONSTRAINT transfers_debit_account_check,
    DROP CONSTRAINT transfers_credit_account_check,
    ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('capture', 'refund', 'deposit', 'unapplied')),
    ADD CONSTRAINT transfers_debit_account_check CHECK (debit_account IN ('acquirer_receivable', 'konbini_receivable',
        'payeasy_receivable', 'emoney_receivable', 'merchant_payable', 'unapplied_deposits')),
    ADD CONSTRAINT transfers_credit_account_check CHECK (credit_account IN ('acquirer_receivable', 'konbini_receivable',
        'payeasy_receivable', 'emoney_receivable', 'merchant_payable', 'unapplied_deposits'));
