-- Both algorithms, and what lies between them, per day, person and place. Steps and past: of steps.sql.
--
-- Five readings of one ordered series, each changing one rule of the one before:
--   cvat      CVAT's: only frame changes last; a pause under the cap counts, a longer one does not
--   frames    a frame change lasts at most the cap per frame merged into it
--   inside    drawing, saving and everything else lasts, too
--   thinking  a pause counts up to the cap, unless it ends the session
--   moved     what an event itself lasts is booked where the event was, not where the one before was
-- Every column adds up the step to the next reading, so their sum is exact.
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
            s.person AS person,
            [(s.place, s.ids, true,
              (day, s.events, s.sessions, toInt64(0), toInt64(0), toInt64(0), toInt64(0), own_ms, first_t, last_t)),
             (multiIf(s.before != 0, s.before, p.place != 0, p.place, s.place), if(p.place != 0, p.ids, s.ids),
              s.before = 0,
              (day, toInt64(0), toInt64(0), reading_1, reading_2 - reading_1, reading_3 - reading_2, thinking_ms,
               -own_ms, first_t, last_t))] AS bookings
        FROM $steps AS s
        LEFT JOIN (SELECT person, (project, task, job) AS ids, $place AS place FROM ($past)) AS p ON p.person = s.person
    )
    ARRAY JOIN bookings AS booked
    GROUP BY person, booked.1
)
ARRAY JOIN entries AS entry
GROUP BY day, person, project, task, job
