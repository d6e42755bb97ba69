-- title: Dead letters
-- says: Events that no run could answer; 'reefline inbox replay' sends them on their way again.
SELECT id, received_at, event, task_id, job_id, reason, run_id
FROM deliveries FINAL
WHERE state = 'dead'
ORDER BY received_at DESC
LIMIT 200
