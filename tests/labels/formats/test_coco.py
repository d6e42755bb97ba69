"""COCO: outlines, holes and masks as instances; equal input gives equal bytes."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labels.formats.coco import to_coco
from labels.formats.common import FormatError, Picture
from labels.formats.rle import RleError, decode_rle, encode_rle
from labels.schema import Kind, Shape
from labels.taxonomy import TaxonomyError, load_taxonomy

TAXONOMY = load_taxonomy("demo-reef")
IMAGES = [Picture("b", "b.jpg", 60, 40), Picture("a", "a.jpg", 50, 50, {"site": "Tikehau"})]
SQUARE = [10.0, 10.0, 29.0, 10.0, 29.0, 29.0, 10.0, 29.0]
HOLE = [14.5, 14.5, 19.5, 14.5, 19.5, 19.5, 14.5, 19.5]


def shape(number, image="a", **more):
    return Shape(image, f"{image}:{number}", Kind.POLYGON, "Porites", SQUARE, **more)


def test_pictures_categories_and_outlines_are_numbered_from_one():
    document = json.loads(to_coco(IMAGES, [shape(1), shape(0, "b", score=0.25)], TAXONOMY))
    assert [(i["id"], i["image_id"], i.get("site")) for i in document["images"]] == [
        (1, "a", "Tikehau"),
        (2, "b", None),
    ]
    assert [c["name"] for c in document["categories"]] == list(TAXONOMY.names)
    first, second = document["annotations"]
    assert (first["image_id"], first["category_id"], second["image_id"], second["score"]) == (1, 3, 2, 0.25)
    assert first["segmentation"] == [[v + 0.5 for v in SQUARE]]
    assert first["bbox"] == [10.5, 10.5, 19, 19]
    assert first["area"] == 361


def test_an_outline_with_a_hole_becomes_run_lengths_without_the_hole():
    (item,) = json.loads(to_coco(IMAGES, [shape(1, holes=[HOLE])], TAXONOMY))["annotations"]
    mask = decode_rle(item["segmentation"]["counts"], *item["segmentation"]["size"])
    assert mask.shape == (50, 50)
    assert mask[17, 17] == 0
    assert mask[12, 12] == 1
    assert mask.sum() == 20 * 20 - 5 * 5
    assert item["area"] == 361 - 25
    assert item["bbox"] == [10, 10, 20, 20]


def test_a_mask_keeps_its_run_lengths():
    mask = np.zeros((40, 60), bool)
    mask[5:9, 30:42] = True
    row = Shape("b", "b:1", Kind.MASK, "Porites", [], rle=encode_rle(mask))
    (item,) = json.loads(to_coco(IMAGES, [row], TAXONOMY))["annotations"]
    assert (item["area"], item["bbox"]) == (48, [30, 5, 12, 4])
    assert np.array_equal(decode_rle(item["segmentation"]["counts"], 40, 60), mask)


def test_the_order_of_the_input_does_not_change_the_bytes():
    shapes = [shape(n, image) for n in range(4) for image in "ab"]
    assert to_coco(IMAGES, shapes, TAXONOMY) == to_coco(IMAGES[::-1], shapes[::-1], TAXONOMY)


def test_skeletons_and_tags_are_no_instances():
    others = [Shape("a", "t", Kind.TAG, "Porites", []), Shape("a", "s", Kind.SKELETON, "lattice", [1, 2])]
    assert json.loads(to_coco(IMAGES, others, TAXONOMY))["annotations"] == []


def test_foreign_pictures_and_taxa_are_refused():
    with pytest.raises(ValueError, match="not in the data set"):
        to_coco([], [shape(1)], TAXONOMY)
    with pytest.raises(TaxonomyError):
        to_coco(IMAGES, [Shape("a", "x", Kind.POLYGON, "Nemo", SQUARE)], TAXONOMY)


@pytest.mark.parametrize(
    ("points", "wrong"),
    [
        (SQUARE[:4], "an outline of 2 points"),
        ([], "an outline of 0 points"),
        (SQUARE[:7], "an outline of 3 points"),
        ([*SQUARE[:7], float("nan")], "coordinates that are no numbers"),
        ([*SQUARE[:7], float("inf")], "coordinates that are no numbers"),
    ],
)
def test_an_unsound_outline_among_sound_ones_is_named(points, wrong):
    shapes = [shape(0), Shape("a", "sick", Kind.POLYGON, "Porites", points), shape(2), shape(3, "b")]
    with pytest.raises(FormatError, match=f"a/sick: {wrong}"):
        to_coco(IMAGES, shapes, TAXONOMY)


@given(st.lists(st.integers(0, 6_600_000), min_size=6, max_size=6))
@example([6_553_549, 6_553_548, 6_553_551, 1, 100, 12_345])
@example([0, 10, 9_999_999_999, 1, 100, 12_345])
def test_every_hundredth_of_a_pixel_is_written_as_it_is(hundredths):
    row = Shape("a", "a:1", Kind.POLYGON, "Porites", [n / 100 - 0.5 for n in hundredths])
    text = to_coco(IMAGES, [row], TAXONOMY).decode()
    numbers = text.partition('"segmentation":[[')[2].partition("]]")[0].split(",")
    assert numbers == [repr(n / 100) for n in hundredths]


def any_outline(number, image):
    corner = st.integers(0, 4000).map(lambda n: n / 100)
    ring = st.lists(corner, min_size=3, max_size=8).flatmap(
        lambda xs: st.lists(corner, min_size=len(xs), max_size=len(xs)).map(
            lambda ys: [v for xy in zip(xs, ys, strict=True) for v in xy]
        )
    )
    plain = ring.map(lambda points: Shape(image, f"{image}:{number}", Kind.POLYGON, "Porites", points))
    mask = Shape(image, f"{image}:{number}", Kind.MASK, "Porites", [], rle=encode_rle(np.ones((40, 60), bool)))
    return st.one_of(plain, st.just(shape(number, image, holes=[HOLE])), st.just(mask) if image == "b" else plain)


@given(data=st.data(), counts=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_what_is_written_of_an_outline_does_not_depend_on_the_others(data, counts):
    pictures = [Picture(name, f"{name}.jpg", 60, 40) for name in "abc"]
    each = [
        data.draw(any_outline(number, picture.image_id))
        for picture, count in zip(pictures, counts, strict=True)
        for number in range(count)
    ]
    together = json.loads(to_coco(pictures, each, TAXONOMY))["annotations"]
    assert [(item["id"], item["shape_id"]) for item in together] == [(n, s.shape_id) for n, s in enumerate(each, 1)]
    for own, item in zip(each, together, strict=True):
        (alone,) = json.loads(to_coco(pictures, [own], TAXONOMY))["annotations"]
        assert item == alone | {"id": item["id"]}


@given(hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_any_mask_survives_its_run_lengths(mask):
    assert np.array_equal(decode_rle(encode_rle(mask), *mask.shape), mask)


@given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_any_text_is_a_mask_or_an_error(text):
    try:
        assert decode_rle(text, 6, 7).shape == (6, 7)
    except RleError as error:
        assert str(error)


def test_run_lengths_are_those_of_the_coco_tools():
    # pycocotools.mask.encode(np.asfortranarray(mask)) of the same mask
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:6] = True
    assert encode_rle(mask) == ";32000004"
    sparse = np.random.default_rng(1).random((6, 300)) < 0.01
    assert encode_rle(sparse) == "i21a0090ZO0c50cK0X10j00_30dJ0l10SM0b20k10bM0UO0D0V<0"
