-- Who may use the console, how they came in, and the passkeys that they hold.
-- Run by admin_owner; admin_app has no DDL rights and only what is granted here.

GRANT SELECT ON _sqlx_migrations TO admin_app;

CREATE TABLE people (
    id            uuid        PRIMARY KEY,
    -- Lower case, trimmed: the one spelling.
    email         text        NOT NULL UNIQUE CHECK (email = lower(btrim(email)) AND length(email) BETWEEN 3 AND 254),
    name          text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    role          text        NOT NULL CHECK (role IN
        ('viewer', 'support', 'operator', 'security_officer', 'custodian', 'administrator')),
    -- argon2id, PHC string. None until the person has enrolled.
    password_hash text        CHECK (password_hash LIKE '$argon2id$%'),
    created_at    timestamptz NOT NULL,
    enrolled_at   timestamptz,
    disabled_at   timestamptz,
    CHECK ((password_hash IS NULL) = (enrolled_at IS NULL))
);
-- An e-mail, a role or an end is not the console's to change yet; each will come with its own approval.
GRANT SELECT, INSERT ON people TO admin_app;
GRANT UPDATE (name, password_hash, enrolled_at) ON people TO admin_app;

CREATE TABLE invitations (
    -- SHA-256 of 256 random bits; the link itself is shown once and kept nowhere.
    token_hash bytea       PRIMARY KEY CHECK (length(token_hash) = 32),
    person_id  uuid        NOT NULL REFERENCES people,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    -- A newer invitation of the same person takes the place of an older one.
    voided_at  timestamptz
);
CREATE INDEX invitations_person ON invitations (person_id);
GRANT SELECT, INSERT ON invitations TO admin_app;
GRANT UPDATE (used_at, voided_at) ON invitations TO admin_app;

CREATE TABLE passkeys (
    credential_id bytea       PRIMARY KEY CHECK (length(credential_id) BETWEEN 1 AND 1023),
    person_id     uuid        NOT NULL REFERENCES people,
    -- webauthn-rs' own form: public key, transports, registration policy. Nothing secret.
    credential    jsonb       NOT NULL,
    -- The highest counter seen. It may only rise, except for authenticators that always say 0 (WebAuthn 7.2, step 22).
    sign_count    bigint      NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    -- Set for good when a counter went back: two copies of the key exist.
    suspended_at  timestamptz,
    -- Set when a fresh enrolment took its place.
    replaced_at   timestamptz
);
CREATE INDEX passkeys_person ON passkeys (person_id);
GRANT SELECT, INSERT ON passkeys TO admin_app;
GRANT UPDATE (credential, sign_count, last_used_at, suspended_at, replaced_at) ON passkeys TO admin_app;
