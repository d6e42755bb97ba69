"""Cover: known ground gives known numbers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.cover import (
    COVER_SCHEMA,
    Level,
    Quadrat,
    at_level,
    colonies,
    mean_interval,
    quadrat_cover,
    summarise,
    trends,
)
from analytics.cover.points import DESIGNS, layout, point_counts, wilson
from analytics.cover.uncertainty import corners_sd, inpainted_sd, label_sd
from labels.lattice import load_topology
from labels.schema import Kind, Shape
from labels.taxonomy import load_taxonomy

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


def table(values, label_sd=0.0):
    rows = []
    for i, value in enumerate(values):
        row = quadrat_cover(quadrat(), [], ["Porites"], None if label_sd is None else {"Porites": label_sd})[0]
        rows.append({**row, "image_id": f"{i:016d}", "share": value})
    return pa.Table.from_pylist(rows, schema=COVER_SCHEMA)


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_interval_holds_the_mean_and_stays_within_shares(values):
    [row] = summarise(table(values)).to_pylist()
    assert row["mean"] == pytest.approx(np.mean(values))
    assert -1e-9 <= row["low"] <= row["mean"] + 1e-9
    assert row["mean"] - 1e-9 <= row["high"] <= 1 + 1e-9
    assert row["quadrats"] == len(values)


@pytest.mark.parametrize("count", [4, 12])
@pytest.mark.parametrize(("a", "b", "present"), [(2, 8, 1.0), (0.8, 15.2, 1.0), (1.5, 10, 0.6)])
def test_intervals_of_few_skewed_quadrats_hold_the_truth_about_as_often_as_they_say(count, a, b, present):
    rng = np.random.default_rng(7)
    truth = present * a / (a + b)
    shares = rng.beta(a, b, (400, count)) * (rng.random((400, count)) < present)
    intervals = [mean_interval(sample) for sample in shares]
    held = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.91 <= held <= 0.99


def test_one_quadrat_says_what_its_own_errors_allow_and_nothing_of_the_site():
    [row] = summarise(table([0.2])).to_pylist()
    assert (row["low"], row["high"], row["quadrats"]) == (0.2, 0.2, 1)
    assert mean_interval([0.2]) == (0, 1)


def test_what_nobody_measured_is_not_said_to_be_exact():
    [row] = summarise(table([0.2], label_sd=None)).to_pylist()
    assert (row["low"], row["high"], row["measurement_sd"]) == (0, 1, None)
    [row] = summarise(table([0.2, 0.3], label_sd=None)).to_pylist()
    assert (row["low"], row["high"]) == mean_interval([0.2, 0.3])
    assert row["measurement_sd"] is None
    [row] = summarise(table([0.2, 0.3], label_sd=0.02)).to_pylist()
    assert row["measurement_sd"] == pytest.approx(0.02 / np.sqrt(2))
    [row] = at_level(table([0.2], label_sd=None), load_taxonomy("demo-reef"), Level.ALL).to_pylist()
    assert row["sd_labels"] is None


def test_a_site_without_a_taxon_still_may_have_some():
    low, high = mean_interval([0.0, 0.0, 0.0, 0.0])
    assert low == 0
    assert 0.2 < high < 0.7


def test_the_same_quadrats_give_the_same_interval_twice():
    assert summarise(table([0.1, 0.2, 0.4])).equals(summarise(table([0.1, 0.2, 0.4])))


def shares_of(rows):
    return {(row["taxon"], row["year"]): row for row in rows}


def test_levels_of_the_taxonomy_add_up():
    taxonomy = load_taxonomy("demo-reef")
    rows = quadrat_cover(
        quadrat(), [box(0, 0, 100, 100, "Acropora"), box(200, 0, 250, 50, "Montipora")], taxonomy.names
    )
    cover = pa.Table.from_pylist(rows, schema=COVER_SCHEMA)
    parents = {r["taxon"]: r for r in at_level(cover, taxonomy, Level.PARENT).to_pylist()}
    [everything] = at_level(cover, taxonomy, Level.ALL).to_pylist()
    assert parents["Acroporidae"]["colonies"] == 2
    assert everything["share"] == pytest.approx(sum(r["share"] for r in rows))
    assert parents["Acroporidae"]["share"] == pytest.approx(everything["share"])
    assert everything["mean_colony_cm2"] == pytest.approx(sum(r["cm2"] for r in rows) / 2)
    assert at_level(cover, taxonomy, Level.TAXON) is cover


def test_colonies_come_with_their_size_and_those_the_frame_cuts_are_marked():
    inside, cut = box(100, 100, 300, 300, number=1), box(-50, 400, 150, 500, number=2)
    found = {row["shape_id"]: row for row in colonies(quadrat(), [inside, cut])}
    q = quadrat()
    assert found[inside.shape_id]["cm2"] == pytest.approx(200 * 200 * q.cm_per_px**2)
    assert not found[inside.shape_id]["cut_off"]
    assert found[cut.shape_id]["cut_off"]


def test_corners_that_are_off_move_cover_more_when_they_are_further_off():
    shapes = [box(0, 0, 400, 1000)]
    sds = [corners_sd(shapes, ["Porites"], 1000, 1000, px)["Porites"] for px in (0.0, 1.0, 4.0)]
    assert sds[0] == 0
    # A corner that is off by one pixel in a thousand moves the share of 40 % by less than that.
    assert 0 < sds[1] < 2e-3
    assert 2.5 < sds[2] / sds[1] < 6


def test_unseen_ground_weighs_with_its_share():
    assert inpainted_sd(0.3, 0.0) == 0
    assert inpainted_sd(0.3, 0.2) == pytest.approx(2 * inpainted_sd(0.3, 0.1))
    assert inpainted_sd(0.0, 0.2) == 0


def test_two_people_share_their_disagreement_and_a_model_bears_its_own():
    differences = {"Porites": [0.02, -0.02]}
    assert label_sd(differences, independent=False)["Porites"] == pytest.approx(0.02)
    assert label_sd(differences, independent=True)["Porites"] == pytest.approx(0.02 / np.sqrt(2))
    assert label_sd({"Porites": []}, independent=True) == {"Porites": 0.0}


def test_a_trend_is_that_of_fixed_quadrats_not_of_which_were_photographed():
    rows = []
    for number, (start, slope) in enumerate([(0.1, 0.01), (0.5, 0.012), (0.3, 0.008)]):
        for year in (2020, 2021, 2022):
            row = quadrat_cover(quadrat(), [], ["Porites"])[0]
            share = start + slope * (year - 2020)
            place = {"site": "Temae", "quadrat": str(number), "year": year, "image_id": f"{number}{year}"}
            rows.append({**row, **place, "share": share})
    rows = [r for r in rows if (r["quadrat"], r["year"]) != ("1", 2022)]  # the rich quadrat was missed once
    [trend] = trends(pa.Table.from_pylist(rows, schema=COVER_SCHEMA)).to_pylist()
    assert trend["per_year"] == pytest.approx(0.01)
    assert trend["low"] < 0.01 < trend["high"]
    assert trend["low"] > 0, "three quadrats that all grow are a growing site"
    assert (trend["quadrats"], trend["first_year"], trend["last_year"]) == (3, 2020, 2022)


def test_wilsons_interval_is_the_published_one():
    # 10 of 50: 0.1124 to 0.3304 (Wilson 1927, z = 1.96)
    assert wilson(10, 50) == pytest.approx((0.1124, 0.3304), abs=5e-4)
    assert wilson(0, 25)[0] == pytest.approx(0, abs=1e-12)
    assert wilson(25, 25)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0, 1)


def test_points_find_what_outlines_cover():
    q = quadrat()
    half = box(-1, -1, q.width // 2 + 1, q.height + 2, "Porites")
    topology = load_topology()
    for design in DESIGNS:
        places = layout(design, q.image_id, q.width, q.height, topology)
        assert (places == layout(design, q.image_id, q.width, q.height, topology)).all()
        [row] = point_counts(q.image_id, design, [half], places, ["Porites"])
        assert row["points"] == {"stratified-25": 25, "lattice": 117, "random-200": 200}[design]
        assert row["low"] < row["share"] < row["high"]
        assert row["share"] == pytest.approx(0.5, abs=0.12)
    with pytest.raises(ValueError, match="no point design"):
        layout("stratified-9", "a", 10, 10)
