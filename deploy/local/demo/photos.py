"""The sample survey on disk: photos, the truth about them, and the survey file. Deterministic from a seed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml

from inference.scenes import PlannedPhoto, plan_survey
from resources.surveys import READY_MARKER

SEED = 2026
BATCHES = 2
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many photo quadrats the sample survey has: sites x years x fixed quadrats."""

    sites: int = 2
    years: int = 3
    quadrats: int = 4

    @property
    def photos(self) -> int:
        """Number of photos."""
        return self.sites * self.years * self.quadrats


@dataclass(frozen=True, slots=True)
class SampleSurvey:
    """Where the sample survey lies.

    Attributes:
        truth: JSON of what is in each photo, by image id; ``None`` for the user's own pictures.
    """

    folder: Path
    surveys_dir: Path
    name: str
    photos: Path
    truth: Path | None


def sample(
    folder: Path, size: SampleSize, seed: int = SEED, tell: Callable[[str], None] = lambda _: None
) -> SampleSurvey:
    """Generate the sample survey in ``folder``, unless it is there already.

    The marker file is written last, so an interrupted generation starts over and nothing half-made is ingested.
    """
    photos = folder / "photos"
    truth = folder / "truth.json"
    survey = _survey(folder, "demo", photos, truth, {"taxonomy": "demo-reef", "batch_size": -(-size.photos // BATCHES)})
    if (photos / READY_MARKER).exists():
        return survey
    photos.mkdir(parents=True, exist_ok=True)
    known = {}
    planned = plan_survey(seed, size.sites, size.years, size.quadrats)
    # spawn: forking a process that already has threads may hang its child.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for number, (photo, painted) in enumerate(zip(planned, pool.map(_paint, planned), strict=True), 1):
            data, truth_of_photo = painted
            (photos / photo.file_name).write_bytes(data)
            known[hashlib.sha256(data).hexdigest()[:16]] = {"file": photo.file_name, **truth_of_photo}
            tell(f"painting photo quadrats {number}/{size.photos}")
    truth.write_text(json.dumps(known), encoding="utf-8")
    (photos / READY_MARKER).touch()
    return survey


def _paint(photo: PlannedPhoto) -> tuple[bytes, dict[str, Any]]:
    cv2.setNumThreads(1)  # the pool already uses every processor
    scene = photo.paint()
    bgr = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return data, scene.truth_json()


def own_pictures(folder: Path, images: Path, lattice: str | None, frame_cm: float) -> SampleSurvey:
    """A survey over the user's own folder, which is only read."""
    settings: dict[str, object] = {
        "taxonomy": "demo-reef",
        "workflow": "three_stage" if lattice else "two_stage",
        "frame": {"side_cm": frame_cm},
        **({"lattice": {"topology": lattice}} if lattice else {}),
        "batch_size": 50,
    }
    return _survey(folder, "own", images.resolve(), None, settings)


def _survey(folder: Path, name: str, photos: Path, truth: Path | None, settings: dict[str, object]) -> SampleSurvey:
    surveys = folder / "surveys"
    surveys.mkdir(parents=True, exist_ok=True)
    ready = {"ready": "marker"} if truth else {"ready": "settled", "settle_minutes": 0}
    config = {
        "name": name,
        "title": "Sample survey of painted photo quadrats" if truth else f"Pictures of {photos}",
        "photos": {"folder": str(photos.resolve()), **ready},
        **settings,
    }
    text = "# Written by `reefline demo`.\n" + yaml.safe_dump(config, sort_keys=False)
    (surveys / f"{name}.yaml").write_text(text, encoding="utf-8")
    return SampleSurvey(folder, surveys, name, photos, truth)
