-- What can be changed of a payment method: its data, and a card's expiry, which the vault takes first.
GRANT UPDATE (exp_month, exp_year) ON cards TO gateway_app;
GRANT UPDATE (metadata) ON payers TO gateway_app;

-- Invoices that are sent: the customer pays by a day, which they alone have. Drafts that the merchant wrote can be deleted.
ALTER TABLE invoices ADD COLUMN payable_until_at timestamptz;
GRANT UPDATE (payable_until_at) ON invoices TO gateway_app;
GRANT DELETE ON invoices TO gateway_app;

-- What waits, or waited, for its invoice is an item that the merchant sees by itself.
GRANT UPDATE (price_id, product_id, amount_minor, unit_amount_minor, quantity, description, period_start_at, period_end_at, metadata)
    ON invoice_lines TO gateway_app;
CREATE INDEX invoice_items_of_merchant ON invoice_lines (merchant_id, livemode, created_at DESC, id DESC) WHERE waited;
CREATE INDEX invoice_items_of_customer ON invoice_lines (merchant_id, customer_id, created_at DESC, id DESC) WHERE waited;
GRANT SELECT (merchant_id, id) ON invoice_lines TO gateway_work;

-- A subscription whose invoices are sent says how many days the customer has; one whose collection rests says what becomes of
-- the invoices meanwhile.
ALTER TABLE subscriptions
    ADD COLUMN days_until_due smallint CHECK (days_until_due BETWEEN 0 AND 730),
    ADD COLUMN pause_behavior text CHECK (pause_behavior IN ('keep_as_draft', 'mark_uncollectible', 'void')),
    ADD COLUMN resumes_at timestamptz,
    ADD CHECK (resumes_at IS NULL OR pause_behavior IS NOT NULL);
GRANT UPDATE (days_until_due, pause_behavior, resumes_at) ON subscriptions TO gateway_app;

-- Lists by what few rows have walk along those rows alone.
CREATE INDEX subscriptions_in_state ON subscriptions (merchant_id, livemode, status, created_at DESC, id DESC);
CREATE INDEX subscriptions_alive ON subscriptions (merchant_id, livemode, created_at DESC, id DESC) WHERE status <> 'canceled';
CREATE INDEX subscriptions_ended ON subscriptions (merchant_id, livemode, created_at DESC, id DESC)
    WHERE status IN ('canceled', 'incomplete_expired');
CREATE INDEX subscriptions_listed_of_clock ON subscriptions (merchant_id, test_clock_id, created_at DESC, id DESC)
    WHERE test_clock_id IS NOT NULL;
CREATE INDEX invoices_in_state ON invoices (merchant_id, livemode, status, created_at DESC, id DESC);
CREATE INDEX checkout_sessions_in_state ON checkout_sessions (merchant_id, livemode, status, created_at DESC, id DESC);
CREATE INDEX checkout_sessions_of_customer ON checkout_sessions (merchant_id, customer_id, created_at DESC, id DESC)
    WHERE customer_id IS NOT NULL;
CREATE INDEX checkout_sessions_of_payment ON checkout_sessions (merchant_id, payment_intent_id, created_at DESC, id DESC)
    WHERE payment_intent_id IS NOT NULL;
CREATE INDEX checkout_sessions_of_subscription ON checkout_sessions (merchant_id, subscription_id, created_at DESC, id DESC)
    WHERE subscription_id IS NOT NULL;
-- Nearly all requests read or make something, and end well: these cost nothing.
CREATE INDEX request_logs_of_error ON request_logs (merchant_id, livemode, code, created_at DESC, id DESC) WHERE code IS NOT NULL;
CREATE INDEX request_logs_refused ON request_logs (merchant_id, livemode, status, created_at DESC, id DESC) WHERE status >= 400;
CREATE INDEX request_logs_deleting ON request_logs (merchant_id, livemode, created_at DESC, id DESC) WHERE method = 'DELETE';
CREATE INDEX invoice_items_pending ON invoice_lines (merchant_id, livemode, created_at DESC, id DESC) WHERE waited AND invoice_id IS NULL;
