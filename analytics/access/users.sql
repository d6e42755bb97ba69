-- Users of the analytics database on a ClickHouse server, for an administrator to run once:
--
--   clickhouse-client --multiquery \
--     --param_writer_password=... --param_dashboards_password=... --param_cvat_password=... < users.sql
--
-- (--param_ needs ClickHouse 24.8; on older ones put the passwords in by hand.) Embedded chDB has no users: whoever can
-- read its folder can read it. It is safe to run again.
CREATE DATABASE IF NOT EXISTS reefline;

-- Reading only, and never so much that it hurts the writer: dashboards are opened by many and left open.
CREATE SETTINGS PROFILE IF NOT EXISTS reefline_dashboards SETTINGS
    readonly = 2,
    allow_ddl = 0,
    max_execution_time = 30,
    max_result_rows = 100000 READONLY,
    result_overflow_mode = 'throw' READONLY,
    max_rows_to_read = 2000000000 READONLY,
    max_memory_usage = 4000000000 READONLY,
    max_threads = 4 READONLY;

CREATE SETTINGS PROFILE IF NOT EXISTS reefline_cvat SETTINGS
    max_execution_time = 60,
    max_memory_usage = 4000000000 READONLY;

CREATE SETTINGS PROFILE IF NOT EXISTS reefline_writer SETTINGS
    max_memory_usage = 8000000000,
    mutations_sync = 2;

-- What the platform needs: its tables, temporary tables for loading, and deleting people who ask for it.
CREATE ROLE IF NOT EXISTS reefline_writer_role SETTINGS PROFILE 'reefline_writer';
GRANT SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, TRUNCATE ON reefline.* TO reefline_writer_role;
GRANT CREATE TEMPORARY TABLE ON *.* TO reefline_writer_role;
GRANT SELECT ON system.tables TO reefline_writer_role;
GRANT SELECT ON system.columns TO reefline_writer_role;

-- What dashboards need; not who asked to be forgotten.
CREATE ROLE IF NOT EXISTS reefline_dashboards_role SETTINGS PROFILE 'reefline_dashboards';
GRANT SELECT ON reefline.* TO reefline_dashboards_role;
REVOKE SELECT ON reefline.forgotten FROM reefline_dashboards_role;

-- CVAT's own dashboards and exports read the events; where CVAT's Vector writes here directly, it may add to them.
CREATE ROLE IF NOT EXISTS reefline_cvat_role SETTINGS PROFILE 'reefline_cvat';
GRANT SELECT, INSERT ON reefline.events TO reefline_cvat_role;

CREATE QUOTA IF NOT EXISTS reefline_dashboards_quota
    FOR INTERVAL 1 minute MAX queries = 600, execution_time = 300
    TO reefline_dashboards_role;

CREATE USER IF NOT EXISTS reefline_writer IDENTIFIED WITH sha256_password BY {writer_password:String} DEFAULT ROLE reefline_writer_role;
GRANT reefline_writer_role TO reefline_writer;
CREATE USER IF NOT EXISTS reefline_dashboards IDENTIFIED WITH sha256_password BY {dashboards_password:String} DEFAULT ROLE reefline_dashboards_role;
GRANT reefline_dashboards_role TO reefline_dashboards;
CREATE USER IF NOT EXISTS reefline_cvat IDENTIFIED WITH sha256_password BY {cvat_password:String} DEFAULT ROLE reefline_cvat_role;
GRANT reefline_cvat_role TO reefline_cvat;

-- Where CVAT's own database is on this server, the writer reads it:
-- GRANT SELECT ON cvat.events TO reefline_writer_role;
