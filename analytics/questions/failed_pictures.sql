-- title: Pictures that could not be made
-- says: Per stage and reason; each is quarantined, none stopped its batch.
SELECT survey, stage, reason, count() AS pictures, uniqExact(batch) AS batches
FROM images FINAL
WHERE status = 'failed' AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey, stage, reason
ORDER BY pictures DESC
LIMIT 200
