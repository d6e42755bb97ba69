-- title: Failed runs
-- says: The newest runs that failed, with their reasons.
SELECT run_id, job, batch, gate, ended_at, error
FROM runs FINAL
WHERE status = 'FAILURE' AND queued_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
ORDER BY ended_at DESC
LIMIT 200
