"""Old annotations on the photos of a survey: nothing is dropped in silence."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from analytics.cover.points import counts_of_points, mean_of_pictures, wilson
from labels.formats.coralnet import CoralNetError, NetPoint, coralnet_rows, read_coralnet, read_labelset
from labels.formats.cvat.backup import is_backup, read_cvat_backup
from labels.formats.foreign import ForeignError, read_coco, read_cvat_xml
from labels.imports import IMPORTED_FROM, Matcher, PhotoRef, label_map, match_outlines, match_points
from labels.schema import Source
from labels.taxonomy import load_crosswalk, load_taxonomy

PHOTOS = [
    PhotoRef("a" * 16, "2021/Temae_2021_01.JPG", 2000, 1000),
    PhotoRef("b" * 16, "2021/Temae_2021_02.jpg", 2000, 1000),
    PhotoRef("c" * 16, "2022/Temae_2021_02.jpg", 2000, 1000),
]
REEF = Path(__file__).parents[3] / "shared" / "data" / "reef" / "annotations"


def coco(*annotations, images=(("temae_2021_01.png", 1000, 500),)):
    return json.dumps(
        {
            "images": [{"id": i, "file_name": n, "width": w, "height": h} for i, (n, w, h) in enumerate(images)],
            "categories": [{"id": 1, "name": "porites"}, {"id": 2, "name": "Corail mou"}, {"id": 3, "name": "Empty"}],
            "annotations": [{"id": k, "image_id": 0, **a} for k, a in enumerate(annotations)],
        }
    ).encode()


SQUARE = [100, 100, 200, 100, 200, 200, 100, 200]


def test_outlines_of_a_shrunk_copy_lie_on_the_photo_with_their_provenance():
    reading = read_coco(coco({"category_id": 1, "segmentation": [SQUARE]}))
    shapes, report = match_outlines(reading, "old.json", Matcher(PHOTOS), {"porites": "Porites"}, {})
    [shape] = shapes
    assert (shape.image_id, shape.label, shape.source) == ("a" * 16, "Porites", Source.HUMAN)
    assert shape.points == [199.5, 199.5, 399.5, 199.5, 399.5, 399.5, 199.5, 399.5]
    assert shape.attributes == {IMPORTED_FROM: "old.json, annotation 0", "original_label": "porites"}
    assert (report.labels, report.photos_without) == (1, 2)


def test_everything_that_is_not_imported_is_accounted_for():
    given = [
        {"category_id": 1, "segmentation": [SQUARE]},
        {"category_id": 2, "segmentation": [SQUARE]},
        {"category_id": 3, "segmentation": [SQUARE]},
        {"category_id": 1, "segmentation": [[1, 1, 5, 5]]},
        {"category_id": 1, "segmentation": [[1, 1, 5, 1, float("nan"), 5]]},
        {"category_id": 1, "segmentation": {"size": [500, 1000], "counts": "zzz"}},
        {"category_id": 1, "segmentation": [SQUARE], "iscrowd": 1},
        {"category_id": 9, "segmentation": [SQUARE]},
        {"category_id": 1, "segmentation": []},
        {"category_id": 1},
    ]
    reading = read_coco(coco(*given))
    labels = label_map(["porites", "Empty", "Corail mou"], (), load_crosswalk("criobe-raw", "criobe-finegrained"))
    assert labels == {"porites": "Porites", "Empty": None, "Corail mou": "Other"}
    del labels["Corail mou"]
    shapes, report = match_outlines(reading, "old.json", Matcher(PHOTOS), labels, {})
    assert len(shapes) == report.labels == 1
    assert (report.dropped, report.unknown_labels) == ({"Empty": 1}, {"Corail mou": 1})
    assert len(report.problems) == 7
    assert report.labels + 1 + 1 + len(report.problems) == len(given)
    assert report.problems[0] == "annotation 3: an outline of 2 points: draw at least three"


@pytest.mark.parametrize(
    ("name", "size", "taken", "why"),
    [
        ("nowhere.jpg", (2000, 1000), {}, "no photo of the survey has this name (1 objects)"),
        ("temae_2021_02.jpg", (2000, 1000), {}, "2 photos have this name: 2021/Temae_2021_02.jpg, 2022"),
        ("Temae_2021_01.jpg", (2000, 2000), {}, "2000x2000 px, the photo has 2000x1000: another cut"),
        (
            "Temae_2021_01.jpg",
            (2000, 1000),
            {"a" * 16: "older"},
            "import older has labelled 2021/Temae_2021_01.JPG already: --replace older",
        ),
    ],
)
def test_a_picture_that_does_not_match_says_why(name, size, taken, why):
    reading = read_coco(coco({"category_id": 1, "segmentation": [SQUARE]}, images=[(name, *size)]))
    shapes, report = match_outlines(reading, "old.json", Matcher(PHOTOS), {"porites": "Porites"}, taken)
    assert shapes == []
    assert why in report.unmatched[name]


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ({"size": [100, 200], "counts": [0, 20_000]}, "a mask of 200x100 px on a picture of 1000x500 px"),
        ({"size": [500, 1000], "counts": [0, 10**12]}, "do not fill the mask's 500000 pixels"),
        ({"size": [500, 1000], "counts": [-5, 500_005]}, "do not fill the mask's 500000 pixels"),
        ([[1100, 10, 1200, 10, 1200, 90]], "lies outside of the 2000x1000 photo"),
        ([[10, 10, 1e30, 10, 1200, 90]], "reaches far beyond the 2000x1000 photo"),
    ],
)
def test_labels_that_would_lie_elsewhere_or_fill_the_memory_are_named(segmentation, why):
    good = {"category_id": 1, "segmentation": [SQUARE]}
    reading = read_coco(coco({"category_id": 1, "segmentation": segmentation}, good))
    shapes, report = match_outlines(reading, "old.json", Matcher(PHOTOS), {"porites": "Porites"}, {})
    assert [shape.attributes[IMPORTED_FROM] for shape in shapes] == ["old.json, annotation 1"]
    [problem] = report.problems
    assert problem.startswith("annotation 0: ")
    assert why in problem


@pytest.mark.parametrize("size", [(None, None), (0, 0), (-2000, -1000), ("wide", "high")])
def test_where_a_file_states_no_size_pixels_are_those_of_the_photo_and_that_is_said(size):
    reading = read_coco(coco({"category_id": 1, "segmentation": [SQUARE]}, images=[("temae_2021_01.png", *size)]))
    [shape], report = match_outlines(reading, "old.json", Matcher(PHOTOS), {"porites": "Porites"}, {})
    assert shape.points == [99.5, 99.5, 199.5, 99.5, 199.5, 199.5, 99.5, 199.5]
    assert report.problems == [
        "temae_2021_01.png: its size is not stated, so it is taken to be the photo's, 2000x1000 px"
    ]


def test_a_whole_path_tells_photos_of_one_name_apart():
    assert Matcher(PHOTOS).find("2022/Temae_2021_02.jpg") == PHOTOS[2]
    assert isinstance(Matcher(PHOTOS).find("Temae_2021_02.jpg"), str)


def test_without_a_crosswalk_labels_are_taken_by_their_own_name():
    assert label_map(["PORITES", "sand"], load_taxonomy("demo-reef").names, None) == {"PORITES": "Porites"}


def test_an_xml_of_cvat_keeps_boxes_and_ellipses_and_names_the_rest():
    text = b"""<annotations><image id="0" name="a.jpg" width="100" height="80">
      <box label="Porites" xtl="1" ytl="2" xbr="11" ybr="22" rotation="90"/>
      <ellipse label="Porites" cx="50" cy="40" rx="10" ry="5"/>
      <polyline label="Porites" points="1,1;2,2"/><polygon label="Porites" points="1,1;x,2;3,3"/>
      <mask label="Porites" rle="1, 2" left="0" top="0" width="9" height="9"/></image></annotations>"""
    reading = read_cvat_xml(text)
    [picture] = reading.pictures
    assert (picture.file, picture.width, len(picture.shapes)) == ("a.jpg", 100, 2)
    assert max(picture.shapes[0].ring[::2]) == pytest.approx(15.5)
    assert [p.split(":")[0] for p in reading.problems] == ["a.jpg, polyline 2", "a.jpg, polygon 3", "a.jpg, mask 4"]


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (read_coco, b"{}"),
        (read_coco, b"not json"),
        (read_coco, b"[]"),
        (read_coco, b'{"images": [], "categories": [], "annotations": null}'),
        (read_coco, b'{"images": [], "categories": [], "annotations": {"a": 1}}'),
        (read_coco, b"[" * 100_000),
        (read_cvat_xml, b"<nothing"),
        (read_cvat_xml, b"<svg/>"),
        (read_cvat_xml, b'<!DOCTYPE a [<!ENTITY b "c">]><annotations/>'),
        (read_cvat_xml, b"<annotations><track/></annotations>"),
    ],
)
def test_a_file_of_another_format_is_refused(read, data):
    with pytest.raises(ForeignError):
        read(data)


def test_points_outside_of_their_photo_and_of_no_photo_are_named():
    points = [
        NetPoint("Temae_2021_01.jpg", 5, 7, "Sand", "anna"),
        NetPoint("Temae_2021_01.jpg", 1000, 7, "Sand"),
        NetPoint("else.jpg", 1, 1, "Sand"),
    ]
    shapes, report = match_points(points, ["x"], "f.csv", Matcher(PHOTOS), {"Sand": "Soft substrate"})
    [shape] = shapes
    assert (shape.points, shape.annotator, shape.attributes["group"]) == ([7.0, 5.0], "anna", "Soft substrate")
    assert report.unmatched == {"else.jpg": "no photo of the survey has this name (1 points)"}
    assert len(report.problems) == 2


def test_a_csv_of_points_comes_back_and_bad_rows_are_named():
    points = [NetPoint("é, 1.jpg", 3, 4, "Porit")]
    data = b"Name,Row,Column,Label\n" + coralnet_rows(points) + b"b.jpg,x,1,Sand\nb.jpg,1,1,\n,1,1,Sand\n"
    read, problems = read_coralnet(data, "f.csv")
    assert read == points
    assert [p.partition(": ")[0] for p in problems] == ["f.csv:3", "f.csv:4", "f.csv:5"]
    with pytest.raises(CoralNetError, match="no column Row, Column"):
        read_coralnet(b"Name,Label\n")
    with pytest.raises(CoralNetError, match="functional_group"):
        read_labelset(b"Name,Short_Code\n")


@pytest.mark.skipif(not REEF.is_dir(), reason="the Moorea annotations are not here (../shared/data/reef)")
def test_expert_points_of_moorea_give_cover_by_functional_group():
    groups = {code: group for code, (_, group) in read_labelset((REEF / "labelset.csv").read_bytes()).items()}
    file = sorted(REEF.glob("mcr*.csv"))[0]
    points, problems = read_coralnet(file.read_bytes(), file.name)
    assert (len(points), problems) == (200, [])
    photo = PhotoRef("a" * 16, f"{file.stem}.jpg", 4000, 4000)
    shapes, report = match_points(points, [], file.name, Matcher([photo]), groups)
    assert report.unknown_labels == {}
    rows = counts_of_points("a" * 16, shapes, groups)
    assert sum(row["hits"] for row in rows) == 200
    assert {"Hard coral", "Algae"} <= {row["taxon"] for row in rows}
    assert all(row["low"] <= row["share"] <= row["high"] for row in rows)


@pytest.mark.skipif(not REEF.is_dir(), reason="the Moorea annotations are not here (../shared/data/reef)")
def test_cover_of_the_moorea_reef_by_expert_points_has_intervals_from_its_quadrats():
    groups = {code: group for code, (_, group) in read_labelset((REEF / "labelset.csv").read_bytes()).items()}
    rows, hits = [], Counter()
    for number, file in enumerate(sorted(REEF.glob("mcr*.csv"))):
        points, _ = read_coralnet(file.read_bytes(), file.name)
        photo = PhotoRef(f"{number:016x}", f"{file.stem}.jpg", 4000, 4000)
        shapes, _ = match_points(points, [], file.name, Matcher([photo]), groups)
        rows += counts_of_points(photo.image_id, shapes, groups)
        hits.update(groups[point.label] for point in points)
    cover = {row["taxon"]: row for row in mean_of_pictures(rows)}
    assert {group: row["hits"] for group, row in cover.items()} == dict(hits)
    assert sum(row["share"] for row in cover.values()) == pytest.approx(1)
    coral = cover["Hard coral"]
    assert (coral["points"], coral["share"]) == (3000, pytest.approx(hits["Hard coral"] / 3000))
    low, high = wilson(coral["hits"], 3000)
    assert coral["high"] - coral["low"] > 2 * (high - low), "points of one quadrat are not independent"
    assert coral["low"] < coral["share"] < coral["high"]


def test_a_renamed_picture_is_found_by_its_content_and_content_goes_before_names():
    photos = [PhotoRef("a" * 16, "2021/Temae_2021_01.JPG", 9, 9, "one"), PhotoRef("b" * 16, "x/DSC1.jpg", 9, 9, "two")]
    found = Matcher(photos, {"pics/old name.png": "two", "pics/temae_2021_01.jpg": "two", "pics/DSC2.jpg": "three"})
    assert found.find("old name.png").image_id == "b" * 16
    assert found.find("other folder/old name.jpg").image_id == "b" * 16
    assert found.find("temae_2021_01.jpg").image_id == "b" * 16, "it is another photo under a known name"
    assert found.find("DSC2.jpg") == "no photo of the survey has this name, and none has its content"
    assert Matcher(photos).find("temae_2021_01.jpg").image_id == "a" * 16


def test_of_two_photos_with_one_content_the_name_decides():
    twins = [PhotoRef("a" * 16, "1.jpg", 9, 9, "one"), PhotoRef("b" * 16, "2.jpg", 9, 9, "one")]
    assert Matcher(twins, {"2.jpg": "one"}).find("2.jpg").image_id == "b" * 16


def test_a_real_backup_of_a_cvat_task_is_read_shape_by_shape(shared):
    with zipfile.ZipFile(shared / "contracts" / "cvat" / "sdk280" / "exports" / "task-backup.zip") as archive:
        assert is_backup(archive.namelist())
        reading = read_cvat_backup(archive.namelist(), archive.read)
    assert [(p.file, p.width, p.height) for p in reading.pictures] == [(f"img_00{n}.png", 320, 240) for n in range(3)]
    assert [[s.label for s in p.shapes] for p in reading.pictures] == [
        ["leafpoly", "blob", "thing", "leafpoly"], ["blob", "thing"], ["leafpoly", "blob", "thing"]
    ]  # fmt: skip
    [poly, *_] = reading.pictures[0].shapes
    assert sorted(zip(poly.ring[::2], poly.ring[1::2], strict=True)) == sorted(
        [(29.5, 29.5), (119.5, 34.5), (109.5, 109.5), (39.5, 99.5)]
    )
    assert len(reading.problems) == 6
    assert all("skeleton" in problem and "is no outline" in problem for problem in reading.problems)


def backup(folder="", jobs=(("annotation", 0, 1),), drawn=(), data=None, frames=2):
    task = {"name": "reef", "jobs": [{"type": k, "start_frame": a, "stop_frame": b} for k, a, b in jobs]}
    task["data"] = {"start_frame": 0, "stop_frame": frames - 1, "deleted_frames": [], **(data or {})}
    lines = [{"version": "1.1"}, {"type": "images"}]
    lines += [{"name": f"p{n}", "extension": ".jpg", "width": 100, "height": 50} for n in range(frames)]
    annotations = [{"version": 0, "tags": [], "shapes": list(shapes), "tracks": []} for shapes in drawn]
    made = {"task.json": json.dumps(task), "annotations.json": json.dumps(annotations)}
    made["data/manifest.jsonl"] = "\n".join(map(json.dumps, lines))
    return {folder + name: text.encode() for name, text in made.items()}


def outline(frame, **more):
    return {"type": "polygon", "frame": frame, "label": "porites", "points": SQUARE, **more}


def test_a_backup_of_a_project_gives_the_labels_of_all_its_tasks_and_names_what_is_none():
    kinds = (("annotation", 0, 1), ("ground_truth", 0, 1), ("consensus_replica", 0, 1))
    drawn = ([outline(0), outline(1), outline(7), outline(0, points=[1, 2])], [outline(0)], [outline(0)])
    files = backup("task_0/", kinds, drawn, {"deleted_frames": [1]}) | backup("task_1/", drawn=([outline(1)],))
    reading = read_cvat_backup([*files, "project.json"], files.__getitem__)
    assert [(p.file, len(p.shapes)) for p in reading.pictures] == [("p0.jpg", 1), ("p0.jpg", 0), ("p1.jpg", 1)]
    told = "\n".join(reading.problems)
    for words in ("ground truth", "another person's copy", "frame 7", "polygon 4"):
        assert words in told
    assert len(reading.problems) == 4


def test_pool_pictures_of_a_task_with_honeypots_have_the_labels_of_the_ground_truth_job():
    kinds = (("annotation", 0, 0), ("ground_truth", 1, 1))
    files = backup(jobs=kinds, drawn=([], [outline(1)]), data={"validation_params": {"mode": "gt_pool"}})
    reading = read_cvat_backup(files, files.__getitem__)
    assert [len(p.shapes) for p in reading.pictures] == [0, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data/manifest.jsonl": None}, "no list of its pictures"),
        ({"data/manifest.jsonl": b'{"type": "video"}'}, "is a video"),
        ({"annotations.json": b"[]"}, "has 0 jobs"),
        ({"annotations.json": b"{"}, "not the backup of a CVAT task"),
        ({"task.json": b"[]"}, "not the backup of a CVAT task"),
        ({"task.json": None}, "without a task"),
    ],
)
def test_a_damaged_backup_is_refused_with_what_is_wrong(change, words):
    files = {**backup(drawn=([],)), **change}
    files = {name: data for name, data in files.items() if data is not None}
    with pytest.raises(ForeignError, match=words):
        read_cvat_backup(files, files.__getitem__)
