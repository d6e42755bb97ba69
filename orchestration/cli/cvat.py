"""``reefline cvat``: make CVAT's projects, labels, guides, webhooks and storage match the survey files."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console

from assets import corals, corners, lattice
from labels.survey import SurveyConfig, SurveyError
from orchestration.cli.context import State, UsageProblem, state
from resources.audit import Audit
from resources.bundle import declared_storage, make_cvat
from resources.cvat import CvatClient
from resources.cvat.declared import Declared, DeclaredProject, Difference, Sign, differences, write_secrets
from resources.inbox import Inbox
from resources.settings import Settings, webhook_url

app = typer.Typer(help="CVAT: what it should hold is said by the survey files.", no_args_is_help=True)

GATES = (corners.GATE, lattice.GATE, corals.GATE)
EVENTS = ("create:job", "update:job", "update:task", "delete:task", "create:issue", "update:issue")
COLORS = {Sign.CREATE: "green", Sign.CHANGE: "yellow", Sign.DELETE: "red", Sign.KEEP: "dim", Sign.REFUSE: "bold red"}

Prune = Annotated[bool, typer.Option("--prune", help="Delete labels that no survey file asks for and nothing uses.")]


def declare(settings: Settings, surveys: Sequence[SurveyConfig]) -> Declared:
    """What CVAT should hold for these surveys."""
    projects: dict[tuple[str | None, str], DeclaredProject] = {}
    for survey in surveys:
        for gate in GATES:
            if _needed(survey, gate.gate.value):
                name, organization = gate.project(survey), survey.cvat.organization
                project = DeclaredProject(name, gate.labels(survey), gate.guide(survey), organization)
                projects.setdefault((organization, name), project)
    secret = settings.webhook_secret.get_secret_value()
    return Declared(list(projects.values()), webhook_url(settings), secret, EVENTS, declared_storage(settings))


def apply(cvat: CvatClient, declared: Declared, *, prune: bool = False) -> list[Difference]:
    """Mend what differs; what could not be mended is left. Doing it again changes nothing."""
    for difference in differences(cvat, declared, prune=prune):
        if difference.act:
            difference.act()
    write_secrets(cvat, declared)
    return [d for d in differences(cvat, declared, prune=prune) if d.sign != Sign.KEEP]


@app.command("plan")
def plan_command(context: typer.Context, prune: Prune = False) -> None:
    """Say what 'apply' would do. Changes nothing."""
    cvat, declared = _prepared(state(context))
    _show(differences(cvat, declared, prune=prune), "Nothing to do: CVAT holds what the survey files say.")


@app.command("apply")
def apply_command(context: typer.Context, prune: Prune = False) -> None:
    """Say what is to be done, then do it. Safe to repeat."""
    cvat, declared = _prepared(state(context))
    _show(differences(cvat, declared, prune=prune), "Nothing to do: CVAT holds what the survey files say.")
    left = apply(cvat, declared, prune=prune)
    if left:
        Console(stderr=True, highlight=False).print(f"{len(left)} of these could not be done:", style="red")
        _show(left, "")
        raise typer.Exit(1)
    Console(highlight=False).print(f"CVAT is as declared. Webhooks lead to {declared.target_url}, secret written.")


@app.command("drift")
def drift_command(context: typer.Context) -> None:
    """Say how CVAT differs from the survey files; exit code 1 when it does."""
    cvat, declared = _prepared(state(context))
    found = differences(cvat, declared)
    _show(found, "No drift: CVAT holds what the survey files say.")
    if any(difference.sign != Sign.KEEP for difference in found):
        raise typer.Exit(1)


def _prepared(current: State) -> tuple[CvatClient, Declared]:
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
    who = f"person {getpass.getuser()}"
    cvat = make_cvat(settings, Audit(Inbox(settings.inbox), who, "reefline cvat apply"))
    cvat.check()
    return cvat, declare(settings, surveys)


def _show(found: Sequence[Difference], nothing: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not found:
        console.print(nothing)
    for where, items in groupby(found, key=lambda difference: difference.where):
        console.print(where, markup=False)
        for item in items:
            console.print(f"  {item.sign} {item.text}", style=COLORS[item.sign], markup=False)


def _needed(survey: SurveyConfig, gate: str) -> bool:
    skipped = {"three_stage": (), "two_stage": ("lattice",), "one_stage": ("corners", "lattice")}[survey.workflow]
    return gate not in skipped and getattr(survey.gates, gate).policy != "never"
