-- Clocks that a merchant turns. Customers of such a clock, and all that is theirs, live by its time.
CREATE TABLE test_clocks (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL CHECK (NOT livemode),
    name text CHECK (char_length(name) <= 300),
    frozen_at timestamptz NOT NULL,
    -- Where it is being turned to.
    target_at timestamptz,
    status text NOT NULL CHECK (status IN ('ready', 'advancing', 'internal_failure')),
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    look_at timestamptz,
    look_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, id),
    CHECK (target_at IS NOT NULL OR status <> 'advancing')
);
CREATE INDEX test_clocks_of_merchant ON test_clocks (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX test_clocks_due ON test_clocks (look_at) WHERE look_at IS NOT NULL;
GRANT SELECT, INSERT ON test_clocks TO gateway_app;
GRANT UPDATE (frozen_at, target_at, status, deleted_at, look_at, look_count) ON test_clocks TO gateway_app;
GRANT SELECT (merchant_id, id, livemode, look_at, look_count) ON test_clocks TO gateway_work;
GRANT UPDATE (look_at, look_count) ON test_clocks TO gateway_work;
CALL keep_rows_apart('test_clocks');

ALTER TABLE customers
    ADD COLUMN test_clock_id uuid,
    -- Its newest invoice is overdue.
    ADD COLUMN delinquent boolean NOT NULL DEFAULT false,
    -- Invoices that have a number.
    ADD COLUMN invoice_count integer NOT NULL DEFAULT 0 CHECK (invoice_count >= 0),
    -- Less than nothing is a credit that the next invoice takes.
    ADD COLUMN balance_minor bigint NOT NULL DEFAULT 0 CHECK (balance_minor BETWEEN -99999999999 AND 0),
    ADD COLUMN balance_currency text CHECK (balance_currency ~ '^[a-z]{3}$'),
    ADD FOREIGN KEY (merchant_id, test_clock_id) REFERENCES test_clocks (merchant_id, id),
    ADD CHECK (balance_minor = 0 OR balance_currency IS NOT NULL);
CREATE INDEX customers_of_clock ON customers (merchant_id, test_clock_id) WHERE test_clock_id IS NOT NULL;
GRANT UPDATE (delinquent, invoice_count, balance_minor, balance_currency) ON customers TO gateway_app;

-- What becomes of a subscription whose invoice could not be paid in any of its tries.
ALTER TABLE merchants ADD COLUMN after_last_try text NOT NULL DEFAULT 'cancel' CHECK (after_last_try IN ('cancel', 'unpaid'));

CREATE TABLE subscriptions (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    customer_id uuid NOT NULL,
    test_clock_id uuid,
    status text NOT NULL CHECK (status IN ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'canceled')),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    -- Periods are counted from here.
    anchor_at timestamptz NOT NULL,
    period_start_at timestamptz NOT NULL,
    period_end_at timestamptz NOT NULL,
    trial_start_at timestamptz,
    trial_end_at timestamptz,
    trial_without_card text NOT NULL CHECK (trial_without_card IN ('create_invoice', 'cancel')),
    trial_end_told boolean NOT NULL DEFAULT false,
    cancel_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    canceled_at timestamptz,
    ended_at timestamptz,
    cancellation_reason text CHECK (cancellation_reason IN ('cancellation_requested', 'payment_failed')),
    cancellation_comment text CHECK (char_length(cancellation_comment) <= 1000),
    cancellation_feedback text CHECK (char_length(cancellation_feedback) <= 40),
    default_card_record uuid,
    saves_card boolean NOT NULL DEFAULT false,
    latest_invoice_id uuid,
    description text CHECK (char_length(description) <= 500),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    -- When the next thing happens to it, by its own time; and when somebody looks, by ours. A clock's are looked at by their clock.
    due_at timestamptz,
    look_at timestamptz,
    look_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, test_clock_id) REFERENCES test_clocks (merchant_id, id),
    FOREIGN KEY (merchant_id, default_card_record) REFERENCES cards (merchant_id, record),
    CHECK (period_start_at < period_end_at),
    CHECK (test_clock_id IS NULL OR look_at IS NULL),
    CHECK (ended_at IS NULL OR (due_at IS NULL AND look_at IS NULL))
);
CREATE INDEX subscriptions_of_merchant ON subscriptions (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX subscriptions_of_customer ON subscriptions (merchant_id, customer_id, created_at DESC, id DESC);
CREATE INDEX subscriptions_of_clock ON subscriptions (merchant_id, test_clock_id, due_at) WHERE test_clock_id IS NOT NULL;
CREATE INDEX subscriptions_due ON subscriptions (look_at) WHERE look_at IS NOT NULL;
GRANT SELECT, INSERT ON subscriptions TO gateway_app;
GRANT UPDATE (status, anchor_at, period_start_at, period_end_at, trial_start_at, trial_end_at, trial_without_card, trial_end_told,
    cancel_at, cancel_at_period_end, canceled_at, ended_at, cancellation_reason, cancellation_comment, cancellation_feedback,
    default_card_record, saves_card, latest_invoice_id, description, metadata, due_at, look_at, look_count)
    ON subscriptions TO gateway_app;
GRANT SELECT (merchant_id, id, livemode, look_at, look_count) ON subscriptions TO gateway_work;
GRANT UPDATE (look_at, look_count) ON subscriptions TO gateway_work;
CALL keep_rows_apart('subscriptions');

CREATE TABLE subscription_items (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    subscription_id uuid NOT NULL,
    price_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity BETWEEN 0 AND 1000000),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, subscription_id) REFERENCES subscriptions (merchant_id, id),
    FOREIGN KEY (merchant_id, price_id) REFERENCES prices (merchant_id, id)
);
CREATE INDEX subscription_items_of_subscription ON subscription_items (merchant_id, subscription_id, created_at, id);
GRANT SELECT, INSERT, DELETE ON subscription_items TO gateway_app;
GRANT UPDATE (price_id, quantity, metadata) ON subscription_items TO gateway_app;
CALL keep_rows_apart('subscription_items');

CREATE TABLE invoices (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    customer_id uuid NOT NULL,
    subscription_id uuid,
    test_clock_id uuid,
    number text CHECK (char_length(number) <= 26),
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    billing_reason text NOT NULL CHECK (billing_reason IN ('manual', 'subscription_create', 'subscription_cycle', 'subscription_update')),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    -- The sum of its lines, what of the customer's credit it took, and what was asked for.
    total_minor bigint NOT NULL,
    starting_balance_minor bigint NOT NULL DEFAULT 0 CHECK (starting_balance_minor <= 0),
    ending_balance_minor bigint CHECK (ending_balance_minor <= 0),
    amount_due_minor bigint NOT NULL CHECK (amount_due_minor BETWEEN 0 AND 99999999),
    amount_paid_minor bigint NOT NULL DEFAULT 0 CHECK (amount_paid_minor BETWEEN 0 AND amount_due_minor),
    -- It goes on by itself: a draft is finalized, an open one is paid.
    auto_advance boolean NOT NULL,
    -- Tries that were begun, and whether the newest is under way.
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    trying boolean NOT NULL DEFAULT false,
    try_off_session boolean NOT NULL DEFAULT true,
    payment_intent_id uuid,
    period_start_at timestamptz NOT NULL,
    period_end_at timestamptz NOT NULL,
    description text CHECK (char_length(description) <= 1000),
    metadata jsonb NOT NULL,
    -- The subscription's own, when it was made.
    subscription_metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    finalized_at timestamptz,
    paid_at timestamptz,
    voided_at timestamptz,
    uncollectible_at timestamptz,
    due_at timestamptz,
    look_at timestamptz,
    look_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, subscription_id) REFERENCES subscriptions (merchant_id, id),
    FOREIGN KEY (merchant_id, test_clock_id) REFERENCES test_clocks (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_intent_id) REFERENCES payment_intents (merchant_id, id),
    UNIQUE (merchant_id, customer_id, number),
    CHECK ((status = 'draft') = (finalized_at IS NULL)),
    CHECK (status <> 'paid' OR amount_paid_minor = amount_due_minor),
    CHECK (NOT trying OR status = 'open')
);
CREATE INDEX invoices_of_merchant ON invoices (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX invoices_of_customer ON invoices (merchant_id, customer_id, created_at DESC, id DESC);
CREATE INDEX invoices_of_subscription ON invoices (merchant_id, subscription_id, created_at DESC, id DESC) WHERE subscription_id IS NOT NULL;
CREATE INDEX invoices_of_clock ON invoices (merchant_id, test_clock_id, due_at) WHERE test_clock_id IS NOT NULL;
CREATE INDEX invoices_due ON invoices (look_at) WHERE look_at IS NOT NULL;
GRANT SELECT, INSERT ON invoices TO gateway_app;
GRANT UPDATE (number, status, total_minor, starting_balance_minor, ending_balance_minor, amount_due_minor, amount_paid_minor,
    auto_advance, tries, trying, try_off_session, payment_intent_id, description, metadata, finalized_at, paid_at, voided_at,
    uncollectible_at, due_at, look_at, look_count) ON invoices TO gateway_app;
GRANT SELECT (merchant_id, id, livemode, look_at, look_count) ON invoices TO gateway_work;
GRANT UPDATE (look_at, look_count) ON invoices TO gateway_work;
CALL keep_rows_apart('invoices');

ALTER TABLE subscriptions ADD FOREIGN KEY (merchant_id, latest_invoice_id) REFERENCES invoices (merchant_id, id);

CREATE TABLE invoice_lines (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    customer_id uuid NOT NULL,
    -- None yet: the next invoice takes it.
    invoice_id uuid,
    subscription_id uuid,
    subscription_item_id uuid,
    price_id uuid,
    product_id uuid,
    place integer NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN -99999999 AND 99999999),
    unit_amount_minor bigint,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    description text CHECK (char_length(description) <= 500),
    proration boolean NOT NULL,
    -- It waited for its invoice.
    waited boolean NOT NULL,
    period_start_at timestamptz NOT NULL,
    period_end_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, id),
    FOREIGN KEY (merchant_id, subscription_id) REFERENCES subscriptions (merchant_id, id)
);
CREATE INDEX invoice_lines_of_invoice ON invoice_lines (merchant_id, invoice_id, place, id) WHERE invoice_id IS NOT NULL;
CREATE INDEX invoice_lines_waiting ON invoice_lines (merchant_id, customer_id) WHERE invoice_id IS NULL;
GRANT SELECT, INSERT, DELETE ON invoice_lines TO gateway_app;
GRANT UPDATE (invoice_id, place) ON invoice_lines TO gateway_app;
CALL keep_rows_apart('invoice_lines');

-- The payment of an invoice.
ALTER TABLE payment_intents ADD COLUMN invoice_id uuid,
    ADD FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, id);
