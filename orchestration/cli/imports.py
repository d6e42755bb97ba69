"""``reefline import``: start from old annotated data (COCO, CVAT's XML and backups, YOLO, CoralNet points)."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Set
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer
import yaml

from analytics.cover.points import counts_of_points, mean_of_pictures
from assets.raw import STAGE as RAW
from assets.raw import accepted
from labels.formats.coralnet import CoralNetError, NetPoint, read_coralnet, read_labelset
from labels.formats.cvat.backup import is_backup, read_cvat_backup
from labels.formats.foreign import ForeignError, Reading, read_coco, read_cvat_xml, read_yolo
from labels.imports import ImportReport, Matcher, PhotoRef, label_map, match_outlines, match_points
from labels.schema import Shape
from labels.survey import SurveyConfig, parse_batch_key
from labels.taxonomy import load_crosswalk, load_taxonomy
from orchestration.cli.context import UsageProblem, state
from resources.imports import OUTLINES, POINTS, imported, report_of, save_import, take_away
from resources.object_store import ObjectStore
from resources.tables import BatchTables

NO_FILE = 50
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic"})


class Kind(StrEnum):
    """Formats that can be imported."""

    COCO = "coco"
    CVAT = "cvat"
    YOLO = "yolo"
    CORALNET = "coralnet"


def import_labels(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="Format: coco, cvat (for images 1.1, or a backup), yolo, coralnet.")],
    path: Annotated[Path, typer.Argument(help="File; for yolo and coralnet also a folder; cvat also the zip.")],
    survey: Annotated[str, typer.Option(help="Survey whose photos the labels are of.")],
    taxonomy: Annotated[str | None, typer.Option(help="Taxonomy of the labels; its crosswalk is used.")] = None,
    labelset: Annotated[Path | None, typer.Option(help="CoralNet's label set (CSV), for functional groups.")] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder or zip with the pictures of the labels: found by content, whatever they are called."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the import is called from now on; else as the file.")] = "",
    replace: Annotated[str, typer.Option(help="An earlier import of the survey that is taken away for this one.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The whole report, as JSON.")] = False,
) -> None:
    """Put old labels on the survey's photos: outlines become what the coral gate proposes, points a point cover."""
    current = state(context)
    config, tables = current.surveys.get(survey), current.tables
    photos = photos_of(tables, survey)
    for given in (path, pictures):
        if given is not None and not given.exists():
            raise UsageProblem(f"{given} does not exist")
    matcher = Matcher(photos, sums_of(path) | (sums_of(pictures) if pictures else {}))
    name = re.sub(r"[^a-z0-9]+", "-", (name or path.stem).lower()).strip("-") or "import"
    _refuse_taken(tables.store, survey, name, path, replace)
    try:
        if kind == Kind.CORALNET:
            shapes, report, more = _points(path, labelset, matcher)
        else:
            shapes, report, more = _outlines(kind, path, config, taxonomy, matcher, tables, {name, replace})
    except (ForeignError, CoralNetError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageProblem(f"{path}: {error}") from error
    which = POINTS if kind == Kind.CORALNET else OUTLINES
    full = {**report.to_json(), **more, "file": str(path.resolve())}
    if replace:
        take_away(tables.store, survey, replace)
    where = save_import(tables.store, survey, name, which, shapes, full)
    typer.echo(json.dumps(full, indent=1, ensure_ascii=False) if as_json else _told(report, more, where))


def _refuse_taken(store: ObjectStore, survey: str, name: str, path: Path, replace: str) -> None:
    """CVAT calls every export alike: an import gives way only to the same file, or when that is said."""
    if replace and report_of(store, survey, replace) is None:
        raise UsageProblem(f"survey {survey!r} has no import {replace!r} to replace")
    there = report_of(store, survey, name)
    if there is not None and replace != name and there.get("file") != str(path.resolve()):
        raise UsageProblem(
            f"an import of {there['source']} with {there['labels']} labels is called {name!r} already: give this one "
            f"another --name, or take that one away with --replace {name}"
        )


def photos_of(tables: BatchTables, survey: str) -> list[PhotoRef]:
    """Accepted photos of a survey's batches.

    Raises:
        UsageProblem: there are none yet.
    """
    batches = [batch for batch in tables.batches(RAW) if parse_batch_key(batch)[0] == survey]
    rows = [row for batch in batches for row in accepted(tables.manifest(RAW, batch))]
    if not rows:
        raise UsageProblem(
            f"survey {survey!r} has no photos yet: run 'reefline ingest {survey}' and wait for images/raw"
        )
    return [
        PhotoRef(
            r.image_id, str(r.extra["file"]), r.width or 0, r.height or 0, str(r.extra.get("original_sha256") or "")
        )
        for r in rows
    ]


def sums_of(path: Path) -> dict[str, str]:
    """Hashes of the pictures in a folder or a zip, by their names in it; nothing for any other file."""
    if path.is_dir():
        files = [p for p in path.rglob("*") if p.suffix.lower() in PICTURES and p.is_file()]
        return {p.relative_to(path).as_posix(): _sha256(p.open("rb")) for p in files}
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if Path(n).suffix.lower() in PICTURES]
        return {name: _sha256(archive.open(name)) for name in names}


def _sha256(file: IO[bytes]) -> str:
    with file:
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _outlines(
    kind: Kind,
    path: Path,
    survey: SurveyConfig,
    taxonomy: str | None,
    photos: Matcher,
    tables: BatchTables,
    own: Set[str],
) -> tuple[list[Shape], ImportReport, dict[str, Any]]:
    reading = _read(kind, path)
    crosswalk = load_crosswalk(taxonomy, survey.taxonomy) if taxonomy else None
    found = {shape.label for picture in reading.pictures for shape in picture.shapes}
    labels = label_map(found, load_taxonomy(survey.taxonomy).names, crosswalk)
    before = imported(tables.store, survey.name, OUTLINES)
    taken = {image_id: other for image_id, (other, _) in before.items() if other not in own}
    return *match_outlines(reading, path.name, photos, labels, taken), {}


def _read(kind: Kind, path: Path) -> Reading:
    if kind == Kind.YOLO:
        return _read_yolo(path)
    data = path.read_bytes()
    if kind == Kind.CVAT and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if is_backup(archive.namelist()):
                return read_cvat_backup(archive.namelist(), archive.read)
            inside = [n for n in archive.namelist() if n.endswith(".xml")]
            if len(inside) != 1:
                raise ForeignError(f"{len(inside)} XML files in the zip, where one is expected")
            data = archive.read(inside[0])
    return read_coco(data) if kind == Kind.COCO else read_cvat_xml(data)


def _read_yolo(path: Path) -> Reading:
    if path.is_dir():
        files = {
            p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.suffix in {".txt", ".yaml"}
        }
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            files = {n: archive.read(n) for n in archive.namelist() if n.endswith((".txt", ".yaml"))}
    else:
        raise ForeignError("neither a folder nor a zip with data.yaml and labels/")
    settings = [data for name, data in files.items() if name.rpartition("/")[2] == "data.yaml"]
    if len(settings) != 1:
        raise ForeignError(f"{len(settings)} data.yaml in it, where one is expected: it names the classes")
    try:
        tree = yaml.safe_load(settings[0])
        names = tree["names"]
        listed = [str(names[k]) for k in sorted(names)] if isinstance(names, dict) else [str(n) for n in names]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise ForeignError("data.yaml has no 'names'") from error
    if "kpt_shape" in tree:
        raise ForeignError("a data set of key points: only outlines (seg) and boxes (detect) can be imported")
    texts = {n: data for n, data in files.items() if n.endswith(".txt") and "labels" in n.split("/")[:-1]}
    return read_yolo(texts, listed)


def _points(path: Path, labelset: Path | None, photos: Matcher) -> tuple[list[Shape], ImportReport, dict[str, Any]]:
    files = sorted(p for p in path.glob("*.csv") if p.name != "labelset.csv") if path.is_dir() else [path]
    if labelset is None and (path if path.is_dir() else path.parent).joinpath("labelset.csv").is_file():
        labelset = (path if path.is_dir() else path.parent) / "labelset.csv"
    groups = {} if labelset is None else {k: g for k, (_, g) in read_labelset(labelset.read_bytes()).items()}
    points: list[NetPoint] = []
    problems: list[str] = []
    for file in files:
        some, wrong = read_coralnet(file.read_bytes(), file.name)
        points, problems = points + some, problems + wrong
    shapes, report = match_points(points, problems, path.name, photos, groups)
    rows = _per_picture(shapes)
    return shapes, report, {"cover": mean_of_pictures(rows) if rows else [], "per_picture": rows}


def _per_picture(shapes: list[Shape]) -> list[dict[str, object]]:
    mine: dict[str, list[Shape]] = {}
    for shape in shapes:
        mine.setdefault(shape.image_id, []).append(shape)
    groups = {shape.label: shape.attributes["group"] for shape in shapes}
    return [row for image_id in sorted(mine) for row in counts_of_points(image_id, mine[image_id], groups)]


def _told(report: ImportReport, more: dict[str, Any], where: str) -> str:
    lines = [f"{report.source}: {report.labels} labels on {len(set(report.pictures.values()))} photos"]
    lines += [f"  dropped on purpose: {n} {label}" for label, n in report.dropped.items()]
    lines += [f"  label unknown: {n} {label}" for label, n in report.unknown_labels.items()]
    left = [f"  not matched: {file}: {why}" for file, why in report.unmatched.items()]
    left += [f"  not usable: {problem}" for problem in report.problems]
    lines += left[:NO_FILE] + ([f"  and {len(left) - NO_FILE} more"] if len(left) > NO_FILE else [])
    lines.append(f"  photos without labels: {report.photos_without}")
    for row in more.get("cover", []):
        lines.append(f"  {row['taxon']}: {row['share']:.1%} of points ({row['low']:.1%} to {row['high']:.1%})")
    return "\n".join([*lines, f"report: {where}"])
