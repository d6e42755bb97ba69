"""Events from files: CVAT's CSV, or JSON lines as its logger sends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from analytics.events import read_lines, table_of
from analytics.events.columns import NotAnEventError
from resources.clickhouse import Session
from resources.events.export import load_csv
from resources.events.load import Loaded, LoadSettings, load_events

PIECE = 64 * 1024 * 1024
"""Bytes of lines that are in memory at once."""


def load_file(session: Session, path: Path, settings: LoadSettings | None = None) -> Loaded:
    """Load a file of events; ``.csv``, ``.json`` (one array) or ``.jsonl``.

    Raises:
        NotAnEventError: it is none of these, or a CSV of something else.
        CutOffError: a CSV ends in the middle of a row; what came before is loaded.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return load_csv(session, path, path.name, settings)
    if kind not in (".json", ".jsonl", ".ndjson"):
        raise NotAnEventError(f"{path}: events are read from .csv, .json and .jsonl files")
    total = Loaded()
    with path.open("rb") as file:
        for body in [file.read()] if kind == ".json" else _pieces(file):
            events, rejects = read_lines(body)
            total += load_events(session, table_of(events), "file", path.name, settings, rejects=rejects)
    return total


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while lines := file.readlines(PIECE):
        yield b"".join(lines)
