"""The storm's consumer: stands for Dagster's daemon and its runs, in a process of its own that is killed at random.

``python -m bench.chaos_consumer INBOX_URL JOURNAL`` is that process.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bench.receiver_process import ROOT
from resources.inbox import DueReview, Inbox

RUN_S = 0.04
"""What a run takes; long enough for a kill to fall into it."""


def run_key(review: DueReview) -> str:
    """As ``sensors.reviews.collect_request`` makes it; repeated here to keep Dagster's import out of every restart."""
    return f"collect:{review.key}"


class Journal:
    """What runs have done, a line each, in a file that outlives its writer."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``."""
        self.path = path

    def write(self, what: str, key: str) -> None:
        """One line, in one system call."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{json.dumps([what, key])}\n".encode())
        finally:
            os.close(handle)

    def read(self) -> list[tuple[str, str]]:
        """All lines."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        return [(what, key) for what, key in map(json.loads, lines)]

    def unfinished(self) -> list[str]:
        """Runs that were created and have not ended, oldest first."""
        lines = self.read()
        ended = {key for what, key in lines if what == "ended"}
        return [key for what, key in lines if what == "created" and key not in ended]


def consume(inbox_url: str, path: Path) -> None:
    """Look at the inbox, create a run for what is due unless its key was used, and take up runs a kill cut off."""
    inbox, journal = Inbox(inbox_url), Journal(path)
    journal.write("consumer", str(os.getpid()))
    while True:
        try:
            for key in journal.unfinished():
                _run(inbox, journal, key)
            inbox.interpret_new()
            used = {key for what, key in journal.read() if what == "created"}
            for key in [run_key(review) for review in inbox.due()]:
                if key not in used:
                    journal.write("created", key)
                    _run(inbox, journal, key)
        except SQLAlchemyError as error:
            print(f"the tick failed, as one in Dagster would: {error}", file=sys.stderr)
        time.sleep(0.05)


def _run(inbox: Inbox, journal: Journal, key: str) -> None:
    _, batch, gate, last_id = key.split(":")[:4]
    time.sleep(RUN_S)
    inbox.mark_done(batch, gate, int(last_id), key)
    journal.write("ended", key)


class Consumer:
    """The consumer's process, which a thread kills at random."""

    patience_s = 120.0

    def __init__(self, inbox_url: str, journal: Journal, seed: int) -> None:
        """Not started."""
        self.inbox_url, self.journal = inbox_url, journal
        self.random = random.Random(seed)
        self.kills = self.kills_in_runs = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Start it; it is not waited for."""
        command = [sys.executable, "-m", "bench.chaos_consumer", self.inbox_url, str(self.journal.path)]
        with self.journal.path.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it abruptly."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def kill_and_restart(self, times: int) -> None:
        """Kill it that often after it has begun to work: at random moments, every other time in the middle of a run."""
        while self.kills < times and not self._stop.is_set():
            started = ("consumer", str(self.process.pid if self.process else 0))
            while started not in self.journal.read() and not self._stop.wait(0.05):
                pass
            self._stop.wait(self.random.uniform(0.0, 0.8))
            deadline = time.monotonic() + 10.0 * (self.kills % 2)
            while time.monotonic() < deadline and not self.journal.unfinished() and not self._stop.wait(0.003):
                pass
            self.kill()
            self.kills += 1
            self.kills_in_runs += bool(self.journal.unfinished())
            self.start()

    def stop(self) -> None:
        """End the killing too."""
        self._stop.set()
        self.kill()


if __name__ == "__main__":
    consume(sys.argv[1], Path(sys.argv[2]))
