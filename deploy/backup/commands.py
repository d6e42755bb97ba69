"""``reefline backup``, ``reefline restore`` and ``reefline upgrade``."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from deploy.backup.cvat_database import PART as CVAT_DATABASE
from deploy.backup.cvat_database import VARIABLE, cvat_database_url, load_cvat_database
from deploy.backup.cvat_tasks import bring_tasks
from deploy.backup.restore import restore_backup
from deploy.backup.shelf import BackupSet, Shelf
from deploy.backup.standing import refuse_running
from deploy.backup.take import take_backup
from deploy.backup.upgrade import upgrade as move_up
from deploy.backup.verify import PARTS, verify_backup
from deploy.local.runtime import RESTORED
from orchestration.cli.context import UsageProblem, state
from resources.audit import Audit
from resources.bundle import make_cvat
from resources.inbox import Inbox
from resources.inbox.moved import highest_numbers
from resources.object_store import StoreError, open_store
from resources.settings import Settings, load_settings

app = typer.Typer(help="Backup of the whole installation; without a command, one is made.")

Home = Annotated[
    Path | None, typer.Option(help="Folder of an installation made by 'reefline up'; its settings are read from it.")
]
Place = Annotated[
    str,
    typer.Option("--at", help="Where backups are: file:///folder or s3://bucket/prefix. Default: REEFLINE_BACKUP_URL."),
]
Name = Annotated[str | None, typer.Argument(help="Which set; default: the newest.")]
EXIT_DAMAGED = 1
EXIT_UNTRIED = 3
"""As with 'reefline doctor': nothing is wrong that was looked at, but somebody should look."""


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    at: Place = "",
    home: Home = None,
    cvat: Annotated[bool, typer.Option("--cvat", help="With CVAT's own backup of every review task.")] = False,
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Also read pictures that are kept already: finds damage on disk.")
    ] = False,
) -> None:
    """Make a backup: databases (CVAT's too), store, ClickHouse, surveys, settings. What is kept is not copied again."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings(context, home)
    shelf, console = _shelf(settings, at), Console(highlight=False)
    made = take_backup(settings, shelf, lambda line: console.print(escape(line)), with_cvat=cvat, read_all=read_all)
    console.print(f"{made.name}: {shelf.copied} new files copied to {shelf.store.url}", soft_wrap=True)
    left_out = made.part("settings").facts["left_out"]
    if left_out:
        console.print(f"left out, for want of REEFLINE_BACKUP_PASSPHRASE: {', '.join(left_out)}", style="yellow")
    if settings.cvat_url and not settings.cvat_database_url and not made.part("sandbox").items:
        console.print(f"CVAT's own database is not in it: {VARIABLE} is not set", style="yellow")
    for problem in made.problems:
        console.print(escape(problem), style="bold red", soft_wrap=True)
    if made.problems:
        raise typer.Exit(1)


@app.command("list")
def list_command(context: typer.Context, at: Place = "", home: Home = None) -> None:
    """The sets that are kept, oldest first."""
    shelf, console = _shelf(_settings(context, home), at), Console(highlight=False)
    for name in shelf.names():
        made = shelf.read(name)
        files = [item for part in made.parts.values() for item in part.items]
        console.print(f"{name}  {len(files):>8} files  {sum(i.size for i in files) / 1e6:>10.1f} MB  {made.versions}")


@app.command("verify")
def verify_command(
    context: typer.Context,
    name: Name = None,
    at: Place = "",
    home: Home = None,
    part: Annotated[list[str] | None, typer.Option(help=f"Only this part, several times for more: {PARTS}.")] = None,
) -> None:
    """Read a whole set, put its databases back in a scratch place and compare.

    Exit code 0: all is as it was kept; 1: it is damaged; 3: no damage was found, but not all could be tried.
    """
    settings, console = _settings(context, home), Console(highlight=False)
    found = verify_backup(_shelf(settings, at), name, part or PARTS, settings)
    for lines, style in ((found.remarks, ""), (found.untried, "yellow"), (found.damaged, "bold red")):
        for line in lines:
            console.print(escape(line), style=style, soft_wrap=True)
    files = sum(len(held.items) for held in found.kept.parts.values())
    whole = "no damage found, but not all could be tried" if found.untried else "all as they were kept"
    console.print(f"{found.kept.name}: {files} files, {'damaged' if found.damaged else whole}")
    if found.damaged or found.untried:
        raise typer.Exit(EXIT_DAMAGED if found.damaged else EXIT_UNTRIED)


@app.command("prune")
def prune_command(
    context: typer.Context,
    keep: Annotated[int, typer.Option(min=1, help="So many of the newest sets stay.")],
    at: Place = "",
    home: Home = None,
) -> None:
    """Remove old sets, and bytes that no set needs any more."""
    shelf = _shelf(_settings(context, home), at)
    sets, files = shelf.prune(keep)
    Console(highlight=False).print(f"{sets} sets and {files} files removed")


@app.command("extract")
def extract_command(
    context: typer.Context,
    part: Annotated[str, typer.Argument(help=f"Which part: {', '.join(PARTS)}.")],
    to: Annotated[Path, typer.Argument(help="A new folder for its files.")],
    name: Annotated[str | None, typer.Option("--set", help="Which set; default: the newest.")] = None,
    at: Place = "",
    home: Home = None,
) -> None:
    """Take the files of one part out of a set, such as CVAT's task backups to import there."""
    shelf = _shelf(_settings(context, home), at)
    items = shelf.read(name).part(part).items
    if to.exists():
        raise UsageProblem(f"{to} exists: give a new folder")
    if not items:
        raise UsageProblem(f"this set has no files in part {part!r}: its parts are {', '.join(PARTS)}")
    for item in items:
        target = to / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with shelf.file(item) as copy:
            shutil.copyfile(copy, target)
    Console(highlight=False).print(f"{len(items)} files in {to}", soft_wrap=True)


def restore(
    context: typer.Context,
    name: Name = None,
    at: Place = "",
    home: Home = None,
    cvat: Annotated[
        bool,
        typer.Option(
            "--cvat", help="Only the review tasks, into a CVAT that has lost them; after 'restore' and 'cvat apply'."
        ),
    ] = False,
    cvat_database: Annotated[
        bool,
        typer.Option("--cvat-database", help="Only CVAT's own database, into a new CVAT of the same version."),
    ] = False,
) -> None:
    """Put a backup back into an empty installation that stands still. One that broke off may be repeated."""
    if cvat and cvat_database:
        raise UsageProblem("--cvat-database brings all tasks back, --cvat those without it: give one of them")
    settings = _settings(context, home, must_exist=False)
    console = Console(highlight=False)
    if cvat:
        _bring_tasks(settings, _shelf(settings, at), name, console)
        return
    if cvat_database:
        _bring_cvat_database(settings, _shelf(settings, at), name, console)
        return
    done = restore_backup(settings, _shelf(settings, at), name, lambda line: console.print(escape(line)))
    console.print(f"{done.name} is back.")
    for line in done.by_hand:
        console.print(escape(line), style="yellow", soft_wrap=True)


def _bring_tasks(settings: Settings, shelf: Shelf, name: str | None, console: Console) -> None:
    kept = _set_with(shelf, name, "cvat")
    if not kept.part("cvat").facts.get("tasks"):
        raise UsageProblem(f"{kept.name} holds no tasks of CVAT: they are kept by 'reefline backup --cvat'")
    refuse_running(settings)
    inbox = Inbox(settings.inbox)
    audit = Audit(inbox, f"person {getpass.getuser()}", "reefline restore --cvat")
    done = bring_tasks(make_cvat(settings, audit), inbox, shelf, kept, lambda line: console.print(escape(line)))
    console.print(f"{done.imported} tasks are back, {done.there} were there.")
    for problem in done.problems:
        console.print(escape(problem), style="bold red", soft_wrap=True)
    if done.problems:
        raise typer.Exit(1)


def _bring_cvat_database(settings: Settings, shelf: Shelf, name: str | None, console: Console) -> None:
    url = cvat_database_url(settings)
    if not url:
        raise UsageProblem(f"say where CVAT's database is: {VARIABLE}=postgresql://user:password@host/cvat")
    kept = _set_with(shelf, name, CVAT_DATABASE)
    if not kept.part(CVAT_DATABASE).items:
        raise UsageProblem(f"{kept.name} holds no database of CVAT's: it is kept where {VARIABLE} is set")
    refuse_running(settings)
    # A task made after the set is lost, and our inbox still knows its number: no other task may get that.
    inbox = Inbox(settings.inbox)
    task, job = highest_numbers(inbox)
    load_cvat_database(shelf, kept.part(CVAT_DATABASE), url, {"engine_task": task, "engine_job": job})
    audit = Audit(inbox, f"person {getpass.getuser()}", "reefline restore --cvat-database")
    audit.record("database restored", "CVAT", set=kept.name)
    console.print(f"CVAT's database is as it was in {kept.name}. Its files (/home/django/data, keys) are in no set.")


def _set_with(shelf: Shelf, name: str | None, part: str) -> BackupSet:
    """The set that is named; else the newest with files of this part, or simply the newest."""
    return shelf.read(name) if name else shelf.newest_with(part) or shelf.read()


def upgrade(
    context: typer.Context,
    at: Place = "",
    home: Home = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="You have another backup.")] = False,
) -> None:
    """Bring all databases to this version, after a backup. There is no way back but that backup."""
    settings, console = _settings(context, home), Console(highlight=False)
    shelf = None if no_backup else _shelf(settings, at)
    record = move_up(settings, shelf, lambda line: console.print(escape(line)))
    console.print(f"The installation is that of reefline {record.version}.")


def _settings(context: typer.Context, home: Path | None, *, must_exist: bool = True) -> Settings:
    if home is None:
        return state(context).settings
    for env in (home / "reefline.env", home / RESTORED):
        if env.is_file():
            return load_settings(env).model_copy(update={"home": home})
    if must_exist:
        raise UsageProblem(f"{home} holds no reefline.env: give the folder of an installation made by 'reefline up'")
    return load_settings().model_copy(update={"home": home})


def _shelf(settings: Settings, at: str) -> Shelf:
    url = at or settings.backup_url
    if not url:
        raise UsageProblem("say where backups are: --at file:///folder or s3://bucket/prefix, or REEFLINE_BACKUP_URL")
    if "://" not in url:
        url = Path(url).resolve().as_uri()
    try:
        return Shelf(open_store(url))
    except StoreError as error:
        raise UsageProblem(str(error)) from error
