"""The event sink: CVAT's Vector or logger -> a buffer on disk -> ClickHouse. It speaks as Vector's HTTP source does.

A process of its own: ClickHouse may be away, CVAT must not notice. No Dagster here.
"""
