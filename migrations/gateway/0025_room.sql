-- Every payment is written again at least once. A page with room for that takes the new version without a new entry in each of
-- the table's indexes, none of which is on what changes.
ALTER TABLE payment_intents SET (fillfactor = 50);
