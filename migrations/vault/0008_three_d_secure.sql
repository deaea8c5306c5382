-- 3-D Secure: the directory is asked once for each authentication, and it is on record here before that. What proves it to the
-- issuer, the authentication value, is never here: it is fetched when an authorization names the authentication.
CREATE TABLE authentications (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    livemode boolean NOT NULL,
    -- The node that asked; the others leave it alone as long as that one may be at it.
    node smallint NOT NULL,
    card_id uuid NOT NULL,
    -- Nothing where the card is only saved.
    amount_minor bigint CHECK (amount_minor > 0),
    currency text CHECK (char_length(currency) = 3),
    created_at timestamptz NOT NULL,
    challenge_url text CHECK (char_length(challenge_url) BETWEEN 1 AND 2048),
    transaction_id text CHECK (char_length(transaction_id) BETWEEN 1 AND 64),
    result text CHECK (result IN ('authenticated', 'attempt_acknowledged', 'failed', 'rejected', 'unavailable', 'not_supported')),
    flow text CHECK (flow IN ('frictionless', 'challenge')),
    eci text CHECK (eci ~ '^[0-9]{2}$'),
    ended_at timestamptz,
    CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CHECK ((result IS NULL) = (ended_at IS NULL)),
    CHECK ((result IS NULL) = (flow IS NULL))
);
GRANT SELECT, INSERT, UPDATE (challenge_url, transaction_id, result, flow, eci, ended_at) ON authentications TO vault_app;

-- Asking whether a card is good is an attempt that moves nothing.
ALTER TABLE attempts DROP CONSTRAINT attempts_kind_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_kind_check
    CHECK (kind IN ('authorize', 'purchase', 'verify', 'capture', 'void', 'refund', 'tombstone'));
ALTER TABLE attempts ADD COLUMN authentication_id uuid;
ALTER TABLE attempts ADD COLUMN merchant_initiated boolean NOT NULL DEFAULT false;

-- A single-use token whose authorization was declined for want of a proof may be used once more.
ALTER TABLE cards ADD COLUMN given_back_at timestamptz;
GRANT UPDATE (given_back_at) ON cards TO vault_app;
