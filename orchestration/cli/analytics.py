"""``reefline analytics``: the ClickHouse tables behind dashboards and reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.context import State, UsageProblem, state
from resources.bundle import make_cvat
from resources.clickhouse import ClickHouse, Session
from resources.events import LoadSettings, forget, refresh_worktime
from resources.events.cvat_database import read_cvat_database
from resources.events.export import pull_export
from resources.events.files import load_file
from resources.events.retention import keep_events_for
from resources.inbox import Inbox

app = typer.Typer(help="Working time and operations, on ClickHouse.", no_args_is_help=True)


@contextmanager
def open_database(current: State, command: str) -> Iterator[Session]:
    """The analytics database, its schema up to date; every query is tagged with the command."""
    with ClickHouse(current.settings.clickhouse).session({"command": command}) as session:
        with session.explained():
            session.migrate()
        yield session


@app.command("migrate")
def migrate(
    context: typer.Context,
    cvat_database: Annotated[
        str, typer.Option(help="Make a view of this name's 'events' for CVAT's own dashboards, e.g. cvat.")
    ] = "",
) -> None:
    """Bring the tables up to date."""
    current = state(context)
    if cvat_database and not cvat_database.isidentifier():
        raise UsageProblem(f"{cvat_database!r} is no name of a database: letters, digits and underscores")
    clickhouse = ClickHouse(current.settings.clickhouse)
    with clickhouse.session({"command": "analytics migrate"}) as session, session.explained():
        done = session.migrate()
        keep_events_for(session, current.settings.events_keep_days)
        if cvat_database:
            ours = session.value("SELECT currentDatabase()")
            view = f"CREATE VIEW IF NOT EXISTS {cvat_database}.events AS SELECT * FROM {ours}.events"  # noqa: S608
            session.command(f"CREATE DATABASE IF NOT EXISTS {cvat_database}")
            session.command(view)
    for name in done:
        typer.echo(f"applied {name}")
    typer.echo("the tables are up to date")


@app.command("load")
def load(
    context: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(help="Files of events: .csv (CVAT's export), .jsonl.")] = None,
    everything: Annotated[bool, typer.Option(help="Compute the working time of all months again.")] = False,
) -> None:
    """Load events of files; without files, those that CVAT has since the last time. Then compute working time."""
    current = state(context)
    settings = current.settings
    privacy = LoadSettings.of(settings)
    overlap = timedelta(seconds=settings.events_overlap_s)
    for path in files or ():
        if not path.is_file():
            raise UsageProblem(f"{path} is no file")
    with open_database(current, "analytics load") as session:
        if files:
            for path in files:
                typer.echo(f"{path}: {load_file(session, path, privacy).summary()}")
        elif settings.cvat_events_database:
            done = read_cvat_database(session, settings.cvat_events_database, privacy, overlap=overlap)
            typer.echo(f"{settings.cvat_events_database}.events: {done.summary()}")
        else:
            done = pull_export(make_cvat(settings), Inbox(settings.inbox), session, privacy, overlap=overlap)
            typer.echo(f"CVAT's export: {done.summary()}")
        months = refresh_worktime(session, everything=everything)
    typer.echo(f"working time computed for {', '.join(map(str, months)) or 'no month: nothing new'}")


@app.command("forget")
def forget_command(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="USER", help="CVAT user name, or user id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a person from the analytics: events, working time, name. CVAT and the label tables are not touched."""
    if not yes:
        typer.confirm(f"Delete everything that the analytics know of {who}? This cannot be undone.", abort=True)
    with open_database(state(context), "analytics forget") as session:
        touched = forget(session, who)
    for table, number in touched.items():
        if number:
            typer.echo(f"{table}: {number} row{'s' * (number != 1)}")
    typer.echo(f"{who} is forgotten, and will not come back with the next load")
