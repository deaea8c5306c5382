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
