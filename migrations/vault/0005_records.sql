-- Payers and customers beside cards; account updates; the watchlist of exposed cards; erasure with proof; retention.

-- Who pays by other means than a card. Each field is sealed in a column of its own, under the DEK of its merchant and class.
CREATE TABLE payers (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    class text NOT NULL CHECK (class IN ('konbini', 'payeasy', 'emoney')),
    key_id bigint NOT NULL,
    name_sealed bytea,
    phone_sealed bytea,
    email_sealed bytea,
    postcode_sealed bytea,
    address_sealed bytea,
    -- Made when the field is sealed, so that nothing has to be opened to show it.
    name_masked text,
    phone_masked text,
    email_masked text,
    postcode_masked text,
    address_masked text,
    email_hash bytea,
    created_at timestamptz NOT NULL,
    erased_at timestamptz,
    CONSTRAINT payers_erased_is_blank CHECK (erased_at IS NULL OR num_nonnulls(name_sealed, phone_sealed, email_sealed,
        postcode_sealed, address_sealed, name_masked, phone_masked, email_masked, postcode_masked, address_masked,
        email_hash) = 0)
);
CREATE INDEX payers_email ON payers (email_hash) WHERE email_hash IS NOT NULL;

-- Whom merchants keep. The id is the gateway's.
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    key_id bigint NOT NULL,
    name_sealed bytea,
    phone_sealed bytea,
    email_sealed bytea,
    address_sealed bytea,
    name_masked text,
    phone_masked text,
    email_masked text,
    address_masked text,
    email_hash bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    erased_at timestamptz,
    CONSTRAINT customers_erased_is_blank CHECK (erased_at IS NULL OR num_nonnulls(name_sealed, phone_sealed, email_sealed,
        address_sealed, name_masked, phone_masked, email_masked, address_masked, email_hash) = 0)
);
CREATE INDEX customers_email ON customers (email_hash) WHERE email_hash IS NOT NULL;

-- An erased card's row stays, so that its token stays unknown for ever; nothing that could identify the card does.
ALTER TABLE cards ADD COLUMN erased_at timestamptz;
ALTER TABLE cards DROP CONSTRAINT cards_bin_check;
ALTER TABLE cards DROP CONSTRAINT cards_last_four_check;
ALTER TABLE cards ADD CONSTRAINT cards_bin_check CHECK (length(bin) = 6 OR erased_at IS NOT NULL);
ALTER TABLE cards ADD CONSTRAINT cards_last_four_check CHECK (length(last_four) = 4 OR erased_at IS NOT NULL);
ALTER TABLE cards ADD CONSTRAINT cards_erased_is_blank CHECK (erased_at IS NULL OR (pan_sealed = ''::bytea
    AND holder_sealed IS NULL AND fingerprint_hash = ''::bytea AND merchant_fingerprint = '' AND brand = '' AND bin = ''
    AND last_four = '' AND exp_month = 0 AND exp_year = 0));
-- When a card was last used.
CREATE INDEX attempts_card ON attempts (card_id, created_at) WHERE card_id IS NOT NULL;
-- What a network said of a security code is a word of these, so the column can hold no code.
ALTER TABLE attempts ADD CONSTRAINT attempts_cvc_check_is_a_word
    CHECK (cvc_check IN ('pass', 'fail', 'unchecked', 'unavailable'));

-- Replacements of a card under its token. Of the fingerprints a hash: enough to tell whether the number changed.
CREATE TABLE account_updates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    record_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    source text NOT NULL CHECK (char_length(source) BETWEEN 1 AND 200),
    request_id uuid NOT NULL,
    actor text NOT NULL,
    old_fingerprint_hash bytea,
    new_fingerprint_hash bytea
);
CREATE INDEX account_updates_record ON account_updates (record_id);

-- Cards known to be in wrong hands, as vault-wide fingerprints: no number, and no way back to one.
CREATE TABLE exposed_cards (
    fingerprint_hash bytea NOT NULL,
    source text NOT NULL CHECK (char_length(source) BETWEEN 1 AND 100),
    added_at timestamptz NOT NULL,
    PRIMARY KEY (fingerprint_hash, source)
);
-- One row, and one alert, for each exposed card, merchant and day that it shows up.
CREATE TABLE exposed_uses (
    fingerprint_hash bytea NOT NULL,
    merchant_id uuid NOT NULL,
    day date NOT NULL,
    record_id uuid,
    PRIMARY KEY (fingerprint_hash, merchant_id, day)
);

-- How long what may be kept, in days.
CREATE TABLE retention (
    rule text PRIMARY KEY
        CHECK (rule IN ('unused_token', 'spent_token', 'card', 'konbini', 'payeasy', 'emoney', 'customer')),
    days integer NOT NULL CHECK (days BETWEEN 1 AND 3650),
    changed_at timestamptz NOT NULL
);
INSERT INTO retention (rule, days, changed_at) VALUES
    ('unused_token', 1, now()), ('spent_token', 30, now()), ('card', 1095, now()), ('konbini', 180, now()),
    ('payeasy', 180, now()), ('emoney', 180, now()), ('customer', 1095, now());

-- What is held and until when: cards from their last use, customers from their last change, all else from its making.
-- The last use is looked up only where the answer depends on it.
CREATE VIEW held_cards AS
    SELECT id, merchant_id, key_id, rule, began_at,
           (SELECT max(attempts.created_at) FROM attempts WHERE attempts.card_id = kept.id) AS used_at,
           CASE WHEN rule <> 'card' OR began_at + kept_for > now() THEN began_at + kept_for
                ELSE GREATEST(began_at, (SELECT max(attempts.created_at) FROM attempts WHERE attempts.card_id = kept.id))
                     + kept_for
           END AS due_at
    FROM (SELECT id, merchant_id, key_id, GREATEST(created_at, saved_at) AS began_at,
                 CASE WHEN saved_at IS NOT NULL THEN 'card' WHEN spent_by IS NOT NULL THEN 'spent_token'
                      ELSE 'unused_token' END AS rule,
                 CASE WHEN saved_at IS NOT NULL THEN (SELECT make_interval(days => days) FROM retention WHERE rule = 'card')
                      WHEN spent_by IS NOT NULL
                          THEN (SELECT make_interval(days => days) FROM retention WHERE rule = 'spent_token')
                      ELSE (SELECT make_interval(days => days) FROM retention WHERE rule = 'unused_token')
                 END AS kept_for
          FROM cards WHERE erased_at IS NULL) AS kept;
CREATE VIEW held_payers AS
    SELECT id, merchant_id, key_id, class AS rule, created_at AS began_at,
           created_at + CASE class
               WHEN 'konbini' THEN (SELECT make_interval(days => days) FROM retention WHERE rule = 'konbini')
               WHEN 'payeasy' THEN (SELECT make_interval(days => days) FROM retention WHERE rule = 'payeasy')
               ELSE (SELECT make_interval(days => days) FROM retention WHERE rule = 'emoney') END AS due_at
    FROM payers WHERE erased_at IS NULL;
CREATE VIEW held_customers AS
    SELECT id, merchant_id, key_id, 'customer' AS rule, updated_at AS began_at,
           updated_at + (SELECT make_interval(days => days) FROM retention WHERE rule = 'customer') AS due_at
    FROM customers WHERE erased_at IS NULL;

-- Every erasure, in the same transaction as the erasure itself. `statement` is what the vault identity signed; the other
-- columns repeat it. A merchant's erasure has one row for its keys, and one for each part of its records.
CREATE TABLE erasures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    scope text NOT NULL CHECK (scope IN ('record', 'merchant', 'age')),
    rule text NOT NULL,
    merchant_id uuid NOT NULL,
    records bigint NOT NULL CHECK (records >= 0),
    keys bigint NOT NULL CHECK (keys >= 0),
    actor text NOT NULL,
    request_id uuid NOT NULL,
    ids_hash bytea NOT NULL CHECK (length(ids_hash) = 32),
    statement text NOT NULL,
    signature text NOT NULL,
    CHECK (records + keys > 0)
);
CREATE INDEX erasures_merchant ON erasures (merchant_id, scope);

-- The sweeper's place in each table. Any node goes on where another stopped.
CREATE TABLE sweeps (
    table_name text PRIMARY KEY CHECK (table_name IN ('cards', 'payers', 'customers')),
    next_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    pass_started_at timestamptz,
    -- The last whole pass.
    last_started_at timestamptz,
    last_finished_at timestamptz,
    passes bigint NOT NULL DEFAULT 0,
    erased bigint NOT NULL DEFAULT 0
);
INSERT INTO sweeps (table_name) VALUES ('cards'), ('payers'), ('customers');

-- Why each column with account or personal data is kept; the retention report reads these.
COMMENT ON COLUMN cards.pan_sealed IS 'The number, sealed: payment networks need it for every authorization.';
COMMENT ON COLUMN cards.holder_sealed IS 'The cardholder''s name, sealed: as typed, for disputes.';
COMMENT ON COLUMN cards.fingerprint_hash IS 'Keyed hash of the number: the same card is known again, watchlist matches.';
COMMENT ON COLUMN cards.merchant_fingerprint IS 'Keyed hash for one merchant: it knows its own cards again.';
COMMENT ON COLUMN cards.bin IS 'First six digits: shown to the merchant, routes to the issuer.';
COMMENT ON COLUMN cards.last_four IS 'Last four digits: shown to merchant and shopper.';
COMMENT ON COLUMN cards.exp_month IS 'Expiry: payment networks need it for every authorization.';
COMMENT ON COLUMN cards.exp_year IS 'Expiry: payment networks need it for every authorization.';
COMMENT ON COLUMN attempts.cvc_check IS 'What the network said of the security code: one word, never the code.';
COMMENT ON COLUMN payers.name_sealed IS 'The payer''s name, sealed: the network prints it on the slip.';
COMMENT ON COLUMN payers.phone_sealed IS 'The payer''s telephone number, sealed: the network asks for it.';
COMMENT ON COLUMN payers.email_sealed IS 'The payer''s e-mail address, sealed: the network sends the notice.';
COMMENT ON COLUMN payers.postcode_sealed IS 'The payer''s postcode, sealed: Pay-easy asks for it.';
COMMENT ON COLUMN payers.address_sealed IS 'The payer''s address, sealed: Pay-easy asks for it.';
COMMENT ON COLUMN payers.name_masked IS 'Masked name: the merchant sees which payer it was.';
COMMENT ON COLUMN payers.phone_masked IS 'Masked telephone number: the merchant sees which payer it was.';
COMMENT ON COLUMN payers.email_masked IS 'Masked e-mail address: the merchant sees which payer it was.';
COMMENT ON COLUMN payers.postcode_masked IS 'Masked postcode: the merchant sees which payer it was.';
COMMENT ON COLUMN payers.address_masked IS 'Masked address: the merchant sees which payer it was.';
COMMENT ON COLUMN payers.email_hash IS 'Blind index: one merchant finds its payer by e-mail address.';
COMMENT ON COLUMN customers.name_sealed IS 'The customer''s name, sealed: kept for the merchant.';
COMMENT ON COLUMN customers.phone_sealed IS 'The customer''s telephone number, sealed: kept for the merchant.';
COMMENT ON COLUMN customers.email_sealed IS 'The customer''s e-mail address, sealed: kept for the merchant.';
COMMENT ON COLUMN customers.address_sealed IS 'The customer''s address, sealed: kept for the merchant.';
COMMENT ON COLUMN customers.name_masked IS 'Masked name: the merchant sees which customer it is.';
COMMENT ON COLUMN customers.phone_masked IS 'Masked telephone number: the merchant sees which customer it is.';
COMMENT ON COLUMN customers.email_masked IS 'Masked e-mail address: the merchant sees which customer it is.';
COMMENT ON COLUMN customers.address_masked IS 'Masked address: the merchant sees which customer it is.';
COMMENT ON COLUMN customers.email_hash IS 'Blind index: one merchant finds its customer by e-mail address.';
COMMENT ON COLUMN account_updates.old_fingerprint_hash IS 'Hash of a keyed hash: whether an update changed the number.';
COMMENT ON COLUMN account_updates.new_fingerprint_hash IS 'Hash of a keyed hash: whether an update changed the number.';
COMMENT ON COLUMN exposed_cards.fingerprint_hash IS 'Keyed hash of an exposed card: its reuse is flagged.';
COMMENT ON COLUMN exposed_uses.fingerprint_hash IS 'Keyed hash of an exposed card that was used: one alert a day.';
COMMENT ON COLUMN erasures.ids_hash IS 'Digest over the ids of what was erased: proof, no personal data.';
COMMENT ON COLUMN import_batches.content_hash IS 'HMAC of a batch under its import''s secret: the same file is known again.';

GRANT SELECT, INSERT ON payers TO vault_app;
GRANT UPDATE (key_id, name_sealed, phone_sealed, email_sealed, postcode_sealed, address_sealed, name_masked, phone_masked,
    email_masked, postcode_masked, address_masked, email_hash, erased_at) ON payers TO vault_app;
GRANT SELECT, INSERT ON customers TO vault_app;
GRANT UPDATE (key_id, name_sealed, phone_sealed, email_sealed, address_sealed, name_masked, phone_masked, email_masked,
    address_masked, email_hash, updated_at, erased_at) ON customers TO vault_app;
GRANT UPDATE (fingerprint_hash, merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, erased_at) ON cards
    TO vault_app;
GRANT SELECT, INSERT, UPDATE (old_fingerprint_hash, new_fingerprint_hash) ON account_updates TO vault_app;
GRANT SELECT, INSERT, DELETE ON exposed_cards, exposed_uses TO vault_app;
GRANT SELECT, UPDATE (days, changed_at) ON retention TO vault_app;
GRANT SELECT ON held_cards, held_payers, held_customers TO vault_app;
GRANT SELECT, INSERT ON erasures TO vault_app;
GRANT SELECT ON sweeps TO vault_app;
GRANT UPDATE (next_id, pass_started_at, last_started_at, last_finished_at, passes, erased) ON sweeps TO vault_app;
