"""The sink's buffer on disk: events are kept here before they are acknowledged, until ClickHouse has them.

A folder of segments, ``<number>.open`` while it is written, ``<number>-<rows>.jsonl`` when it is sealed. A line is a
JSON array: the values of an event in the order of ``analytics.events.COLUMNS``, or ``["", place, reason, line]`` of
what was rejected (no event has an empty scope). One process at a time may use a folder.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

import orjson

from analytics.events import Event, Reject

SEAL_ROWS = 10_000
SEAL_S = 1.0


class SpoolFullError(OSError):
    """The buffer has reached its limit, or its disk is full: senders must wait."""


class SpoolBusyError(RuntimeError):
    """Another process uses the folder."""


class Spool:
    """Segments in a folder. Safe for several threads."""

    def __init__(self, folder: Path, limit_bytes: int = 4 * 2**30) -> None:
        """Take the folder, and seal what a process that was killed has left open.

        Raises:
            SpoolBusyError: another process has it.
        """
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._mutex = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SpoolBusyError(f"another sink uses {folder}: give each its own folder") from error
        self._open: BinaryIO | None = None
        self._rows = 0
        self._bytes = 0
        self._since = 0.0
        for left in sorted(folder.glob("*.open")):
            _seal_leftover(left)
        self._next = 1 + max((_number(path) for path in self.segments()), default=0)
        self._waiting = sum(path.stat().st_size for path in self.segments())

    def append(self, events: Sequence[Event], rejects: Sequence[Reject] = ()) -> None:
        """Keep events and rejects. They are on disk when it returns.

        Raises:
            SpoolFullError: they are not kept; the sender must come again.
        """
        lines = [orjson.dumps(event) for event in events]
        lines += [orjson.dumps(["", r.place, r.reason, r.line]) for r in rejects]
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        with self._mutex:
            if self.size + len(data) > self.limit_bytes:
                raise SpoolFullError(f"{self.folder} holds {self.size} bytes that ClickHouse has not taken yet")
            stream = self._open or self._begin()
            try:
                _write_all(stream, data)
                os.fsync(stream.fileno())
            except OSError as error:
                self._undo(stream)
                raise SpoolFullError(f"{self.folder} cannot be written: {error.strerror}") from error
            self._rows += len(lines)
            self._bytes += len(data)
            if self._rows >= SEAL_ROWS:
                self._seal()

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._waiting + self._bytes

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return self._rows + sum(rows_of(path) for path in self.segments())

    def due(self) -> list[Path]:
        """Sealed segments, oldest first; the open one is sealed when it is old enough."""
        with self._mutex:
            if self._open is not None and time.monotonic() - self._since >= SEAL_S:
                self._seal()
        return self.segments()

    def seal(self) -> None:
        """Seal the open segment now."""
        with self._mutex:
            if self._open is not None:
                self._seal()

    def segments(self) -> list[Path]:
        """Sealed segments, oldest first."""
        return sorted(self.folder.glob("*.jsonl"), key=_number)

    def drop(self, segment: Path) -> None:
        """ClickHouse has this segment."""
        with self._mutex:
            self._waiting -= segment.stat().st_size
            segment.unlink()

    def close(self) -> None:
        """Seal, and give the folder back."""
        self.seal()
        self._lock.close()

    def _begin(self) -> BinaryIO:
        try:
            self._open = (self.folder / f"{self._next:012d}.open").open("wb", buffering=0)
        except OSError as error:
            raise SpoolFullError(f"{self.folder} cannot be written: {error.strerror}") from error
        _sync_folder(self.folder)
        self._next += 1
        self._rows = self._bytes = 0
        self._since = time.monotonic()
        return self._open

    def _undo(self, stream: BinaryIO) -> None:
        """Cut off what was half written, so that it is neither loaded nor in the way of the next line."""
        os.ftruncate(stream.fileno(), self._bytes)
        stream.seek(self._bytes)

    def _seal(self) -> None:
        stream, self._open = self._open, None
        if stream is None:
            return
        path = Path(str(stream.name))
        stream.close()
        if self._rows:
            path.rename(path.with_name(f"{path.stem}-{self._rows}.jsonl"))
        else:
            path.unlink()
        self._waiting += self._bytes
        self._rows = self._bytes = 0


def read_segment(segment: Path) -> tuple[list[Event], list[Reject]]:
    """What a sealed segment holds."""
    events: list[Event] = []
    rejects: list[Reject] = []
    for line in segment.read_bytes().splitlines():
        values = orjson.loads(line)
        if values[0]:
            events.append(tuple(values))
        else:
            rejects.append(Reject(*values[1:]))
    return events, rejects


def rows_of(segment: Path) -> int:
    """Rows of a sealed segment."""
    return int(segment.stem.partition("-")[2])


def _number(segment: Path) -> int:
    return int(segment.stem.partition("-")[0])


def _seal_leftover(left: Path) -> None:
    """Of a segment that nobody sealed, keep the whole lines: a half one was never acknowledged."""
    data = left.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    rows = whole.count(b"\n")
    if not rows:
        left.unlink()
        return
    if len(whole) < len(data):
        os.truncate(left, len(whole))
    left.rename(left.with_name(f"{left.stem}-{rows}.jsonl"))


def _write_all(stream: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
