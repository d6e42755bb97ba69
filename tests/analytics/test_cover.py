"""Cover: known ground gives known numbers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.cover import COVER_SCHEMA, Quadrat, quadrat_cover, summarise
from labels.schema import Kind, Shape

TAXA = ["Acropora", "Porites"]


def quadrat(side=960, cm_per_px=0.1, **fields):
    return Quadrat("a" * 16, "reef.0001", "reef", side, side, cm_per_px, "Temae", 2021, "1", **fields)


def box(x0, y0, x1, y1, label="Porites", number=0, holes=()):
    # Pixel centres at integers: the box covers whole pixels x0..x1-1.
    ring = [x0 - 0.5, y0 - 0.5, x1 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5, x0 - 0.5, y1 - 0.5]
    return Shape("a" * 16, f"s{number}", Kind.POLYGON, label, ring, holes=list(holes))


def shares(rows):
    return {row["taxon"]: row["share"] for row in rows}


def test_a_quarter_of_the_quadrat_is_a_quarter():
    rows = quadrat_cover(quadrat(), [box(0, 0, 480, 480)], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(0.25, rel=0.01)
    assert shares(rows)["Acropora"] == 0
    porites = rows[1]
    assert porites["cm2"] == pytest.approx(48 * 48, rel=0.01)
    assert porites["colonies"] == 1
    assert porites["valid_cm2"] == pytest.approx(96 * 96)


def test_ground_under_two_outlines_is_counted_once_for_the_first():
    rows = quadrat_cover(quadrat(), [box(0, 0, 480, 960), box(240, 0, 720, 960, "Acropora", 1)], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(0.5, rel=0.01)
    assert shares(rows)["Acropora"] == pytest.approx(0.25, rel=0.01)


def test_a_hole_is_no_cover():
    hole = [120.0, 120, 360, 120, 360, 360, 120, 360]
    rows = quadrat_cover(quadrat(), [box(0, 0, 480, 480, holes=[hole])], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(0.25 - 0.0625, rel=0.02)


def test_invented_pixels_are_left_out_above_and_below_the_line():
    mask = np.zeros((960, 960), np.uint8)
    mask[:, :480] = 255
    rows = quadrat_cover(quadrat(inpainted=mask), [box(0, 0, 960, 480)], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(0.5, rel=0.01)
    assert rows[0]["inpainted_share"] == pytest.approx(0.5)


def test_a_wholly_invented_quadrat_has_no_cover_and_no_valid_ground():
    rows = quadrat_cover(quadrat(inpainted=np.full((960, 960), 255, np.uint8)), [box(0, 0, 960, 480)], TAXA)
    assert shares(rows) == {"Acropora": 0, "Porites": 0}
    assert rows[0]["valid_cm2"] == 0


@pytest.mark.parametrize("side", [3, 10, 20, 50])
def test_small_colonies_are_not_measured_too_large(side):
    rows = quadrat_cover(quadrat(), [box(100, 100, 100 + side, 100 + side)], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(side * side / 960**2, rel=1e-9)


def test_a_round_colony_has_the_area_of_its_outline_at_every_resolution():
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    for width in (480, 1920):
        radius = 12 * width / 960
        ring = np.column_stack([np.cos(angles), np.sin(angles)]) * radius + width / 2
        shape = Shape("a" * 16, "s", Kind.POLYGON, "Porites", ring.ravel().tolist())
        rows = quadrat_cover(quadrat(width), [shape], TAXA)
        assert shares(rows)["Porites"] == pytest.approx(np.pi * radius**2 / width**2, rel=1e-3)


def test_an_outline_that_crosses_itself_counts_the_ground_it_encloses():
    bow = Shape("a" * 16, "s", Kind.POLYGON, "Porites", [100.0, 100, 200, 200, 200, 100, 100, 200])
    rows = quadrat_cover(quadrat(), [bow], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(5000 / 960**2, rel=1e-6)


def test_ground_outside_the_picture_does_not_count():
    rows = quadrat_cover(quadrat(), [box(-100, -100, 100, 100)], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(100 * 100 / 960**2, rel=1e-9)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 800), st.integers(0, 800), st.integers(8, 300), st.integers(8, 300), st.sampled_from(TAXA)
        ),
        max_size=8,
    )
)
def test_shares_never_add_up_to_more_than_the_quadrat(boxes):
    shapes = [box(x, y, min(x + w, 960), min(y + h, 960), t, i) for i, (x, y, w, h, t) in enumerate(boxes)]
    rows = quadrat_cover(quadrat(), shapes, TAXA)
    assert 0 <= sum(shares(rows).values()) <= 1 + 1e-9


@pytest.mark.parametrize("side", [500, 1920, 4000])
def test_the_share_does_not_depend_on_the_resolution(side):
    k = side / 960
    ring = [v * k for v in (100.0, 100, 700, 150, 600, 800, 80, 500)]
    rows = quadrat_cover(quadrat(side), [Shape("a" * 16, "s", Kind.POLYGON, "Porites", ring)], TAXA)
    base = quadrat_cover(quadrat(), [Shape("a" * 16, "s", Kind.POLYGON, "Porites", [v / k for v in ring])], TAXA)
    assert shares(rows)["Porites"] == pytest.approx(shares(base)["Porites"], rel=0.01)


def table(values):
    rows = []
    for i, value in enumerate(values):
        row = quadrat_cover(quadrat(), [], ["Porites"])[0]
        rows.append({**row, "image_id": f"{i:016d}", "share": value})
    return pa.Table.from_pylist(rows, schema=COVER_SCHEMA)


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_interval_holds_the_mean_and_stays_within_what_was_seen(values):
    [row] = summarise(table(values)).to_pylist()
    assert row["mean"] == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= row["low"] <= row["mean"] <= row["high"] <= max(values) + 1e-9
    assert row["quadrats"] == len(values)


def test_the_same_quadrats_give_the_same_interval_twice():
    assert summarise(table([0.1, 0.2, 0.4])).equals(summarise(table([0.1, 0.2, 0.4])))
