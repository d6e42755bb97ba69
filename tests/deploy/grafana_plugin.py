"""What Grafana and its ClickHouse plugin make of a panel's SQL before it is sent: variables, then macros."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

MACRO = re.compile(r"\$__(\w+)(\()?")


@dataclass(frozen=True)
class Choice:
    """What stands in a dashboard's variable.

    Attributes:
        values: chosen, or with ``everything`` all options.
        multi: more than one may be chosen: the value is a list, even of one.
        everything: 'All' is chosen.
        all_value: raw text for 'All', if the variable has one.
    """

    values: tuple[str, ...]
    multi: bool = True
    everything: bool = False
    all_value: str = ""

    def text(self, form: str = "") -> str:
        """As in a query. A value of its own for 'All' is taken as it is, whatever the format."""
        if self.everything and self.all_value:
            return self.all_value
        if form == "singlequote":
            return ",".join("'" + value.replace("'", "\\'") + "'" for value in self.values)
        # The plugin's own way: lists are quoted, single values are not.
        return "'" + "','".join(self.values) + "'" if self.multi else self.values[0]


@dataclass(frozen=True)
class Period:
    """The time range of the page, and the width of an interval that fits it."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> int:
        """About a thousand intervals fill the page."""
        return max(1, round((self.until - self.since).total_seconds() / 1000))


def expand(sql: str, choices: Mapping[str, Choice], period: Period) -> str:
    """The SQL that reaches ClickHouse."""
    sql = _conditional(sql, choices)
    sql = re.sub(r"\$\{(\w+)(?::(\w+))?\}", lambda m: choices[m[1]].text(m[2] or ""), sql)
    sql = re.sub(r"\$(?!__)(\w+)", lambda m: choices[m[1]].text(), sql)
    return _macros(sql, period)


def _conditional(sql: str, choices: Mapping[str, Choice]) -> str:
    """``$__conditionalAll(condition, $variable)``: 1=1 when the variable is set to all."""
    macro = "$__conditionalAll("
    while (at := sql.rfind(macro)) >= 0:
        (condition, variable), end = _arguments(sql, at + len(macro))
        name = re.search(r"\w+", variable)
        assert name, variable
        sql = sql[:at] + ("1=1" if choices[name[0]].everything else condition) + sql[end:]
    return sql


def _macros(sql: str, period: Period) -> str:
    since, until = (f"toDateTime({int(t.timestamp())})" for t in (period.since, period.until))
    plain = {"fromTime": since, "toTime": until, "interval_s": str(period.seconds)}
    made, at = "", 0
    for found in MACRO.finditer(sql):
        if found.start() < at:
            continue
        made += sql[at : found.start()]
        if found[1] in plain:
            made, at = made + plain[found[1]], found.end(1)
            continue
        (column,), at = _arguments(sql, found.end())
        if found[1] == "timeFilter":
            made += f"{column} >= {since} AND {column} <= {until}"
        elif found[1] == "timeInterval":
            made += f"toStartOfInterval(toDateTime({column}), INTERVAL {period.seconds} second)"
        else:
            raise AssertionError(f"the plugin has no macro $__{found[1]}")
    return made + sql[at:]


def _arguments(sql: str, at: int) -> tuple[list[str], int]:
    """The arguments of a macro whose bracket opened before ``at``, and where it ends."""
    depth, start, found = 1, at, []
    for place in range(at, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[place], 0)
        if (sql[place] == "," and depth == 1) or depth == 0:
            found.append(sql[start:place].strip())
            start = place + 1
        if depth == 0:
            return found, place + 1
    raise AssertionError(f"a macro without an end: {sql[at:]}")
