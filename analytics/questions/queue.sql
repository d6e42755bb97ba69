-- title: What waits for people now
-- says: Open reviews, the longest wait first.
SELECT
    survey,
    batch,
    gate,
    task_id,
    url,
    jobs_done,
    jobs_total,
    pictures,
    if({pseudonyms:UInt8} = 1, toString(length(waiting_for)), arrayStringConcat(waiting_for, ', ')) AS waits_for,
    arrayStringConcat(stages, ', ') AS stage,
    asked_at,
    round(dateDiff('second', since, now64(3, 'UTC')) / 3600, 1) AS hours_waiting
FROM reviews FINAL
WHERE state = 'open' AND ({survey:String} = '' OR survey = {survey:String})
ORDER BY hours_waiting DESC
