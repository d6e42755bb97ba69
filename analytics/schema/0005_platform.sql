-- What the platform says of itself. A batch (or run) is loaded again as a whole: the newest load of a key counts.
ALTER TABLE reviews
    ADD COLUMN IF NOT EXISTS survey LowCardinality(String) DEFAULT splitByChar('.', batch)[1],
    ADD COLUMN IF NOT EXISTS asked_at Nullable(DateTime64(3, 'UTC')),
    ADD COLUMN IF NOT EXISTS collected_at Nullable(DateTime64(3, 'UTC')),
    ADD COLUMN IF NOT EXISTS pictures UInt32 COMMENT 'pictures that people were asked about',
    ADD COLUMN IF NOT EXISTS waiting_for Array(String) COMMENT 'user names of who has an open job',
    ADD COLUMN IF NOT EXISTS stages Array(String) COMMENT 'stages of CVAT in which the open jobs are',
    ADD COLUMN IF NOT EXISTS url String;

ALTER TABLE images
    ADD COLUMN IF NOT EXISTS person UInt8 COMMENT '1: a person was asked about this picture at the gate';

-- Offered photos per batch, so that a batch is known before its first stage is made.
CREATE TABLE IF NOT EXISTS batches
(
    batch      String,
    survey     LowCardinality(String),
    photos     UInt32,
    keep_days  UInt32 COMMENT 'how long its survey keeps events of people; 0: as long as the installation',
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch);

-- One row per run of Dagster.
CREATE TABLE IF NOT EXISTS runs
(
    run_id     String,
    job        LowCardinality(String),
    batch      String,
    survey     LowCardinality(String),
    gate       LowCardinality(String),
    status     LowCardinality(String) COMMENT 'SUCCESS, FAILURE, STARTED, QUEUED, ...',
    queued_at  Nullable(DateTime64(3, 'UTC')),
    started_at Nullable(DateTime64(3, 'UTC')),
    ended_at   Nullable(DateTime64(3, 'UTC')),
    inbox_id   UInt64 COMMENT 'the last delivery that the run answers; 0: none',
    error      String,
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY run_id;

-- One row per step: a stage of a batch as a run made it.
CREATE TABLE IF NOT EXISTS steps
(
    run_id     String,
    step       String,
    stage      LowCardinality(String) COMMENT 'asset key, e.g. corals/proposed; empty: not an asset',
    batch      String,
    survey     LowCardinality(String),
    status     LowCardinality(String),
    started_at Nullable(DateTime64(3, 'UTC')),
    ended_at   Nullable(DateTime64(3, 'UTC')),
    attempts   UInt16,
    gpu        UInt8 COMMENT '1: the step holds a slot of the pool gpu',
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (run_id, step);

-- The inbox: one row per event of CVAT. source 'reconcile': no webhook brought it.
CREATE TABLE IF NOT EXISTS deliveries
(
    id           UInt64,
    received_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    source       LowCardinality(String) COMMENT 'webhook, reconcile or platform',
    event        LowCardinality(String),
    task_id      Nullable(UInt64),
    job_id       Nullable(UInt64),
    state        LowCardinality(String) COMMENT 'new, pending, done, ignored, dead',
    reason       String CODEC(ZSTD(3)),
    happened_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'updated_date of what the event is about',
    processed_at Nullable(DateTime64(3, 'UTC')),
    run_id       String,
    replays      UInt16,
    loaded_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY id;

-- Is anybody there: Dagster's daemons, the receiver, the sink, at each load.
CREATE TABLE IF NOT EXISTS heartbeats
(
    at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    service LowCardinality(String),
    healthy UInt8,
    beat_at Nullable(DateTime64(3, 'UTC')) COMMENT 'its last sign of life',
    said    String
)
ENGINE = ReplacingMergeTree
ORDER BY (service, at)
TTL toDateTime(at) + INTERVAL 90 DAY;

-- Shapes of reviewed pictures, counted by picture, taxon, and who or what made them.
CREATE TABLE IF NOT EXISTS objects
(
    batch      LowCardinality(String),
    survey     LowCardinality(String),
    gate       LowCardinality(String),
    image_id   String,
    label      LowCardinality(String),
    source     LowCardinality(String) COMMENT 'model: accepted as proposed; edited: changed by a person; human: drawn',
    model      LowCardinality(String),
    annotator  LowCardinality(String),
    reviewer   LowCardinality(String),
    task_id    UInt64,
    job_id     UInt64,
    shapes     UInt32,
    updated_at Nullable(DateTime64(3, 'UTC')),
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch, gate, image_id, label, source, model, annotator, reviewer, job_id);

-- What people did to each proposed outline of the coral gate, counted.
CREATE TABLE IF NOT EXISTS object_changes
(
    batch        LowCardinality(String),
    survey       LowCardinality(String),
    image_id     String,
    what         LowCardinality(String) COMMENT 'unchanged, reshaped, relabelled, deleted, added',
    label        LowCardinality(String),
    label_before LowCardinality(String),
    model        LowCardinality(String),
    annotator    LowCardinality(String),
    shapes       UInt32,
    changed_px   Float64,
    iou_sum      Float64 COMMENT 'over shapes that have an IoU',
    ious         UInt32,
    loaded_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch, image_id, what, label, label_before, model, annotator);

-- Figures of quality/report, one row each. who: an annotator, or empty for everyone.
CREATE TABLE IF NOT EXISTS quality
(
    batch       LowCardinality(String),
    survey      LowCardinality(String),
    gate        LowCardinality(String),
    measure     LowCardinality(String) COMMENT 'precision, recall, accuracy, mean_iou, rms_px, kappa, ...',
    who         LowCardinality(String),
    against     LowCardinality(String) COMMENT 'review: proposals against reviewed labels; truth: against ground truth',
    value       Float64,
    low         Nullable(Float64) COMMENT 'lower end of the 95 % interval',
    high        Nullable(Float64),
    measured_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    loaded_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch, gate, against, measure, who);

-- Models of the registry and their versions.
CREATE TABLE IF NOT EXISTS models
(
    name       LowCardinality(String),
    version    String,
    reference  String COMMENT 'name@version#sha256, as proposals carry it',
    task       LowCardinality(String),
    promoted   UInt8,
    metrics    Map(String, Float64),
    trained_on String,
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (name, version);
