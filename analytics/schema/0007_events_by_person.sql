-- Events in the order in which working time asks for them: what people did on CVAT's pages, person by person; and what
-- the server wrote, scope by scope. Columns compress better beside their like, and no sorting is left to do when the
-- work of a person is followed. What makes two rows one event is the same as before.
--
-- Every statement can be done again, should the migration be cut off.
CREATE TABLE IF NOT EXISTS events_by_person
(
    scope           LowCardinality(String),
    obj_name        Nullable(String)                 CODEC(ZSTD(3)),
    obj_id          Nullable(UInt64)                 CODEC(ZSTD(3)),
    obj_val         Nullable(String)                 CODEC(ZSTD(3)),
    source          LowCardinality(String),
    timestamp       DateTime64(3, 'Etc/UTC')         CODEC(Delta, ZSTD(3)),
    count           Nullable(UInt32)                 CODEC(ZSTD(3)),
    duration        UInt32 DEFAULT 0                 CODEC(ZSTD(3)),
    project_id      Nullable(UInt64)                 CODEC(ZSTD(3)),
    task_id         Nullable(UInt64)                 CODEC(ZSTD(3)),
    job_id          Nullable(UInt64)                 CODEC(ZSTD(3)),
    user_id         Nullable(UInt64)                 CODEC(ZSTD(3)),
    user_name       LowCardinality(Nullable(String)) CODEC(ZSTD(3)),
    user_email      LowCardinality(Nullable(String)) CODEC(ZSTD(3)),
    org_id          Nullable(UInt64)                 CODEC(ZSTD(3)),
    org_slug        LowCardinality(Nullable(String)) CODEC(ZSTD(3)),
    payload         Nullable(String)                 CODEC(ZSTD(3)),
    access_token_id Nullable(UInt64)                 CODEC(ZSTD(3)),

    key_in UInt64 EPHEMERAL sipHash64(
        ifNull(obj_name, ''), ifNull(obj_id, 0), ifNull(obj_val, ''), source, ifNull(count, 0), duration,
        ifNull(project_id, 0), ifNull(task_id, 0), ifNull(job_id, 0), ifNull(user_id, 0), ifNull(payload, '')),
    way_in String EPHEMERAL 'direct',
    content_key UInt64 MATERIALIZED key_in CODEC(NONE),
    way LowCardinality(String) MATERIALIZED way_in,
    loaded_at DateTime('Etc/UTC') MATERIALIZED now('Etc/UTC') CODEC(Delta, ZSTD),
    working_ms UInt32 MATERIALIZED if(scope = 'send:working_time', JSONExtractUInt(payload, 'working_time'), 0)
        CODEC(ZSTD(3)),
    series LowCardinality(String) MATERIALIZED if(source = 'client', '', scope)
        COMMENT 'empty: what people did on the pages, in their order; else the scope of what the server wrote',
    person UInt64 MATERIALIZED ifNull(user_id, 0) CODEC(ZSTD(3)),

    -- CVAT's Management dashboard asks for JSONHas(payload, 'working_time') over everything: in this order of rows
    -- nearly all granules have none.
    INDEX has_working_time JSONHas(payload, 'working_time') TYPE set(2) GRANULARITY 1,
    INDEX by_user user_id TYPE set(64) GRANULARITY 2,
    INDEX by_time timestamp TYPE minmax GRANULARITY 1,
    INDEX by_loaded loaded_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (series, person, timestamp, content_key, scope);

TRUNCATE TABLE events_by_person;

INSERT INTO events_by_person
    (scope, obj_name, obj_id, obj_val, source, timestamp, count, duration, project_id, task_id, job_id, user_id,
     user_name, user_email, org_id, org_slug, payload, access_token_id, key_in, way_in)
SELECT
    scope, obj_name, obj_id, obj_val, source, timestamp, count, duration, project_id, task_id, job_id, user_id,
    user_name, user_email, org_id, org_slug, payload, access_token_id, content_key, way
FROM events;

DROP TABLE IF EXISTS events_by_scope;

-- A view that fills another table hangs on the table it was made for; what it has filled so far stays.
DROP VIEW IF EXISTS events_hourly_fill;

RENAME TABLE events TO events_by_scope, events_by_person TO events;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_hourly_fill TO events_hourly AS
SELECT
    toStartOfHour(timestamp) AS hour,
    scope,
    source,
    count() AS events,
    sum(toUInt64(e.duration)) AS lasted_ms
FROM events AS e
GROUP BY hour, scope, source;

DROP TABLE events_by_scope;

-- How far the work of each person reached in a month, by each reading of durations, and where they were last: what the
-- months after it need to know of it.
CREATE TABLE IF NOT EXISTS worktime_reach
(
    month       UInt32 COMMENT 'yyyymm',
    person      UInt64,
    last_t      Int64 COMMENT 'time of the last event, ms since 1970',
    last_tie    UInt64 COMMENT 'its content_key: which of several at that time',
    project     Nullable(UInt64),
    task        Nullable(UInt64),
    job         Nullable(UInt64),
    past_cvat   Int64,
    past_cut    Int64,
    past_all    Int64,
    computed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY month
ORDER BY person;

-- All months are computed anew, so that the table above has them.
TRUNCATE TABLE worktime_months;
