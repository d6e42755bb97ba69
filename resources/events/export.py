"""Events by CVAT's own export: ask for a CSV, wait, fetch, load; from a little before the last pull on."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from analytics.events import CutOffError, read_csv, table_of
from resources.clickhouse import Session
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable
from resources.events.load import Loaded, LoadSettings, load_events

ROWS = 200_000
"""Rows that are in memory at once."""
EXPORT_S = 600.0
"""How long CVAT may take to write an export; its workers may be busy with datasets."""
POLL_S = 0.5
MARK = "events.export"
BEGINNING = datetime(2018, 1, 1, tzinfo=UTC)
"""CVAT's first release was in 2018. An export without a beginning starts 30 days ago, or at the task's creation."""


class Marks(Protocol):
    """Where it is kept how far something was read: the inbox."""

    def watermark(self, name: str) -> str | None:
        """How far, as it was last set."""

    def set_watermark(self, name: str, value: str) -> None:
        """Remember how far."""


def pull_export(
    cvat: CvatClient,
    marks: Marks,
    session: Session,
    settings: LoadSettings | None = None,
    *,
    overlap: timedelta = timedelta(hours=1),
    run_id: str = "",
) -> Loaded:
    """Load what CVAT's log has since the last pull.

    Events arrive late: a browser sends every 90 s, CVAT's logger keeps what it could not send. ``overlap`` is read
    again each time; what is known already is left out by its content.

    Raises:
        CvatRefused: the account may not export events.
        CvatUnavailable: CVAT does not answer, or has cut the CSV off. What came before the cut is loaded, and the next
            pull begins where this one did.
        ClickHouseRefused: the database takes nothing.
    """
    until = datetime.now(UTC)
    mark = marks.watermark(MARK)
    since = datetime.fromisoformat(mark) - overlap if mark else BEGINNING
    source = f"{since:%Y-%m-%dT%H:%M:%S}..{until:%Y-%m-%dT%H:%M:%S}"
    with tempfile.TemporaryDirectory(prefix="reefline-events-") as folder:
        path = Path(folder) / "events.csv"
        export_csv(cvat, since, until, path)
        try:
            loaded = load_csv(session, path, source, settings, way="export", run_id=run_id)
        except CutOffError as error:
            raise CvatUnavailable(f"CVAT's export of events is not whole: {error}; it will be pulled again") from error
    marks.set_watermark(MARK, until.isoformat())
    return loaded


def load_csv(
    session: Session,
    path: Path,
    source: str,
    settings: LoadSettings | None = None,
    *,
    way: Any = "file",
    run_id: str = "",
) -> Loaded:
    """Load a CSV of CVAT's events.

    Raises:
        CutOffError: it ends in the middle of a row; what came before is loaded.
        NotAnEventError: it is no such CSV.
    """
    total = Loaded()
    with path.open("rb") as file:
        for events, rejects in read_csv(file, ROWS):
            total += load_events(session, table_of(events), way, source, settings, rejects=rejects, run_id=run_id)
    return total


def export_csv(cvat: CvatClient, since: datetime, until: datetime, target: Path) -> int:
    """Have CVAT write its event log of a period as CSV, and fetch it; its size in bytes.

    An account that is no administrator gets its own events only.

    Raises:
        CvatRefused: the account may not, CVAT has no event log, or the export failed.
        CvatUnavailable: it takes longer than :data:`EXPORT_S`.
    """
    period = {"from": since.isoformat(), "to": until.isoformat()}
    number = cvat.session.request("POST", "/api/events/export", **period)["rq_id"]
    deadline = time.monotonic() + EXPORT_S
    while True:
        told = cvat.session.request("GET", f"/api/requests/{quote(number, safe='=&')}")
        if told["status"] == "finished":
            return cvat.session.download(told["result_url"], target)
        if told["status"] == "failed":
            raise CvatRefused(f"CVAT could not export its events: {str(told.get('message'))[:300]}")
        if time.monotonic() > deadline:
            raise CvatUnavailable(f"CVAT has not exported its events within {EXPORT_S:.0f} s: it will be tried again")
        time.sleep(POLL_S)
