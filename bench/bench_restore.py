"""How much of an installation is the same after backup, loss and restore; on SQLite and on Postgres."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.postgres import NoPostgresError, Postgres
from bench.restore_world import PARTS, RestoreWorld, unlike
from deploy.backup.restore import restore_backup
from deploy.backup.take import take_backup


def measure(folder: Path, database: str = "") -> tuple[int, list[str], dict[str, int], float]:
    """Files, those that differ, what the next stage made, and seconds of backup and restore."""
    world = RestoreWorld(folder, database)
    world.begin()
    started = time.perf_counter()
    kept = take_backup(world.settings(), world.shelf)
    world.wipe()
    restore_backup(world.given(), world.shelf, kept.name)
    seconds = time.perf_counter() - started
    again = take_backup(world.given(), world.shelf)
    return sum(len(kept.parts[p].items) for p in PARTS), unlike(kept.parts, again.parts), world.go_on(), seconds


def rows() -> list[dict[str, Any]]:
    """The share of files that are identical, over both databases."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="reefline-restore-") as folder:
        found["SQLite"] = measure(Path(folder))
    try:
        with Postgres() as server, tempfile.TemporaryDirectory(prefix="reefline-restore-") as folder:
            found["Postgres"] = measure(Path(folder), server.new_database())
    except NoPostgresError as error:
        print(f"SQLite alone: {error}")
    files = sum(count for count, *_ in found.values())
    different = [f"{kind} {path}" for kind, (_, paths, *_) in found.items() for path in paths]
    on = ", ".join(f"{kind}: {count} files in {seconds:.0f} s" for kind, (count, _, _, seconds) in found.items())
    went_on = all(then == {"tasks": 2, "different": 2, "rectified": 1} for _, _, then, _ in found.values())
    note = f"{on}; the next stage {'goes on' if went_on else 'DOES NOT GO ON'}; asked: 1; {'; '.join(different)}"
    value = (files - len(different)) / files if went_on else 0.0
    return [{"name": "restore.identical", "value": value, "unit": "share of files", "note": note.rstrip("; ")}]
