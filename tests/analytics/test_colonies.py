"""Colonies through time: matching, events, identities, and what bad input becomes."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.colonies import (
    PICTURE_SCHEMA,
    TRACK_SCHEMA,
    Outcome,
    Outline,
    Photo,
    Registration,
    Sight,
    View,
    changes,
    follow,
    match,
)
from analytics.colonies.events import OUTLINE_CM
from analytics.colonies.picture import identity_color, overview, quadrat_picture
from analytics.colonies.registration import Method
from labels.schema import Kind, Shape

PARENTS = {"Acropora": "Acroporidae", "Montipora": "Acroporidae", "Acroporidae": None, "Porites": "Poritidae"}
TAXA = ("Acropora", "Montipora", "Porites")
FRAME = shapely.box(0, 0, 100, 100)
SAME_PLACE = Registration(np.eye(3), Method.FEATURES, 1.0, 0.05, 0.0)
LOST = Registration(np.eye(3), Method.NONE, 0.0, float("nan"), float("nan"), "no ground was found again")


def disc(x, y, radius):
    return shapely.Point(x, y).buffer(radius, quad_segs=24)


def colony(ground, taxon="Porites", name="a"):
    return Outline(name, taxon, ground, float(ground.area))


def sight(*grounds, taxon="Porites"):
    return Sight(FRAME, [colony(g, taxon, f"{i:02d}") for i, g in enumerate(grounds)])


def events(before, after, registration=SAME_PLACE):
    return changes(before, after, registration, PARENTS)


def counted(before, after):
    """How many outlines of either year are in each kind of event."""
    found = events(before, after)
    kinds = Counter(str(c.event) for c in found if c.event in ("died", "recruited"))
    kinds["split"] = sum(c.event == "split" and c.later is not None for c in found)
    kinds["fused"] = sum(len(c.parents) for c in found if c.event == "fused")
    return {kind: number for kind, number in kinds.items() if number}


# A reef of colonies that stand apart, and what becomes of each in a year.
fates = st.lists(
    st.tuples(
        st.sampled_from(["stays", "grows", "shrinks", "dies", "settles", "splits", "fuses"]),
        st.floats(3, 7),
        st.sampled_from(TAXA),
    ),
    max_size=25,
)


def reef(plan):
    """Two years of a reef, ``(before, after)``."""
    years = ([], [])
    for cell, (fate, radius, taxon) in enumerate(plan):
        x, y = 10 + 20 * (cell % 5), 10 + 20 * (cell // 5)
        whole = disc(x, y, radius)
        halves = [whole.intersection(shapely.box(x + a, 0, x + b, 100)) for a, b in ((-9, -0.7), (0.3, 9))]
        shapes = {
            "stays": ([whole], [whole]),
            "grows": ([whole], [disc(x, y, radius * 1.25)]),
            "shrinks": ([disc(x, y, radius * 1.25)], [whole]),
            "dies": ([whole], []),
            "settles": ([], [whole]),
            "splits": ([whole], halves),
            "fuses": (halves, [whole]),
        }[fate]
        for year, grounds in zip(years, shapes, strict=True):
            year += [colony(ground, taxon, f"{cell:02d}{i}") for i, ground in enumerate(grounds)]
    return tuple(Sight(FRAME, year) for year in years)


@given(fates)
def test_every_outline_leads_in_one_pair_except_for_declared_splits_and_fusions(plan):
    before, after = reef(plan)
    links = match(before.outlines, after.outlines, PARENTS)
    leading = [link for link in links if not link.part]
    assert len({link.earlier for link in leading}) == len(leading) == len({link.later for link in leading})
    for link in links:
        shared = [o for o in links if o is not link and (o.earlier == link.earlier or o.later == link.later)]
        assert all(link.part or other.part for other in shared)
        if link.part:
            assert len({o.earlier == link.earlier for o in shared}) == 1, "it is part of a split and of a fusion"
    assert all(0 <= link.confidence <= 1 for link in links)


@given(fates)
def test_what_happens_is_what_is_reported(plan):
    truth = Counter(fate for fate, _, _ in plan)
    expected = {"died": truth["dies"], "recruited": truth["settles"], "split": 2 * truth["splits"]}
    expected["fused"] = 2 * truth["fuses"]
    assert counted(*reef(plan)) == {kind: number for kind, number in expected.items() if number}


@given(fates)
def test_backwards_in_time_recruits_die_and_what_split_is_fused(plan):
    before, after = reef(plan)
    mirror = {"died": "recruited", "recruited": "died", "split": "fused", "fused": "split"}
    assert counted(after, before) == {mirror[kind]: number for kind, number in counted(before, after).items()}
    there = {(k.earlier, k.later, k.part) for k in match(before.outlines, after.outlines, PARENTS)}
    assert there == {(k.later, k.earlier, k.part) for k in match(after.outlines, before.outlines, PARENTS)}


def shapes_of(year, outlines, cm_per_px=0.25):
    return [
        Shape(
            f"{year}",
            f"{year}:{number:04d}",
            Kind.POLYGON,
            outline.taxon,
            (np.asarray(outline.ground.exterior.coords)[:-1] / cm_per_px).ravel().tolist(),
        )
        for number, outline in enumerate(outlines)
    ]


def photo(year, outlines=(), side=400, cm_per_px=0.25, image_id=None, **more):
    def load():
        return View(np.full((60, 60, 3), 120, np.uint8), side, side, cm_per_px)

    shapes = shapes_of(year, outlines, cm_per_px)
    return Photo("reef", image_id or str(year), year, (side, side), cm_per_px, shapes, load, **more)


def followed(*photos, lay=lambda a, b: SAME_PLACE):
    history = follow("Temae", "1", photos, PARENTS, lay)
    pa.Table.from_pylist(history.tracks, schema=TRACK_SCHEMA)
    pa.Table.from_pylist(history.pictures, schema=PICTURE_SCHEMA)
    return history


@settings(max_examples=30)
@given(fates.filter(len))
def test_on_an_unchanged_reef_all_survive_and_nothing_grows(plan):
    before, _ = reef(plan)
    history = followed(*(photo(year, before.outlines) for year in (2021, 2022, 2025)))
    later = [row for row in history.tracks if row["year"] > 2021]
    assert {row["event"] for row in later} <= {"survived"}
    assert {row["cm2_per_year"] for row in later} <= {0.0}
    assert {row["radial_mm_per_year"] for row in later} <= {0.0}


@settings(max_examples=30)
@given(fates.filter(len))
def test_a_colony_keeps_its_id_through_all_years(plan):
    before, after = reef(plan)
    history = followed(photo(2021, before.outlines), photo(2022, after.outlines), photo(2023, after.outlines))
    by_year = {
        year: {row["colony_id"]: row for row in history.tracks if row["year"] == year and row["shape_id"]}
        for year in (2021, 2022, 2023)
    }
    assert len(by_year[2021]) == len(before.outlines)
    assert len(by_year[2022]) == len(after.outlines), "one id stands for two outlines"
    assert by_year[2022].keys() == by_year[2023].keys()
    stayed = sum(fate in ("stays", "grows", "shrinks", "splits", "fuses") for fate, _, _ in plan)
    assert len(by_year[2021].keys() & by_year[2022].keys()) == stayed
    gone = {row["colony_id"] for row in history.tracks if row["shape_id"] is None}
    assert by_year[2021].keys() - by_year[2022].keys() == gone


def test_growth_is_per_year_also_over_years_that_were_missed():
    history = followed(photo(2020, [colony(disc(50, 50, 10))]), photo(2024, [colony(disc(50, 50, 12))]))
    row = history.tracks[-1]
    assert (row["event"], row["years"]) == ("grew", 4)
    assert row["radial_mm_per_year"] == pytest.approx(5.0, rel=0.01)
    assert row["cm2_per_year"] == pytest.approx(np.pi * (144 - 100) / 4, rel=0.01)


def test_a_difference_within_the_error_of_outlines_is_no_growth():
    [same] = events(sight(disc(50, 50, 10)), sight(disc(50, 50, 10 + OUTLINE_CM)))
    [more] = events(sight(disc(50, 50, 10)), sight(disc(50, 50, 10 + 6 * OUTLINE_CM)))
    assert (same.event, more.event) == ("survived", "grew")


def test_a_colony_that_lost_one_side_died_partly_and_one_that_is_smaller_all_around_shrank():
    whole = disc(50, 50, 10)
    [half] = events(sight(whole), sight(whole.intersection(shapely.box(0, 0, 52, 100))))
    [small] = events(sight(whole), sight(disc(50, 50, 8)))
    assert (half.event, small.event) == ("partial_mortality", "shrank")


def test_the_larger_part_keeps_the_id_and_the_other_names_its_parent():
    whole = disc(50, 50, 10)
    parts = [whole.intersection(shapely.box(0, 0, 45, 100)), whole.intersection(shapely.box(46, 0, 100, 100))]
    history = followed(photo(2021, [colony(whole)]), photo(2022, [colony(p) for p in parts]))
    first = history.tracks[0]["colony_id"]
    small, large = sorted((r for r in history.tracks if r["year"] == 2022), key=lambda r: r["cm2"])
    assert large["colony_id"] == first != small["colony_id"]
    assert small["parents"] == large["parents"] == [first]
    assert {small["event"], large["event"]} == {"split"}
    assert large["cm2_per_year"] == pytest.approx(small["cm2"] + large["cm2"] - whole.area, abs=0.01)


def test_a_fused_colony_names_all_it_came_from_and_the_absorbed_where_it_went():
    apart = [colony(disc(40, 50, 8)), colony(disc(57, 50, 6))]
    history = followed(photo(2021, apart), photo(2022, [colony(shapely.box(31, 43, 64, 57))]))
    ids = [row["colony_id"] for row in history.tracks if row["year"] == 2021]
    rows = {row["event"]: row for row in history.tracks if row["year"] == 2022}
    assert set(rows["fused"]["parents"]) == set(ids)
    assert rows["absorbed"]["parents"] == [rows["fused"]["colony_id"]]
    assert rows["absorbed"]["colony_id"] in ids
    assert rows["absorbed"]["shape_id"] is None


def test_a_taxon_that_was_named_more_exactly_is_the_same_colony_and_a_wrong_name_is_doubted():
    before = Sight(FRAME, [colony(disc(50, 50, 10), "Acroporidae")])
    exact = Sight(FRAME, [colony(disc(50, 50, 10), "Acropora")])
    wrong = Sight(FRAME, [colony(disc(50, 50, 10), "Porites")])
    [named], [doubted] = events(before, exact), events(before, wrong)
    assert named.note is None
    assert "one of them is wrong" in doubted.note
    assert doubted.confidence < 0.6 < named.confidence


def test_ground_taken_by_another_taxon_is_a_death_that_says_so():
    after = Sight(FRAME, [colony(shapely.box(30, 30, 80, 80), "Acropora")])
    died, recruited = events(sight(disc(50, 50, 8)), after)
    assert (died.event, recruited.event) == ("died", "recruited")
    assert died.note == "its ground is now Acropora"


def test_small_colonies_go_missing_with_less_confidence_than_large_ones():
    small, large = events(sight(disc(20, 20, 0.8), disc(60, 60, 12)), sight(disc(90, 90, 3)))[:2]
    assert small.event == large.event == "died"
    assert small.confidence < 0.5 < large.confidence


def test_what_the_moved_frame_no_longer_shows_has_not_died():
    right = Registration(np.array([[1, 0, 20], [0, 1, 0], [0, 0, 1.0]]), Method.FEATURES, 0.9, 0.1, 20.0)
    before, after = sight(disc(90, 50, 5), disc(40, 50, 6)), sight(disc(60, 50, 6), disc(8, 50, 5))
    assert {c.event for c in events(before, after, right)} == {"survived", "left_frame", "entered_frame"}


def test_a_colony_cut_by_the_frame_grows_by_what_both_pictures_show():
    right = Registration(np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1.0]]), Method.FEATURES, 0.9, 0.05, 5.0)
    before = sight(disc(97, 50, 8).intersection(FRAME))
    after = sight(disc(102, 50, 8).intersection(FRAME))
    [change] = events(before, after, right)
    assert change.event == "survived"
    assert change.cm2 == pytest.approx(0, abs=0.5)
    assert change.radial_mm is None
    assert "both pictures" in change.note


def test_without_registration_large_colonies_are_followed_and_close_ones_left_open():
    before = sight(disc(30, 30, 12), disc(70, 70, 2), disc(70, 30, 3))
    after = sight(disc(31, 30, 12), disc(72.5, 72.5, 2))
    found = {(c.earlier, c.later): c.event for c in events(before, after, LOST)}
    assert found[0, 0] == "survived"
    assert found[2, None] == "died"
    assert found[1, None] == found[None, 1] == "unresolved"
    registered = next(c for c in events(before, after) if c.earlier == 0)
    unregistered = next(c for c in events(before, after, LOST) if c.earlier == 0)
    assert unregistered.confidence < registered.confidence


def test_without_registration_neighbours_that_may_be_each_other_are_unresolved():
    before, after = sight(disc(50, 50, 1.5), disc(54, 50, 1.5)), sight(disc(52, 50, 1.5))
    assert "died" not in {c.event for c in events(before, after, LOST)}
    assert "unresolved" in {c.event for c in events(before, after, LOST)}


def test_without_registration_nothing_is_sure_where_little_finds_its_like():
    before = sight(disc(20, 20, 6), disc(50, 50, 6), disc(80, 80, 6))
    alike = events(before, sight(disc(20, 20, 6), disc(50, 50, 6)), LOST)
    unlike = events(before, sight(disc(20, 20, 6), disc(20, 70, 6)), LOST)
    deaths = [max(c.confidence for c in found if c.event == "died") for found in (alike, unlike)]
    assert deaths[1] < deaths[0] <= 0.5


def outcomes(history):
    return [(row["year"], row["outcome"]) for row in history.pictures]


def test_one_year_alone_is_a_recorded_outcome():
    history = followed(photo(2021, [colony(disc(50, 50, 9))]))
    assert outcomes(history) == [(2021, Outcome.FIRST)]
    assert "only one year" in history.pictures[0]["reason"]
    assert [row["event"] for row in history.tracks] == ["first"]


def test_of_two_pictures_of_one_year_the_one_a_person_reviewed_is_followed_and_the_other_named():
    mine = [colony(disc(50, 50, 9))]
    pictures = (photo(2022, mine, image_id="aa", by_person=False), photo(2022, mine, image_id="bb"))
    history = followed(photo(2021, mine), *pictures)
    left = next(row for row in history.pictures if row["outcome"] == Outcome.LEFT_OUT)
    assert left["image_id"] == "aa"
    assert "bb is the picture of 2022" in left["reason"]
    assert len(history.tracks) == 2


def test_frames_of_different_size_are_not_compared_and_colonies_start_anew():
    history = followed(
        photo(2021, [colony(disc(20, 20, 9))]), photo(2022, [colony(disc(20, 20, 9))], side=200), photo(2023)
    )
    assert outcomes(history)[1] == (2022, Outcome.NOT_COMPARED)
    assert "100 cm in 2021 and 50 cm in 2022" in history.pictures[1]["reason"]
    assert [row["event"] for row in history.tracks] == ["first", "first"]
    assert len({row["colony_id"] for row in history.tracks}) == 2


def test_rectified_sizes_may_differ_when_the_frame_does_not():
    mine = [colony(disc(30, 60, 9))]
    history = followed(photo(2021, mine), photo(2022, mine, side=1000, cm_per_px=0.1))
    assert [row["event"] for row in history.tracks] == ["first", "survived"]


def test_a_picture_without_outlines_says_so_and_its_deaths_are_doubted():
    history = followed(photo(2021, [colony(disc(50, 50, 9))]), photo(2022))
    assert "no outline at all" in history.pictures[1]["reason"]
    [died] = [row for row in history.tracks if row["event"] == "died"]
    assert died["confidence"] <= 0.5


def test_a_picture_that_cannot_be_read_stops_nothing():
    def gone():
        raise ValueError("images/clean/12.jpg is gone")

    mine = [colony(disc(50, 50, 9))]
    history = followed(photo(2021, mine), replace(photo(2022, mine), load=gone))
    assert history.pictures[1]["outcome"] == Outcome.NOT_COMPARED
    assert "images/clean/12.jpg is gone" in history.pictures[1]["reason"]
    assert quadrat_picture(history)


def test_a_failed_registration_is_an_outcome_with_its_reason():
    mine = [colony(disc(50, 50, 9))]
    history = followed(photo(2021, mine), photo(2022, mine), lay=lambda a, b: LOST)
    assert history.pictures[1]["outcome"] == Outcome.UNREGISTERED
    assert "as the frames lay" in history.pictures[1]["reason"]
    assert history.pictures[1]["matrix"] is None


def test_outlines_without_ground_and_years_without_colonies_are_no_trouble():
    broken = [
        Shape("2021", "2021:1", Kind.POLYGON, "Porites", [1.0, 1, 2, 2]),
        Shape("2021", "2021:2", Kind.TAG, "x", []),
    ]
    history = followed(replace(photo(2021), shapes=broken), photo(2022))
    assert history.tracks == []
    assert quadrat_picture(history)


def test_the_picture_shows_a_panel_per_year_and_an_overview_puts_quadrats_below_each_other():
    mine, more = [colony(disc(30, 30, 9)), colony(disc(70, 70, 9))], [colony(disc(30, 30, 11))]
    two = quadrat_picture(followed(photo(2021, mine), photo(2022, more)))
    three = quadrat_picture(followed(photo(2021, mine), photo(2022, more), photo(2023, more)))
    sizes = [cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape for data in (two, three)]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] == pytest.approx(1.5 * sizes[0][1], rel=0.01)
    sheet = cv2.imdecode(np.frombuffer(overview([two, three], 480), np.uint8), 1)
    assert sheet.shape[1] == 480


def test_neighbouring_numbers_have_colours_that_lie_apart():
    colors = np.array([identity_color(n) for n in range(30)])
    assert np.abs(np.diff(colors, axis=0)).max(axis=1).min() > 0.3
