-- title: Runs by day
-- says: Runs that ended well and badly, per day.
SELECT
    toDateTime(toDate(queued_at), 'UTC') AS time,
    countIf(status = 'SUCCESS') AS succeeded,
    countIf(status = 'FAILURE') AS failed,
    countIf(status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')) AS unfinished,
    countIf(status = 'CANCELED') AS canceled
FROM runs FINAL
WHERE queued_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY time
ORDER BY time
