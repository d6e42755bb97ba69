"""Measuring a model on a release's frozen validation set, and promoting by rule. No Dagster: the command line asks too.

The set is the release's ``val`` split, named by the release's content hash. Nothing of it is ever trained on, not even
to choose an epoch; the ``test`` split is left alone, for publications.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assets.common.pictures import decode_rgb
from assets.common.stage import PictureError
from inference.comparison import PictureScore, Region, Verdict, compare, judge, region, score_picture
from inference.polygons import mask_to_polygons
from inference.predictors import Predictor, open_predictor
from inference.registry import ModelCard, ModelError, class_map
from labels.formats.rle import decode_rle
from labels.schema import Kind, Shape
from labels.taxonomy import Taxon, Taxonomy, TaxonomyError, load_taxonomy
from resources.models import Event, InstalledModels
from resources.object_store import MissingObjectError, ObjectStore
from resources.release_data import ReleaseData, ReleasePicture

logger = logging.getLogger("reefline.models")

SPLIT = "val"
Outline = tuple[str, np.ndarray, list[np.ndarray]]


def outlines(picture: ReleasePicture) -> list[Outline]:
    """The reviewed colonies of a picture: taxon, ring and holes in pixels; masks become outlines."""
    found: list[Outline] = []
    for shape in picture.shapes:
        if shape.kind == Kind.POLYGON:
            found.append((shape.label, np.array(shape.xy()), [np.reshape(hole, (-1, 2)) for hole in shape.holes]))
        elif shape.kind == Kind.MASK:
            found += [(shape.label, o.ring, o.holes) for o in _parts(shape, picture)]
    return found


def evaluate(
    models: InstalledModels,
    release: ReleaseData,
    candidate: str,
    champion: str | None = None,
    *,
    margin: float = 0.0,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Measure a model, and the one it should replace, on the same pictures; keep the report in the store.

    Args:
        models: the registry.
        release: whose ``val`` split is used.
        candidate: ``name@version``.
        champion: the other model; by default the promoted version of the candidate's name, if it has one.
        margin: what the difference in mean average precision must exceed, see ``inference.comparison.judge``.
        threads: of the engines; 0 = all processors.
        progress: is told the number of pictures done, and of all.

    Raises:
        ModelError: a model cannot be used, or the release has nothing to measure on.
    """
    card = models.card(candidate)
    other = _champion(models, card, champion)
    pictures = release.split(SPLIT)
    if not pictures:
        raise ModelError(f"release {release.name!r} has no pictures in its {SPLIT} split: release more quadrats")
    cards = {"candidate": card} | ({"champion": other} if other else {})
    predictors = {role: _named(models, each, release, threads) for role, each in cards.items()}
    scores: dict[str, list[PictureScore]] = {role: [] for role in cards}
    unreadable: dict[str, str] = {}
    for number, picture in enumerate(pictures, 1):
        try:
            image = decode_rgb(models.store.get(picture.uri), picture.uri)
        except (PictureError, MissingObjectError) as error:
            unreadable[picture.image_id] = str(error)
            continue
        truth = [region(*outline) for outline in outlines(picture)]
        for role, predict in predictors.items():
            scores[role].append(score_picture(picture.quadrat, predict(image), truth))
        progress(number, len(pictures))
    if not scores["candidate"]:
        raise ModelError(f"no picture of release {release.name!r} could be read: {next(iter(unreadable.values()))}")
    comparison = compare(scores["candidate"], scores.get("champion"), release.taxa)
    report = _report(release, card, other, comparison, judge(comparison, margin), margin) | {"unreadable": unreadable}
    models.store.put(_report_key(card, release.name), json.dumps(report, indent=1).encode())
    return report


def read_report(store: ObjectStore, card: ModelCard, release: str | None = None) -> dict[str, Any] | None:
    """The report of a model on a release, or the one made last; ``None`` when it was never measured."""
    prefix = f"models/evaluations/{card.name}/{card.version}/"
    keys = [_report_key(card, release)] if release else list(store.keys(prefix))
    reports = [json.loads(store.get(key)) for key in keys if store.exists(key)]
    mine = [report for report in reports if report["candidate"] == card.reference]
    return max(mine, key=lambda report: report["when"], default=None)


def promote_by_rule(models: InstalledModels, candidate: str, who: str, *, release: str | None = None) -> Event:
    """Promote a model whose evaluation says that it is better than the one now promoted.

    Raises:
        ModelError: it was not measured, or against another champion, or the rule says no.
    """
    card = models.card(candidate)
    ask = f"reefline models evaluate {card.versioned} --release NAME"
    report = read_report(models.store, card, release)
    if report is None:
        raise ModelError(f"{card.versioned} has not been measured: {ask}")
    now = _champion(models, card, None)
    if now and report["champion"] != now.reference:
        raise ModelError(
            f"{card.versioned} was measured against {report['champion']}, promoted is {now.reference}: {ask}"
        )
    if not report["better"]:
        raise ModelError(f"{card.versioned} is not promoted: {report['why']}. A person may: --force --reason '...'")
    over = now.version if now else None
    return models.promote(card.versioned, who, report["why"], metrics=headline(report), over=over)


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report that go into the history."""
    kept = {key: report[key] for key in ("release", "content_sha256", "champion", "pictures", "quadrats")}
    return {**kept, **{role: entry for role, entry in report["overall"].items() if role != "colonies"}}


def report_table(report: Mapping[str, Any]) -> str:
    """A report as a markdown table: per taxon and over all, with intervals."""
    roles = [role for role in ("candidate", "champion", "difference") if role in report["overall"]]
    names = [f"{role} {figure}" for role in roles for figure in ("AP50", "IoU")]
    lines = [" | ".join(["| taxon | colonies", *names]) + " |", "|---" * (2 + len(names)) + "|"]
    for taxon, entry in [*report["taxa"].items(), ("**all**", report["overall"])]:
        cells = [_cell(entry[role][figure], role) for role in roles for figure in ("ap50", "iou")]
        lines.append(" | ".join([f"| {taxon} | {entry['colonies']}", *cells]) + " |")
    return "\n".join(lines)


def _cell(interval: Sequence[float | None], role: str) -> str:
    if any(value is None for value in interval):
        return "–"
    sign = "+" if role == "difference" else ""
    value, low, high = (f"{figure:{sign}.3f}" for figure in interval)
    return f"{value} ({low} to {high})"


def _champion(models: InstalledModels, card: ModelCard, named: str | None) -> ModelCard | None:
    if named:
        return models.card(named)
    version = models.promoted(card.name)
    return models.card(f"{card.name}@{version}") if version and version != card.version else None


def _named(
    models: InstalledModels, card: ModelCard, release: ReleaseData, threads: int
) -> Callable[[np.ndarray], list[Region]]:
    """A predictor that speaks the release's taxonomy."""
    mapped = class_map(card, _taxonomy(release))
    predict: Predictor = open_predictor(models, card.versioned, threads)

    def named(image: np.ndarray) -> list[Region]:
        found = [(mapped[i.label], i) for i in predict(image)]
        return [region(taxon, i.ring, i.holes, i.score) for taxon, i in found if taxon is not None]

    return named


def _taxonomy(release: ReleaseData) -> Taxonomy:
    """The taxonomy of a release: the shipped one where it is, else just its names."""
    try:
        found = load_taxonomy(release.taxonomy)
    except TaxonomyError:
        found = None
    if found is not None and found.names == release.taxa:
        return found
    return Taxonomy(release.taxonomy or release.name, "", "", tuple(Taxon(name, "#888888") for name in release.taxa))


def _report(
    release: ReleaseData,
    card: ModelCard,
    other: ModelCard | None,
    comparison: dict[str, Any],
    verdict: Verdict,
    margin: float,
) -> dict[str, Any]:
    return {
        "candidate": card.reference,
        "champion": other.reference if other else None,
        "release": release.name,
        "content_sha256": release.content_sha256,
        "split": SPLIT,
        "when": datetime.now(UTC).isoformat(),
        "margin": margin,
        "better": verdict.better,
        "why": verdict.why,
        **comparison,
    }


def _parts(shape: Shape, picture: ReleasePicture) -> list[Any]:
    mask = decode_rle(shape.rle or "", picture.height, picture.width)
    return mask_to_polygons(mask.astype(np.uint8), tolerance_px=0.5, min_area_px=4)


def _report_key(card: ModelCard, release: str) -> str:
    return f"models/evaluations/{card.name}/{card.version}/{release}.json"
