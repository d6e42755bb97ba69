"""CVAT's events as data: the 18 columns of its log, checking what claims to be an event, JSON lines and CSV.

Belongs here: pure reading and checking. Stays out: files, connections, ClickHouse (``resources.events``).
"""

from __future__ import annotations

from analytics.events.columns import COLUMNS, LANDING, Event, Reject, table_of
from analytics.events.csv import CutOffError, read_csv
from analytics.events.lines import read_lines

__all__ = ["COLUMNS", "LANDING", "CutOffError", "Event", "Reject", "read_csv", "read_lines", "table_of"]
