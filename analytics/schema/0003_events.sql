-- CVAT's event log. The 18 columns have CVAT's names, order and meaning, so its dashboards run here unchanged: columns
-- of our own are MATERIALIZED, which SELECT * leaves out. EPHEMERAL columns are how an INSERT hands them over.
--
-- An event has no id and comes at least once, by several ways. content_key is the hash of what it says, without what
-- differs by way or privacy setting (e-mail, user name, token); rows that agree in (scope, timestamp, content_key) are
-- one event. The loader leaves out what is there already; two loaders at once are settled by merging.
CREATE TABLE IF NOT EXISTS events
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

    -- CVAT's Management dashboard asks for JSONHas(payload, 'working_time') over everything: in this order of rows
    -- nearly all granules have none.
    INDEX has_working_time JSONHas(payload, 'working_time') TYPE set(2) GRANULARITY 1,
    INDEX by_user user_id TYPE set(64) GRANULARITY 2,
    INDEX by_loaded loaded_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (scope, timestamp, content_key);

-- Lines that could not become events, as they came, with the reason. Nothing is dropped silently.
CREATE TABLE IF NOT EXISTS event_rejects
(
    at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    way    LowCardinality(String),
    source String,
    place  UInt64 COMMENT 'number of the line or row in its source, from 1',
    reason String,
    line   String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (way, source, place, cityHash64(line))
TTL toDateTime(at) + INTERVAL 180 DAY;

-- The ledger: one row per load. received = rejected + forgotten + duplicates + inserted, always.
CREATE TABLE IF NOT EXISTS event_loads
(
    load_id     String,
    way         LowCardinality(String) COMMENT 'sink, export, database or file',
    source      String COMMENT 'segment of the sink, export or file',
    started_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    seconds     Float64,
    received    UInt64,
    rejected    UInt64,
    forgotten   UInt64 COMMENT 'of people who asked to be forgotten',
    duplicates  UInt64,
    inserted    UInt64,
    first_event Nullable(DateTime64(3, 'UTC')),
    last_event  Nullable(DateTime64(3, 'UTC')),
    run_id      String
)
ENGINE = ReplacingMergeTree
ORDER BY (way, load_id);

-- Who asked to be forgotten: their events are not loaded again, and their name not with anything else. No names here.
CREATE TABLE IF NOT EXISTS forgotten
(
    user_id   UInt64,
    name_hash String COMMENT 'SHA-256 of the user name, hexadecimal',
    at        DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (user_id, name_hash);

-- People as dashboards show them. The pseudonym is drawn once, by lot.
CREATE TABLE IF NOT EXISTS people
(
    user_id   UInt64,
    user_name String,
    pseudonym String,
    seen_at   DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY user_id;
