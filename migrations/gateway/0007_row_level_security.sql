-- Each merchant's rows are its own: the role that works for merchants sees and changes only those of the merchant that its
-- connection was set to, and none before it was. The role of the gateway's own work sees all rows of few columns.
--
-- This holds what a statement forgot. Whoever runs SQL of his own choice as gateway_app can set another merchant too: what is
-- safe then is what is not in this database at all.

CREATE FUNCTION current_merchant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('kura.merchant', true), '')::uuid;
REVOKE ALL ON FUNCTION current_merchant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION current_merchant() TO gateway_app;

-- For every table that has a merchant_id, when it is made.
CREATE PROCEDURE keep_rows_apart(name regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY of_one_merchant ON %s TO gateway_app
        USING (merchant_id = (SELECT current_merchant())) WITH CHECK (merchant_id = (SELECT current_merchant()))', name);
    EXECUTE format('CREATE POLICY of_all_merchants ON %s TO gateway_work USING (true) WITH CHECK (true)', name);
END $$;
REVOKE ALL ON PROCEDURE keep_rows_apart(regclass) FROM PUBLIC;

CALL keep_rows_apart('api_keys');
CALL keep_rows_apart('idempotency_keys');
CALL keep_rows_apart('customers');
CALL keep_rows_apart('cards');
CALL keep_rows_apart('payment_intents');
CALL keep_rows_apart('attempts');
CALL keep_rows_apart('charges');
CALL keep_rows_apart('refunds');
CALL keep_rows_apart('transfers');
CALL keep_rows_apart('timeline');

ALTER TABLE merchants ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_one_merchant ON merchants TO gateway_app USING (id = (SELECT current_merchant()));
CREATE POLICY of_all_merchants ON merchants TO gateway_work USING (true) WITH CHECK (true);

-- Merchants and keys are made by the gateway's own work.
REVOKE ALL ON merchants, api_keys FROM gateway_app;
GRANT SELECT ON merchants TO gateway_app;
GRANT SELECT ON _sqlx_migrations TO gateway_work;
GRANT SELECT, INSERT ON merchants, api_keys TO gateway_work;
GRANT UPDATE (revoked_at) ON api_keys TO gateway_work;

-- Which attempts are due, which answers are past their day.
GRANT SELECT (merchant_id, id, livemode, state, resolve_at, resolve_count) ON attempts TO gateway_work;
GRANT UPDATE (resolve_at, resolve_count) ON attempts TO gateway_work;
GRANT SELECT (merchant_id, livemode, scope, key, created_at), DELETE ON idempotency_keys TO gateway_work;

-- The console's pages.
GRANT SELECT (merchant_id, id, livemode, amount_minor, currency, status, amount_received_minor, amount_refunded_minor,
    card_record, description, error_code, error_decline_code, error_card_record, created_at) ON payment_intents TO gateway_work;
GRANT SELECT (merchant_id, record, brand, bin, last_four) ON cards TO gateway_work;
GRANT SELECT ON timeline TO gateway_work;
