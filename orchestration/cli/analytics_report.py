"""``reefline analytics report``: the dashboards' answers as one HTML file, for those who run no Grafana."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.context import UsageProblem, state
from resources.answers import ask, ask_all
from resources.clickhouse import ClickHouse


def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("campaign-report.html"),
    survey: Annotated[str, typer.Option(help="Only this survey.")] = "",
    since: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD; from the beginning without it.")] = "",
    until: Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD; until now without it.")] = "",
    names: Annotated[bool, typer.Option("--names", help="People by name instead of under pseudonyms.")] = False,
    hour_cost: Annotated[float, typer.Option(min=0, help="What an hour of an annotator costs; adds costs.")] = 0.0,
) -> None:
    """Write the campaign report: where every batch is, people's time, models, pipeline, cover. Works offline."""
    from analytics.report.campaign import QUESTIONS, CampaignReport, campaign_report

    first, last = _day("--from", since), _day("--to", until)
    end = last + timedelta(days=1) - timedelta(milliseconds=1) if last else None
    if first and end and end < first:
        raise UsageProblem(f"--to {until} is before --from {since}")
    if not out.parent.is_dir():
        raise UsageProblem(f"there is no folder {out.parent}")
    given = {"survey": survey, "pseudonyms": int(not names), "hour_cost": hour_cost}
    given |= {"since": first} if first else {}
    given |= {"until": end} if end else {}
    database = ClickHouse(state(context).settings.clickhouse)
    with database.session({"command": "analytics report"}) as session, session.explained():
        session.migrate()
        _check_survey(survey, sorted({row["survey"] for row in ask(session, "campaign")}))
        answers = ask_all(session, QUESTIONS, given)
    made = CampaignReport(
        answers, datetime.now(UTC), survey=survey, since=first, until=last, pseudonyms=not names, hour_cost=hour_cost
    )
    out.write_bytes(campaign_report(made))
    typer.echo(f"{out}: {len(answers['campaign'])} batches, {len(answers['worktime_people'])} people")


def _check_survey(name: str, known: list[str]) -> None:
    if name and name not in known:
        raise UsageProblem(f"no survey {name!r} in the analytics tables; there are: {', '.join(known) or 'none yet'}")


def _day(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageProblem(f"{option} {text!r} is no day: write it like 2026-11-21") from error
