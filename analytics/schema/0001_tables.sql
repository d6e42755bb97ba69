-- One row per picture and stage. A batch is reloaded by inserting it again: the newest row wins.
CREATE TABLE IF NOT EXISTS images
(
    batch        LowCardinality(String),
    survey       LowCardinality(String),
    stage        LowCardinality(String),
    image_id     String,
    status       LowCardinality(String),
    reason       String,
    model        LowCardinality(String),
    duration_ms  Float32,
    loaded_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch, stage, image_id);

-- One row per picture and taxon, from cover/quadrats.
CREATE TABLE IF NOT EXISTS cover
(
    batch           LowCardinality(String),
    survey          LowCardinality(String),
    image_id        String,
    site            LowCardinality(String),
    year            Int32,
    quadrat         LowCardinality(String),
    taxon           LowCardinality(String),
    share           Float64,
    cm2             Float64,
    colonies        Int32,
    inpainted_share Float64,
    loaded_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (survey, batch, image_id, taxon);

-- One row per review: how long a gate waited, and for how many jobs.
CREATE TABLE IF NOT EXISTS reviews
(
    batch      LowCardinality(String),
    gate       LowCardinality(String),
    task_id    Int64,
    state      LowCardinality(String),
    jobs_done  Int32,
    jobs_total Int32,
    since      DateTime64(3, 'UTC'),
    loaded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (batch, gate);
