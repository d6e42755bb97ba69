-- Both algorithms, and what lies between them, per day, person and place.
--
-- Series: of series.sql, for all groups of people. Past, at most one row a person, for series that go on: past_cvat,
-- past_cut, past_all (how far the work had reached before them, ms since 1970), project, task, job (of the last event
-- before them).
--
-- Five readings of one ordered series, each changing one rule of the one before:
--   cvat      CVAT's: only frame changes last; a pause under the cap counts, a longer one does not
--   frames    a frame change lasts at most the cap per frame merged into it
--   inside    drawing, saving and everything else lasts, too
--   thinking  a pause counts up to the cap, unless it ends the session
--   moved     what an event itself lasts is booked where the event was, not where the one before was
-- p1, p2, p3 are how far the person's work had reached in any place, by each reading of durations, so time in two tabs
-- at once counts once: it is the length of a union of intervals. Every column adds up the step to the next reading, so
-- their sum is exact.
--
-- An event books twice, on its day: itself at its own place, and what it adds at the place before it. Before the first
-- of a series lies the past, or nothing: then it is its own. A place is a number until its project, task and job are
-- found again among the events that were there, or the past.
SELECT
    toDate(entry.1) AS day,
    person,
    ids.1 AS project, ids.2 AS task, ids.3 AS job,
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
    SELECT person, anyIf(booked.2, booked.3) AS ids, groupArray(booked.4) AS entries
    FROM
    (
        SELECT
            e.person AS person,
            [(e.place, e.ids, true,
              (day, e.events, e.sessions, toInt64(0), toInt64(0), toInt64(0), toInt64(0), own_ms, first_t, last_t)),
             (multiIf(e.before != 0, e.before, p.place != 0, p.place, e.place), if(p.place != 0, p.ids, e.ids),
              e.before = 0,
              (day, toInt64(0), toInt64(0), reading_1, reading_2 - reading_1, reading_3 - reading_2, thinking_ms,
               -own_ms, first_t, last_t))] AS bookings
        FROM
        (
            SELECT
                person, intDiv(t, 86400000) AS day, before, place,
                any((project, task, job)) AS ids,
                toInt64(count()) AS events,
                toInt64(countIf(t - p3 >= {session_ms:Int64})) AS sessions,
                sum(if(t > p1 AND t - p1 < {cap_ms:Int64}, t - p1, 0) + greatest(to_cvat - greatest(p1, t), 0))
                    AS reading_1,
                sum(if(t > p2 AND t - p2 < {cap_ms:Int64}, t - p2, 0) + greatest(to_cut - greatest(p2, t), 0))
                    AS reading_2,
                sum(if(t > p3 AND t - p3 < {cap_ms:Int64}, t - p3, 0) + greatest(to_all - greatest(p3, t), 0))
                    AS reading_3,
                {cap_ms:Int64} * countIf(t - p3 >= {cap_ms:Int64} AND t - p3 < {session_ms:Int64}) AS thinking_ms,
                sum(greatest(to_all - greatest(p3, t), 0)) AS own_ms,
                min(t) AS first_t,
                max(t) AS last_t
            FROM
            (
                SELECT
                    s.*,
                    greatest(from_cvat, past_cvat) AS p1, greatest(from_cut, past_cut) AS p2,
                    greatest(from_all, past_all) AS p3
                FROM ($series) AS s
                LEFT JOIN ($past) AS past ON past.person = s.person
            )
            GROUP BY person, day, before, place
        ) AS e
        LEFT JOIN (SELECT person, (project, task, job) AS ids, $place AS place FROM ($past)) AS p
            ON p.person = e.person
    )
    ARRAY JOIN bookings AS booked
    GROUP BY person, booked.1
)
ARRAY JOIN entries AS entry
GROUP BY day, person, project, task, job
