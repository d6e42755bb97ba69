"""``reefline deploy``: an installation with Docker Compose, made, checked and pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import envfile, init, pin
from deploy.cli.check import problems
from deploy.cli.cvat_files import CvatFilesError, fetch
from deploy.cli.network import NetworkProblem
from deploy.cli.plan import CVAT_VERSION, OVERLAYS, PROFILES, PlanError
from orchestration.cli.context import UsageProblem

app = typer.Typer()
deploy = typer.Typer(help="An installation with Docker Compose.", no_args_is_help=True)
app.add_typer(deploy, name="deploy")

Folder = Annotated[Path, typer.Option(help="Folder of compose.yaml.")]
HERE = Path("deploy/compose")


@deploy.command("init")
def make(
    folder: Folder = HERE,
    profile: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PROFILES)}; repeat it.")] = None,
    with_: Annotated[list[str] | None, typer.Option("--with", help=f"Of {', '.join(OVERLAYS)}; repeat it.")] = None,
    surveys: Annotated[Path | None, typer.Option(help="Folder of the survey files.")] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos.")] = None,
    cvat_url: Annotated[str, typer.Option(help="A CVAT that you have, instead of the profile cvat.")] = "",
    receiver_url: Annotated[str, typer.Option(help="Where that CVAT reaches the receiver.")] = "",
    host: Annotated[str, typer.Option(help="Public name of this machine.")] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Change an existing .env; passwords and values stay.")
    ] = False,
) -> None:
    """Write .env: passwords, addresses, and what Docker Compose starts. Then: docker compose up -d."""
    wish = init.Wish(
        folder, tuple(profile or ()), tuple(with_ or ()), surveys, photos, cvat_url, receiver_url, host, update
    )
    try:
        made = init.init(wish)
    except (init.InitProblem, PlanError, NetworkProblem) as error:
        raise UsageProblem(str(error)) from error
    typer.echo(
        f"{made.env}: profiles {made.values['COMPOSE_PROFILES']}, webhooks to {made.values['REEFLINE_RECEIVER_URL']}"
    )
    for number, step in enumerate([*made.todo, f"cd {folder} && docker compose up -d --build"], 1):
        typer.echo(f"{number}. {step}")


@deploy.command("check")
def check(folder: Folder = HERE) -> None:
    """Whether the files of an installation fit together; exit code 2 and the list when they do not."""
    found = problems(folder)
    if found:
        raise UsageProblem("\n".join(found))
    typer.echo(f"{folder}: ready for docker compose up -d")


@deploy.command("fetch-cvat")
def fetch_cvat(
    folder: Folder = HERE,
    version: Annotated[str, typer.Option(help="A release of CVAT.")] = CVAT_VERSION,
    archive: Annotated[Path | None, typer.Option(help="Its source archive (.tar.gz), instead of fetching it.")] = None,
) -> None:
    """Fetch CVAT's own Compose files at one version and fit them in."""
    try:
        names = fetch(folder, version, archive.read_bytes() if archive else None)
    except (CvatFilesError, OSError) as error:
        raise UsageProblem(str(error)) from error
    typer.echo(f"CVAT {version}: {len(names)} files in {folder / 'cvat'}, hashes in cvat.lock.json")


@deploy.command("pin")
def pin_images(folder: Folder = HERE) -> None:
    """Write the digests of the images that are in force now into .env (needs Docker and network)."""
    file = folder / ".env"
    if not file.is_file():
        raise UsageProblem(f"{file} is missing: reefline deploy init")
    try:
        found = pin.pinned(envfile.read(file))
    except pin.PinError as error:
        raise UsageProblem(str(error)) from error
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        name = line.partition("=")[0]
        if name in found:
            lines[number] = f"{name}={found[name]}"
    envfile.write_private(file, "\n".join(lines) + "\n")
    for name, image in found.items():
        typer.echo(f"{name}={image}")
