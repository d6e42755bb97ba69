"""The outside world behind small interfaces: settings, object store, survey files, CVAT, inbox, ClickHouse, models.

Belongs here: clients and their retries, and the choice between embedded and server back ends.
Stays out: what the pipeline does with them (``assets/``), and anything a unit test would want without a connection.
"""
