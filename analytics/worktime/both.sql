-- Both algorithms, and what lies between them, per day, person and place. Source: as in cvat.sql, with past_cut and
-- past_all beside past_cvat.
--
-- Five readings of one ordered series, each changing one rule of the one before:
--   cvat      CVAT's: only frame changes last; a pause under the cap counts, a longer one does not
--   frames    a frame change lasts at most the cap per frame merged into it
--   inside    drawing, saving and everything else lasts, too
--   thinking  a pause counts up to the cap, unless it ends the session
--   moved     what an event itself lasts is booked where the event was, not where the one before was
-- 'reached' is how far the person's work reached in any place, so time in two tabs at once counts once: it is the
-- length of a union of intervals. Every column adds up the step to the next reading, so their sum is exact.
SELECT
    toDate(fromUnixTimestamp64Milli(entry.1, 'UTC')) AS day,
    person,
    entry.2 AS project,
    entry.3 AS task,
    entry.4 AS job,
    sum(entry.5) AS events,
    sum(entry.6) AS sessions,
    sum(entry.7) AS cvat_ms,
    sum(entry.8) AS frames_ms,
    sum(entry.9) AS inside_ms,
    sum(entry.10) AS thinking_ms,
    sum(entry.11) AS moved_ms,
    cvat_ms + frames_ms + inside_ms + thinking_ms + moved_ms AS ours_ms,
    min(entry.1) AS first_t,
    max(entry.1) AS last_t
FROM
(
    SELECT
        person, t,
        -- A pause under the cap, and what the event itself adds: by each reading of durations.
        if(t > r1 AND t - r1 < {cap_ms:Int64}, t - r1, 0) + greatest(u1 - greatest(r1, t), 0) AS cvat,
        if(t > r2 AND t - r2 < {cap_ms:Int64}, t - r2, 0) + greatest(u2 - greatest(r2, t), 0) AS frames,
        greatest(u3 - greatest(r3, t), 0) AS own,
        greatest(t - r3, 0) AS pause,
        pause < {cap_ms:Int64} AS short,
        pause >= {session_ms:Int64} AS away,
        if(short, pause, 0) + own AS inside,
        if(short OR away, 0, {cap_ms:Int64}) AS thinking,
        (project_before, task_before, job_before) AS before,
        (project, task, job) AS here,
        toInt64(first OR away) AS opens,
        isNotDistinctFrom(project_before, project) AND isNotDistinctFrom(task_before, task)
            AND isNotDistinctFrom(job_before, job) AS stays,
        if(stays,
            [(t, project, task, job, toInt64(1), opens, cvat, frames - cvat, inside - frames, thinking, toInt64(0))],
            [(t, project_before, task_before, job_before, toInt64(0), toInt64(0),
              cvat, frames - cvat, inside - frames, thinking, -own),
             (t, project, task, job, toInt64(1), opens,
              toInt64(0), toInt64(0), toInt64(0), toInt64(0), own)]) AS entries
    FROM
    (
        SELECT
            person, counted, t, project, task, job,
            least(lasted, {cap_ms:Int64} * greatest(merged, 1)) AS cut,
            ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS u1,
            ifNull(past_cut, t + if(scope = 'change:frame', cut, 0)) AS u2,
            ifNull(past_all, t + cut) AS u3,
            count() OVER before = 0 AS first,
            if(first, t, max(u1) OVER before) AS r1,
            if(first, t, max(u2) OVER before) AS r2,
            if(first, t, max(u3) OVER before) AS r3,
            if(first, project, lagInFrame(project) OVER upto) AS project_before,
            if(first, task, lagInFrame(task) OVER upto) AS task_before,
            if(first, job, lagInFrame(job) OVER upto) AS job_before
        FROM ($source)
        WINDOW
            before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
            upto AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE counted
)
ARRAY JOIN entries AS entry
GROUP BY day, person, project, task, job
