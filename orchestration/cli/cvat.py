"""``reefline cvat``: make CVAT's projects, labels and webhooks match the survey files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from labels.survey import SurveyConfig, SurveyError
from resources.cvat import CvatClient

from assets import corals, corners, lattice
from orchestration.cli.context import UsageProblem, state
from resources.bundle import make_cvat
from resources.settings import Settings

app = typer.Typer(help="CVAT.", no_args_is_help=True)

GATES = (corners.GATE, lattice.GATE, corals.GATE)
EVENTS = ("create:job", "update:job", "update:task", "delete:task", "create:issue", "update:issue")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A CVAT project that should exist."""

    name: str
    labels: list[dict[str, Any]]


def wanted_projects(surveys: Sequence[SurveyConfig]) -> list[Wanted]:
    """The projects that the surveys' gates need, each once."""
    projects: dict[str, Wanted] = {}
    for survey in surveys:
        for gate in GATES:
            if _needed(survey, gate.gate.value):
                name = gate.project(survey)
                projects.setdefault(name, Wanted(name, gate.labels(survey)))
    return list(projects.values())


def apply(cvat: CvatClient, settings: Settings, surveys: Sequence[SurveyConfig]) -> list[str]:
    """Make projects, labels and webhooks exist; one line per project. Doing it again changes nothing."""
    lines = []
    for project in wanted_projects(surveys):
        project_id = cvat.ensure_project(project.name, project.labels)
        target = f"{settings.receiver_url.rstrip('/')}/cvat/webhook"
        cvat.ensure_webhook(project_id, target, settings.webhook_secret.get_secret_value(), EVENTS)
        lines.append(f"{project.name}: project {project_id}, {len(project.labels)} labels, webhook to {target}")
    return lines


@app.command("apply")
def apply_command(context: typer.Context) -> None:
    """Make projects, labels and webhooks match the survey files. Safe to repeat."""
    current = state(context)
    settings = current.settings
    surveys, problems = current.surveys.all()
    if problems:
        raise SurveyError("\n".join(problems))
    if not surveys:
        raise UsageProblem(f"no survey file in {settings.surveys_dir}: copy surveys/example.yaml and change it")
    if not settings.cvat_url:
        raise UsageProblem("no CVAT is configured: set REEFLINE_CVAT_URL and REEFLINE_CVAT_TOKEN")
    if not settings.webhook_secret.get_secret_value():
        raise UsageProblem("no webhook secret: set REEFLINE_WEBHOOK_SECRET to a random text of up to 64 characters")
    for line in apply(make_cvat(settings), settings, surveys):
        typer.echo(line)


def _needed(survey: SurveyConfig, gate: str) -> bool:
    skipped = {"three_stage": (), "two_stage": ("lattice",), "one_stage": ("corners", "lattice")}[survey.workflow]
    return gate not in skipped and getattr(survey.gates, gate).policy != "never"
