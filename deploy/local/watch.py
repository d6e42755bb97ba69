"""Looks after an installation from outside Dagster: an alert that Dagster must send cannot report that Dagster is dead.

It asks the webhook receiver, Dagster's page and the daemons' heartbeats how they are, tells people when one is down and
when it is back, and ends runs whose process is gone. A process of its own (``python -m deploy.local.watch``), also to
be had elsewhere as ``reefline watch``.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from deploy.docker.health import WATCH_SIGN
from orchestration.doctor.dagster import heartbeats
from orchestration.instance import dagster_home, dagster_instance
from orchestration.stranded import end_stranded
from resources.bundle import make_notifier
from resources.logs import set_up_logging
from resources.notifier import Notifier
from resources.settings import Settings, SettingsError, load_settings

logger = logging.getLogger("reefline.watch")

EVERY_S = 10.0
PATIENCE_S = 120.0
"""Something that has been down for so long is told to people; a restart takes less."""
OWNER = "team:platform"
SERVICES = {"receiver": "receiver", "page": "web"}
"""Services behind the addresses that are asked."""


@dataclass(slots=True)
class Watch:
    """What is down, since when, and whether it has been told.

    Attributes:
        notifier: tells people.
        logs: whether each service has a log file of its own; in containers it has none.
        clock: seconds; another one in tests.
    """

    notifier: Notifier
    logs: bool = True
    clock: Callable[[], float] = time.monotonic
    patience_s: float = PATIENCE_S
    down: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def look(self, found: Mapping[str, str]) -> None:
        """Take in how things are: for each thing what is wrong with it, empty when all is well."""
        for name, wrong in found.items():
            if not wrong:
                since = self.down.pop(name, None)
                if name in self.told and since is not None:
                    self.told.discard(name)
                    facts = {"down for": f"{self.clock() - since:.0f} s"}
                    self.notifier.send(f"reefline: {name} is back", facts, OWNER)
                continue
            since = self.down.setdefault(name, self.clock())
            if self.clock() - since >= self.patience_s and name not in self.told:
                self.told.add(name)
                service = "daemon" if name.startswith("daemon ") else SERVICES.get(name)
                facts = {"error": wrong} | ({"log": f"logs/{service}.log"} if service and self.logs else {})
                self.notifier.send(f"reefline: {name} is down", facts, OWNER)


def answers(url: str) -> str:
    """What is wrong with an address, empty when it answers."""
    try:
        status = httpx.get(url, timeout=5).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    return "" if status < 400 else f"{url} answers {status}"


def look_at(settings: Settings, urls: Mapping[str, str], *, local_runs: bool) -> dict[str, str]:
    """How everything is; runs without a process are ended where they are processes of this machine."""
    found = {name: answers(url) for name, url in urls.items()}
    try:
        with dagster_instance(dagster_home(settings), settings.dagster) as instance:
            found |= {f"daemon {name}": wrong for name, wrong in heartbeats(instance).items()}
            for run in end_stranded(instance) if local_runs else ():
                logger.warning("run %s had lost its process: reported as failed, to be tried again", run)
        found["database"] = ""
    except Exception as error:  # whatever a database's driver throws: the watch must outlive it
        found["database"] = f"Dagster's database cannot be used: {str(error).strip().splitlines()[0][:200]}"
    return found


def watch(
    settings: Settings, stop: threading.Event, *, local_runs: bool, page: str = "", every_s: float = EVERY_S
) -> None:
    """Look again and again until told to stop.

    Args:
        settings: of the installation.
        stop: ends it.
        local_runs: runs are processes of this machine, and services have log files.
        page: address of Dagster's page; empty: it is not asked.
        every_s: seconds between two looks.
    """
    watching = Watch(make_notifier(settings), logs=local_runs)
    urls = {"receiver": settings.receiver.rstrip("/") + "/ready"} | ({"page": page} if page else {})
    while not stop.wait(every_s):
        watching.look(look_at(settings, urls, local_runs=local_runs))
        WATCH_SIGN.touch()


def main() -> int:
    """Watch the installation whose settings are in the environment, until SIGTERM or Ctrl-C."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"watch: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings)
    os.nice(10)  # what it looks at comes first
    watch(settings, threading.Event(), local_runs=True, page=sys.argv[1] if len(sys.argv) > 1 else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
