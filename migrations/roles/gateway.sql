-- Roles and database of the gateway, for psql, as a superuser. It can be run again: it then sets rights and passwords anew.
--
--   psql --set=owner_password=… --set=app_password=… --set=work_password=… --file=migrations/roles/gateway.sql
--
-- (Passwords given as arguments are seen by everyone on the machine while psql runs; `\set` them on standard input instead.)
--
-- gateway_owner  owns the schema and migrates it. No running service knows its password.
-- gateway_app    is what the service runs as for merchants: no DDL, only what the migrations grant it, and of tables with rows of
--                merchants only the rows of the one that it works for (row-level security).
-- gateway_work   is what the service runs as for itself: finding out whose a key is, its workers' queues, the console's pages.
--                It sees all merchants' rows of the few columns that these need, and changes next to none.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['gateway_owner', 'gateway_app', 'gateway_work']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE gateway_owner WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 5 PASSWORD :'owner_password';
ALTER ROLE gateway_app WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
  CONNECTION LIMIT 50 PASSWORD :'app_password';
ALTER ROLE gateway_work WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
  CONNECTION LIMIT 30 PASSWORD :'work_password';

-- A statement, a lock or a forgotten transaction ends by itself before it holds up others.
ALTER ROLE gateway_app SET statement_timeout = '4s';
ALTER ROLE gateway_app SET lock_timeout = '2s';
ALTER ROLE gateway_app SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE gateway_app SET search_path = public;
ALTER ROLE gateway_work SET statement_timeout = '4s';
ALTER ROLE gateway_work SET lock_timeout = '2s';
ALTER ROLE gateway_work SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE gateway_work SET search_path = public;
ALTER ROLE gateway_owner SET lock_timeout = '10s';
ALTER ROLE gateway_owner SET search_path = public;

SELECT 'CREATE DATABASE gateway OWNER gateway_owner TEMPLATE template0 ENCODING ''UTF8'''
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'gateway')
\gexec

-- Nobody enters a database by default: not this one, and this service's roles not the server's own either.
REVOKE ALL ON DATABASE gateway FROM PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE gateway TO gateway_app, gateway_work;

\connect gateway
ALTER SCHEMA public OWNER TO gateway_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO gateway_app, gateway_work;
