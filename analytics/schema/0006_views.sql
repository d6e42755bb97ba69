-- The newest load of each batch: a batch that is loaded again leaves no rows of its earlier load behind.
CREATE VIEW IF NOT EXISTS objects_now AS
SELECT * FROM objects FINAL
WHERE (batch, loaded_at) IN (SELECT batch, max(loaded_at) FROM objects GROUP BY batch);

CREATE VIEW IF NOT EXISTS object_changes_now AS
SELECT * FROM object_changes FINAL
WHERE (batch, loaded_at) IN (SELECT batch, max(loaded_at) FROM object_changes GROUP BY batch);

CREATE VIEW IF NOT EXISTS quality_now AS
SELECT * FROM quality FINAL
WHERE (batch, loaded_at) IN (SELECT batch, max(loaded_at) FROM quality GROUP BY batch);

CREATE VIEW IF NOT EXISTS cover_now AS
SELECT * FROM cover FINAL
WHERE (batch, loaded_at) IN (SELECT batch, max(loaded_at) FROM cover GROUP BY batch);

-- Which batch and gate a task of CVAT is.
CREATE VIEW IF NOT EXISTS gate_tasks AS
SELECT toUInt64(task_id) AS task, survey, batch, gate, state, pictures, asked_at, collected_at
FROM reviews FINAL
WHERE task_id > 0;

-- Working time with names: whose, and of which survey, batch and gate.
CREATE VIEW IF NOT EXISTS worktime_named AS
SELECT
    w.day AS day,
    w.user_id AS user_id,
    if(empty(p.user_name), concat('user ', toString(w.user_id)), p.user_name) AS user_name,
    if(empty(p.pseudonym), concat('user ', toString(cityHash64(w.user_id, 'reef') % 10000)), p.pseudonym) AS pseudonym,
    w.project_id AS project_id,
    w.task_id AS task_id,
    w.job_id AS job_id,
    multiIf(w.job_id IS NOT NULL, 'in a job', w.task_id IS NOT NULL, 'on a task''s page',
            w.project_id IS NOT NULL, 'on a project''s page', 'elsewhere in CVAT') AS place,
    g.survey AS survey,
    g.batch AS batch,
    g.gate AS gate,
    w.events AS events,
    w.sessions AS sessions,
    w.reported_ms AS reported_ms,
    w.repeated_ms AS repeated_ms,
    w.cvat_ms AS cvat_ms,
    w.frames_ms AS frames_ms,
    w.inside_ms AS inside_ms,
    w.thinking_ms AS thinking_ms,
    w.moved_ms AS moved_ms,
    w.ours_ms AS ours_ms,
    w.first_at AS first_at,
    w.last_at AS last_at
FROM worktime AS w
LEFT JOIN gate_tasks AS g ON ifNull(w.task_id, 0) = g.task
LEFT JOIN (SELECT * FROM people FINAL) AS p ON w.user_id = p.user_id;

-- Hours that people spent on each review, and what came out of it.
CREATE VIEW IF NOT EXISTS review_effort AS
SELECT
    g.survey AS survey,
    g.batch AS batch,
    g.gate AS gate,
    g.task AS task_id,
    g.state AS state,
    g.pictures AS pictures,
    g.asked_at AS asked_at,
    g.collected_at AS collected_at,
    h.hours AS hours,
    h.people AS people,
    o.objects AS objects,
    o.touched AS touched,
    o.model AS model
FROM gate_tasks AS g
LEFT JOIN
(
    SELECT ifNull(task_id, 0) AS task, sum(ours_ms) / 3600000 AS hours, uniqExact(user_id) AS people
    FROM worktime
    GROUP BY task
) AS h ON h.task = g.task
LEFT JOIN
(
    SELECT
        batch,
        gate,
        sum(shapes) AS objects,
        sumIf(shapes, source != 'model') AS touched,
        -- the model most of the batch's shapes began with
        argMaxIf(model, of_model, model != '') AS model
    FROM
    (
        SELECT batch, gate, source, model, shapes, sum(shapes) OVER (PARTITION BY batch, gate, model) AS of_model
        FROM objects_now
    )
    GROUP BY batch, gate
) AS o ON o.batch = g.batch AND o.gate = g.gate;

-- Per load of events, by day: what came in and what became of it.
CREATE VIEW IF NOT EXISTS event_intake AS
SELECT
    toDate(e.started_at) AS day,
    way,
    count() AS loads,
    sum(e.received) AS received,
    sum(e.rejected) AS rejected,
    sum(e.forgotten) AS forgotten,
    sum(e.duplicates) AS duplicates,
    sum(e.inserted) AS inserted,
    sum(e.received) - sum(e.rejected) - sum(e.forgotten) - sum(e.duplicates) - sum(e.inserted) AS unaccounted
FROM event_loads AS e FINAL
GROUP BY day, way;

-- Events per hour, kept up to date by every insert: cheap time series over long periods. No people in it.
CREATE TABLE IF NOT EXISTS events_hourly
(
    hour    DateTime('Etc/UTC') CODEC(Delta, ZSTD),
    scope   LowCardinality(String),
    source  LowCardinality(String),
    events  SimpleAggregateFunction(sum, UInt64),
    lasted_ms SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (scope, source, hour);

CREATE MATERIALIZED VIEW IF NOT EXISTS events_hourly_fill TO events_hourly AS
SELECT
    toStartOfHour(timestamp) AS hour,
    scope,
    source,
    count() AS events,
    sum(toUInt64(e.duration)) AS lasted_ms
FROM events AS e
GROUP BY hour, scope, source;
