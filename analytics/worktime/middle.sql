-- The person up to whom half of the events of these months are, about: one row of a thousand is asked.
SELECT toUInt64(ifNotFinite(quantile(0.5)(person), 0)) AS middle
FROM events
WHERE series = '' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32} AND _part_offset % 1024 = 0
