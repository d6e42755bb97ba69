-- Databases and roles of reefline, each with what it needs and no more. Run by the Postgres image when its volume is
-- empty; for a server of your own, with a superuser of it:
--   DAGSTER_PG_PASSWORD=... INBOX_PG_PASSWORD=... RECEIVER_PG_PASSWORD=... psql -h HOST -U postgres -f roles.sql
-- May be repeated: what is there stays, passwords are set anew.
\set ON_ERROR_STOP on
\getenv dagster_password DAGSTER_PG_PASSWORD
\getenv inbox_password INBOX_PG_PASSWORD
\getenv receiver_password RECEIVER_PG_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['reefline_dagster', 'reefline_inbox', 'reefline_receiver']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE reefline_dagster NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'dagster_password';
ALTER ROLE reefline_inbox NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'inbox_password';
ALTER ROLE reefline_receiver NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'receiver_password';

-- A database's owner has to be a role that we belong to, which a superuser always does and a managed server's
-- administrator only after this.
GRANT reefline_dagster, reefline_inbox TO CURRENT_USER;
SELECT 'CREATE DATABASE dagster OWNER reefline_dagster'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'dagster') \gexec
SELECT 'CREATE DATABASE inbox OWNER reefline_inbox'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'inbox') \gexec

REVOKE CONNECT, TEMPORARY ON DATABASE dagster FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE inbox FROM PUBLIC;
GRANT CONNECT ON DATABASE inbox TO reefline_receiver;

\connect inbox
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO reefline_inbox;
GRANT USAGE ON SCHEMA public TO reefline_receiver;
-- The receiver adds deliveries. UPDATE lets it prove at /ready that rows can be written (it never keeps one); it can
-- neither delete nor change the tables. Tables are made later, by their owner.
ALTER DEFAULT PRIVILEGES FOR ROLE reefline_inbox IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE ON TABLES TO reefline_receiver;
ALTER DEFAULT PRIVILEGES FOR ROLE reefline_inbox IN SCHEMA public
  GRANT USAGE ON SEQUENCES TO reefline_receiver;

\connect dagster
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO reefline_dagster;
