"""Events as the CSV that CVAT exports."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from typing import BinaryIO

from analytics.events.columns import COLUMNS, MAX_PAYLOAD, Event, NotAnEventError, Reject, event_of

NEEDED = frozenset(COLUMNS) - {"access_token_id"}
"""Versions of CVAT before access tokens do not have that column."""
_FIELD_LIMIT = 32 * MAX_PAYLOAD


class CutOffError(ValueError):
    """The CSV is not whole; the message says where it ends. What came before is good."""


def read_csv(stream: BinaryIO, rows: int, now_ms: int | None = None) -> Iterator[tuple[list[Event], list[Reject]]]:
    """The events of an export, and what in it is none, at most ``rows`` at once.

    Raises:
        CutOffError: it ends in the middle of a row. Raised after the whole rows have been given.
        NotAnEventError: it is no export of CVAT's events.
    """
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    csv.field_size_limit(_FIELD_LIMIT)
    lines = _Lines(stream)
    reader = csv.reader(lines, strict=True)
    header = next(reader, [])
    if not set(header) >= NEEDED:
        raise NotAnEventError(
            f"this is no CSV of CVAT's events: it lacks the columns {', '.join(sorted(NEEDED - set(header)))}"
        )
    events: list[Event] = []
    rejects: list[Reject] = []
    cut: CutOffError | None = None
    numbered = _whole_rows(reader, lines)
    while True:
        try:
            place, row = next(numbered)
        except StopIteration:
            break
        except CutOffError as error:
            cut = error
            break
        try:
            events.append(event_of(_named(header, row), now))
        except NotAnEventError as error:
            rejects.append(Reject.of(place, str(error), ",".join(row).encode("utf-8", "surrogateescape")))
        if len(events) + len(rejects) >= rows:
            yield events, rejects
            events, rejects = [], []
    if events or rejects:
        yield events, rejects
    if cut:
        raise cut


def _named(header: list[str], row: list[str]) -> dict[str, str | None]:
    """The row by column. CSV cannot tell an empty text from none: it is taken for none."""
    if len(row) != len(header):
        raise NotAnEventError(f"it has {len(row)} fields, {len(header)} are expected")
    if any("\udc80" <= letter <= "\udcff" for value in row if not value.isascii() for letter in value):
        raise NotAnEventError("it is no UTF-8")
    return dict(zip(header, (value or None for value in row), strict=True))


class _Lines:
    """Lines of text, with bytes that are no UTF-8 as surrogates: they are found later, and cost only their row."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.whole = True

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.whole = line.endswith(b"\n")
            yield line.decode("utf-8", "surrogateescape")


def _whole_rows(reader: Iterator[list[str]], lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers. A row is given when the next has begun, or the file has ended with a line break."""
    place, held = 2, None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:  # the file ends inside quotes
            if held is not None:
                yield place, held
            raise CutOffError(f"the CSV ends in the middle of a row, after row {place}: {error}") from error
        if row is None and not lines.whole:
            raise CutOffError(f"the CSV ends in the middle of row {place}")
        if held is not None:
            yield place, held
            place += 1
        if row is None:
            return
        held = row
