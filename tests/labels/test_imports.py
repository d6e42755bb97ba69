"""Old annotations on the photos of a survey: nothing is dropped in silence."""

import json
from pathlib import Path

import pytest

from analytics.cover.points import counts_of_points
from labels.formats.coralnet import CoralNetError, NetPoint, coralnet_rows, read_coralnet, read_labelset
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
        ("Temae_2021_01.jpg", (2000, 1000), {"a" * 16: "older"}, "import older has labelled 2021/Temae_2021_01.JPG"),
    ],
)
def test_a_picture_that_does_not_match_says_why(name, size, taken, why):
    reading = read_coco(coco({"category_id": 1, "segmentation": [SQUARE]}, images=[(name, *size)]))
    shapes, report = match_outlines(reading, "old.json", Matcher(PHOTOS), {"porites": "Porites"}, taken)
    assert shapes == []
    assert why in report.unmatched[name]


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
