"""Contact sheets and plots: pictures that open, of a size that a web page bears."""

import base64
import io

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from analytics.contact_sheet import MOST_BYTES, Tile, contact_sheet, label_color, markdown_image
from analytics.cover import COVER_SCHEMA
from analytics.plots import cover_plot
from labels.schema import Kind, Shape
from labels.taxonomy import load_taxonomy


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def grey(shape=(300, 400)):
    return lambda: np.full((*shape, 3), 120, np.uint8)


def test_a_sheet_stays_small_enough_for_a_page_that_reads_hundreds():
    coarse = np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8)
    reef = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    sheet = contact_sheet([Tile(lambda: reef, (320, 240), f"{n}") for n in range(24)], "reef.0001")
    assert len(sheet) <= MOST_BYTES
    assert opened(sheet).shape[1] > 1000


def test_shapes_are_drawn_where_they_are_in_their_colour():
    box = Shape("a", "a", Kind.POLYGON, "Porites", [0.0, 0, 2000, 0, 2000, 1500, 0, 1500])
    tile = Tile(grey(), (4000, 3000), "a", [box], colors={"Porites": (255, 0, 0)})
    picture = opened(contact_sheet([tile]))
    red = (picture[..., 0].astype(int) - picture[..., 1] > 30).nonzero()
    assert len(red[0]) > 1000
    assert red[1].mean() < picture.shape[1] / 2, "the box covers the left half only"


def test_a_picture_that_could_not_be_made_shows_its_reason_in_its_place():
    empty = opened(contact_sheet([Tile(None, (1, 1), "a", reason="")]))
    told = opened(contact_sheet([Tile(None, (1, 1), "a", reason="no frame found: is the frame in the picture?")]))
    assert np.abs(empty.astype(int) - told).sum() > 10_000


def test_skeletons_of_any_size_and_an_empty_sheet_are_no_error():
    points = [float(v) for v in np.linspace(0, 399, 234)]
    shapes = [Shape("a", "l", Kind.SKELETON, "lattice", points), Shape("a", "c", Kind.SKELETON, "corners", points[:8])]
    assert opened(contact_sheet([Tile(grey(), (400, 300), "a", shapes)])).size
    assert opened(contact_sheet([], "empty")).size


def test_a_label_keeps_its_colour():
    assert label_color("Porites") == label_color("Porites") != label_color("Acropora")


def test_markdown_carries_the_picture_itself():
    text = markdown_image(b"\x89PNG", "image/png")
    assert base64.b64decode(text.rpartition("base64,")[2].rstrip(")")) == b"\x89PNG"


@pytest.mark.parametrize(("site", "year"), [("Temae", 2021), (None, None), ("Temae", None)])
def test_cover_is_plotted_also_when_names_say_nothing(site, year):
    row = {name: None for name in COVER_SCHEMA.names} | {
        "image_id": "a",
        "batch": "b",
        "survey": "s",
        "taxon": "Porites",
    }
    row |= {
        "share": 0.3,
        "cm2": 1.0,
        "colonies": 1,
        "inpainted_share": 0.0,
        "valid_cm2": 1.0,
        "sd_labels": 0.01,
        "sd_corners": 0.001,
        "sd_inpainted": 0.001,
        "site": site,
        "year": year,
    }
    picture = cover_plot(pa.Table.from_pylist([row], schema=COVER_SCHEMA), load_taxonomy("demo-reef"))
    assert len(picture) < 150_000
    assert len(np.unique(opened(picture).reshape(-1, 3), axis=0)) > 10


def test_a_survey_without_any_cover_is_plotted_too():
    assert opened(cover_plot(pa.Table.from_pylist([], schema=COVER_SCHEMA), load_taxonomy("demo-reef"))).size
