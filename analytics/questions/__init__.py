"""The questions that dashboards, the report, the command line and the assets ask, one named SQL file each.

A file begins with ``-- title:`` and ``-- says:``. Its parameters are ClickHouse's own, ``{name:Type}``; the names are
those of :data:`PARAMETERS`. Grafana asks the same SQL with its macros in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

PARAMETERS: Final[Mapping[str, str]] = {
    "since": "first moment of the period (UTC)",
    "until": "last moment of the period (UTC)",
    "survey": "name of a survey; empty: all",
    "pseudonyms": "1: people under pseudonyms, 0: by name",
    "hour_cost": "what an hour of an annotator costs",
}

GRAFANA: Final[Mapping[str, str]] = {
    "since": "$__fromTime",
    "until": "$__toTime",
    "survey": "'${survey}'",
    "pseudonyms": "${pseudonyms}",
    "hour_cost": "${hour_cost}",
}
"""What stands for each parameter in a Grafana panel: macros of its ClickHouse plugin, and variables of a dashboard."""

_PARAMETER = re.compile(r"\{(\w+):[^{}]+\}")
_ALWAYS = {"survey": "", "pseudonyms": 0, "hour_cost": 0.0}


class UnknownQuestionError(KeyError):
    """No question has this name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Question:
    """A named query.

    Attributes:
        name: of its file, without ``.sql``.
        title: for people.
        says: what the answer tells, one sentence.
        sql: with ``{name:Type}`` parameters.
    """

    name: str
    title: str
    says: str
    sql: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters it takes, in the order in which they occur."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.sql)))

    def values(self, **given: Any) -> dict[str, Any]:
        """Values for exactly its parameters: those given, else the whole past, all surveys, real names, no cost."""
        default = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC), **_ALWAYS}
        return {name: given.get(name, default[name]) for name in self.parameters}

    def grafana(self, stand_ins: Mapping[str, str] = GRAFANA) -> str:
        """The SQL for a panel."""
        return _PARAMETER.sub(lambda found: stand_ins[found.group(1)], self.sql)


def question(name: str) -> Question:
    """The question of this name.

    Raises:
        UnknownQuestionError: there is none.
    """
    known = questions()
    if name not in known:
        raise UnknownQuestionError(f"no question {name!r}; there are: {', '.join(known)}")
    return known[name]


def questions() -> dict[str, Question]:
    """All questions by name, sorted."""
    folder = resources.files("analytics.questions")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {made.name: made for made in (_read(file.name, file.read_text(encoding="utf-8")) for file in files)}


def _read(file: str, text: str) -> Question:
    head = dict(re.findall(r"^-- (title|says): (.+)$", text, re.MULTILINE))
    body = re.sub(r"^-- (title|says): .+\n", "", text, flags=re.MULTILINE).strip()
    return Question(file.removesuffix(".sql"), head["title"], head["says"], body)
