-- CVAT's algorithm alone over months of stored events, by person and place: in one window, without what the table
-- worktime needs beside it. It stands beside that table, which is computed in pieces, as its check.
--
-- The past is that of steps.sql. What an event adds is booked where the event before it was.
SELECT
    person, ids.1 AS project, ids.2 AS task, ids.3 AS job, sum(ms) AS cvat_ms
FROM
(
    SELECT person, anyIf(booked.2, booked.3) AS ids, sum(booked.4) AS ms
    FROM
    (
        SELECT
            s.person AS person,
            [(s.place, s.ids, true, toInt64(0)),
             (multiIf(s.before != 0, s.before, p.place != 0, p.place, s.place), if(p.place != 0, p.ids, s.ids),
              s.before = 0, s.ms)] AS bookings
        FROM
        (
            SELECT
                person, before, place, (min(project), min(task), min(job)) AS ids,
                sum(if(t > reached AND t - reached < {cap_ms:Int64}, t - reached, 0)
                    + greatest(until - greatest(reached, t), 0)) AS ms
            FROM
            (
                SELECT e.*, greatest(earlier_until, past_cvat) AS reached
                FROM ($lower UNION ALL $upper) AS e
                LEFT JOIN (SELECT person, past_cvat FROM ($past)) AS past ON past.person = e.person
            )
            GROUP BY person, before, place
        ) AS s
        LEFT JOIN (SELECT person, (project, task, job) AS ids, $place AS place FROM ($past)) AS p ON p.person = s.person
    )
    ARRAY JOIN bookings AS booked
    GROUP BY person, booked.1
)
GROUP BY person, project, task, job
