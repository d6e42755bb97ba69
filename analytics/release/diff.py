"""What changed between two releases: pictures and labels added and removed, and every object that was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.geometry import outline_geometry
from labels.formats.rle import unpack_counts
from labels.schema import Kind, Shape, table_to_shapes

MAX_LISTED = 200
"""Objects that a changelog lists one by one; ``reefline release diff --json`` has all."""
_GEOMETRY = ("kind", "label", "points", "holes", "rle")


@dataclass(frozen=True, slots=True)
class Change:
    """One object that is in both releases and not the same. ``iou`` is 1 where only the taxon changed."""

    image_id: str
    shape_id: str
    before: str
    after: str
    iou: float


@dataclass(slots=True)
class ReleaseDiff:
    """What changed from one release to another; lists are sorted.

    Attributes:
        images_changed: the clean picture is another one (other corners or lattice, or made anew).
        images_described: site, year, quadrat, split or the frame's size are others.
    """

    before: str
    after: str
    images_added: list[str] = field(default_factory=list)
    images_removed: list[str] = field(default_factory=list)
    images_changed: list[str] = field(default_factory=list)
    images_described: list[str] = field(default_factory=list)
    labels_added: list[str] = field(default_factory=list)
    labels_removed: list[str] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: int = 0
    taxa: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        pictures = (self.images_added, self.images_removed, self.images_changed, self.images_described)
        return not any((*pictures, self.labels_added, self.labels_removed, self.changed))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def diff_releases(before: str, old: Mapping[str, Path], after: str, new: Mapping[str, Path]) -> ReleaseDiff:
    """Compare two releases by their canonical tables.

    Objects are one and the same when they have the same id in the same picture. Memory: a hash per object.

    Args:
        old: paths of ``images.parquet`` and ``labels.parquet`` of the release ``before``.
        new: the same of ``after``.
    """
    found = ReleaseDiff(before, after)
    pictures, theirs = _pictures(old["images.parquet"]), _pictures(new["images.parquet"])
    found.images_added, found.images_removed = sorted(set(theirs) - set(pictures)), sorted(set(pictures) - set(theirs))
    both = set(pictures) & set(theirs)
    found.images_changed = sorted(i for i in both if pictures[i][0] != theirs[i][0])
    found.images_described = sorted(i for i in both if pictures[i][1:] != theirs[i][1:])
    objects, others = _objects(old["labels.parquet"]), _objects(new["labels.parquet"])
    added, removed = set(others) - set(objects), set(objects) - set(others)
    found.labels_added, found.labels_removed = sorted("/".join(k) for k in added), sorted("/".join(k) for k in removed)
    altered = {key for key in set(objects) & set(others) if objects[key][0] != others[key][0]}
    found.unchanged = len(set(objects) & set(others)) - len(altered)
    first, second = _shapes(old["labels.parquet"], altered), _shapes(new["labels.parquet"], altered)
    found.changed = [_change(first[key], second[key]) for key in sorted(altered)]
    found.taxa = _by_taxon(objects, others, added, removed, altered)
    return found


def changelog(before: str, old: Mapping[str, Path], after: str, new: Mapping[str, Path]) -> str:
    """The changelog of a release as markdown."""
    return describe(diff_releases(before, old, after, new))


def describe(diff: ReleaseDiff) -> str:
    """A difference as markdown."""
    if diff.empty:
        return f"# {diff.after}: changes since {diff.before}\n\nNothing changed.\n"
    lines = [
        f"# {diff.after}: changes since {diff.before}",
        "",
        f"- Pictures: {len(diff.images_added)} added, {len(diff.images_removed)} removed, "
        f"{len(diff.images_changed)} made anew, {len(diff.images_described)} of another site, year, quadrat, split or "
        "size",
        f"- Colonies: {len(diff.labels_added)} added, {len(diff.labels_removed)} removed, {len(diff.changed)} changed, "
        f"{diff.unchanged} as before",
        "",
        "| taxon | before | after | added | removed | changed |",
        "|---|---|---|---|---|---|",
    ]
    for taxon, n in diff.taxa.items():
        lines.append(f"| {taxon} | {n['before']} | {n['after']} | {n['added']} | {n['removed']} | {n['changed']} |")
    if diff.changed:
        lines += ["", "| object | taxon | IoU |", "|---|---|---|"]
        for change in sorted(diff.changed, key=lambda c: (c.iou, c.shape_id))[:MAX_LISTED]:
            taxon = change.after if change.before == change.after else f"{change.before} -> {change.after}"
            lines.append(f"| {change.image_id}/{change.shape_id} | {taxon} | {change.iou:.4f} |")
        if len(diff.changed) > MAX_LISTED:
            lines.append(f"\nand {len(diff.changed) - MAX_LISTED} more.")
    return "\n".join(lines) + "\n"


def _pictures(path: Path) -> dict[str, tuple[Any, ...]]:
    """Picture -> hash of the clean picture, and what is said of it."""
    columns = ["image_id", "clean_sha256", "site", "year", "quadrat", "split", "frame_cm"]
    table = pq.read_table(path, columns=columns)
    return {row[0]: row[1:] for row in zip(*(table[name].to_pylist() for name in columns), strict=True)}


def _groups(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


def _objects(path: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """(picture, object) -> hash of what it is, taxon."""
    found = {}
    for group in _groups(path):
        for shape in table_to_shapes(group):
            what = (shape.kind, shape.label, tuple(shape.points), tuple(map(tuple, shape.holes)), shape.rle)
            found[shape.image_id, shape.shape_id] = hash(what), shape.label
    return found


def _shapes(path: Path, keys: set[tuple[str, str]]) -> dict[tuple[str, str], Shape]:
    if not keys:
        return {}
    return {
        (shape.image_id, shape.shape_id): shape
        for group in _groups(path)
        for shape in table_to_shapes(group)
        if (shape.image_id, shape.shape_id) in keys
    }


def _change(before: Shape, after: Shape) -> Change:
    return Change(after.image_id, after.shape_id, before.label, after.label, round(_iou(before, after), 6))


def _iou(a: Shape, b: Shape) -> float:
    if a.kind == b.kind == Kind.POLYGON:
        first, second = outline_geometry(a), outline_geometry(b)
        union = first.union(second).area
        return float(first.intersection(second).area / union) if union else 1.0
    if a.kind == b.kind == Kind.MASK and a.rle and b.rle:
        return _mask_iou(a.rle, b.rle)
    same = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in _GEOMETRY if name != "label")
    return 1.0 if same else 0.0


def _mask_iou(one: str, other: str) -> float:
    """Overlap of two masks of one picture by their run lengths; 0 where the pictures have other sizes."""
    ends = [np.cumsum(unpack_counts(text)) for text in (one, other)]
    if ends[0][-1] != ends[1][-1]:
        return 0.0
    bounds = np.union1d(*ends)
    lengths = np.diff(bounds, prepend=0)
    # A run is inside where an odd number of runs has ended before it.
    inside = [np.searchsorted(end, bounds, side="left") % 2 == 1 for end in ends]
    union = int(lengths[inside[0] | inside[1]].sum())
    return float(lengths[inside[0] & inside[1]].sum() / union) if union else 1.0


def _by_taxon(
    old: Mapping[tuple[str, str], tuple[int, str]],
    new: Mapping[tuple[str, str], tuple[int, str]],
    added: set[tuple[str, str]],
    removed: set[tuple[str, str]],
    altered: set[tuple[str, str]],
) -> dict[str, dict[str, int]]:
    counted = {
        "before": Counter(label for _, label in old.values()),
        "after": Counter(label for _, label in new.values()),
        "added": Counter(new[key][1] for key in added),
        "removed": Counter(old[key][1] for key in removed),
        "changed": Counter(new[key][1] for key in altered),
    }
    taxa = sorted(set(counted["before"]) | set(counted["after"]))
    return {taxon: {what: counter[taxon] for what, counter in counted.items()} for taxon in taxa}
