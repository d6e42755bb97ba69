-- title: Failed batches
-- says: 1 for each batch and job whose newest run has failed, of the last thirty days.
SELECT batch, job, toFloat64(argMax(status, queued_at) = 'FAILURE') AS failed
FROM runs FINAL
WHERE batch != '' AND queued_at >= now() - INTERVAL 30 DAY
GROUP BY batch, job
ORDER BY failed DESC, batch, job
