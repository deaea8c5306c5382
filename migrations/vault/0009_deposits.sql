-- Payments without a card: asking a network for one, and giving money back, are attempts like all others. The request names the
-- payer whose fields it opened.
ALTER TABLE attempts ADD COLUMN payer_id uuid;
ALTER TABLE attempts DROP CONSTRAINT attempts_kind_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_kind_check
    CHECK (kind IN ('authorize', 'purchase', 'verify', 'capture', 'void', 'refund', 'tombstone',
        'konbini', 'payeasy', 'emoney', 'give_back'));
ALTER TABLE attempts ADD CONSTRAINT attempts_deposits_have_a_payer
    CHECK ((payer_id IS NOT NULL) = (kind IN ('konbini', 'payeasy', 'emoney')));
