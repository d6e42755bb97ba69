"""Pictures and outlines as a YOLO-seg folder. Each quadrat is in one part only, so no ground is in two."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

TUNE_SHARE = 0.1
"""Share of the training quadrats on which training watches itself (early stop, best epoch)."""
_MARK = "dataset.json"
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


class DatasetError(ValueError):
    """There is not enough to train on; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture to train on.

    Attributes:
        load: gives the picture, uint8 RGB ``(H, W, 3)``.
        outlines: class number, ring ``(n, 2)`` and holes, in pixels of the picture.
    """

    image_id: str
    quadrat: str
    load: Callable[[], NDArray[np.uint8]]
    outlines: Sequence[tuple[int, ArrayLike, Sequence[ArrayLike]]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A written dataset. ``unreadable``: reasons by picture id; those pictures are left out."""

    yaml: Path
    train: int
    tune: int
    colonies: int
    unreadable: dict[str, str] = field(default_factory=dict)


def tuning_quadrats(quadrats: Sequence[str]) -> set[str]:
    """The training quadrats that are kept aside for watching: always the same ones, at least one.

    Raises:
        DatasetError: there are fewer than two.
    """
    names = sorted(set(quadrats), key=lambda name: hashlib.sha256(f"tune/{name}".encode()).digest())
    if len(names) < 2:
        raise DatasetError(f"{len(names)} quadrats in the training split: at least 2 are needed; release more batches")
    return set(names[: max(1, round(len(names) * TUNE_SHARE))])


def yolo_line(label: int, ring: ArrayLike, holes: Sequence[ArrayLike], width: int, height: int) -> str:
    """One colony in YOLO's format, as shares of width and height.

    The format has one ring a colony and fills it by the even-odd rule: a hole is reached by a cut there and back from
    the nearest point of the ring, so it stays a hole.
    """
    points = np.asarray(ring, float)
    for hole in holes:
        inner = np.asarray(hole, float)
        apart = np.linalg.norm(points[:, None] - inner[None], axis=2)
        i, j = np.unravel_index(int(apart.argmin()), apart.shape)
        there = np.vstack([inner[j:], inner[: j + 1]])
        points = np.vstack([points[: i + 1], there, points[i:]])
    shares = np.clip((points + 0.5) / (width, height), 0, 1)  # pixel centres have whole coordinates
    return " ".join([str(label), *(f"{value:.6f}" for value in shares.ravel())])


def write_dataset(folder: Path, examples: Sequence[Example], taxa: Sequence[str], image_px: int) -> Dataset:
    """Write pictures (long side at most ``image_px``), outlines and ``data.yaml``; what is there already is kept.

    Raises:
        DatasetError: too few quadrats, or no colony in the training part.
    """
    mark = folder / _MARK
    if not mark.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        mark.parent.mkdir(parents=True)
        facts = _write(folder, examples, image_px)
        names = dict(enumerate(taxa))
        data = {"path": str(folder.resolve()), "train": "images/train", "val": "images/tune", "names": names}
        (folder / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
        mark.write_text(json.dumps(facts))
    return Dataset(folder / "data.yaml", **json.loads(mark.read_text()))


def _write(folder: Path, examples: Sequence[Example], image_px: int) -> dict[str, object]:
    aside = tuning_quadrats([example.quadrat for example in examples])
    counts, colonies, unreadable = {"train": 0, "tune": 0}, 0, {}
    for part in counts:
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
    for example in examples:
        try:
            image = example.load()
        except (ValueError, OSError) as error:  # one bad picture never ends a training
            unreadable[example.image_id] = str(error)
            continue
        part = "tune" if example.quadrat in aside else "train"
        height, width = image.shape[:2]
        lines = [yolo_line(label, ring, holes, width, height) for label, ring, holes in example.outlines]
        _save(folder / "images" / part / f"{example.image_id}.jpg", image, image_px)
        (folder / "labels" / part / f"{example.image_id}.txt").write_text("\n".join(lines))
        counts[part] += 1
        colonies += len(lines) if part == "train" else 0
    if not counts["train"] or not counts["tune"] or not colonies:
        raise DatasetError(
            f"{counts['train']} pictures with {colonies} colonies to train on, {counts['tune']} to watch by "
            f"({len(unreadable)} unreadable): release more reviewed batches"
        )
    return {**counts, "colonies": colonies, "unreadable": unreadable}


def _save(path: Path, image: NDArray[np.uint8], image_px: int) -> None:
    scale = image_px / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG):
        raise OSError(f"{path} cannot be written: is the disk full?")
