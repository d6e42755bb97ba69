"""Asks every panel, variable and alert rule on the sample campaign: ``python -m tests.deploy.grafana_answers DB OUT``.

A process of its own: an embedded ClickHouse serves one folder per process.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from deploy.local.sample import fill
from resources.clickhouse import ClickHouse, Session
from tests.deploy.grafana_plugin import Choice, Period, expand

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "deploy" / "grafana"
CVATS = ROOT.parent / "shared" / "contracts" / "cvat" / "grafana"
DAYS = {"d": 1, "y": 365}


def main() -> None:
    database, out = sys.argv[1:]
    now = datetime.now(UTC)
    answers: list[dict[str, Any]] = []
    with ClickHouse(f"chdb://{database}").session() as session:
        fill(session, now)
        # CVAT's dashboards name its database in some panels.
        session.client.command("CREATE DATABASE cvat")
        session.client.command("CREATE VIEW cvat.events AS SELECT * FROM default.events")
        for path in sorted((OURS / "dashboards").glob("*.json")):
            answers += _dashboard(session, path, "ours", now)
        for path in sorted(CVATS.glob("*.json")):
            answers += _dashboard(session, path, "cvat's", now)
        rules = yaml.safe_load((OURS / "provisioning" / "alerting" / "rules.yaml").read_text(encoding="utf-8"))
        for rule in rules["groups"][0]["rules"]:
            sql = rule["data"][0]["model"]["rawSql"]
            answers.append({"of": "alerts", "board": "rules", "panel": rule["uid"]} | _ask(session, sql))
    Path(out).write_text(json.dumps(answers, default=str), encoding="utf-8")


def _dashboard(session: Session, path: Path, whose: str, now: datetime) -> Iterator[dict[str, Any]]:
    board = json.loads(path.read_text(encoding="utf-8"))
    amount, unit = re.fullmatch(r"now-(\d+)([dy])", board["time"]["from"]).groups()  # type: ignore[union-attr]
    period = Period(now - timedelta(days=int(amount) * DAYS[unit]), now)
    everything: dict[str, Choice] = {}
    one: dict[str, Choice] = {}
    for variable in board["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "custom":
            current = variable["current"]["value"]
            everything[name] = one[name] = Choice((current,), multi=False)
            continue
        answer = _ask(session, expand(variable["query"], everything, period))
        yield {"of": whose, "board": path.stem, "panel": f"variable {name}", "choice": "all"} | answer
        options = tuple(str(row[answer["columns"][0]]) for row in answer["rows"]) or ("",)
        multi = bool(variable.get("multi"))
        everything[name] = Choice(options, multi, everything=True, all_value=variable.get("allValue") or "")
        one[name] = Choice(options[:1], multi)
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            for label, choices in (("all", everything), ("one", one)):
                here = choices | ({panel["repeat"]: one[panel["repeat"]]} if panel.get("repeat") else {})
                answer = _ask(session, expand(target["rawSql"], here, period))
                yield {"of": whose, "board": path.stem, "panel": panel["title"], "choice": label} | answer


def _ask(session: Session, sql: str) -> dict[str, Any]:
    """The answer's first rows; or what ClickHouse says is wrong with the query."""
    try:
        result = session.client.query(sql)
    except Exception as error:
        return {"error": f"{error}\n{sql}", "rows": [], "count": 0, "columns": [], "types": []}
    rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows[:400]]
    types = [kind.name for kind in result.column_types]
    return {"error": "", "rows": rows, "count": result.row_count, "columns": list(result.column_names), "types": types}


if __name__ == "__main__":
    main()
