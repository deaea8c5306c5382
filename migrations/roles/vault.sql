-- Roles and database of the vault, for psql, as a superuser. It can be run again: it then sets rights and passwords anew.
--
--   psql --set=owner_password=… --set=app_password=… --file=migrations/roles/vault.sql
--
-- (Passwords given as arguments are seen by everyone on the machine while psql runs; `\set` them on standard input instead.)
--
-- vault_owner  owns the schema and migrates it. No running service knows its password.
-- vault_app    is what the service runs as: no DDL, and only what the migrations grant it.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['vault_owner', 'vault_app']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE vault_owner WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 5 PASSWORD :'owner_password';
ALTER ROLE vault_app WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
  CONNECTION LIMIT 50 PASSWORD :'app_password';

-- A statement, a lock or a forgotten transaction ends by itself before it holds up others.
ALTER ROLE vault_app SET statement_timeout = '4s';
ALTER ROLE vault_app SET lock_timeout = '2s';
ALTER ROLE vault_app SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE vault_app SET search_path = public;
ALTER ROLE vault_owner SET lock_timeout = '10s';
ALTER ROLE vault_owner SET search_path = public;

SELECT 'CREATE DATABASE vault OWNER vault_owner TEMPLATE template0 ENCODING ''UTF8'''
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'vault')
\gexec

-- Nobody enters a database by default: not this one, and this service's roles not the server's own either.
REVOKE ALL ON DATABASE vault FROM PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE vault TO vault_app;

\connect vault
ALTER SCHEMA public OWNER TO vault_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO vault_app;
