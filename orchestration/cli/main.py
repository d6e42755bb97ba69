"""The ``reefline`` command: puts the command groups together and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analytics.events import CutOffError
from analytics.events.columns import NotAnEventError
from analytics.migrate import MigrationError
from analytics.worktime import UnknownDimensionError
from inference.engines import EngineError
from inference.registry import ModelError
from inference.training.ultralytics_door import MissingExtraError
from labels.lattice import LatticeError
from labels.survey import SurveyError
from labels.taxonomy import TaxonomyError
from orchestration.cli import (
    analytics,
    analytics_report,
    audit,
    cvat,
    doctor,
    imports,
    inbox,
    ingest,
    models,
    release,
    status,
    survey,
    worktime,
)
from orchestration.cli.context import State, UsageProblem
from resources.audit import AuditError
from resources.clickhouse import ClickHouseRefused, ClickHouseUnavailable
from resources.cvat import CvatRefused, CvatUnavailable
from resources.events.people import UnknownPersonError
from resources.inbox import LetterError
from resources.object_store import StoreError
from resources.releases import ReleaseError
from resources.settings import SettingsError
from resources.version_record import WrongVersionError

USER_ERRORS = (
    UsageProblem,
    WrongVersionError,
    AuditError,
    SettingsError,
    SurveyError,
    TaxonomyError,
    LatticeError,
    ModelError,
    EngineError,
    MissingExtraError,
    ReleaseError,
    LetterError,
    StoreError,
    CvatRefused,
    CvatUnavailable,
    ClickHouseRefused,
    ClickHouseUnavailable,
    MigrationError,
    NotAnEventError,
    CutOffError,
    UnknownPersonError,
    UnknownDimensionError,
)
EXIT_USER_ERROR = 2

app = typer.Typer(
    name="reefline",
    help="From photo quadrats of coral reefs to reviewed, measured, citable data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(survey.app, name="survey")
app.add_typer(cvat.app, name="cvat")
app.add_typer(inbox.app, name="inbox")
app.add_typer(models.app, name="models")
app.add_typer(release.app, name="release")
analytics.app.command("report")(analytics_report.report)
app.add_typer(analytics.app, name="analytics")
app.command("audit")(audit.audit)
app.command("doctor")(doctor.doctor)
app.command("ingest")(ingest.ingest)
app.command("import")(imports.import_labels)
app.command("status")(status.status)
app.command("worktime")(worktime.worktime)


@app.callback()
def root(
    context: typer.Context,
    env: Annotated[Path | None, typer.Option(help="File with REEFLINE_ settings, instead of ./.env.")] = None,
) -> None:
    """Settings come from the environment (REEFLINE_...) and ./.env."""
    context.obj = State(env)


@app.command("version")
def show_version() -> None:
    """The version of reefline."""
    typer.echo(version("reefline"))


def main() -> None:
    """Run the command line."""
    for entry in entry_points(group="reefline.commands"):
        extra = entry.load()
        app.registered_commands.extend(extra.registered_commands)
        app.registered_groups.extend(extra.registered_groups)
    try:
        app()
    except USER_ERRORS as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"reefline: {error}", markup=False, style="red")
        sys.exit(EXIT_USER_ERROR)
    except Exception as error:
        if not _of_s3(error):
            raise
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"reefline: S3: {error}", markup=False, style="red")
        sys.exit(EXIT_USER_ERROR)


def _of_s3(error: Exception) -> bool:
    """A bucket that is away, refuses or is not there. The library is loaded only by those who use one."""
    known = sys.modules.get("botocore.exceptions")
    return known is not None and isinstance(error, (known.BotoCoreError, known.ClientError))
