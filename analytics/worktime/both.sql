-- Both algorithms, and what lies between them, per day, person and place. Source: as in cvat.sql, with past_cut and
-- past_all beside past_cvat.
--
-- Five readings of one ordered series, each changing one rule of the one before:
--   cvat      CVAT's: only frame changes last; a pause under the cap counts, a longer one does not
--   frames    a frame change lasts at most the cap per frame merged into it
--   inside    drawing, saving and everything else lasts, too
--   thinking  a pause counts up to the cap, unless it ends the session
--   moved     what an event itself lasts is booked where the event was, not where the one before was
-- r1, r2, r3 are how far the person's work reached in any place, by each reading of durations, so time in two tabs at
-- once counts once: it is the length of a union of intervals. Every column adds up the step to the next reading, so
-- their sum is exact.
--
-- A row books two things at its place: itself (on its day), and what the next event adds (on the day of that one).
SELECT
    entry.1 AS day,
    person, project, task, job,
    sum(entry.2) AS events,
    sum(entry.3) AS sessions,
    sum(entry.4) AS cvat_ms,
    sum(entry.5) AS frames_ms,
    sum(entry.6) AS inside_ms,
    sum(entry.7) AS thinking_ms,
    sum(entry.8) AS moved_ms,
    cvat_ms + frames_ms + inside_ms + thinking_ms + moved_ms AS ours_ms,
    min(entry.9) AS first_t,
    max(entry.10) AS last_t
FROM
(
    SELECT
        person, project, task, job,
        toDate(fromUnixTimestamp64Milli(t, 'UTC')) AS day,
        toDate(fromUnixTimestamp64Milli(next_t, 'UTC')) AS next_day,
        toInt64(countIf(counted)) AS events,
        toInt64(countIf(next_t != 0)) AS nexts,
        arrayFilter(x -> x.10 != 0,
            [(day, events, toInt64(countIf(counted AND (first OR t - p3 >= {session_ms:Int64}))),
              sumIf(u1 - t, opens), sumIf(u2 - u1, opens), sumIf(u3 - u2, opens), toInt64(0),
              sumIf(greatest(u3 - greatest(p3, t), 0), counted AND NOT first),
              minIf(t, counted), maxIf(t, counted)),
             (next_day, toInt64(0), toInt64(0),
              sum(cvat), sum(frames - cvat), sum(inside - frames), sum(thinking), -sum(own),
              minIf(next_t, next_t != 0), max(next_t))]) AS entries
    FROM
    (
        SELECT
            *,
            p3 = 0 AS first,
            counted AND first AS opens,
            greatest(p1, u1) AS r1,
            greatest(p2, u2) AS r2,
            greatest(p3, u3) AS r3,
            if(next_t > r1 AND next_t - r1 < {cap_ms:Int64}, next_t - r1, 0) + greatest(n1 - greatest(r1, next_t), 0)
                AS cvat,
            if(next_t > r2 AND next_t - r2 < {cap_ms:Int64}, next_t - r2, 0) + greatest(n2 - greatest(r2, next_t), 0)
                AS frames,
            greatest(n3 - greatest(r3, next_t), 0) AS own,
            greatest(next_t - r3, 0) AS pause,
            if(pause < {cap_ms:Int64}, pause, 0) + own AS inside,
            if(pause < {cap_ms:Int64} OR pause >= {session_ms:Int64}, 0, {cap_ms:Int64}) AS thinking
        FROM
        (
            SELECT
                person, counted, t, project, task, job, u1, u2, u3,
                max(u1) OVER before AS p1,
                max(u2) OVER before AS p2,
                max(u3) OVER before AS p3,
                leadInFrame(t) OVER next AS next_t,
                leadInFrame(u1) OVER next AS n1,
                leadInFrame(u2) OVER next AS n2,
                leadInFrame(u3) OVER next AS n3
            FROM
            (
                SELECT
                    person, seq, tie, counted, t, project, task, job,
                    least(lasted, {cap_ms:Int64} * greatest(merged, 1)) AS cut,
                    ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS u1,
                    ifNull(past_cut, t + if(scope = 'change:frame', cut, 0)) AS u2,
                    ifNull(past_all, t + cut) AS u3
                FROM ($source)
            )
            WINDOW
                before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
                next AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
        )
    )
    GROUP BY person, project, task, job, day, next_day
)
ARRAY JOIN entries AS entry
GROUP BY day, person, project, task, job
