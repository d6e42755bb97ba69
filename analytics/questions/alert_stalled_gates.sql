-- title: Stalled gate
-- says: Hours that each open review has waited for people.
SELECT batch, gate, round(dateDiff('second', since, now64(3, 'UTC')) / 3600, 1) AS hours_waiting
FROM reviews FINAL
WHERE state = 'open'
ORDER BY hours_waiting DESC
