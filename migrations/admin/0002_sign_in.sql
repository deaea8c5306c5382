-- Signing in: ceremonies under way, attempts (for throttling), sessions.

-- A password was right or was just chosen, and a passkey is awaited. Not a session: no page but the passkey step knows it.
CREATE TABLE ceremonies (
    -- SHA-256 of the visit cookie.
    visit_hash      bytea       PRIMARY KEY CHECK (length(visit_hash) = 32),
    purpose         text        NOT NULL CHECK (purpose IN ('sign_in', 'enrolment')),
    person_id       uuid        NOT NULL REFERENCES people,
    -- Enrolment: the invitation and the password that was chosen, hashed.
    invitation_hash bytea       REFERENCES invitations,
    password_hash   text        CHECK (password_hash LIKE '$argon2id$%'),
    -- Sign-in: the attempt that this is, and the page that was asked for.
    attempt_id      bigint,
    return_to       text,
    -- The challenge that was given out, in webauthn-rs' own form.
    challenge       jsonb,
    user_agent_hash bytea       NOT NULL CHECK (length(user_agent_hash) = 32),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    CHECK ((purpose = 'enrolment') = (invitation_hash IS NOT NULL)),
    CHECK ((purpose = 'enrolment') = (password_hash IS NOT NULL)),
    CHECK ((purpose = 'sign_in') = (attempt_id IS NOT NULL))
);
CREATE INDEX ceremonies_expiry ON ceremonies (expires_at);
GRANT SELECT, INSERT, DELETE ON ceremonies TO admin_app;
GRANT UPDATE (challenge) ON ceremonies TO admin_app;

CREATE TABLE sign_in_attempts (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    address      inet        NOT NULL,
    -- SHA-256 of the lower-case e-mail that was given, whether or not anyone has it.
    account_hash bytea       NOT NULL CHECK (length(account_hash) = 32),
    -- Written as `open` before the password is looked at, so that attempts made at the same time count each other.
    outcome      text        NOT NULL CHECK (outcome IN ('open', 'failed', 'refused', 'passed'))
);
CREATE INDEX sign_in_attempts_account ON sign_in_attempts (account_hash, at);
CREATE INDEX sign_in_attempts_address ON sign_in_attempts (address, at);
CREATE INDEX sign_in_attempts_at ON sign_in_attempts (at);
GRANT SELECT, INSERT, DELETE ON sign_in_attempts TO admin_app;
GRANT UPDATE (outcome) ON sign_in_attempts TO admin_app;

CREATE TABLE sessions (
    -- SHA-256 of the cookie's 256 random bits.
    id_hash         bytea       PRIMARY KEY CHECK (length(id_hash) = 32),
    person_id       uuid        NOT NULL REFERENCES people,
    -- The role at sign-in: the session ends when the person's role is another one.
    role            text        NOT NULL,
    user_agent_hash bytea       NOT NULL CHECK (length(user_agent_hash) = 32),
    address         inet        NOT NULL,
    created_at      timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz
);
CREATE INDEX sessions_person ON sessions (person_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
GRANT SELECT, INSERT, DELETE ON sessions TO admin_app;
GRANT UPDATE (last_seen_at, ended_at) ON sessions TO admin_app;
