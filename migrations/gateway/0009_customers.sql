-- Customers change and go. What is deleted keeps its id, so that payments still name it, and nothing that was known of it.
ALTER TABLE customers
    ADD COLUMN address_masked text CHECK (char_length(address_masked) <= 100),
    ADD COLUMN default_card_record uuid,
    ADD COLUMN deleted_at timestamptz,
    ADD FOREIGN KEY (merchant_id, default_card_record) REFERENCES cards (merchant_id, record),
    ADD CHECK (deleted_at IS NULL OR (name_masked IS NULL AND email_masked IS NULL AND phone_masked IS NULL
        AND address_masked IS NULL AND description IS NULL AND default_card_record IS NULL));
CREATE INDEX customers_of_merchant ON customers (merchant_id, livemode, created_at DESC, id DESC) WHERE deleted_at IS NULL;
GRANT UPDATE (name_masked, email_masked, phone_masked, address_masked, description, metadata, default_card_record, deleted_at)
    ON customers TO gateway_app;
