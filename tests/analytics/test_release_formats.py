"""Every format, over random outlines with holes: what other readers get back is what went in."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from analytics.cover import COVER_SCHEMA
from analytics.release import FORMATS, BatchInput, ReleasePlan
from analytics.release.assemble import Assembly
from analytics.release.check import check_batch
from analytics.release.exporters import EXPORTERS
from analytics.release.inputs import counts
from analytics.release.readers import painted
from analytics.release.sameness import mask_iou, same_outline
from labels.formats.common import Picture, outline_polygon, pixels
from labels.formats.foreign import read_coco, read_cvat_xml, read_yolo
from labels.formats.rle import encode_pixels, encode_rle
from labels.lattice import load_topology
from labels.schema import OUTSIDE, Kind, Shape
from labels.taxonomy import parse_taxonomy

TAXONOMY = parse_taxonomy(
    "name: né\nversion: '1'\nrank: genus\ntaxa:\n"
    "  - {name: Porites, color: '#112233'}\n  - {name: 'Été <&> \"珊瑚\"', color: '#445566', aphia_id: 7}\n"
)
NAMES = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/"), min_size=1, max_size=12)


@st.composite
def outlines(draw, side):
    """A star with up to two holes, from a pixel to most of the picture, at 32-bit coordinates."""
    size = draw(st.sampled_from([1.5, 4.0, 20.0, side / 3]))
    corners = draw(st.integers(3, 30))
    radii = np.array(draw(st.lists(st.floats(0.5, 1), min_size=corners, max_size=corners))) * size
    x, y = (draw(st.floats(size, side - 1 - size)) for _ in range(2))
    angles = np.arange(corners) * 2 * math.pi / corners + draw(st.floats(0, 6))
    unit = np.column_stack([np.cos(angles), np.sin(angles)])
    ring = np.float32(np.array([x, y]) + unit * radii[:, None])
    holes = []
    if size >= 20 and corners >= 8:
        reach = 0.18 * size
        for angle in draw(st.sampled_from([[], [0.0], [0.0, math.pi]])):
            centre = np.array([x, y]) + 0.24 * size * np.array([math.cos(angle), math.sin(angle)])
            hole = np.float32(centre + unit[::2] * reach)
            if Polygon(ring).contains(Polygon(hole)):
                holes.append([float(v) for v in hole.ravel()])
    return [float(v) for v in ring.ravel()], holes


@st.composite
def batches(draw):
    side = draw(st.sampled_from([64, 300, 1500]))
    row = {
        "image_id": "00ff" * 4,
        "batch": "reef.0001",
        "survey": "reef",
        "file": f"{draw(NAMES)}.jpg",
        "site": draw(st.none() | NAMES),
        "year": draw(st.none() | st.integers(1990, 2030)),
        "quadrat": "1",
        "width": side,
        "height": side + 7,
        "raw_sha256": "r",
        "rectified_sha256": "s",
        "clean_sha256": "c",
        "clean_uri": f"images/clean/{draw(NAMES)}.jpg",
        "mask_sha256": None,
        "homography": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        "side_px": side,
        "frame_cm": 100.0,
        "raw_uri": "images/raw/ü.jpg",
        "raw_width": 900,
        "raw_height": 700,
        "rectified_uri": "images/rectified/s.jpg",
        "by": "person",
        "split": draw(st.sampled_from(["train", "val", "test"])),
    }
    shapes = []
    for shape_id in draw(st.lists(NAMES, max_size=5, unique=True)):
        ring, holes = draw(outlines(side))
        shapes.append(
            Shape(row["image_id"], shape_id, Kind.POLYGON, draw(st.sampled_from(TAXONOMY.names)), ring, holes)
        )
    hidden = {OUTSIDE: "2"} if draw(st.booleans()) else {}
    corners = [Shape(row["image_id"], "c", Kind.SKELETON, "quadrat_corner", [9, 9, 800.5, 8, 790, 650, 12, 640.25])]
    corners[0].attributes = hidden
    places = [float(v) for v in load_topology("cross").ideal(side).ravel()]
    lattice = [Shape(row["image_id"], "l", Kind.SKELETON, "lattice", places)]
    shapes.sort(key=lambda s: s.shape_id)
    cover = pa.Table.from_pylist([], schema=COVER_SCHEMA)
    return BatchInput("reef.0001", [row], shapes, cover, {}, corners, lattice)


def exported(batch, folder):
    plan = ReleasePlan("r-1", [batch.batch], "", TAXONOMY, "CC0-1.0", None, FORMATS, topology=load_topology("cross"))
    assembly = Assembly(folder, [spec for exporter in EXPORTERS.values() for spec in exporter.files(plan)])
    sections = {}
    for exporter in EXPORTERS.values():
        sections |= exporter.sections(plan, batch, counts(BatchInput("", [], [], batch.cover)))
    assembly.add(sections)
    return plan, assembly.finish()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(batches())
def test_any_batch_comes_back_from_every_format(batch):
    with tempfile.TemporaryDirectory() as folder:
        plan, files = exported(batch, Path(folder))
        assert check_batch(plan, batch, files, list(EXPORTERS)) == []
        reimported = [
            read_coco(files[f"coco/instances_{batch.images[0]['split']}.json"].read_bytes()),
            read_cvat_xml(files["cvat/corals.xml"].read_bytes()),
        ]
    picture = batch.pictures()[0]
    for reading in reimported:
        assert reading.problems == []
        found = [s for p in reading.pictures for s in p.shapes]
        plain = [s for s in batch.shapes if not s.holes]
        assert {p.file for p in reading.pictures} == {picture.file_name}
        for shape in plain:
            source = outline_polygon(shape)
            rings = [Polygon(np.reshape(f.ring, (-1, 2))) for f in found if f.label == shape.label]
            assert any(same_outline(source, ring) for ring in rings)


@settings(max_examples=40, deadline=None)
@given(outlines(200))
def test_run_lengths_of_a_box_are_those_of_the_whole_picture(outline):
    picture = Picture("i", "i.jpg", 200, 207)
    mask = pixels(Shape("i", "s", Kind.POLYGON, "Porites", *outline), picture)
    assert encode_pixels(mask.mask, mask.left, mask.top, 207, 200) == encode_rle(mask.on(207, 200))


def test_a_mask_at_the_very_edges_of_a_picture_keeps_its_run_lengths():
    full = np.ones((5, 4), bool)
    assert encode_pixels(full, 0, 0, 5, 4) == encode_rle(full)
    assert encode_pixels(np.zeros((0, 0), bool), 0, 0, 5, 4) == encode_rle(np.zeros((5, 4), bool))
    corner = np.zeros((5, 4), bool)
    corner[3:, 2:] = True
    assert encode_pixels(np.ones((2, 2), bool), 2, 3, 5, 4) == encode_rle(corner)


def test_masks_come_back_from_the_formats_of_pixels():
    mask = np.zeros((71, 64), bool)
    mask[10:30, 5:20] = True
    mask[50:55, 40:41] = True
    row = {"image_id": "a", "width": 64, "height": 71, "clean_uri": "a.jpg", "split": "val", "batch": "b.0001"}
    row |= {"site": None, "year": None, "quadrat": None, "frame_cm": 100.0, "survey": "b", "file": "a.jpg"}
    row |= {"raw_sha256": "r", "rectified_sha256": "r", "clean_sha256": "r", "homography": [1.0] * 9, "side_px": 64}
    shape = Shape("a", "m", Kind.MASK, "Porites", [], rle=encode_rle(mask))
    batch = BatchInput("b.0001", [row], [shape], pa.Table.from_pylist([], schema=COVER_SCHEMA))
    with tempfile.TemporaryDirectory() as folder:
        plan, files = exported(batch, Path(folder))
        wanted = ["parquet", "coco", "cvat", "datumaro", "masks", "panoptic", "yolo"]
        assert check_batch(plan, batch, files, wanted) == []
        reading = read_cvat_xml(files["cvat/corals.xml"].read_bytes())
    assert "2 separate parts" in reading.problems[0]


def test_pixels_that_differ_are_noticed():
    assert mask_iou(np.eye(4, dtype=bool), ~np.eye(4, dtype=bool)) == 0
    assert mask_iou(np.zeros((2, 2), bool), np.zeros((3, 3), bool)) == 0
    assert not same_outline(Polygon([(0, 0), (9, 0), (9, 9)]), Polygon([(0, 0), (9, 0), (9, 8)]))
    assert painted([2, 2, 6, 2, 6, 6, 2, 6], 10, 10).sum() == 16


@pytest.mark.parametrize("damage", ["labels.parquet", "coco/instances_val.json", "cvat/corals.xml", "masks.zip"])
def test_a_damaged_file_is_named_by_its_format(damage, tmp_path):
    row = {"image_id": "a", "width": 64, "height": 64, "clean_uri": "a.jpg", "split": "val", "batch": "b.0001"}
    row |= {"site": None, "year": None, "quadrat": None, "frame_cm": 100.0, "survey": "b", "file": "a.jpg"}
    row |= {"raw_sha256": "r", "rectified_sha256": "r", "clean_sha256": "r", "homography": [1.0] * 9, "side_px": 64}
    shape = Shape("a", "m", Kind.POLYGON, "Porites", [5.0, 5, 40, 5, 40, 40])
    batch = BatchInput("b.0001", [row], [shape], pa.Table.from_pylist([], schema=COVER_SCHEMA))
    plan, files = exported(batch, tmp_path)
    files[damage].write_bytes(files[damage].read_bytes()[:-30])
    wrong = check_batch(plan, batch, files, list(EXPORTERS))
    assert len(wrong) == 1
    assert "cannot be read back" in wrong[0]


def test_yolo_lines_that_are_no_outlines_are_named_and_the_rest_is_read():
    texts = {"labels/train/a.txt": b"0 0.1 0.1 0.5 0.1 0.5 0.5\n0 0.1 0.1\n7 0.1 0.1 0.2 0.2 0.1 0.2\nx\n"}
    reading = read_yolo(texts, ["Porites"])
    assert [s.ring for s in reading.pictures[0].shapes] == [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]
    assert len(reading.problems) == 3
    assert "labels/train/a.txt:3: class 7, where data.yaml has 1" in reading.problems[1]
