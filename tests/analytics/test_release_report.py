"""The page of a release: everything in one file, and what people look for is in it."""

import re

import cv2
import numpy as np
import pyarrow as pa
import pytest

from analytics.cover import COVER_SCHEMA, mean_interval
from analytics.cover.points import POINT_SCHEMA, wilson
from analytics.report import BatchLine, Picture, ReleaseReport, Worst, release_report
from analytics.report.measured import coral_hits, point_counts
from analytics.report.overlay import overlay
from labels.schema import Kind, Shape
from labels.taxonomy import Taxon, Taxonomy, load_taxonomy

REEF = load_taxonomy("demo-reef")
FIGURES = {
    "corals": {
        "pictures": 4,
        "changes": {"unchanged": 3, "added": 1},
        "precision": 1.0,
        "recall": 0.75,
        "matched_iou": None,
        "cover_error": {"Porites": {"bias": -0.02, "mean_absolute": 0.02}},
    },
    "ground_truth": None,
    "broken_rules": 0,
    "reasons": ["a <b>reason</b>"],
}


def record(**more):
    counts = {
        "images": 4,
        "colonies": 4,
        "splits": {"train": 4},
        "taxa": {"Porites": 4},
        "balance": {"Porites": {"train": 4}},
        "sources": {"model": 3, "human": 1},
        "models": ["demo-corals@2"],
        "people": ["ann"],
    }
    base = {"name": "reef-1", "reason": "", "batches": ["reef.0001"], "formats": ["coco"], "filter": "everything"}
    base |= {"previous": None, "counts": counts, "checked_objects": 4, "taxonomy": REEF.reference, "licence": "CC0-1.0"}
    return {**base, "content_sha256": "0" * 64, **more}


def cover(shares, taxa=("Porites", "Acropora")):
    rows = [
        {
            "image_id": f"{site}{year}{n}",
            "batch": "reef.0001",
            "survey": "reef",
            "site": site,
            "year": year,
            "quadrat": str(n),
            "taxon": taxon,
            "share": share / (1 + k),
            "cm2": 100.0,
            "colonies": 1,
            "mean_colony_cm2": 100.0,
            "inpainted_share": 0.0,
            "valid_cm2": 10_000.0,
            "sd_labels": 0.0,
            "sd_corners": 0.0,
            "sd_inpainted": 0.0,
        }
        for (site, year), values in shares.items()
        for n, share in enumerate(values)
        for k, taxon in enumerate(taxa)
    ]
    return pa.Table.from_pylist(rows, schema=COVER_SCHEMA)


def page(**given):
    shares = {("Temae", 2021): [0.1, 0.2, 0.3], ("Temae", 2022): [0.2, 0.3, 0.4]}
    base = {"record": record(), "citation": "Ann: Reef", "taxonomy": REEF, "cover": cover(shares)}
    base |= {"batches": [BatchLine("reef.0001", FIGURES, "../../quality/report/reef.0001.html")]}
    return release_report(ReleaseReport(**{**base, **given})).decode()


def test_the_page_needs_nothing_beside_it_and_is_the_same_every_time():
    made = page()
    assert "http" not in made
    assert made == page()
    assert not re.search(r'src="(?!data:)', made)


def test_cover_of_sites_and_years_stands_with_its_interval_and_its_change():
    made = re.sub(r"\s+", " ", page())
    assert re.search(r"<td>Temae</td><td class=\"n\">2021</td><td class=\"n\">3</td><td class=\"n\">30\.0<br>", made)
    assert "+15.00" in made, "all coral rises by 0.1 + 0.05 a year"


def test_point_counts_stand_beside_outlines_with_what_a_single_quadrat_says():
    counted = [
        {"image_id": f"Temae2021{n}", "design": design, "taxon": taxon, "points": 25, "hits": hits}
        | {"share": 0.0, "low": 0.0, "high": 0.0}
        for n, many in enumerate((5, 10, 15))
        for design, taxon, hits in (
            ("stratified-25", "Porites", many),
            ("stratified-25", "Acropora", 0),
            ("expert", "Sand", 9),
        )
    ]
    hits = coral_hits(pa.Table.from_pylist(counted, schema=POINT_SCHEMA))
    assert hits.num_rows == 3, "imported points of other groups were counted as coral"
    made = point_counts(hits, cover({("Temae", 2021): [0.2, 0.4, 0.6]}, ["Porites"]), REEF)
    [design], [(site, year, (outlines, points))] = made["designs"], made["rows"]
    assert (site, year, design.points) == ("Temae", 2021, 25)
    assert outlines == pytest.approx((0.4, *mean_interval([0.2, 0.4, 0.6])))
    assert points == pytest.approx(outlines)
    low, high = wilson(10, 25)
    assert design.half_width == pytest.approx((high - low) / 2, abs=0.02)
    assert (design.bias, design.rms) == pytest.approx((0, 0))
    said = page(cover=cover({("Temae", 2021): [0.2, 0.4, 0.6]}, ["Porites"]), points=hits)
    assert "What point counts would have said" in said
    assert "What point counts" not in page()


def test_the_sources_of_doubt_are_named_and_what_is_not_known_is_not_zero():
    table = cover({("Temae", 2021): [0.2, 0.4]}, ["Porites"])
    rows = [{**row, "sd_labels": None, "sd_inpainted": 0.01, "inpainted_share": 0.25} for row in table.to_pylist()]
    made = page(cover=pa.Table.from_pylist(rows, schema=COVER_SCHEMA))
    assert re.search(
        r'all coral</td><td class="n">30\.0</td><td class="n">not known</td><td class="n">0\.00</td>', made
    )
    assert "25.0 % of a picture" in made
    assert "nothing was invented" in page()


def test_a_split_without_pictures_is_said():
    made = page()
    assert "4 train, 0 val, 0 test" in made
    assert "models cannot be evaluated on this release" in made


def test_with_many_taxa_families_are_shown_and_what_is_left_out_is_said():
    taxa = tuple(Taxon(f"T{n}", "#112233", f"F{n // 2}") for n in range(24))
    many = Taxonomy("many", "1", "genus", taxa)
    made = page(taxonomy=many, cover=cover({("Temae", 2021): [0.1, 0.2]}, [t.name for t in taxa]))
    assert "by family" in made
    assert "4 more families" in made
    assert ">F0</th>" in made


def test_the_worst_pictures_come_in_order_with_what_people_did():
    square = [10.0, 10, 90, 10, 90, 90, 10, 90]
    shape = Shape("a", "a:1", Kind.POLYGON, "Porites", square)
    shown = [
        Worst("reef.0001", Picture(lambda: np.zeros((100, 100, 3), np.uint8), (100, 100), title, [shape], []), share, [
            "Porites: proposed, deleted by a person"
        ])
        for title, share in (("Temae 2021 2", 0.64), ("Temae 2021 1", 0.1))
    ]  # fmt: skip
    made = page(worst=shown)
    assert made.index("Temae 2021 2") < made.index("Temae 2021 1")
    assert "64.0 %" in made
    assert "deleted by a person" in made
    assert "No person changed" in page()


def test_reasons_are_shown_as_text_and_an_override_stands_at_the_top():
    made = page(record=record(unfit={"reef.0001": ["<i>x</i>"]}, override="agreed with Anna"))
    assert "a &lt;b&gt;reason" in made
    assert made.index("agreed with Anna") < made.index("Cite as")
    assert "<i>x</i>" not in made


def test_colonies_have_sizes_events_and_growth():
    def row(colony, year, event, **more):
        base = {"site": "Temae", "quadrat": "1", "colony_id": colony, "year": year, "taxon": "Porites", "event": event}
        return {**base, "image_id": str(year), "radial_mm_per_year": None, **more}

    tracks = [row("a", 2021, "first"), row("b", 2021, "first"), row("b", 2022, "died")]
    tracks.append(row("a", 2022, "grew", radial_mm_per_year=5.0))
    made = page(sizes={"Porites": np.array([1.0, 4, 16])}, cut_off={"Porites": 2}, tracks=tracks)
    assert re.search(r"Porites</td><td class=\"n\">5</td><td class=\"n\">2</td><td class=\"n\">4.00</td>", made)
    assert ">died</th>" in made
    assert re.search(r'<td class="n">1</td><td class="n">5\.0</td>', made)


def test_a_release_without_years_sites_or_colonies_still_has_its_page():
    made = page(cover=cover({(None, None): [0.0]}), batches=[BatchLine("reef.0001", FIGURES)])
    assert "not known" in made
    assert "Colonies through the years" not in made


def test_proposals_are_drawn_where_people_changed_them_and_can_be_seen_on_dark_ground():
    def magenta(before, after):
        ground = np.full((300, 300, 3), 25, np.uint8)
        data = overlay(ground, (300, 300), before, after, {"Porites": (250, 210, 40)}, 300)
        rgb = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
        return int(((rgb[..., 0] > 180) & (rgb[..., 1] < 130) & (rgb[..., 2] > 100)).sum())

    shape = Shape("a", "a:1", Kind.POLYGON, "Porites", [50.0, 50, 250, 50, 250, 250, 50, 250])
    other = Shape("a", "a:1", Kind.POLYGON, "Acropora", shape.points)
    smaller = Shape("a", "a:1", Kind.POLYGON, "Porites", [90.0, 90, 200, 90, 200, 200, 90, 200])
    assert magenta([shape], [shape]) == 0, "a proposal that was kept hides the outline"
    assert magenta([shape], []) > 400
    assert magenta([shape], [smaller]) > 400
    assert magenta([shape], [other]) > 200, "a new taxon is a change"
