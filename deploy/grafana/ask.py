"""What a panel asks: a named question in Grafana's words, or SQL of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics.questions import GRAFANA, question

STAND_INS: Final[Mapping[str, str]] = {**GRAFANA, "survey": "replaceOne('${survey}', '*', '')"}
"""The variable survey has '*' for all of them: Grafana takes an empty value for all values one by one."""

FOR_ALERTS: Final[Mapping[str, str]] = {**GRAFANA, "survey": "''", "pseudonyms": "1", "hour_cost": "0"}
"""Alert rules know no variables."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Title, explanation and SQL of a panel."""

    title: str
    says: str
    sql: str

    def only(self, *columns: str, title: str = "", where: str = "", order: str = "") -> Ask:
        """Some columns (SQL expressions) of the answer, under another title if one is given."""
        sql = f"SELECT {', '.join(columns)}\nFROM\n(\n{self.sql}\n)"
        sql += f"\nWHERE {where}" if where else ""
        sql += f"\nORDER BY {order}" if order else ""
        return Ask(title or self.title, self.says, sql)

    def grouped(self, *by: str) -> Ask:
        """The same, grouped and ordered by these columns; for a select of sums."""
        keys = ", ".join(by)
        return Ask(self.title, self.says, f"{self.sql}\nGROUP BY {keys}\nORDER BY {keys}")


def ask(name: str, title: str = "") -> Ask:
    """A named question of ``analytics.questions``, in Grafana's words."""
    found = question(name)
    return Ask(title or found.title, found.says, found.grafana(STAND_INS))
