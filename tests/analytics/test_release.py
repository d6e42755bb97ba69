"""A release: the same bytes whoever makes it, nothing missing, no ground in two splits, nothing half-made in sight."""

import errno
import hashlib
import io
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from analytics.cover import COVER_SCHEMA
from analytics.release import (
    CHECKSUMS,
    FORMATS,
    RELEASE_JSON,
    BatchInput,
    Filter,
    ReleaseDefectError,
    ReleasePlan,
    SplitError,
    split_of,
    verify,
    write_release,
)
from analytics.release.diff import _iou
from labels.formats.coco import coco_instances
from labels.formats.rle import encode_rle
from labels.lattice import load_topology
from labels.schema import OUTSIDE, Kind, Shape
from labels.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy("demo-reef")
HOLE = [40.0, 15, 50, 15, 50, 25, 40, 25]


def image(n, site="Temae", year=2021, quadrat="1", batch="reef.0001"):
    return {
        "image_id": f"{n:016x}",
        "batch": batch,
        "survey": "reef",
        "file": f"{site}_{year}_{quadrat}.jpg",
        "site": site,
        "year": year,
        "quadrat": quadrat,
        "width": 200,
        "height": 160,
        "raw_sha256": f"r{n}",
        "rectified_sha256": f"s{n}",
        "clean_sha256": f"c{n}",
        "clean_uri": f"images/clean/c{n}.jpg",
        "mask_sha256": None,
        "homography": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        "side_px": 200,
        "frame_cm": 100.0,
        "raw_uri": f"images/raw/r{n}.jpg",
        "raw_width": 300,
        "raw_height": 240,
        "rectified_uri": f"images/rectified/s{n}.jpg",
        "by": "person" if n % 2 else "model",
    }


def batch_of(name, numbers, shuffle=0):
    images = [image(n, year=2021 + n % 3, quadrat=str(n // 3), batch=name) for n in numbers]
    shapes, corners, cover = [], [], []
    for row in images:
        image_id = row["image_id"]
        shapes += [
            Shape(image_id, f"{image_id}:0", Kind.POLYGON, "Porites", [1.0, 1, 90, 1, 90, 80, 1, 70], model="m@1"),
            Shape(image_id, f"{image_id}:1", Kind.POLYGON, "Acropora", [10.0, 10, 60, 10, 60, 60], [HOLE]),
        ]
        corners.append(
            Shape(
                image_id,
                f"{image_id}:c",
                Kind.SKELETON,
                "quadrat_corner",
                [10, 10, 290.25, 11, 288, 230, 12, 228],
                attributes={OUTSIDE: "3"},
            )
        )
        cover += [
            {name: None for name in COVER_SCHEMA.names}
            | {"image_id": image_id, "batch": name, "survey": "reef", "taxon": taxon, "share": 0.1}
            | {"cm2": 1.0, "colonies": 1, "inpainted_share": 0.0, "valid_cm2": 10.0, "sd_labels": 0.0}
            | {"sd_corners": 0.0, "sd_inpainted": 0.0}
            for taxon in ("Porites", "Acropora")
        ]
    order = random.Random(shuffle)
    for rows in (images, shapes, cover, corners):
        order.shuffle(rows)
    table = pa.Table.from_pylist(cover, schema=COVER_SCHEMA)
    return BatchInput(name, images, shapes, table, {"accuracy": 1.0}, corners, subset="val")


def plan(batches=("reef.0001", "reef.0002"), **more):
    given = {"reason": "", "taxonomy": TAXONOMY, "licence": "CC-BY-4.0", "citation": None, **more}
    return ReleasePlan(given.pop("name", "reef-1.0.0"), batches, **given)


def load(batch, shuffle=0):
    first = 12 * (int(batch[-1]) - 1)
    return batch_of(batch, range(first, first + 12), shuffle)


class Shelf:
    """A shelf in memory; ``room``: bytes that fit before the disk is full."""

    def __init__(self, room=None, before=None):
        self.files, self.parts, self.room, self.before = {}, {}, room, before or {}

    def _take(self, data):
        if self.room is not None:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return data

    def part(self, batch, digest):
        return self.parts.get((batch, digest))

    def keep_part(self, batch, digest, data):
        self.parts[batch, digest] = self._take(data)

    def put_file(self, path, file):
        self.files[path] = self._take(file.read_bytes())

    def commit(self, data):
        self.files[RELEASE_JSON] = self._take(data)
        self.parts = {}

    def discard(self):
        self.files = {}

    def previous(self, name, folder):
        for path, data in self.before.items():
            (folder / path.replace("/", "~")).write_bytes(data)
        return {path: folder / path.replace("/", "~") for path in self.before}


def made(the_plan=None, loader=load, shelf=None, **more):
    shelf = shelf or Shelf()
    write_release(the_plan or plan(), loader, shelf, **more)
    return shelf.files


def defects(files):
    return verify(files, files.__getitem__, lambda path: hashlib.sha256(files[path]).hexdigest())


def table(files, name):
    return pq.read_table(io.BytesIO(files[name])).to_pylist()


@pytest.fixture(scope="module")
def files():
    return made(plan(formats=FORMATS))


def test_the_order_of_the_inputs_does_not_change_a_byte(files):
    assert made(plan(formats=FORMATS), lambda b: load(b, shuffle=7)) == files


def test_a_whole_release_verifies_and_a_changed_one_does_not(files):
    assert defects(files) == []
    assert defects({**files, "cover.csv": b"x"}) == ["cover.csv has changed"]
    assert defects({k: v for k, v in files.items() if k != "labels.parquet"}) == ["labels.parquet is missing"]
    assert defects({**files, "more.txt": b""}) == ["more.txt is not of the release"]
    forged = {**files, CHECKSUMS: files[CHECKSUMS].replace(b"cover.csv", b"other.csv")}
    assert any("is not the one" in defect for defect in defects(forged))
    assert defects({}) != []


def test_all_years_of_a_fixed_quadrat_are_in_one_split(files):
    splits = {}
    for row in table(files, "images.parquet"):
        splits.setdefault((row["site"], row["quadrat"]), set()).add(row["split"])
    assert all(len(names) == 1 for names in splits.values())
    assert split_of("Temae", "1", "x") == split_of("Temae", "1", "y")


def test_splits_are_near_their_shares_over_many_quadrats():
    names = [split_of("site", str(n), "") for n in range(3000)]
    assert 0.67 < names.count("train") / 3000 < 0.73
    assert 0.12 < names.count("val") / 3000 < 0.18


def test_every_label_belongs_to_a_picture_and_counts_agree_everywhere(files):
    ids = {row["image_id"] for row in table(files, "images.parquet")}
    labels = table(files, "labels.parquet")
    assert {row["image_id"] for row in labels} <= ids
    coco = [json.loads(files[f"coco/instances_{split}.json"]) for split in ("train", "val", "test")]
    assert sum(len(c["images"]) for c in coco) == len(ids)
    assert sum(len(c["annotations"]) for c in coco) == len(labels)
    for document in coco:
        assert [a["id"] for a in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
        assert [i["id"] for i in document["images"]] == list(range(1, len(document["images"]) + 1))
    counts = json.loads(files[RELEASE_JSON])["counts"]
    assert (counts["images"], counts["colonies"], counts["corners"]) == (24, 48, 24)
    assert counts["models"] == ["m@1"]
    assert sum(counts["balance"]["Porites"].values()) == 24
    assert json.loads(files[RELEASE_JSON])["checked_objects"] == 48


@pytest.mark.parametrize("word", ["CC-BY-4.0", "reef.0001", "demo-reef", "| Porites | 24 |", "slits of no width"])
def test_the_data_sheet_says_what_a_reader_needs(files, word):
    assert word in files["README.md"].decode()


def test_a_release_cut_off_goes_on_with_the_parts_it_had_and_gives_the_same_bytes():
    shelf, loaded = Shelf(), []

    def dies(batch):
        loaded.append(batch)
        if batch == "reef.0002":
            raise RuntimeError("the machine was switched off")
        return load(batch)

    with pytest.raises(RuntimeError):
        write_release(plan(), dies, shelf)
    assert shelf.files == {}
    assert len(shelf.parts) == 1
    seen = []
    write_release(plan(), load, shelf, progress=seen.append)
    assert [(p.batch, p.reused, p.done, p.total) for p in seen] == [
        ("reef.0001", True, 1, 2),
        ("reef.0002", False, 2, 2),
    ]
    assert shelf.files == made()
    assert shelf.parts == {}


def test_a_damaged_part_is_made_anew():
    shelf = Shelf(room=0)
    with pytest.raises(ReleaseDefectError):
        write_release(plan(), load, shelf)
    whole = Shelf()
    with pytest.raises(ZeroDivisionError):
        write_release(plan(), load, whole, progress=lambda p: 1 // 0 if p.done == 2 else None)
    whole.parts = {key: data[: len(data) // 2] for key, data in whole.parts.items()}
    seen = []
    write_release(plan(), load, whole, progress=seen.append)
    assert [p.reused for p in seen] == [False, False]
    assert whole.files == made()


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95, 0.999])
def test_a_full_disk_is_named_and_leaves_no_half_release(share):
    whole = Shelf(room=10**9)
    write_release(plan(), load, whole)
    used = 10**9 - whole.room
    shelf = Shelf(room=int(used * share))
    with pytest.raises(ReleaseDefectError, match="disk is full"):
        write_release(plan(), load, shelf)
    assert shelf.files == {}
    shelf.room = None
    write_release(plan(), load, shelf)
    assert shelf.files == whole.files


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (Shape("0" * 16, "x", Kind.POLYGON, "Porites", [1.0, 1, 5, 1]), "0{16}/x: 4 coordinates are too few"),
        (Shape("0" * 16, "x", Kind.POLYGON, "Porites", [1.0, 1, 5, 1, float("nan"), 5]), "0{16}/x: .*no numbers"),
        (Shape("0" * 16, "x", Kind.POLYGON, "Nemo", [1.0, 1, 5, 1, 5, 5]), "0{16}/x: label 'Nemo' is not in the"),
        (Shape("0" * 16, "x", Kind.POLYGON, "Porites", [500.0, 1, 900, 1, 900, 90]), "0{16}/x: points outside"),
    ],
)
def test_a_label_that_cannot_be_released_is_named_with_its_batch_and_nothing_is_visible(shape, what):
    def bad(batch):
        given = load(batch)
        given.images = [image(0, batch=batch)]
        given.shapes = [shape]
        return given

    shelf = Shelf()
    with pytest.raises(ReleaseDefectError, match=f"reef.0001.*{what}"):
        write_release(plan(("reef.0001",)), bad, shelf)
    assert shelf.files == {}


def test_an_empty_batch_and_pictures_without_labels_are_no_trouble():
    def sparse(batch):
        given = load(batch)
        if batch == "reef.0001":
            return BatchInput(batch, [], [], given.cover.slice(0, 0))
        given.shapes = []
        return given

    files = made(plan(formats=FORMATS), sparse)
    assert len(table(files, "images.parquet")) == 12
    assert table(files, "labels.parquet") == []
    assert defects(files) == []


def test_a_release_of_nothing_is_refused_and_says_what_the_filter_was():
    with pytest.raises(ReleaseDefectError, match="answered for by a robot"):
        made(plan(filter=Filter(by="robot")))


def test_the_filter_takes_taxa_and_pictures_that_a_person_answered_for():
    files = made(plan(filter=Filter(taxa=("Acropora",), by="person")))
    assert {row["label"] for row in table(files, "labels.parquet")} == {"Acropora"}
    assert {row["by"] for row in table(files, "images.parquet")} == {"person"}
    assert {row["taxon"] for row in table(files, "cover.parquet")} == {"Acropora"}
    assert "taxa Acropora; pictures answered for by a person" in files["README.md"].decode()


def test_the_subset_of_cvat_is_the_split_when_asked_for():
    files = made(plan(by_subset=True))
    assert {row["split"] for row in table(files, "images.parquet")} == {"val"}


def test_a_quadrat_in_two_subsets_of_cvat_is_refused_by_name():
    def leaking(batch):
        given = load(batch)
        given.subset = "Train" if batch == "reef.0001" else "test"
        given.images = [row | {"quadrat": "7"} for row in given.images]
        return given

    with pytest.raises(SplitError, match="Temae/7 is in the subsets train and test"):
        made(plan(by_subset=True), leaking)
    with pytest.raises(SplitError, match="subset None"):
        made(plan(by_subset=True), lambda b: BatchInput(b, load(b).images, [], load(b).cover))


def test_a_format_that_does_not_come_back_as_it_went_in_fails_the_release_and_names_the_object(monkeypatch):
    def careless(pictures, shapes, *rest):
        moved = [
            Shape(s.image_id, s.shape_id, s.kind, s.label, [v + 3 * (s.shape_id == f"{2:016x}:0") for v in s.points])
            for s in shapes
        ]
        return coco_instances(pictures, moved, *rest)

    monkeypatch.setattr("analytics.release.exporters.coco_instances", careless)
    shelf = Shelf()
    with pytest.raises(ReleaseDefectError) as caught:
        write_release(plan(), load, shelf)
    assert f"coco: {2:016x}/{2:016x}:0: another outline" in str(caught.value)
    assert f"{3:016x}/{3:016x}:1" in str(caught.value), "a lost hole was not noticed"
    assert f"{3:016x}/{3:016x}:0" not in str(caught.value)
    assert shelf.files == {}


def test_a_lattice_and_a_50000_point_outline_come_through_every_format():
    import numpy as np

    topology = load_topology("cross")
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    radius = 60 + 5 * np.sin(40 * angle)
    ring = np.column_stack([100 + radius * np.cos(angle), 80 + radius * np.sin(angle)]).ravel().tolist()

    def big(batch):
        given = batch_of(batch, [0])
        image_id = given.images[0]["image_id"]
        given.shapes = [Shape(image_id, "größe", Kind.POLYGON, "Porites", [float(np.float32(v)) for v in ring])]
        places = [float(v) for v in topology.ideal(200).ravel()]
        given.lattice = [Shape(image_id, "l", Kind.SKELETON, "lattice", places)]
        return given

    files = made(plan(("reef.0001",), formats=FORMATS, topology=topology), big)
    assert len(table(files, "labels.parquet")[0]["points"]) == 100_000
    assert table(files, "keypoints.parquet")[1]["label"] == "lattice"
    assert "yolo/pose-lattice.zip" in files


def test_the_changelog_lists_what_changed_since_the_release_before(files):
    def redrawn(batch):
        given = load(batch)
        for shape in given.shapes:
            if shape.shape_id == f"{2:016x}:0":
                shape.points = [1.0, 1, 90, 1, 90, 40, 1, 35]
        given.shapes = [s for s in given.shapes if s.shape_id != f"{3:016x}:1"]
        return given

    before = {name: files[name] for name in ("images.parquet", "labels.parquet")}
    text = made(plan(previous="reef-0.9.0"), redrawn, Shelf(before=before))["CHANGELOG.md"].decode()
    assert "0 added, 1 removed, 1 changed, 46 as before" in text
    assert "| Porites | 24 | 24 | 0 | 0 | 1 |" in text
    assert f"{2:016x}:0 | Porites | 0." in text
    same = made(plan(previous="reef-0.9.0"), load, Shelf(before=before))["CHANGELOG.md"].decode()
    assert "Nothing changed" in same


def test_a_picture_whose_quadrat_or_split_was_corrected_is_no_picture_as_before(files):
    def moved(batch):
        given = load(batch)
        for row in given.images:
            row["site"] = "Tiahura" if row["image_id"] == f"{2:016x}" else row["site"]
        return given

    before = {name: files[name] for name in ("images.parquet", "labels.parquet")}
    text = made(plan(previous="reef-0.9.0"), moved, Shelf(before=before))["CHANGELOG.md"].decode()
    assert "0 added, 0 removed, 0 made anew, 1 of another site, year, quadrat, split or size" in text
    assert "48 as before" in text


@settings(max_examples=60)
@examples(st.lists(st.booleans(), min_size=12, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_masks_of_two_releases_are_compared_by_their_pixels(one, other):
    masks = [np.reshape(values, (3, 4)) for values in (one, other)]
    shapes = [Shape("a", "m", Kind.MASK, "Porites", [], rle=encode_rle(mask)) for mask in masks]
    union = np.logical_or(*masks).sum()
    expected = np.logical_and(*masks).sum() / union if union else 1.0
    assert _iou(*shapes) == pytest.approx(expected)
    larger = Shape("a", "m", Kind.MASK, "Porites", [], rle=encode_rle(np.ones((5, 5), bool)))
    assert _iou(shapes[0], larger) == 0


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no release format 'shapefile': use coco, yolo"):
        made(plan(formats=["shapefile"]))


def test_the_scratch_folder_is_left_empty(tmp_path: Path):
    made(scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
