-- title: Where every batch is
-- says: The furthest stage of each batch, what it waits for, and since when.
WITH
    ['images/raw', 'corners/proposed', 'corners/reviewed', 'images/rectified', 'lattice/proposed', 'lattice/reviewed',
     'images/clean', 'corals/proposed', 'corals/reviewed'] AS stages,
    made AS
    (
        SELECT batch, max(indexOf(stages, stage)) AS reached, uniqExactIf(image_id, stage = 'images/raw') AS pictures,
            countIf(status = 'failed') AS failed
        FROM images FINAL
        GROUP BY batch
    ),
    open AS
    (
        SELECT r.batch AS batch, argMax(r.gate, r.since) AS gate, sum(r.jobs_done) AS jobs_done,
            sum(r.jobs_total) AS jobs_total, min(r.since) AS waiting_since
        FROM reviews AS r FINAL
        WHERE r.state = 'open'
        GROUP BY batch
    )
SELECT
    b.survey AS survey,
    b.batch AS batch,
    b.photos AS photos,
    m.pictures AS accepted,
    m.failed AS failed,
    if(m.reached = 0, 'offered', stages[m.reached]) AS reached,
    round(m.reached / length(stages), 2) AS progress,
    m.reached = length(stages) AND o.gate = '' AS done,
    multiIf(o.gate != '', concat('people: ', o.gate), m.reached = length(stages), '', 'the machine') AS waits_for,
    o.jobs_done AS jobs_done,
    o.jobs_total AS jobs_total,
    if(o.gate = '', NULL, round(dateDiff('second', o.waiting_since, now64(3, 'UTC')) / 3600, 1)) AS hours_waiting
FROM (SELECT * FROM batches FINAL) AS b
LEFT JOIN made AS m ON m.batch = b.batch
LEFT JOIN open AS o ON o.batch = b.batch
WHERE ({survey:String} = '' OR b.survey = {survey:String})
ORDER BY done, progress, batch
