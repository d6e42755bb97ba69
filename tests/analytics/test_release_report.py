"""The page of a release: everything in one file, and what people look for is in it."""

import re

import numpy as np
import pyarrow as pa

from analytics.cover import COVER_SCHEMA
from analytics.report import BatchLine, Picture, ReleaseReport, Worst, release_report
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
