-- Working time per day, person and place, by CVAT's algorithm and by ours, with the difference taken apart:
-- ours_ms = cvat_ms + frames_ms + inside_ms + thinking_ms + moved_ms in every row. See docs/analytics.md.
-- Computed by analytics/worktime/*.sql, a month at a time.
CREATE TABLE IF NOT EXISTS worktime
(
    day         Date,
    user_id     UInt64,
    project_id  Nullable(UInt64),
    task_id     Nullable(UInt64),
    job_id      Nullable(UInt64) COMMENT 'NULL: time outside jobs',
    events      UInt64,
    sessions    UInt64,
    reported_ms Int64 COMMENT 'what CVAT itself has booked (send:working_time), as its dashboard adds it up',
    repeated_ms Int64 COMMENT 'of it, booked twice: the same batch of a browser sent again',
    cvat_ms     Int64 COMMENT 'CVAT''s algorithm over the ordered events of the person',
    frames_ms   Int64 COMMENT 'frame changes cut to the longest pause per frame',
    inside_ms   Int64 COMMENT 'work inside events that CVAT does not count: drawing, saving, loading',
    thinking_ms Int64 COMMENT 'long pauses counted up to the cap instead of not at all',
    moved_ms    Int64 COMMENT 'work booked where it was done instead of where the event before was',
    ours_ms     Int64 COMMENT 'interval union of the person, with capped thinking time',
    first_at    DateTime64(3, 'UTC'),
    last_at     DateTime64(3, 'UTC'),
    computed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, user_id);

-- Which months were computed from which events; a month with later events is computed again.
CREATE TABLE IF NOT EXISTS worktime_months
(
    month       UInt32 COMMENT 'yyyymm',
    events      UInt64,
    computed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY month;
