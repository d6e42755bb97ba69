"""Readers of every exported format that share no code with the writers: what another program would see.

They return objects in the label table's pixels (pixel centres have integer coordinates): outlines as geometries, masks
as pixels, skeletons as places with visibility. COCO's run lengths are decoded by faster-coco-eval, tables by pyarrow,
pictures by OpenCV, XML, JSON, CSV and zip by Python itself.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry


@dataclass(slots=True)
class Seen:
    """One object as read back.

    Attributes:
        picture: the name the format gives it.
        object_id: id of the object, where the format carries one.
        outline: geometry, for outlines.
        mask: pixels of the whole picture, for masks.
        nodes: name -> (x, y, visibility), for skeletons.
    """

    picture: str
    label: str
    object_id: str | None = None
    outline: BaseGeometry | None = None
    mask: NDArray[np.bool_] | None = None
    nodes: dict[str, tuple[float, float, int]] = field(default_factory=dict)


def ring_geometry(flat: list[float], shift: float = 0.5) -> BaseGeometry:
    """A ring counted from the outer corner of the first pixel as a valid geometry; slits become holes."""
    polygon = Polygon(np.asarray(flat, float).reshape(-1, 2) - shift)
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def read_coco(path: Path) -> Iterator[Seen]:
    """Instances and keypoints of a COCO file; the official reader has to accept it."""
    from faster_coco_eval import COCO

    document = json.loads(path.read_bytes())
    coco = COCO(document)
    names = {c["id"]: c for c in document["categories"]}
    for item in coco.anns.values():
        image, category = coco.imgs[item["image_id"]], names[item["category_id"]]
        seen = Seen(image["image_id"], category["name"], item["shape_id"])
        if "keypoints" in item:
            flat = item["keypoints"]
            places = zip(flat[0::3], flat[1::3], flat[2::3], strict=True)
            seen.nodes = {
                node: (x - 0.5, y - 0.5, v) for node, (x, y, v) in zip(category["keypoints"], places, strict=True)
            }
        else:
            _coco_outline(seen, item["segmentation"])
        yield seen


def _coco_outline(seen: Seen, segmentation: Any) -> None:
    if isinstance(segmentation, dict):
        seen.mask = run_lengths(segmentation)
    else:
        seen.outline = shapely.union_all([ring_geometry(ring) for ring in segmentation])


def run_lengths(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """Compressed run lengths as the COCO tools decode them, ``(H, W)``."""
    from faster_coco_eval.core import mask as tools

    counts = segmentation["counts"]
    data = {"size": segmentation["size"], "counts": counts.encode() if isinstance(counts, str) else counts}
    return np.asarray(tools.decode(data), bool)


def painted(flat: list[float], height: int, width: int) -> NDArray[np.bool_]:
    """A ring as the COCO tools paint it, ``(height, width)``; coordinates from the outer corner of the first pixel."""
    from faster_coco_eval.core import mask as tools

    return np.asarray(tools.decode(tools.merge(tools.frPyObjects([flat], height, width))), bool)


def read_yolo(path: Path, sizes: dict[str, tuple[int, int]]) -> Iterator[Seen]:
    """Outlines, or skeletons where ``data.yaml`` has a ``kpt_shape``.

    Raises:
        ValueError: a line is not of the format, or a value lies outside of 0..1.
    """
    import yaml

    with zipfile.ZipFile(path) as archive:
        data = yaml.safe_load(archive.read("data.yaml"))
        for name in archive.namelist():
            if not name.startswith("labels/"):
                continue
            picture = name.rpartition("/")[2].removesuffix(".txt")
            for line in archive.read(name).decode().splitlines():
                label, *values = line.split()
                numbers = np.array([float(v) for v in values])
                yield _yolo_object(picture, data, int(label), numbers, sizes[picture])


def _yolo_object(
    picture: str, data: dict[str, Any], label: int, numbers: NDArray[np.float64], size: tuple[int, int]
) -> Seen:
    seen = Seen(picture, data["names"][label])
    if "kpt_shape" not in data:
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(f"{picture}: a YOLO outline of {len(numbers)} values")
        seen.outline = ring_geometry((numbers.reshape(-1, 2) * size).ravel().tolist())
        return seen
    count = data["kpt_shape"][0]
    places = numbers[4:].reshape(count, 3)
    seen.nodes = {str(k): (x * size[0] - 0.5, y * size[1] - 0.5, int(v)) for k, (x, y, v) in enumerate(places.tolist())}
    return seen


def read_cvat_xml(path: Path) -> Iterator[Seen]:
    """Polygons, masks, skeletons, points and tags of a CVAT for images XML, picture by picture."""
    for _, image in ElementTree.iterparse(path):  # noqa: S314 - our own file, just written
        if image.tag != "image":
            continue
        name, width, height = image.attrib["name"], int(image.attrib["width"]), int(image.attrib["height"])
        for element in image:
            yield _cvat_object(element, name, width, height)
        image.clear()


def _cvat_object(element: Any, picture: str, width: int, height: int) -> Seen:
    stated = {a.attrib["name"]: a.text or "" for a in element if a.tag == "attribute"}
    seen = Seen(picture, element.attrib["label"], stated.get("shape_id"))
    if element.tag == "polygon":
        seen.outline = ring_geometry(_pairs(element.attrib["points"]))
    elif element.tag == "mask":
        box = {key: int(element.attrib[key]) for key in ("left", "top", "width", "height")}
        runs = [int(run) for run in element.attrib["rle"].split(",")]
        flat = np.concatenate([np.full(run, k % 2, bool) for k, run in enumerate(runs)])
        seen.mask = np.zeros((height, width), bool)
        rows, columns = slice(box["top"], box["top"] + box["height"]), slice(box["left"], box["left"] + box["width"])
        seen.mask[rows, columns] = flat.reshape(box["height"], box["width"])
    elif element.tag == "skeleton":
        for node in (n for n in element if n.tag == "points"):
            x, y = _pairs(node.attrib["points"])
            visible = 0 if node.attrib["outside"] == "1" else 1 if node.attrib["occluded"] == "1" else 2
            seen.nodes[node.attrib["label"]] = (x - 0.5, y - 0.5, visible)
    return seen


def _pairs(text: str) -> list[float]:
    return [float(v) for pair in text.split(";") for v in pair.split(",")]


def read_datumaro(path: Path) -> Iterator[Seen]:
    """Polygons and masks of a Datumaro JSON."""
    document = json.loads(path.read_bytes())
    labels = [label["name"] for label in document["categories"]["label"]["labels"]]
    for item in document["items"]:
        for entry in item["annotations"]:
            seen = Seen(item["id"], labels[entry["label_id"]], entry["attributes"]["shape_id"])
            if entry["type"] == "polygon":
                seen.outline = ring_geometry(entry["points"])
            else:
                seen.mask = run_lengths(entry["rle"])
            yield seen


def read_masks(path: Path) -> tuple[dict[int, str], Iterator[tuple[str, NDArray[np.uint8]]]]:
    """What the values mean, and the pictures' class numbers by image id."""
    with zipfile.ZipFile(path) as archive:
        meaning = {entry["value"]: entry["name"] for entry in json.loads(archive.read("palette.json"))}

    def pictures() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        from PIL import Image

        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    picture = name.rpartition("/")[2].removesuffix(".png")
                    yield picture, np.asarray(Image.open(io.BytesIO(archive.read(name))))

    return meaning, pictures()


def read_panoptic(path: Path) -> Iterator[tuple[str, NDArray[np.int64], dict[str, tuple[int, str]]]]:
    """Per picture: segment ids by pixel, and object id -> (segment id, label)."""
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("panoptic.json"))
        labels = {c["id"]: c["name"] for c in document["categories"]}
        images = {image["id"]: image["image_id"] for image in document["images"]}
        for item in document["annotations"]:
            data = np.frombuffer(archive.read(f"panoptic/{item['file_name']}"), np.uint8)
            blue, green, red = np.moveaxis(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.int64), -1, 0)
            segments = {s["shape_id"]: (s["id"], labels[s["category_id"]]) for s in item["segments_info"]}
            yield images[item["image_id"]], red + 256 * green + 65536 * blue, segments


def read_points(path: Path) -> list[tuple[str, int, int, str]]:
    """Name, column, row and label of a CoralNet CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(r["Name"], int(r["Column"]), int(r["Row"]), r["Label"]) for r in csv.DictReader(file)]


def read_archive(path: Path) -> dict[str, list[dict[str, str]]]:
    """Tables of a Darwin Core Archive by file, as its own ``meta.xml`` describes them."""
    with zipfile.ZipFile(path) as archive:
        space = "{http://rs.tdwg.org/dwc/text/}"
        tables = {}
        for part in ElementTree.fromstring(archive.read("meta.xml")):  # noqa: S314 - our own file, just written
            name = part.findtext(f"{space}files/{space}location") or ""
            terms = {int(f.attrib["index"]): f.attrib["term"].rpartition("/")[2] for f in part.iter(f"{space}field")}
            terms.setdefault(0, "id")
            lines = archive.read(name).decode().splitlines()[1:]
            tables[name] = [{terms[k]: value for k, value in enumerate(line.split("\t"))} for line in lines]
        ElementTree.fromstring(archive.read("eml.xml"))  # noqa: S314
    return tables


def read_labels(path: Path) -> list[dict[str, Any]]:
    """Rows of the canonical label table."""
    return list(pq.read_table(path).to_pylist())
