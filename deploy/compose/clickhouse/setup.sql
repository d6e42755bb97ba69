-- CVAT's event table, who may use it, and how long its rows are kept. Run at every start by the service clickhouse-setup,
-- after analytics/access/users.sql; the tables of the database `reefline` are made by reefline's own migrations.
CREATE DATABASE IF NOT EXISTS cvat;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER TABLE, SELECT, INSERT ON cvat.* TO reefline_cvat_role;

-- The columns that CVAT 2.54 writes. It creates the table itself when it is missing and leaves an existing one as it is.
CREATE TABLE IF NOT EXISTS cvat.events
(
    scope           String,
    obj_name        Nullable(String),
    obj_id          Nullable(UInt64),
    obj_val         Nullable(String),
    source          String,
    timestamp       DateTime64(3, 'Etc/UTC'),
    count           Nullable(UInt16),
    duration        UInt32 DEFAULT toUInt32(0),
    project_id      Nullable(UInt64),
    task_id         Nullable(UInt64),
    job_id          Nullable(UInt64),
    user_id         Nullable(UInt64),
    user_name       Nullable(String),
    user_email      Nullable(String),
    org_id          Nullable(UInt64),
    org_slug        Nullable(String),
    payload         Nullable(String),
    access_token_id Nullable(UInt64)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp)
SETTINGS index_granularity = 8192;

-- Who worked when is personal data: three years, then it is gone. Figures that reefline has computed stay.
ALTER TABLE cvat.events MODIFY TTL toDateTime(timestamp) + INTERVAL 3 YEAR;
GRANT SELECT ON cvat.events TO reefline_writer_role;
