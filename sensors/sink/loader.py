"""From the buffer into ClickHouse, in a thread: 10,000 rows or a second's worth at once, for as long as it takes."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from analytics.events import table_of
from analytics.migrate import MigrationError
from resources.clickhouse import ClickHouse, ClickHouseRefused, ClickHouseUnavailable
from resources.events.load import Loaded, LoadSettings, load_events
from resources.events.spool import SEAL_S, Spool, read_segment, rows_of

logger = logging.getLogger("reefline.sink")

AT_ONCE = 200_000
"""Rows of one load when ClickHouse has been away: it takes few large blocks better than many small ones."""
LONGEST_PAUSE_S = 15.0


class Loader(threading.Thread):
    """Takes sealed segments to ClickHouse, oldest first, and drops each only when ClickHouse has it."""

    def __init__(self, spool: Spool, clickhouse: ClickHouse, settings: LoadSettings) -> None:
        """Not started yet."""
        super().__init__(name="loader", daemon=True)
        self._spool, self._clickhouse, self._settings = spool, clickhouse, settings
        self._stop_asked = threading.Event()
        self._loaded = Loaded()
        self.trouble: str | None = None

    def counts(self) -> dict[str, int]:
        """What became of the events loaded since the start."""
        return {name: getattr(self._loaded, name) for name in Loaded.__slots__}

    def run(self) -> None:
        """Load until asked to stop."""
        pause = failures = 0.0
        while not self._stop_asked.wait(pause):
            pause = SEAL_S / 4
            if self._spool.due():
                failures = 0 if self.load_some() else failures + 1
                pause = min(LONGEST_PAUSE_S, 2.0 ** (failures - 1)) if failures else 0.0

    def stop(self, patience_s: float = 10.0) -> None:
        """Load what is there, if ClickHouse takes it, and end. What is left waits on disk for the next start."""
        self._stop_asked.set()
        self.join(patience_s)
        self._spool.seal()
        deadline = time.monotonic() + patience_s
        while self._spool.segments() and time.monotonic() < deadline and self.load_some():
            pass

    def load_some(self) -> bool:
        """One load; whether ClickHouse took it."""
        chosen = self._chosen()
        if not chosen:
            return True
        names = chosen[0].stem if len(chosen) == 1 else f"{chosen[0].stem}..{chosen[-1].stem}"
        try:
            self._load(chosen, names)
        except (ClickHouseUnavailable, ClickHouseRefused, MigrationError) as error:
            if self.trouble is None:
                logger.warning("events wait on disk: %s", error)
            self.trouble = str(error)
            return False
        except Exception as error:
            # A defect of ours must not stop the thread: the events stay, and the trouble is seen in /ready.
            logger.exception("segment %s could not be loaded", names)
            self.trouble = f"{type(error).__name__} in segment {names}: see the log"
            return False
        if self.trouble is not None:
            logger.info("ClickHouse takes events again")
        self.trouble = None
        return True

    def _chosen(self) -> list[Path]:
        chosen: list[Path] = []
        rows = 0
        for segment in self._spool.segments():
            rows += rows_of(segment)
            if chosen and rows > AT_ONCE:
                break
            chosen.append(segment)
        return chosen

    def _load(self, segments: list[Path], names: str) -> None:
        read = [read_segment(segment) for segment in segments]
        events = [event for some, _ in read for event in some]
        rejects = [reject for _, some in read for reject in some]
        with self._clickhouse.session({"service": "sink"}) as session:
            with session.explained():
                session.check_schema()
            loaded = load_events(session, table_of(events), "sink", names, self._settings, rejects=rejects)
        self._loaded += loaded
        for segment in segments:
            self._spool.drop(segment)
