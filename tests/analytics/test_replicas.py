"""Annotators against each other, and everyone from batch to batch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.quality import What, compare_batch
from analytics.quality.changes import Change
from analytics.quality.replicas import Drawing, between_annotators
from analytics.quality.trends import by_annotator, by_model, series
from analytics.report import BatchReport, batch_report
from labels.schema import Kind, Shape

TAXA = ("Acropora", "Porites")
SIZES = {f"p{n}": (200, 200) for n in range(8)}


def square(image_id, x, y, side=60, taxon="Porites"):
    ring = [float(v) for v in (x, y, x + side, y, x + side, y + side, x, y + side)]
    return Shape(image_id, f"{image_id}:{x}-{y}", Kind.POLYGON, taxon, ring)


def drawn(person, *, taxon="Porites", shift=0, pictures=6, side=60):
    return [
        Drawing(f"p{n}", person, [square(f"p{n}", 10 + 5 * n + shift, 20, side, taxon), square(f"p{n}", 120, 120, 40)])
        for n in range(pictures)
    ]


def test_people_who_draw_the_same_agree_wholly():
    found = between_annotators([*drawn("ann"), *drawn("bob"), *drawn("cho")], TAXA, SIZES)
    assert (found["pictures"], found["people"]) == (6, ["ann", "bob", "cho"])
    assert found["alpha"]["all"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["dice"]["Porites"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert "Acropora" not in found["alpha"], "nobody has drawn one"
    assert found["cover_sd"] == {}
    assert [(p["people"], p["kappa"], p["mean_iou"]) for p in found["pairs"]] == [
        (pair, 1.0, 1.0) for pair in (["ann", "bob"], ["ann", "cho"], ["bob", "cho"])
    ]


def test_another_name_for_a_colony_costs_both_taxa_and_a_shift_costs_points_but_no_outlines():
    renamed = between_annotators([*drawn("ann"), *drawn("bob", taxon="Acropora")], TAXA, SIZES)
    assert renamed["dice"]["Acropora"]["value"] == 0
    # Of the two Porites of ann and the one of bob, one pair is left.
    assert renamed["dice"]["Porites"]["value"] == pytest.approx(2 / 3)
    assert renamed["alpha"]["all"]["value"] < 0.7
    shifted = between_annotators([*drawn("ann"), *drawn("bob", shift=12)], TAXA, SIZES)
    assert shifted["dice"]["all"]["value"] == 1
    assert 0.5 < shifted["alpha"]["all"]["low"] <= shifted["alpha"]["all"]["value"] < 0.95


def test_the_spread_of_cover_is_the_standard_deviation_between_people():
    found = between_annotators([*drawn("ann"), *drawn("bob", side=40)], TAXA, SIZES)
    difference = (60**2 - 40**2) / 200**2
    assert found["cover_sd"]["Porites"] == pytest.approx(difference / 2**0.5, rel=0.03)


def test_pictures_that_one_person_alone_drew_say_nothing():
    assert between_annotators(drawn("ann"), TAXA, SIZES) is None
    found = between_annotators([*drawn("ann", pictures=6), *drawn("bob", pictures=2)], TAXA, SIZES)
    assert found["pictures"] == found["pairs"][0]["pictures"] == 2


def test_pictures_on_which_nobody_sees_anything_are_no_trouble():
    empty = [Drawing(f"p{n}", who, []) for n in range(3) for who in ("ann", "bob")]
    found = between_annotators(empty, TAXA, SIZES)
    assert found["alpha"]["all"]["value"] is None, "where nothing varies, chance explains all"
    assert found["dice"]["all"]["value"] is None
    assert found["pairs"][0]["mean_iou"] is None


@settings(max_examples=6)
@given(st.permutations(["ann", "bob", "cho"]), st.integers(0, 30), st.integers(20, 80))
def test_it_does_not_matter_who_is_named_first(order, shift, side):
    mine = {"ann": drawn("ann", pictures=2), "bob": drawn("bob", shift=shift, pictures=2)}
    mine["cho"] = drawn("cho", side=side, pictures=2)
    first = between_annotators([d for who in ("ann", "bob", "cho") for d in mine[who]], TAXA, SIZES)
    other = between_annotators([d for who in order for d in mine[who]], TAXA, SIZES)
    assert other["dice"] == first["dice"]
    assert other["pairs"] == first["pairs"]
    assert other["alpha"]["all"]["value"] == pytest.approx(first["alpha"]["all"]["value"])


def change(what, model="m@1", annotator=None, iou=0.9):
    return Change("p0", what, "Porites", None, iou, 1.0, None, model, annotator)


def test_a_models_share_of_right_proposals_leaves_out_what_people_added():
    changes = [
        change(What.UNCHANGED, iou=1.0),
        change(What.RESHAPED),
        change(What.RELABELLED),
        change(What.ADDED, None),
    ]
    changes += [change(What.DELETED, iou=None), change(What.UNCHANGED, "m@2", iou=1.0)]
    found = by_model(changes)
    assert found["m@1"]["proposals"] == 4
    assert (found["m@1"]["kept"], found["m@1"]["right"]) == (0.25, 0.5)
    assert found["m@1"]["mean_iou"] == pytest.approx((1 + 0.9 + 0.9) / 3)
    assert found["m@2"]["right"] == 1


def test_annotators_are_known_by_what_they_did_by_the_truth_and_by_the_others():
    changes = [change(What.ADDED, None, "ann"), change(What.RESHAPED, annotator="ann")]
    truth = {"by_annotator": {"bob": {"accuracy": 0.8}}}
    pairs = [{"people": ["ann", "bob"], "dice": 0.6}, {"people": ["ann", "cho"], "dice": 0.8}]
    found = by_annotator({"ground_truth": truth, "replicas": {"pairs": pairs}}, changes)
    assert found["ann"] == {"drawn": 1, "changed": 1, "accuracy": None, "agreement": pytest.approx(0.7)}
    assert (found["bob"]["accuracy"], found["bob"]["agreement"]) == (0.8, 0.6)


def test_a_series_holds_the_batches_that_can_say_something():
    batches = {
        "r.0001": {"by_model": {"m": {"right": 0.5}}},
        "r.0002": {},
        "r.0003": {"by_model": {"m": {"right": None}}},
    }
    assert series(batches, "by_model", "right") == {"m": {"r.0001": 0.5}}


def test_the_page_shows_agreement_and_what_can_be_followed_from_batch_to_batch():
    before, after = [square("p0", 10, 10)], [square("p0", 12, 10)]
    quality = compare_batch(before, after, TAXA, {"p0": (200, 200)})
    quality.pictures.clear()
    replicas = between_annotators([*drawn("ann"), *drawn("bob", shift=12)], TAXA, SIZES)
    figures = {"batch": "r.0002", "corals": quality.to_json(), "by_model": {}, "by_annotator": {}, "replicas": replicas}
    figures["by_model"] = {"m@1": {"proposals": 9, "kept": 0.5, "right": 0.75, "mean_iou": None}}
    report = BatchReport("r.0002", "Reef", quality, figures, [], {}, {}, [])
    page = batch_report(report).decode()
    assert "6 pictures were drawn by several of 2 people" in page
    assert "<td>ann, bob</td>" in page
    assert "75.0 %" in page
    assert "from batch to batch" not in page
    report = BatchReport("r.0002", "Reef", quality, figures, [], {}, {}, [], earlier={"r.0001": figures})
    followed = batch_report(report).decode()
    assert "from batch to batch" in followed
    assert followed == batch_report(report).decode()
