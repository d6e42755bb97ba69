"""What killing every process of the stack once, Postgres too, leaves lost or doubled of a demo."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench.postgres import NoPostgresError, Postgres
from bench.stack_kill import Outcome, kill_all

SIZE = (2, 2, 3)


def rows() -> list[dict[str, Any]]:
    """Two rows; none where there is no Postgres."""
    try:
        with Postgres() as postgres, tempfile.TemporaryDirectory(prefix="reefline-kill-") as folder:
            found = kill_all(Path(folder), postgres, SIZE)
    except NoPostgresError as error:
        print(f"no Postgres here, its rows are left out: {error}")
        return []
    note = _note(found)
    return [
        {"name": "stack_kill.doubled", "value": found.doubled, "unit": "tasks and rows", "note": note},
        {"name": "stack_kill.lost", "value": found.lost, "unit": "pictures, tasks, rows", "note": note},
    ]


def _note(found: Outcome) -> str:
    wrong = [*found.doubled_tasks, *found.missing_tasks, *found.doubled_rows, *found.lost_rows]
    told = f"{found.photos} photos, {found.released} released in {found.seconds:.0f} s"
    how = f"SIGKILL: {', '.join(found.killed)} (Postgres: immediate stop, away for 5 s)"
    return "; ".join([told, how, "asked: 0", *wrong])
