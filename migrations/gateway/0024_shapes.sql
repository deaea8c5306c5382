-- What can be changed of a payment method: its data, and a card's expiry, which the vault takes first.
GRANT UPDATE (exp_month, exp_year) ON cards TO gateway_app;
GRANT UPDATE (metadata) ON payers TO gateway_app;
