"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

AREAS = ("settings", "machine", "data", "surveys", "services", "cvat", "dagster")
"""Where findings belong, in the order in which they are looked at."""
SECONDS = 5.0
"""How long a check waits for an answer."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``fix``: the next step, empty when all is well."""

    what: str
    level: Level
    text: str
    fix: str = ""


def one_line(error: BaseException) -> str:
    """The first line of what an error says; database drivers write pages."""
    said = str(error.args[0] if error.args else error).strip() or type(error).__name__
    return " ".join(said.splitlines()[0].split())[:300]
