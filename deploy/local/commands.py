"""Commands that live above ``orchestration``: ``reefline demo``, ``reefline up`` and ``reefline watch``."""

from __future__ import annotations

import getpass
import shlex
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.backup import commands as backup
from deploy.local.demo.run import DemoOptions, run_demo
from deploy.local.runtime import Embedded, prepare
from deploy.local.services import services
from deploy.local.supervisor import RuntimeProblem, Supervisor
from deploy.local.systemd import TARGET, units
from deploy.local.watch import watch
from orchestration.cli.context import UsageProblem, state
from resources.logs import set_up_logging

app = typer.Typer()
app.add_typer(backup.app, name="backup")
app.command("restore")(backup.restore)
app.command("upgrade")(backup.upgrade)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demo is kept.")] = Path("demo"),
    images: Annotated[
        Path | None, typer.Option(help="Your own folder of photo quadrats, instead of the sample.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Forget an earlier demo and start over.")] = False,
    lattice: Annotated[
        str | None, typer.Option(help="With --images: the frame's lattice, e.g. criobe-117; without: no strings.")
    ] = None,
    frame_cm: Annotated[float, typer.Option(help="With --images: side of the frame's opening in cm.", min=1)] = 100.0,
) -> None:
    """The whole main job: photos in, reviewed labels and a dataset out. Needs no Docker, GPU or account."""
    try:
        run_demo(DemoOptions(folder, images, fresh, lattice, frame_cm), Console())
    except RuntimeProblem as error:
        raise UsageProblem(str(error)) from error


@app.command()
def up(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of the installation; default: REEFLINE_HOME.")] = None,
    surveys: Annotated[
        Path | None, typer.Option(help="Folder of the survey files; default: the installation's.")
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="With the CVAT sandbox, whatever CVAT is configured."),
    ] = False,
    systemd: Annotated[
        Path | None,
        typer.Option(help="Start nothing; write systemd units into this folder (- prints them)."),
    ] = None,
) -> None:
    """Run everything on this machine, in the foreground; the CVAT sandbox too when no CVAT is configured."""
    settings = state(context).settings
    console = Console()
    try:
        installation = prepare(
            home or settings.home, surveys or settings.surveys_dir, given=None if sandbox else settings
        )
        if systemd is not None:
            _write_units(installation, systemd, console)
        else:
            _run(installation, console)
    except KeyboardInterrupt:
        console.print("stopped")
    except RuntimeProblem as error:
        raise UsageProblem(str(error)) from error


def _run(installation: Embedded, console: Console) -> None:
    """Start everything and keep it running until Ctrl-C or SIGTERM."""
    with Supervisor(installation.home) as supervisor:
        wanted = services(installation, web=True)
        for service in wanted:
            supervisor.start(service)
        for service in wanted:
            supervisor.wait_ready(service.name)
        _tell(installation, supervisor.logs, console)
        while True:
            for name in supervisor.check():
                console.print(f"{name} ended and was started again", style="yellow")
            time.sleep(1)


def _tell(installation: Embedded, logs: Path, console: Console) -> None:
    console.print(f"Dagster   {installation.web_url}")
    if installation.sandbox:
        console.print(f"CVAT      {installation.sandbox_url}  (sandbox, for trying only)")
    else:
        console.print(f"CVAT      {installation.settings.cvat_url}")
    port = installation.ports["receiver"]
    console.print(f"receiver  {installation.settings.receiver_url}  (listens on port {port})")
    if installation.settings.events_secret.get_secret_value():
        host, port = installation.receiver_host, installation.ports["sink"]
        console.print(f"events    http://{host}:{port}/  (for CVAT's logger or Vector)", soft_wrap=True)
    env = installation.home / "reefline.env"
    console.print(f"settings  {env}\nlogs      {logs}", soft_wrap=True)
    if installation.sandbox:
        console.print(f"projects and webhooks in CVAT: reefline --env {env} cvat apply", soft_wrap=True)
    console.print("Ctrl-C stops everything.")


def _write_units(installation: Embedded, folder: Path, console: Console) -> None:
    made = units(installation, services(installation, web=True), getpass.getuser())
    if str(folder) == "-":
        for unit in made:
            console.print(f"# {unit.name}\n{unit.text}", markup=False, highlight=False, soft_wrap=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for unit in made:
        (folder / unit.name).write_text(unit.text, encoding="utf-8")
    names = shlex.join(str(folder / unit.name) for unit in made)
    console.print(f"sudo cp {names} /etc/systemd/system/", soft_wrap=True, highlight=False)
    console.print(f"sudo systemctl daemon-reload && sudo systemctl enable --now {TARGET}", highlight=False)


@app.command("watch")
def watch_command(
    context: typer.Context,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=1)] = 30.0,
    local_runs: Annotated[
        bool, typer.Option(help="End runs whose process is gone; only on the machine where runs are processes.")
    ] = False,
    page: Annotated[str, typer.Option(help="Address of Dagster's page (.../server_info), to be asked too.")] = "",
) -> None:
    """Look after an installation from outside Dagster, and tell people when a part of it is down."""
    settings = state(context).settings
    set_up_logging(settings)
    try:
        watch(settings, threading.Event(), local_runs=local_runs, page=page, every_s=every)
    except KeyboardInterrupt:
        Console().print("stopped")
