"""``reefline ingest``: say that a survey's photos are complete, so that the ``surveys`` sensor cuts batches."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.context import UsageProblem, state
from resources.offers import cut_new_batches
from resources.surveys import FolderPhotos, PhotoSource

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".heif", ".webp", ".avif", ".mpo", ".bmp"}


def check_photos(source: PhotoSource, where: str) -> int:
    """Number of files offered.

    Raises:
        UsageProblem: the folder does not exist, is empty, or holds no file that looks like a picture.
    """
    if isinstance(source, FolderPhotos) and not source.root.is_dir():
        raise UsageProblem(f"{where} is not a folder: give the folder that holds the photos")
    photos = source.list()
    if not photos:
        raise UsageProblem(f"{where} is empty: put the photos there and try again")
    if not any("." + p.path.rpartition(".")[2].lower() in PICTURES for p in photos):
        raise UsageProblem(f"{where} holds {len(photos)} files but no pictures (jpg, png, tif, heic, ...)")
    return len(photos)


def ingest(context: typer.Context, survey: Annotated[str, typer.Argument(help="Name of the survey.")]) -> None:
    """Cut the survey's new photos into batches now; the running system starts them at its next look."""
    current = state(context)
    config = current.surveys.get(survey)
    source = current.surveys.photos(config)
    offered = check_photos(source, str(config.photos.folder))
    new = cut_new_batches(current.tables.store, config, source.list())
    files = sum(len(offer.files) for offer in new)
    if new:
        typer.echo(f"{survey}: {files} new of {offered} files in {len(new)} batches: {', '.join(o.batch for o in new)}")
    else:
        typer.echo(f"{survey}: nothing new, all {offered} files are in batches already")
