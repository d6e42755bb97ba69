"""A dataset release: the files of a frozen list of batches. Pure and deterministic: equal inputs give equal bytes.

Every label row traces back: ``image_id`` -> ``images.parquet`` (homography, side, hashes of clean and rectified
picture) -> ``raw_sha256``. The split is by fixed quadrat, so the same ground never is in training and test.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.csv

from analytics.cover import COVER_SCHEMA
from labels.formats.coco import CocoImage, to_coco
from labels.formats.parquet import table_to_bytes
from labels.schema import Kind, Shape, shapes_to_table
from labels.taxonomy import Taxonomy

SPLITS = (("train", 0.7), ("val", 0.15), ("test", 0.15))
CHECKSUMS = "checksums.sha256"
RELEASE_JSON = "release.json"

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
        pa.field("split", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class ReleaseInput:
    """What a release is made of.

    Attributes:
        images: rows of :data:`IMAGE_SCHEMA` without ``split``.
        shapes: reviewed coral outlines.
        quality: the batches' quality figures, by batch.
        override: why batches in ``unfit`` are in it.
        unfit: batches below their survey's thresholds, with the reasons.
    """

    name: str
    batches: Sequence[str]
    reason: str
    taxonomy: Taxonomy
    licence: str
    citation: str | None
    images: Sequence[Mapping[str, Any]]
    shapes: Sequence[Shape]
    cover: pa.Table
    quality: Mapping[str, Any]
    override: str = ""
    unfit: Mapping[str, Sequence[str]] = field(default_factory=dict)


def split_of(site: str | None, quadrat: str | None, image_id: str) -> str:
    """The split of a fixed quadrat, by hash: the same in every release, for all years of the quadrat."""
    key = f"{site}/{quadrat}" if site and quadrat else image_id
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    for name, share in SPLITS:
        if place <= share:
            return name
        place -= share
    return SPLITS[-1][0]


def build_release(given: ReleaseInput) -> dict[str, bytes]:
    """All files of a release by path. ``release.json`` comes last: it is the commit point."""
    images = sorted(
        ({**row, "split": split_of(row["site"], row["quadrat"], row["image_id"])} for row in given.images),
        key=lambda row: row["image_id"],
    )
    shapes = sorted(given.shapes, key=lambda s: (s.image_id, s.shape_id))
    files = {
        "images.parquet": table_to_bytes(pa.Table.from_pylist(images, schema=IMAGE_SCHEMA)),
        "labels.parquet": table_to_bytes(shapes_to_table(shapes)),
        "cover.parquet": table_to_bytes(_sorted_cover(given.cover)),
        "cover.csv": _csv(_sorted_cover(given.cover)),
        "quality.json": _json(given.quality),
    }
    for split, _ in SPLITS:
        files[f"coco/instances_{split}.json"] = _coco(given, images, shapes, split)
    counts = _counts(images, shapes)
    files["README.md"] = _datasheet(given, counts).encode()
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    files[CHECKSUMS] = "".join(f"{digest}  {path}\n" for path, digest in sums.items()).encode()
    content = hashlib.sha256(files[CHECKSUMS]).hexdigest()
    record = {"name": given.name, "batches": sorted(given.batches), "reason": given.reason, "counts": counts}
    record |= {"taxonomy": given.taxonomy.reference, "licence": given.licence}
    if given.unfit:
        record |= {"override": given.override, "unfit": {batch: list(why) for batch, why in given.unfit.items()}}
    files[RELEASE_JSON] = _json({**record, "content_sha256": content})
    return files


def verify(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the files of a release: missing, changed, or not belonging to its content hash."""
    if RELEASE_JSON not in files or CHECKSUMS not in files:
        return [f"{RELEASE_JSON} or {CHECKSUMS} is missing"]
    defects = []
    if json.loads(files[RELEASE_JSON])["content_sha256"] != hashlib.sha256(files[CHECKSUMS]).hexdigest():
        defects.append(f"{CHECKSUMS} is not the one that {RELEASE_JSON} names")
    for line in files[CHECKSUMS].decode().splitlines():
        digest, _, path = line.partition("  ")
        if path not in files:
            defects.append(f"{path} is missing")
        elif hashlib.sha256(files[path]).hexdigest() != digest:
            defects.append(f"{path} has changed")
    return defects


def _coco(given: ReleaseInput, images: Sequence[Mapping[str, Any]], shapes: Sequence[Shape], split: str) -> bytes:
    mine = [row for row in images if row["split"] == split]
    ids = {row["image_id"] for row in mine}
    pictures = [CocoImage(row["image_id"], row["clean_uri"], row["width"], row["height"]) for row in mine]
    info = {"description": f"{given.name} ({split})", "version": given.name}
    licences = [{"id": 1, "name": given.licence, "url": ""}]
    mine_shapes = [s for s in shapes if s.image_id in ids]
    return to_coco(pictures, mine_shapes, given.taxonomy, info=info, licenses=licences)


def _counts(images: Sequence[Mapping[str, Any]], shapes: Sequence[Shape]) -> dict[str, Any]:
    outlines = [s for s in shapes if s.kind == Kind.POLYGON]
    return {
        "images": len(images),
        "colonies": len(outlines),
        "splits": dict(sorted(Counter(row["split"] for row in images).items())),
        "taxa": dict(sorted(Counter(s.label for s in outlines).items())),
        "sources": dict(sorted(Counter(str(s.source) for s in outlines).items())),
        "models": sorted({s.model for s in outlines if s.model}),
    }


def _datasheet(given: ReleaseInput, counts: Mapping[str, Any]) -> str:
    taxa = "\n".join(f"| {taxon} | {number} |" for taxon, number in counts["taxa"].items())
    sources = ", ".join(f"{number} {source}" for source, number in counts["sources"].items())
    splits = ", ".join(f"{number} {split}" for split, number in counts["splits"].items())
    return f"""# {given.name}

{given.reason or "A dataset release made by reefline."}

- Licence: {given.licence}
- Cite as: {given.citation or "(the survey file gives no citation)"}
- Taxonomy: {given.taxonomy.name} version {given.taxonomy.version}
- Batches: {", ".join(sorted(given.batches))}
- Pictures: {counts["images"]} ({splits}; split by fixed quadrat, so no ground is in two splits)
- Colonies: {counts["colonies"]} ({sources})
- Models that pre-labelled: {", ".join(counts["models"]) or "none"}
{_exceptions(given)}
| taxon | colonies |
|---|---|
{taxa}

## Files
- `images.parquet`: one row per picture; hashes of the raw, rectified and clean file, the homography raw -> rectified
  (3x3, row by row), side in pixels and centimetres, split.
- `labels.parquet`: one row per colony, in pixels of the clean picture; who made it, and with which model.
- `coco/instances_*.json`: the same outlines in COCO's format.
- `cover.parquet`, `cover.csv`: cover per picture and taxon; invented pixels are left out and reported.
- `quality.json`: what reviewers changed, per batch.
- `checksums.sha256`: check with `sha256sum -c checksums.sha256`.

A label leads back to the photo by `image_id`: the inverse of `homography` maps its points to the raw photo whose hash
is `raw_sha256`.
"""


def _exceptions(given: ReleaseInput) -> str:
    if not given.unfit:
        return ""
    lines = [f"- Below its survey's thresholds: {batch}: {'; '.join(why)}" for batch, why in given.unfit.items()]
    return "\n".join([*lines, f"- Released all the same because: {given.override}"]) + "\n"


def _sorted_cover(cover: pa.Table) -> pa.Table:
    return cover.select(COVER_SCHEMA.names).sort_by([("image_id", "ascending"), ("taxon", "ascending")])


def _csv(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer)
    return buffer.getvalue()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
