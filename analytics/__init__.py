"""Measuring: quality of labels, cover, datasets, operations figures; SQL for ClickHouse as ``.sql`` files.

Belongs here: pure functions over label tables and manifests, plots and reports as bytes, DDL and queries.
Stays out: connections (``resources/``), Dagster, models.
"""
