-- Customers and cards, as far as the gateway may know them: no name, address, e-mail or telephone number in the clear
-- (only the masked form that the API shows again), and of a card its BIN and last four at the most.

CREATE TABLE customers (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    name_masked text CHECK (char_length(name_masked) <= 100),
    email_masked text CHECK (char_length(email_masked) <= 100),
    phone_masked text CHECK (char_length(phone_masked) <= 100),
    description text CHECK (char_length(description) <= 1000),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
GRANT SELECT, INSERT ON customers TO gateway_app;

-- One row for each card record of the vault. Its name is tok_X while it is single-use, and pm_X once it is saved.
CREATE TABLE cards (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    record uuid NOT NULL,
    livemode boolean NOT NULL,
    node smallint NOT NULL CHECK (node BETWEEN 0 AND 1023),
    brand text NOT NULL CHECK (brand IN ('amex', 'diners', 'discover', 'jcb', 'mastercard', 'unionpay', 'visa')),
    bin text NOT NULL CHECK (bin ~ '^[0-9]{6}$'),
    last_four text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    exp_month smallint NOT NULL CHECK (exp_month BETWEEN 1 AND 12),
    exp_year smallint NOT NULL CHECK (exp_year BETWEEN 2000 AND 2999),
    fingerprint text NOT NULL CHECK (char_length(fingerprint) <= 64),
    token_used_at timestamptz,
    saved_at timestamptz,
    customer_id uuid,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, record),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    CHECK (customer_id IS NULL OR saved_at IS NOT NULL)
);
CREATE INDEX cards_of_customer ON cards (merchant_id, customer_id, created_at DESC, record DESC) WHERE customer_id IS NOT NULL;
GRANT SELECT, INSERT ON cards TO gateway_app;
GRANT UPDATE (token_used_at, saved_at, customer_id, metadata) ON cards TO gateway_app;
