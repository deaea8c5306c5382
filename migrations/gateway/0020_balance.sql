-- Each movement of a merchant's balance has an id and a moment from which the money is at its disposal. The letters of the id are
-- those of what moved it: a charge, a refund.
ALTER TABLE transfers RENAME COLUMN booked_at TO created_at;
ALTER TABLE transfers
    ADD COLUMN id uuid,
    ADD COLUMN source_id uuid,
    ADD COLUMN available_at timestamptz;
UPDATE transfers SET id = CASE transfers.kind WHEN 'refund' THEN attempts.refund_id ELSE attempts.charge_id END,
       source_id = CASE transfers.kind WHEN 'refund' THEN attempts.refund_id ELSE attempts.charge_id END,
       available_at = transfers.created_at
  FROM attempts WHERE attempts.merchant_id = transfers.merchant_id AND attempts.id = transfers.attempt_id;
ALTER TABLE transfers
    ALTER COLUMN id SET NOT NULL,
    ALTER COLUMN source_id SET NOT NULL,
    ALTER COLUMN available_at SET NOT NULL,
    ADD UNIQUE (merchant_id, id);
CREATE INDEX transfers_of_merchant ON transfers (merchant_id, livemode, created_at DESC, id DESC)
    WHERE 'merchant_payable' IN (debit_account, credit_account);
CREATE INDEX transfers_of_source ON transfers (merchant_id, source_id, created_at DESC, id DESC);
-- A balance is a sum along this index alone.
CREATE INDEX transfers_balance ON transfers (merchant_id, livemode, currency)
    INCLUDE (available_at, amount_minor, debit_account, credit_account);
