-- title: Age of the queue
-- says: Per gate: how many reviews are open, and how long the oldest has waited, in hours.
SELECT
    gate,
    count() AS open_reviews,
    sum(pictures) AS open_pictures,
    round(max(dateDiff('second', since, now64(3, 'UTC'))) / 3600, 1) AS oldest_hours,
    round(quantile(0.5)(dateDiff('second', since, now64(3, 'UTC'))) / 3600, 1) AS median_hours
FROM reviews FINAL
WHERE state = 'open' AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY gate
ORDER BY gate
