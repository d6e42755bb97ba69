"""What a release is made of: a plan that fits in memory, and batches that come one by one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from analytics.cover import COVER_SCHEMA
from analytics.release.splits import SPLITS
from labels.formats.common import Picture, to_json
from labels.formats.parquet import table_to_bytes
from labels.lattice import LatticeTopology
from labels.schema import Kind, Shape, label_defects, shapes_to_table
from labels.survey_model import Person
from labels.taxonomy import Taxonomy

CODE_VERSION = "5"
"""Changes when equal inputs give other bytes; parts of an interrupted release are reused only when it is the same."""

DEFAULT_FORMATS = ("coco", "yolo", "cvat")
IMAGE_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("batch", pa.string(), nullable=False),
        pa.field("survey", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("site", pa.string()),
        pa.field("year", pa.int32()),
        pa.field("quadrat", pa.string()),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("raw_sha256", pa.string(), nullable=False),
        pa.field("rectified_sha256", pa.string(), nullable=False),
        pa.field("clean_sha256", pa.string(), nullable=False),
        pa.field("clean_uri", pa.string(), nullable=False),
        pa.field("mask_sha256", pa.string()),
        pa.field("homography", pa.list_(pa.float64(), 9), nullable=False),
        pa.field("side_px", pa.int32(), nullable=False),
        pa.field("frame_cm", pa.float64(), nullable=False),
        pa.field("raw_uri", pa.string()),
        pa.field("raw_width", pa.int32()),
        pa.field("raw_height", pa.int32()),
        pa.field("rectified_uri", pa.string()),
        pa.field("by", pa.string()),
        pa.field("split", pa.string(), nullable=False),
    ]
)


class ReleaseDefectError(ValueError):
    """The release cannot be made as it is; the message names the batch, picture or object, and what to do."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is taken from the batches.

    Attributes:
        taxa: only outlines of these taxa; empty = all.
        by: ``person`` = only pictures a person has answered for; empty = all.
    """

    taxa: tuple[str, ...] = ()
    by: str = ""

    def words(self) -> str:
        """The filter for people."""
        said = [f"taxa {', '.join(self.taxa)}"] if self.taxa else []
        said += [f"pictures answered for by a {self.by}"] if self.by else []
        return "; ".join(said) or "everything"


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What is known of a release before its batches are read.

    Attributes:
        formats: beside the canonical Parquet, see ``analytics.release.exporters``.
        override: why batches in ``unfit`` are in it.
        unfit: batches below their survey's thresholds, with the reasons.
        by_subset: splits by CVAT's subset instead of by hash of the quadrat.
        previous: the release that the changelog compares with.
        topology: nodes of the lattice, when all surveys have the same.
        version: of reefline.
        title: what the data are, for people; the release's name where it is empty.
        creators: who made the data, in the order of the citation.
        contact: who answers questions; the first of the creators where it is ``None``.
    """

    name: str
    batches: Sequence[str]
    reason: str
    taxonomy: Taxonomy
    licence: str
    citation: str | None
    formats: Sequence[str] = DEFAULT_FORMATS
    filter: Filter = Filter()
    override: str = ""
    unfit: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_subset: bool = False
    previous: str | None = None
    topology: LatticeTopology | None = None
    version: str = ""
    title: str = ""
    creators: Sequence[Person] = ()
    contact: Person | None = None


@dataclass(slots=True)
class BatchInput:
    """One batch of a release.

    Attributes:
        images: rows of :data:`IMAGE_SCHEMA`; ``split`` is filled in by the writer.
        shapes: reviewed coral outlines.
        cover: table of ``COVER_SCHEMA``.
        quality: figures of the batch's quality report.
        corners: reviewed skeletons on the raw photos.
        lattice: reviewed skeletons on the straightened pictures.
        subset: CVAT subset of the survey's tasks.
    """

    batch: str
    images: list[dict[str, Any]]
    shapes: list[Shape]
    cover: pa.Table
    quality: Mapping[str, Any] = field(default_factory=dict)
    corners: list[Shape] = field(default_factory=list)
    lattice: list[Shape] = field(default_factory=list)
    subset: str | None = None

    def chosen(self, wanted: Filter) -> BatchInput:
        """What a filter leaves, in a fixed order."""
        images = [row for row in self.images if not wanted.by or row.get("by") == wanted.by]
        ids = {row["image_id"] for row in images}
        shapes = [s for s in self.shapes if s.image_id in ids and (not wanted.taxa or s.label in wanted.taxa)]
        cover = self.cover.select(COVER_SCHEMA.names).cast(COVER_SCHEMA)  # older batches may allow fewer nulls
        keep = [
            image in ids and (not wanted.taxa or taxon in wanted.taxa)
            for image, taxon in zip(cover["image_id"].to_pylist(), cover["taxon"].to_pylist(), strict=True)
        ]
        return BatchInput(
            self.batch,
            sorted(images, key=lambda row: row["image_id"]),
            sorted(shapes, key=_order),
            cover.filter(pa.array(keep, pa.bool_())).sort_by([("image_id", "ascending"), ("taxon", "ascending")]),
            self.quality,
            sorted((s for s in self.corners if s.image_id in ids), key=_order),
            sorted((s for s in self.lattice if s.image_id in ids), key=_order),
            self.subset,
        )

    def pictures(self, split: str | None = None) -> list[Picture]:
        """The clean pictures, of one split or all."""
        return [_clean(row) for row in self.images if split in (None, row["split"])]

    def photos(self) -> list[Picture]:
        """The raw photos that have corners."""
        ids = {shape.image_id for shape in self.corners}
        return [
            Picture(r["image_id"], r["raw_uri"], r["raw_width"], r["raw_height"], split=r["split"])
            for r in self.images
            if r["image_id"] in ids
        ]

    def straightened(self) -> list[Picture]:
        """The straightened pictures that have a lattice."""
        ids = {shape.image_id for shape in self.lattice}
        return [
            Picture(r["image_id"], r["rectified_uri"], r["side_px"], r["side_px"], split=r["split"])
            for r in self.images
            if r["image_id"] in ids
        ]

    def of_split(self, split: str) -> list[Shape]:
        """Outlines on the pictures of a split."""
        ids = {row["image_id"] for row in self.images if row["split"] == split}
        return [shape for shape in self.shapes if shape.image_id in ids]

    def defects(self, taxonomy: Taxonomy) -> list[str]:
        """What is wrong with the outlines, a line each that names the object."""
        sizes = {row["image_id"]: (row["width"], row["height"]) for row in self.images}
        return [f"batch {self.batch}: {line}" for line in label_defects(self.shapes, set(taxonomy.names), sizes)]

    def tables(self) -> dict[str, bytes]:
        """The canonical tables as Parquet, by section."""
        keypoints = [*self.corners, *self.lattice]
        return {
            "images": table_to_bytes(pa.Table.from_pylist(self.images, schema=IMAGE_SCHEMA)),
            "labels": table_to_bytes(shapes_to_table(self.shapes)),
            "keypoints": table_to_bytes(shapes_to_table(keypoints)),
            "cover": table_to_bytes(self.cover),
        }


def fingerprint(plan: ReleasePlan, given: BatchInput, tables: Mapping[str, bytes], numbers: Mapping[str, int]) -> str:
    """What decides the bytes of a batch's part: its tables, the plan, and the numbers it starts from."""
    facts = {
        "code": [CODE_VERSION, plan.version],
        "release": [plan.name, plan.licence, plan.citation, sorted(plan.formats), plan.taxonomy.reference],
        "taxa": [[t.name, t.color, t.parent, t.aphia_id] for t in plan.taxonomy.taxa],
        "topology": plan.topology.node_ids if plan.topology else None,
        "batch": [given.batch, given.subset, given.quality],
        "numbers": dict(numbers),
        "tables": {name: hashlib.sha256(data).hexdigest() for name, data in tables.items()},
    }
    return hashlib.sha256(to_json(facts)).hexdigest()


def counts(given: BatchInput) -> Counter[str]:
    """Numbers of a batch that add up over a release; keys are ``what/split/which``."""
    split = {row["image_id"]: row["split"] for row in given.images}
    found: Counter[str] = Counter(f"images/{row['split']}" for row in given.images)
    for shape in given.shapes:
        if shape.kind in {Kind.POLYGON, Kind.MASK}:
            found.update(
                [
                    f"outlines/{split[shape.image_id]}",
                    f"taxa/{split[shape.image_id]}/{shape.label}",
                    f"sources/{shape.source}",
                ]
            )
            found.update([f"models/{shape.model}"] if shape.model else [])
            found.update([f"people/{who}" for who in (shape.annotator, shape.reviewer) if who])
    found["corners"] = len(given.corners)
    found["lattice"] = len(given.lattice)
    found["photos"] = len(given.photos())
    found["straightened"] = len(given.straightened())
    found["frames"] = len(given.images)
    found["objects"] = len(given.shapes)
    return found


SPLIT_NAMES = tuple(name for name, _ in SPLITS)


def _clean(row: Mapping[str, Any]) -> Picture:
    return Picture(row["image_id"], row["clean_uri"], row["width"], row["height"], split=row["split"])


def _order(shape: Shape) -> tuple[str, str]:
    return shape.image_id, shape.shape_id
