-- The past of both.sql for months of stored events: how far the work of each person reached in the months before,
-- and where they were. So months are computed in pieces and give what computing all of them at once would.
SELECT
    person,
    argMax(tuple(r.project), (last_t, last_tie)).1 AS project,
    argMax(tuple(r.task), (last_t, last_tie)).1 AS task,
    argMax(tuple(r.job), (last_t, last_tie)).1 AS job,
    max(r.past_cvat) AS past_cvat,
    max(r.past_cut) AS past_cut,
    max(r.past_all) AS past_all
FROM worktime_reach AS r
WHERE month < {first:UInt32}
GROUP BY person
