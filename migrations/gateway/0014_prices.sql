-- What merchants sell, and what it costs.
CREATE TABLE products (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 250),
    description text CHECK (char_length(description) <= 1000),
    unit_label text CHECK (char_length(unit_label) <= 12),
    url text CHECK (char_length(url) <= 2000),
    active boolean NOT NULL,
    default_price_id uuid,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX products_of_merchant ON products (merchant_id, livemode, created_at DESC, id DESC);
GRANT SELECT, INSERT, DELETE ON products TO gateway_app;
GRANT UPDATE (name, description, unit_label, url, active, default_price_id, metadata, updated_at) ON products TO gateway_app;
CALL keep_rows_apart('products');

CREATE TABLE prices (
    merchant_id uuid NOT NULL,
    id uuid NOT NULL,
    livemode boolean NOT NULL,
    product_id uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    unit_amount_minor bigint NOT NULL CHECK (unit_amount_minor BETWEEN 0 AND 99999999),
    -- Every so often; once where there is none.
    recurring_interval text CHECK (recurring_interval IN ('day', 'week', 'month', 'year')),
    recurring_count integer CHECK (recurring_count BETWEEN 1 AND 1095),
    nickname text CHECK (char_length(nickname) <= 250),
    lookup_key text CHECK (char_length(lookup_key) <= 200),
    active boolean NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, product_id) REFERENCES products (merchant_id, id),
    CHECK ((recurring_interval IS NULL) = (recurring_count IS NULL))
);
CREATE INDEX prices_of_merchant ON prices (merchant_id, livemode, created_at DESC, id DESC);
CREATE INDEX prices_of_product ON prices (merchant_id, product_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX prices_by_lookup_key ON prices (merchant_id, livemode, lookup_key) WHERE lookup_key IS NOT NULL;
GRANT SELECT, INSERT ON prices TO gateway_app;
GRANT UPDATE (nickname, lookup_key, active, metadata) ON prices TO gateway_app;
CALL keep_rows_apart('prices');

ALTER TABLE products ADD FOREIGN KEY (merchant_id, default_price_id) REFERENCES prices (merchant_id, id);
