"""A small process supervisor: starts services, restarts the ones that die, stops them all cleanly.

Each service runs in its own session with its output in a log file. Process ids are kept on disk, so that a supervisor
that was killed itself leaves nothing behind for long: the next start ends what is left of it first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, NoReturn, Self

import psutil

logger = logging.getLogger("reefline.supervisor")

STOP_S = 10.0
"""Seconds a process has to end after SIGTERM before SIGKILL."""
RESTARTS = 5
"""Deaths within :data:`RESTART_WINDOW_S` after which a service is given up."""
RESTART_WINDOW_S = 60.0
PROVEN_S = 20.0
"""A service that has run so long once is no misconfiguration: it is never given up, only started less often."""
MAX_WAIT_S = 30.0
"""Longest wait before a proven service that keeps dying is started again."""
LOG_LIMIT = 32 * 2**20
"""Bytes of a log file, after which its content moves to ``<name>.log.1``."""


class RuntimeProblem(RuntimeError):
    """The services cannot run; the message says which, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running.

    Attributes:
        ready_url: answers 2xx when the service is ready; ``None`` when there is nothing to ask.
        restart: whether it is started again when it ends by itself.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None
    ready_port: int | None = None
    restart: bool = True


@dataclass(slots=True)
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    started: list[float]
    proven: bool = False

    def wait_s(self) -> float:
        """Seconds until it may be started again."""
        recent = sum(time.monotonic() - t < RESTART_WINDOW_S for t in self.started)
        pause = min(MAX_WAIT_S, 2.0 ** (recent - 1)) if self.proven and recent > 1 else 0.0
        return self.started[-1] + pause - time.monotonic()


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


class Supervisor:
    """Runs services below one folder. Use as a context manager; one per folder at a time."""

    def __init__(self, folder: Path) -> None:
        """Keep process ids and logs in ``folder``."""
        self.folder = folder
        self.logs = folder / "logs"
        self._pids = folder / "pids"
        self._lock: IO[str] | None = None
        self._running: dict[str, _Running] = {}
        self._sigterm: Any = None

    def __enter__(self) -> Self:
        """Take the folder.

        Raises:
            RuntimeProblem: another supervisor runs on it.
        """
        # A shell that starts us in the background makes us ignore SIGINT; children would inherit that, and Dagster's
        # processes could then not be stopped. A handled signal is reset to its default in a child.
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            # systemd, timeout and kill send SIGTERM: without this the services would stay behind.
            self._sigterm = signal.signal(signal.SIGTERM, _leave)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._pids.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise RuntimeProblem(
                f"reefline already runs on {self.folder}: stop it first (Ctrl-C there, or systemctl stop)"
            ) from error
        self._end_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything and give the folder back."""
        self.stop()
        if self._sigterm is not None:
            signal.signal(signal.SIGTERM, self._sigterm)
        if self._lock:
            self._lock.close()

    def start(self, service: Service) -> None:
        """Start a service; it is not waited for."""
        log = (self.logs / f"{service.name}.log").open("ab")
        with log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                list(service.command),
                env={**os.environ, **service.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        before = self._running.get(service.name)
        now = time.monotonic()
        recent = [t for t in before.started if now - t < RESTART_WINDOW_S] if before else []
        self._running[service.name] = _Running(service, process, [*recent, now], before is not None and before.proven)
        note = {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
        (self._pids / f"{service.name}.json").write_text(json.dumps(note), encoding="utf-8")

    def wait_ready(self, name: str, timeout_s: float = 90.0) -> None:
        """Wait until a service answers.

        Raises:
            RuntimeProblem: it ended, or did not answer in time.
        """
        running = self._running[name]
        deadline = time.monotonic() + timeout_s
        while not _answers(running.service):
            if running.process.poll() is not None:
                raise RuntimeProblem(f"{name} ended with code {running.process.returncode}: {self._tail(name)}")
            if time.monotonic() > deadline:
                raise RuntimeProblem(f"{name} did not answer within {timeout_s:.0f} s: {self._tail(name)}")
            time.sleep(0.1)

    def check(self) -> list[str]:
        """Start again what has died; the names of what was started.

        Raises:
            RuntimeProblem: a service keeps dying and has never lived for :data:`PROVEN_S`.
        """
        restarted = []
        for name, running in list(self._running.items()):
            self._rotate(name)
            if running.process.poll() is None or not running.service.restart:
                running.proven = running.proven or time.monotonic() - running.started[-1] > PROVEN_S
                continue
            recent = [t for t in running.started if time.monotonic() - t < RESTART_WINDOW_S]
            if len(recent) >= RESTARTS and not running.proven:
                raise RuntimeProblem(f"{name} died {len(recent)} times within a minute: {self._tail(name)}")
            if running.wait_s() > 0:
                continue
            logger.warning("%s ended with code %s; starting it again", name, running.process.returncode)
            self.start(running.service)
            restarted.append(name)
        return restarted

    def _rotate(self, name: str) -> None:
        """Empty a log that has grown too long; its writer appends, so it goes on at the beginning."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)

    def pid(self, name: str) -> int:
        """Process id of a running service."""
        return self._running[name].process.pid

    def finished(self, name: str) -> int | None:
        """Exit code of a service that has ended, else ``None``."""
        return self._running[name].process.poll()

    def stop(self) -> None:
        """Stop all services, newest first, with everything they started."""
        for running in reversed(list(self._running.values())):
            _signal_group(running.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for running in self._running.values():
            try:
                running.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("%s did not stop; killing it", running.service.name)
            # Also what a service left behind in its session, such as runs of the code server.
            _signal_group(running.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(2)
            (self._pids / f"{running.service.name}.json").unlink(missing_ok=True)
        self._running.clear()

    def _end_leftovers(self) -> None:
        for path in self._pids.glob("*.json"):
            note = json.loads(path.read_text(encoding="utf-8"))
            try:
                ours = abs(psutil.Process(note["pid"]).create_time() - note["created"]) < 1
            except psutil.NoSuchProcess:
                # The leader is gone; members of its group may live on, and no other group can have its number.
                ours = True
            if ours:
                _signal_group(note["pid"], signal.SIGKILL)
            path.unlink()

    def _tail(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
        return f"{lines[-1] if lines else 'it said nothing'} (whole log: {path})"


def is_running(folder: Path) -> bool:
    """Whether a supervisor, or a unit of systemd, runs on this folder now."""
    path = folder / "lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _answers(service: Service) -> bool:
    if service.ready_port is not None:
        return _port_open(service.ready_port)
    if service.ready_url is None:
        return True
    try:
        with urllib.request.urlopen(service.ready_url, timeout=2):  # noqa: S310 - loopback address made by us
            return True
    except (urllib.error.URLError, OSError):
        return False


def _port_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
