-- title: Exceptions in CVAT
-- says: What CVAT's pages and server complained about, most frequent first.
SELECT
    JSONExtractString(payload, 'message') AS message,
    source,
    count() AS times,
    uniqExact(user_id) AS people,
    max(timestamp) AS last_time
FROM events
WHERE scope = 'send:exception' AND timestamp BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
GROUP BY message, source
ORDER BY times DESC
LIMIT 100
