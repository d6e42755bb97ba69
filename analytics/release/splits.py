"""Which split a picture belongs to. Always by fixed quadrat, so the same ground is never in training and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

SPLITS = (("train", 0.7), ("val", 0.15), ("test", 0.15))
_SUBSETS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class SplitError(ValueError):
    """The splits that were asked for cannot be; the message names the quadrat or subset."""


def split_of(site: str | None, quadrat: str | None, image_id: str) -> str:
    """The split of a fixed quadrat, by hash: the same in every release, for all years of the quadrat."""
    key = f"{site}/{quadrat}" if site and quadrat else image_id
    place = int(hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) / 0xFFFFFFFF
    for name, share in SPLITS:
        if place <= share:
            return name
        place -= share
    return SPLITS[-1][0]


def split_of_subset(subset: str | None) -> str | None:
    """The split that a CVAT subset means; ``None`` where it means none."""
    return _SUBSETS.get((subset or "").strip().lower())


class Splitter:
    """Gives every picture its split; by CVAT's subset where that is asked for, and then watches for leaks."""

    def __init__(self, by_subset: bool = False) -> None:
        """``by_subset``: take the subset of the survey's CVAT tasks instead of the hash."""
        self.by_subset = by_subset
        self._ground: dict[tuple[str, str], str] = {}

    def assign(self, rows: Iterable[Mapping[str, Any]], subset: str | None) -> list[dict[str, Any]]:
        """Picture rows with their ``split``, sorted by picture.

        Raises:
            SplitError: the subset is none of train, val and test, or a quadrat is in two of them.
        """
        made = []
        for row in sorted(rows, key=lambda r: r["image_id"]):
            split = split_of(row["site"], row["quadrat"], row["image_id"])
            if self.by_subset:
                split = self._of_subset(row, subset)
            made.append({**row, "split": split})
        return made

    def _of_subset(self, row: Mapping[str, Any], subset: str | None) -> str:
        split = split_of_subset(subset)
        if split is None:
            raise SplitError(
                f"batch {row['batch']} has the CVAT subset {subset!r}: set cvat.subset of survey {row['survey']} to "
                "train, val or test, or release with splits by quadrat"
            )
        if row["site"] and row["quadrat"]:
            before = self._ground.setdefault((row["site"], row["quadrat"]), split)
            if before != split:
                raise SplitError(
                    f"quadrat {row['site']}/{row['quadrat']} is in the subsets {before} and {split}: the same ground "
                    "would be in both; release with splits by quadrat"
                )
        return split
