"""Makes campaign reports of an empty database and of the sample: ``python -m tests.analytics.make_reports FOLDER``.

A process of its own: an embedded ClickHouse serves one folder per process.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from analytics.table_plots import PLOTS
from deploy.local.sample import fill
from orchestration.cli.analytics_report import report
from orchestration.cli.context import UsageProblem
from resources.answers import ask
from resources.clickhouse import ClickHouse

CALLS = {
    "empty": [],
    "all": ["--hour-cost", "20"],
    "one": ["--names", "--survey", "moorea-2025", "--from", "2000-01-01", "--to", "2100-01-01"],
    "unknown": ["--survey", "atlantis"],
    "backwards": ["--from", "2026-02-01", "--to", "2026-01-01"],
    "no-day": ["--from", "yesterday"],
}


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ["REEFLINE_CLICKHOUSE_URL"] = f"chdb://{folder / 'ch'}"
    os.environ["REEFLINE_HOME"] = str(folder)
    app = typer.Typer()
    app.command()(report)
    said = {}
    for name, arguments in CALLS.items():
        if name == "all":
            with ClickHouse(os.environ["REEFLINE_CLICKHOUSE_URL"]).session() as session:
                fill(session)
                for table, (question, plot) in PLOTS.items():
                    (folder / f"{table}.png").write_bytes(plot(ask(session, question)))
        result = CliRunner().invoke(app, [*arguments, "--out", str(folder / f"{name}.html")])
        if result.exception and not isinstance(result.exception, UsageProblem):
            raise result.exception
        said[name] = str(result.exception or result.output)
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
