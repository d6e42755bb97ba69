"""The formats of a release: which files each makes, and what a batch gives to them.

Every exporter is two functions over the same section names: ``files`` (once) and ``sections`` (per batch). Numbers that
run through the whole release (COCO ids) come from ``numbers``, the counts of the batches before.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow.csv

from analytics.cover import COVER_SCHEMA
from analytics.cover.points import layout
from analytics.quality.agreement import ratings_at
from analytics.release.assemble import ArchiveFile, FileSpec, Join, Piece, TableFile, TextFile
from analytics.release.inputs import SPLIT_NAMES, BatchInput, ReleasePlan
from labels.formats import dwca
from labels.formats.coco import (
    coco_images,
    coco_instances,
    coco_keypoints,
    coco_text,
    instance_categories,
    keypoint_category,
)
from labels.formats.common import by_picture, to_json, zipped
from labels.formats.coralnet import HEAD as CORALNET_HEAD
from labels.formats.coralnet import NetPoint, coralnet_rows
from labels.formats.cvat.xml import XML_TAIL, xml_head, xml_pictures
from labels.formats.datumaro import DATUMARO_TAIL, datumaro_head, datumaro_items
from labels.formats.masks import palette_json, semantic_masks
from labels.formats.panoptic import panoptic
from labels.formats.yolo import data_yaml, yolo_pose, yolo_seg

Sections = dict[str, bytes]
CORNER_NODES = ("1", "2", "3", "4")
CORNER_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0))
NO_CORAL = "No coral"
"""Label of a point that lies on no outline."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format; ``about`` stands in the data sheet."""

    about: str
    files: Callable[[ReleasePlan], list[FileSpec]]
    sections: Callable[[ReleasePlan, BatchInput, Counter[str]], Sections]


def _parquet_files(plan: ReleasePlan) -> list[FileSpec]:
    head = ",".join(f'"{name}"' for name in COVER_SCHEMA.names).encode() + b"\n"
    tables: list[FileSpec] = [TableFile(f"{name}.parquet", name) for name in ("images", "labels", "keypoints", "cover")]
    quality = TextFile("quality.json", [b"{", Join("quality", b",\n"), b"}\n"])
    return [*tables, TextFile("cover.csv", [head, Join("cover.csv")]), quality]


def _parquet_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(given.cover, buffer, pyarrow.csv.WriteOptions(include_header=False))
    quality = to_json(given.batch) + b": " + to_json(given.quality)
    return {**given.tables(), "cover.csv": buffer.getvalue(), "quality": quality}


def _licences(plan: ReleasePlan) -> list[dict[str, Any]]:
    return [{"id": 1, "name": plan.licence, "url": ""}]


def _coco_files(plan: ReleasePlan) -> list[FileSpec]:
    files: list[FileSpec] = []
    for split in SPLIT_NAMES:
        info = {"description": f"{plan.name} ({split})", "version": plan.name}
        text = coco_text(instance_categories(plan.taxonomy), info, _licences(plan))
        files.append(_coco_file(f"coco/instances_{split}.json", text))
    for what, nodes, edges in _skeletons(plan):
        info = {"description": f"{plan.name} ({what})", "version": plan.name}
        files.append(
            _coco_file(f"coco/keypoints_{what}.json", coco_text([keypoint_category(what, nodes, edges)], info))
        )
    return files


def _coco_file(path: str, text: Any) -> TextFile:
    annotations, images = Join(f"{path}:annotations", b","), Join(f"{path}:images", b",")
    return TextFile(path, [text.head, annotations, text.middle, images, text.tail])


def _coco_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    made: Sections = {}
    for split in SPLIT_NAMES:
        path, pictures = f"coco/instances_{split}.json", given.pictures(split)
        image, first = numbers[f"images/{split}"] + 1, numbers[f"outlines/{split}"] + 1
        made[f"{path}:images"] = b",".join(coco_images(pictures, image))
        made[f"{path}:annotations"] = coco_instances(pictures, given.of_split(split), plan.taxonomy, image, first)
    for what, nodes, _ in _skeletons(plan):
        path = f"coco/keypoints_{what}.json"
        shapes, pictures = (
            (given.corners, given.photos()) if what == "corners" else (given.lattice, given.straightened())
        )
        image = numbers["photos" if what == "corners" else "straightened"] + 1
        made[f"{path}:images"] = b",".join(coco_images(pictures, image))
        made[f"{path}:annotations"] = b",".join(coco_keypoints(pictures, shapes, nodes, image, numbers[what] + 1))
    return made


def _skeletons(plan: ReleasePlan) -> list[tuple[str, tuple[str, ...], list[tuple[int, int]]]]:
    found: list[tuple[str, tuple[str, ...], list[tuple[int, int]]]] = [("corners", CORNER_NODES, list(CORNER_EDGES))]
    if plan.topology:
        edges = [pair for string in plan.topology.strings for pair in pairwise(string)]
        found.append(("lattice", plan.topology.node_ids, edges))
    return found


def _panoptic_files(plan: ReleasePlan) -> list[FileSpec]:
    rest = to_json({"categories": [{**c, "isthing": 1} for c in instance_categories(plan.taxonomy)]})
    document: list[Piece] = [b'{"annotations":[', Join("panoptic:annotations", b","), b'],"images":[']
    return [
        ArchiveFile(
            "coco/panoptic.zip",
            {"panoptic.json": [*document, Join("panoptic:images", b","), b"]," + rest[1:]]},
            ["panoptic:png"],
        )
    ]


def _panoptic_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    pictures, first = given.pictures(), numbers["frames"] + 1
    lines, files = panoptic(pictures, given.shapes, plan.taxonomy, first)
    return {
        "panoptic:annotations": b",".join(lines),
        "panoptic:images": b",".join(coco_images(pictures, first)),
        "panoptic:png": zipped({f"panoptic/{name}": data for name, data in files.items()}, packed=False),
    }


def _yolo_files(plan: ReleasePlan) -> list[FileSpec]:
    made: list[FileSpec] = [_yolo_file("seg", data_yaml(plan.taxonomy.names, SPLIT_NAMES))]
    for what, nodes, _ in _skeletons(plan):
        made.append(_yolo_file(f"pose-{what}", data_yaml([what], SPLIT_NAMES, nodes)))
    return made


def _yolo_file(what: str, data: bytes) -> ArchiveFile:
    images: list[Piece] = [b"picture,source\n", Join(f"yolo/{what}:images")]
    return ArchiveFile(f"yolo/{what}.zip", {"data.yaml": [data], "images.csv": images}, [f"yolo/{what}:labels"])


def _yolo_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    sets = {"seg": (given.pictures(), yolo_seg(given.pictures(), given.shapes, plan.taxonomy))}
    for what, nodes, _ in _skeletons(plan):
        shapes, pictures = (
            (given.corners, given.photos()) if what == "corners" else (given.lattice, given.straightened())
        )
        sets[f"pose-{what}"] = pictures, yolo_pose(pictures, shapes, nodes)
    made: Sections = {}
    for what, (pictures, texts) in sets.items():
        made[f"yolo/{what}:labels"] = zipped(texts, packed=False)
        lines = [f"images/{p.split}/{p.image_id}.{p.file_name.rpartition('.')[2]},{p.file_name}\n" for p in pictures]
        made[f"yolo/{what}:images"] = "".join(lines).encode()
    return made


def _cvat_files(plan: ReleasePlan) -> list[FileSpec]:
    labels = [{"name": t.name, "color": t.color, "type": "any"} for t in plan.taxonomy.taxa]
    heads = {"corals": xml_head(f"{plan.name} corals", labels)}
    for what, nodes, _ in _skeletons(plan):
        name = "quadrat_corner" if what == "corners" else "lattice"
        skeleton = [{"name": name, "color": "#19fdf3", "type": "skeleton"}]
        heads[what] = xml_head(f"{plan.name} {what}", skeleton, nodes)
    return [TextFile(f"cvat/{what}.xml", [head, Join(f"cvat/{what}"), XML_TAIL]) for what, head in heads.items()]


def _cvat_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    made = {"cvat/corals": xml_pictures(given.pictures(), given.shapes, numbers["frames"])}
    made["cvat/corners"] = xml_pictures(given.photos(), given.corners, numbers["photos"], CORNER_NODES)
    if plan.topology:
        nodes = plan.topology.node_ids
        made["cvat/lattice"] = xml_pictures(given.straightened(), given.lattice, numbers["straightened"], nodes)
    return made


def _datumaro_files(plan: ReleasePlan) -> list[FileSpec]:
    head = datumaro_head(plan.taxonomy)
    return [
        TextFile(f"datumaro/{split}.json", [head, Join(f"datumaro/{split}", b","), DATUMARO_TAIL])
        for split in SPLIT_NAMES
    ]


def _datumaro_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    return {
        f"datumaro/{split}": b",".join(
            datumaro_items(given.pictures(split), given.of_split(split), plan.taxonomy, numbers[f"outlines/{split}"])
        )
        for split in SPLIT_NAMES
    }


def _mask_files(plan: ReleasePlan) -> list[FileSpec]:
    return [ArchiveFile("masks.zip", {"palette.json": [palette_json(plan.taxonomy)]}, ["masks"])]


def _mask_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    return {"masks": zipped(semantic_masks(given.pictures(), given.shapes, plan.taxonomy), packed=False)}


def _coralnet_files(plan: ReleasePlan) -> list[FileSpec]:
    return [TextFile("coralnet.csv", [CORALNET_HEAD, Join("coralnet")])]


def _coralnet_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    """The points of the survey's own lattice, or one in each of 5 x 5 cells where there is none."""
    mine, names = by_picture(given.shapes), (*plan.taxonomy.names, NO_CORAL)
    points = []
    for picture in given.pictures():
        design = "lattice" if plan.topology else "stratified-25"
        places = layout(design, picture.image_id, picture.width, picture.height, plan.topology).round()
        places = places.clip(0, (picture.width - 1, picture.height - 1))
        rated = ratings_at(mine.get(picture.image_id, []), places, plan.taxonomy.names)
        name = picture.file_name.rpartition("/")[2]
        points += [NetPoint(name, int(y), int(x), names[int(k)]) for (x, y), k in zip(places, rated, strict=True)]
    return {"coralnet": coralnet_rows(points)}


def _dwca_files(plan: ReleasePlan) -> list[FileSpec]:
    abstract = plan.reason or f"Coral cover of {len(plan.batches)} batches of photo quadrats."
    tables = {
        "event.txt": (dwca.EVENT, "dwca/events"),
        "occurrence.txt": (dwca.OCCURRENCE, "dwca/occurrences"),
        "extendedmeasurementorfact.txt": (dwca.MEASUREMENT, "dwca/measurements"),
    }
    members: dict[str, list[bytes | Join]] = {
        name: [dwca.dwca_head(columns), Join(section)] for name, (columns, section) in tables.items()
    }
    members["meta.xml"] = [dwca.dwca_meta()]
    title = f"{plan.title} ({plan.name})" if plan.title else plan.name
    people = dwca.People(plan.creators, plan.contact)
    members["eml.xml"] = [dwca.dwca_eml(plan.name, title, abstract, plan.licence, plan.citation, people)]
    return [ArchiveFile("dwca.zip", members)]


def _dwca_sections(plan: ReleasePlan, given: BatchInput, numbers: Counter[str]) -> Sections:
    rows = dwca.dwca_rows(plan.name, given.images, given.cover.to_pylist(), plan.taxonomy, plan.licence)
    return {
        "dwca/events": rows.events,
        "dwca/occurrences": rows.occurrences,
        "dwca/measurements": rows.measurements,
    }


EXPORTERS: Mapping[str, Exporter] = {
    "parquet": Exporter("the canonical tables: everything, exact", _parquet_files, _parquet_sections),
    "coco": Exporter(
        "COCO instances by split (run lengths where an outline has holes) and keypoints", _coco_files, _coco_sections
    ),
    "yolo": Exporter(
        "YOLO seg and pose; a hole is joined to its outline by a slit of no width", _yolo_files, _yolo_sections
    ),
    "cvat": Exporter("CVAT for images 1.1; outlines with holes as masks", _cvat_files, _cvat_sections),
    "panoptic": Exporter("COCO panoptic; where outlines overlap, the smaller is on top", _panoptic_files,
                         _panoptic_sections),
    "datumaro": Exporter("Datumaro's JSON by split", _datumaro_files, _datumaro_sections),
    "masks": Exporter("a PNG of class numbers per picture, with palette", _mask_files, _mask_sections),
    "coralnet": Exporter("what points would have said, as CoralNet's CSV", _coralnet_files, _coralnet_sections),
    "dwca": Exporter("Darwin Core Archive for OBIS and GBIF", _dwca_files, _dwca_sections),
}  # fmt: skip
FORMATS = tuple(name for name in EXPORTERS if name != "parquet")


def chosen(plan: ReleasePlan) -> dict[str, Exporter]:
    """The exporters of a release, the canonical tables first.

    Raises:
        ValueError: there is no such format.
    """
    unknown = sorted(set(plan.formats) - set(EXPORTERS))
    if unknown:
        raise ValueError(f"no release format {unknown[0]!r}: use {', '.join(FORMATS)}")
    return {name: exporter for name, exporter in EXPORTERS.items() if name == "parquet" or name in plan.formats}
