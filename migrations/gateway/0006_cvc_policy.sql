-- A merchant may insist on the security code at a card's first charge, also when the node that held it is gone.
ALTER TABLE merchants ADD COLUMN requires_cvc boolean NOT NULL DEFAULT false;
-- When a charge of the card was first approved.
ALTER TABLE cards ADD COLUMN charged_at timestamptz;
UPDATE cards SET charged_at = first.at
  FROM (SELECT merchant_id, card_record, min(created_at) AS at FROM charges WHERE status = 'succeeded'
        GROUP BY merchant_id, card_record) AS first
 WHERE cards.merchant_id = first.merchant_id AND cards.record = first.card_record;
GRANT UPDATE (charged_at) ON cards TO gateway_app;
