"""The report of a release: what to cite, cover of sites and years, colonies, the quality behind it, the worst pictures.

It stands beside the release, not in it: pictures compressed by another version of a library would change its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.colonies.summary import events_by_year, growth
from analytics.cover import Level, at_level, summarise, trends
from analytics.cover.summary import ALL_CORAL
from analytics.plots import cover_plot
from analytics.release.inputs import SPLIT_NAMES
from analytics.report.batch import Picture, templates
from analytics.report.measured import doubts, point_counts, unseen
from analytics.report.overlay import data_uri, overlay
from labels.taxonomy import Taxonomy

TAXA_SHOWN = 8
"""Columns of the table of cover beside all coral; with more taxa, families are shown."""

SIZE_BINS_CM2 = 2.0 ** np.arange(0, 14)
"""Bounds of the bars of size distributions, each twice the one before: 1 cm2 to 0.8 m2."""

CHANGES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch in the table of quality.

    Attributes:
        figures: its quality figures, as stored beside its own report.
        link: of its own report, relative to this one; ``None`` where there is none.
    """

    batch: str
    figures: Mapping[str, Any]
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Worst:
    """A picture whose proposals were far off.

    Attributes:
        changed_share: ground that changed hands in the review, as a share of the picture.
        lines: what people did, the largest first.
    """

    batch: str
    picture: Picture
    changed_share: float
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What the report is made of.

    Attributes:
        record: content of ``release.json``.
        citation: how the release is to be cited.
        cover: rows of ``COVER_SCHEMA``.
        worst: worst first.
        sizes: cm2 of every colony that no frame cuts, by taxon.
        cut_off: how many colonies the frame cuts, by taxon.
        tracks: rows of ``TRACK_SCHEMA`` on the release's pictures; empty where no quadrat was photographed twice.
        years: pictures of quadrats through their years, JPEG.
        formats: what each format is, by its name.
        points: what point counts would have said, as ``analytics.report.measured.coral_hits`` gives it.
    """

    record: Mapping[str, Any]
    citation: str
    taxonomy: Taxonomy
    cover: pa.Table
    batches: Sequence[BatchLine]
    worst: Sequence[Worst] = ()
    sizes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    cut_off: Mapping[str, int] = field(default_factory=dict)
    tracks: Sequence[Mapping[str, Any]] = ()
    years: Sequence[bytes] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    points: pa.Table | None = None


def release_report(given: ReleaseReport) -> bytes:
    """The report as one HTML file with everything in it; equal inputs give equal bytes."""
    events, happened = events_by_year(given.tracks)
    cover = _cover(given)
    shown = [taxon for taxon in cover["taxa"] if taxon in given.taxonomy.names]
    colors = {taxon.name: taxon.color for taxon in given.taxonomy.taxa}
    return (
        templates()
        .get_template("release.html")
        .render(
            record=given.record,
            citation=given.citation,
            cards=_cards(given),
            cover=cover,
            doubts=doubts(given.cover, given.taxonomy, shown),
            unseen=unseen(given.cover),
            points=None if given.points is None else point_counts(given.points, given.cover, given.taxonomy),
            trends=trends(at_level(given.cover, given.taxonomy, Level.ALL)).to_pylist(),
            plot=data_uri(cover_plot(given.cover, given.taxonomy), "image/png"),
            colonies=_colonies(given),
            size_range=f"{SIZE_BINS_CM2[0]:.0f} to {SIZE_BINS_CM2[-1]:,.0f} cm²",
            events=[event.replace("_", " ") for event in events],
            happened=happened,
            growth=growth(given.tracks),
            years=[data_uri(picture) for picture in given.years],
            batches=[_quality(line) for line in given.batches],
            worst=[_worst(worst, given.taxonomy) for worst in given.worst],
            formats=given.formats,
            colors=colors,
            splits=SPLIT_NAMES,
        )
        .encode("utf-8")
    )


def _cards(given: ReleaseReport) -> list[tuple[str, str, str]]:
    counts = given.record["counts"]
    known = {(row["site"], row["quadrat"]) for row in _places(given.cover)} - {(None, None)}
    sites = sorted({row["site"] for row in _places(given.cover) if row["site"]})
    years = sorted({row["year"] for row in _places(given.cover) if row["year"]})
    edited = sum(n for source, n in counts["sources"].items() if source != "model")
    splits = ", ".join(f"{counts['splits'].get(split, 0)} {split}" for split in SPLIT_NAMES)
    checked = f"{given.record['checked_objects']:,} colonies read back from every format"
    return [
        ("pictures", f"{counts['images']:,}", splits),
        ("colonies", f"{counts['colonies']:,}", f"{len(counts['taxa'])} taxa"),
        ("quadrats", f"{len(known):,}", f"at {len(sites)} sites"),
        ("years", _span(years), "photographed"),
        ("by people", _share(edited, counts["colonies"]), "of the colonies were drawn or changed"),
        ("formats", str(1 + len(given.record["formats"])), checked),
    ]


def _places(cover: pa.Table) -> list[dict[str, Any]]:
    return cover.select(["site", "year", "quadrat"]).group_by(["site", "year", "quadrat"]).aggregate([]).to_pylist()


def _span(years: Sequence[int]) -> str:
    return "–" if not years else str(years[0]) if len(years) == 1 else f"{years[0]}–{years[-1] % 100:02d}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _cover(given: ReleaseReport) -> dict[str, Any]:
    """A row per site and year: all coral, then taxa (or families, where there are many), with intervals."""
    present = _means(given.cover)
    level = Level.TAXON if len(present) <= TAXA_SHOWN else Level.PARENT
    table = at_level(given.cover, given.taxonomy, level)
    means = _means(table)
    shown = sorted(means, key=lambda taxon: -means[taxon])[:TAXA_SHOWN]
    cells: dict[tuple[Any, Any], dict[str, dict[str, Any]]] = {}
    whole = at_level(given.cover, given.taxonomy, Level.ALL)
    for row in [*summarise(whole).to_pylist(), *summarise(table).to_pylist()]:
        cells.setdefault((row["site"], row["year"]), {})[row["taxon"]] = row
    places = sorted(cells, key=lambda place: (place[0] or "", place[1] or 0))
    return {
        "taxa": [ALL_CORAL, *shown],
        "rows": [(site, year, [cells[site, year].get(t) for t in (ALL_CORAL, *shown)]) for site, year in places],
        "left_out": len(means) - len(shown),
        "families": level == Level.PARENT,
    }


def _means(cover: pa.Table) -> dict[str, float]:
    """Mean share by taxon, of taxa that occur."""
    sums = cover.group_by("taxon").aggregate([("share", "mean")]).to_pylist()
    return {row["taxon"]: row["share_mean"] for row in sums if row["share_mean"] > 0}


def _colonies(given: ReleaseReport) -> list[dict[str, Any]]:
    """A row per taxon with its colonies' sizes; the most frequent first."""
    rows = []
    for taxon in sorted({*given.sizes, *given.cut_off}, key=lambda t: -len(given.sizes.get(t, ()))):
        sizes = np.asarray(given.sizes.get(taxon, ()), float)
        counts = np.histogram(np.clip(sizes, SIZE_BINS_CM2[0], SIZE_BINS_CM2[-1]), SIZE_BINS_CM2)[0]
        low, median, high = np.percentile(sizes, [5, 50, 95]) if len(sizes) else (None, None, None)
        rows.append(
            {
                "taxon": taxon,
                "whole": len(sizes),
                "cut_off": given.cut_off.get(taxon, 0),
                "median": median,
                "low": low,
                "high": high,
                "bars": [round(float(n) / max(1, counts.max()), 3) for n in counts],
            }
        )
    return rows


def _quality(line: BatchLine) -> dict[str, Any]:
    corals = line.figures["corals"]
    changes = corals["changes"]
    truth = line.figures.get("ground_truth") or {}
    return {
        "batch": line.batch,
        "link": line.link,
        "pictures": corals["pictures"],
        "kept": _share(changes.get("unchanged", 0), sum(changes.values())),
        "precision": corals["precision"],
        "recall": corals["recall"],
        "iou": corals["matched_iou"],
        "bias": sum(error["bias"] for error in corals["cover_error"].values()) if corals["pictures"] else None,
        "truth": truth.get("accuracy"),
        "broken": line.figures["broken_rules"],
        "reasons": line.figures["reasons"],
    }


def _worst(worst: Worst, taxonomy: Taxonomy) -> dict[str, Any]:
    colors = {t.name: (int(t.color[1:3], 16), int(t.color[3:5], 16), int(t.color[5:7], 16)) for t in taxonomy.taxa}
    picture = worst.picture
    return {
        "title": picture.title,
        "batch": worst.batch,
        "src": data_uri(overlay(picture.load(), picture.size, picture.proposed, picture.reviewed, colors)),
        "changed": worst.changed_share,
        "lines": worst.lines[:CHANGES_SHOWN],
        "more": max(0, len(worst.lines) - CHANGES_SHOWN),
    }
