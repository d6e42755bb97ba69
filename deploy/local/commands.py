"""Commands of the embedded runtime: ``reefline demo`` and ``reefline up``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.demo.run import DemoOptions, run_demo
from deploy.local.runtime import prepare, services
from deploy.local.supervisor import RuntimeProblem, Supervisor
from orchestration.cli.context import UsageProblem, state

app = typer.Typer()


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
) -> None:
    """Run everything on this machine, in the foreground; the CVAT sandbox too when no CVAT is configured."""
    settings = state(context).settings
    console = Console()
    given = None if sandbox else settings
    installation = prepare(home or settings.home, surveys or settings.surveys_dir, given=given)
    try:
        with Supervisor(installation.home) as supervisor:
            wanted = services(installation, web=True)
            for service in wanted:
                supervisor.start(service)
            for service in wanted:
                supervisor.wait_ready(service.name)
            console.print(f"Dagster   {installation.web_url}")
            if installation.sandbox:
                console.print(f"CVAT      {installation.sandbox_url}  (sandbox, for trying only)")
            else:
                console.print(f"CVAT      {installation.settings.cvat_url}")
            port = installation.ports["receiver"]
            console.print(f"receiver  {installation.settings.receiver_url}  (listens on port {port})")
            console.print(
                f"settings  {installation.home / 'reefline.env'}   logs  {supervisor.logs}\nCtrl-C stops everything."
            )
            while True:
                for name in supervisor.check():
                    console.print(f"{name} ended and was started again", style="yellow")
                time.sleep(1)
    except KeyboardInterrupt:
        console.print("stopped")
    except RuntimeProblem as error:
        raise UsageProblem(str(error)) from error
