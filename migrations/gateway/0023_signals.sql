-- Whose a probed object is, is found out for objects of every kind.
GRANT SELECT (merchant_id, id) ON products, prices, subscriptions, subscription_items, invoices, checkout_sessions, test_clocks,
    webhook_endpoints TO gateway_work;
